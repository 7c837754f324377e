//! How far a run has come, without a terminal.

use std::time::Duration;

use super::progress::{Left, Progress, Span};
use super::samples::{answered, heading, heading_of, in_time, ms, progress, sent};
use crate::ping::ledger::Settled;
use crate::ping::output::Overdue;
use crate::ping::plot::dots::Mark;
use crate::ping::schedule::Schedule;
use crate::ping::verdict::Verdict;

fn overdue(seq: u64, sent: Duration, so_far: Verdict) -> Overdue {
    Overdue {
        seq,
        sent,
        so_far,
        waited: ms(2_000),
    }
}

#[test]
fn a_loss_is_marked_when_it_is_given_up_and_corrected_when_more_is_known() {
    // The clock ran before the run.
    let early = ms(5_000);
    let mut run = Progress::new(heading("host", None), None);
    for probe in 0..3 {
        run.sent(&sent(early + ms(100) * probe, true));
    }
    let marks =
        |run: &Progress| [Mark::Lost, Mark::LostThere].map(|mark| run.recent().marks(mark).count());
    run.overdue(&overdue(1, early, Verdict::LostUnknown));
    run.overdue(&overdue(2, early + ms(100), Verdict::LostUnknown));
    assert_eq!((marks(&run), run.fates().lost()), ([1, 0], 2));
    // Slots are longer than 100 ms, so the marks of both are one.
    let at = run.recent().marks(Mark::Lost).next().unwrap();
    assert!(at < ms(120), "{at:?}");
    // One answer comes after all, and tells that the other never arrived.
    run.answered(&answered(1, early, ms(2_500)));
    assert_eq!((marks(&run), run.fates().lost()), ([1, 0], 1));
    run.settled(&Settled::of(2, early + ms(100), Verdict::LostThere));
    assert_eq!((marks(&run), run.fates().lost()), ([0, 1], 1));
    assert_eq!(run.fates().count(Mark::Late), 1);
    assert_eq!(run.recent().answers().next().unwrap().at, ms(0));
    assert_eq!((run.fates().all_sent(), run.fates().waiting()), (3, 1));
    // The verdict of the answered one changes nothing more.
    let late = Verdict::Late { rtt: ms(2_500) };
    run.settled(&Settled::of(1, early, late));
    assert_eq!(run.fates().answered_in_all(), 1);
}

#[test]
fn a_probe_that_could_not_be_sent_is_marked_at_once() {
    let mut run = Progress::new(heading("host", None), None);
    run.sent(&sent(ms(0), false));
    assert_eq!(run.recent().marks(Mark::NotSent).count(), 1);
    run.settled(&Settled::of(1, ms(0), Verdict::NotSent));
    assert_eq!(run.recent().marks(Mark::NotSent).count(), 1);
    assert_eq!(run.fates().count(Mark::NotSent), 1);
    assert_eq!((run.fates().all_sent(), run.fates().waiting()), (0, 0));
}

#[test]
fn an_outage_is_longer_than_one_loss() {
    let mut run = progress("host", None, &[in_time(10), Verdict::InFlight]);
    assert_eq!(run.outage(ms(2_099)), None);
    assert_eq!(run.outage(ms(2_100)), Some(ms(2_000)));
    run.answered(&answered(2, ms(100), ms(2_100)));
    assert_eq!(run.outage(ms(9_000)), None);
    // Nothing is waited for after the last.
    let mut run = progress("host", Some(1), &[Verdict::InFlight]);
    assert!(run.outage(ms(5_000)).is_some());
    run.settled(&Settled::of(1, ms(0), Verdict::LostUnknown));
    assert_eq!(run.outage(ms(5_000)), None);
}

#[test]
fn what_is_left_is_told() {
    let run = progress("host", Some(11), &[in_time(10)]);
    assert_eq!(run.left(ms(0)), Left::Sending(ms(1_000)));
    assert_eq!(run.left(ms(999)), Left::Sending(ms(1)));
    assert_eq!(run.left(ms(1_000)), Left::Waiting);
    let run = progress("host", Some(2), &[in_time(10), Verdict::LostBack]);
    assert_eq!(run.left(ms(9_000)), Left::Nothing);
    assert_eq!(progress("host", None, &[]).left(ms(9_000)), Left::Endless);
    let flood = |count, lasts| {
        let schedule = Schedule::flood(count, lasts, Some(10));
        let mut run = Progress::new(heading_of("host", schedule), None);
        run.sent(&sent(ms(0), true));
        (run.left(ms(400)), run.left(ms(1_000)), run.span())
    };
    let minute = Span::Last(ms(60_000));
    assert_eq!(
        flood(None, Some(ms(1_000))),
        (
            Left::Sending(ms(600)),
            Left::Waiting,
            Span::Whole(ms(1_000))
        )
    );
    let nine = Left::Probes(9);
    assert_eq!(flood(Some(10), None), (nine, nine, minute));
    assert_eq!(flood(Some(1), None), (Left::Waiting, Left::Waiting, minute));
    assert_eq!(flood(None, None), (Left::Endless, Left::Endless, minute));
}

#[test]
fn a_short_run_is_shown_whole_and_a_long_one_by_its_last_while() {
    let span = |count, interval| Span::of(&Schedule::fixed(count, interval));
    let second = ms(1_000);
    assert_eq!(span(Some(1), second), Span::Whole(second));
    assert_eq!(span(Some(101), second), Span::Whole(ms(100_000)));
    assert_eq!(span(Some(122), second), Span::Last(ms(60_000)));
    assert_eq!(span(None, ms(1)), Span::Last(ms(60_000)));
    assert_eq!(span(None, 10 * second), Span::Last(ms(600_000)));
    // The last probe of a run that is shown whole has its place.
    let ramp = Schedule {
        decay: 0.95,
        ..Schedule::fixed(Some(200), second)
    };
    assert_eq!(Span::of(&ramp), Span::Whole(ramp.slot(200)));
    assert_eq!(span(None, Duration::MAX), Span::Last(Duration::MAX));
}

#[test]
fn an_endless_run_takes_no_more_memory() {
    let mut run = Progress::new(heading("host", None), None);
    let mut most = 0;
    for seq in 1..=300_000_u64 {
        let at = ms(seq);
        run.sent(&sent(at, true));
        if seq % 3 == 0 {
            run.overdue(&overdue(seq, at, Verdict::LostUnknown));
            run.settled(&Settled::of(seq, at, Verdict::LostBack));
        } else {
            run.answered(&answered(seq, at, ms(seq % 7)));
        }
        most = most.max(run.recent().answers().count());
        if seq % 50_000 == 0 {
            assert!(most < 5_000, "{most}");
        }
    }
    assert_eq!(run.fates().lost(), 100_000);
}
