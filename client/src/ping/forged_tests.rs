//! Forged answers among true ones: nothing that is measured changes.

use std::time::Duration;

use hii_protocol::ping::{Probe, ProbeAnswer, ProbeSize, Report, Run, Seq};
use proptest::prelude::*;

use super::ledger::tests::{Simulated, Truth, end, happenings, ms, simulate, slot, truths};
use super::verdict::Counts;

/// What is false about an answer.
#[derive(Debug, Clone, Copy)]
enum Lie {
    WindowWithoutItself,
    WindowBelowOne,
    CountBelowWindow,
    CountBeyondCopies(u64),
    LimitedBeyondCount(u64),
    HeldTooLong(u64),
    ReceivedBeyondClocks(u64),
    /// True in every way, but nobody has asked yet.
    NotSentYet(u64),
    /// An answer to a closing probe, before there is one.
    NotClosingYet,
    NeverSent(u64),
}

/// An answer that somebody makes up, to a probe that was sent, at this time.
#[derive(Debug, Clone, Copy)]
struct Forgery {
    lie: Lie,
    at: Duration,
    /// Which of the probes sent by then it answers.
    probe: prop::sample::Index,
    /// Whether it overtakes a true answer of the same time.
    overtakes: bool,
    window: u64,
}

fn forgeries() -> impl Strategy<Value = Vec<Forgery>> {
    use Lie::*;
    let lie = prop_oneof![
        Just(WindowWithoutItself),
        Just(WindowBelowOne),
        Just(CountBelowWindow),
        prop_oneof![1..1_000_u64, Just(u64::MAX)].prop_map(CountBeyondCopies),
        prop_oneof![1..1_000_u64, Just(u64::MAX)].prop_map(LimitedBeyondCount),
        prop_oneof![1..1_000_000_u64, Just(u64::MAX)].prop_map(HeldTooLong),
        prop_oneof![1..1_000_u64, Just(1 << 63)].prop_map(ReceivedBeyondClocks),
        (1..100_u64).prop_map(NotSentYet),
        Just(NotClosingYet),
        prop_oneof![2..9_u64, Just(u64::MAX)].prop_map(NeverSent),
    ];
    let parts = (
        lie,
        0..4_000_u64,
        any::<prop::sample::Index>(),
        any::<bool>(),
        any::<u64>(),
    );
    let forgery = parts.prop_map(|(lie, at, probe, overtakes, window)| Forgery {
        lie,
        at: ms(at),
        probe,
        overtakes,
        window,
    });
    prop::collection::vec(forgery, 1..150)
}

impl Forgery {
    /// The answer, of a run where these things happen; none where this lie cannot be told.
    fn answer(&self, truths: &[Truth]) -> Option<ProbeAnswer> {
        let last = truths.len() as u64;
        let sent = (1..=last)
            .take_while(|seq| slot(*seq) <= self.at)
            .last()
            .unwrap_or(1);
        let seq = self.probe.index(usize::try_from(sent).unwrap()) as u64 + 1;
        let own = u64::MAX >> (63 - (seq - 1).min(63));
        // True of the probes that were sent, and the least that a count may be.
        let window = self.window & own | 1;
        let could_be = Report {
            count: Seq::new(u64::from(window.count_ones())).unwrap(),
            window,
            held: 0,
            received: u64::try_from(self.at.as_nanos()).unwrap(),
            limited: 0,
        };
        let took = self.at.saturating_sub(slot(seq));
        let most_held = took + took / 10 + ms(1);
        let (seq, report) = match self.lie {
            Lie::WindowWithoutItself => (
                seq,
                Report {
                    count: Seq::new(64).unwrap(),
                    window: window & !1,
                    ..could_be
                },
            ),
            Lie::WindowBelowOne if seq < 64 => (
                seq,
                Report {
                    count: Seq::new(64).unwrap(),
                    window: window | 1 << 63,
                    ..could_be
                },
            ),
            Lie::CountBelowWindow if window != 1 => (
                seq,
                Report {
                    count: Seq::MIN,
                    ..could_be
                },
            ),
            Lie::WindowBelowOne | Lie::CountBelowWindow => return None,
            Lie::CountBeyondCopies(more) => (
                seq,
                Report {
                    count: Seq::new(((last + 1) * 256).saturating_add(more)).unwrap(),
                    ..could_be
                },
            ),
            Lie::LimitedBeyondCount(more) => (
                seq,
                Report {
                    limited: could_be.count.get().saturating_add(more),
                    ..could_be
                },
            ),
            Lie::HeldTooLong(more) => (
                seq,
                Report {
                    held: u64::try_from(most_held.as_nanos())
                        .unwrap()
                        .saturating_add(more),
                    ..could_be
                },
            ),
            Lie::ReceivedBeyondClocks(more) => (
                seq,
                Report {
                    received: (1_u64 << 63) - 1 + more,
                    ..could_be
                },
            ),
            Lie::NotSentYet(ahead) => {
                let seq = sent + ahead;
                (seq <= last && slot(seq) > self.at).then_some((seq, could_be))?
            }
            Lie::NotClosingYet => (self.at < end(truths)).then_some((last + 1, could_be))?,
            Lie::NeverSent(beyond) => (last.saturating_add(beyond), could_be),
        };
        let size = ProbeSize::new(128).unwrap();
        let probe = Probe::new(Run(1), Seq::new(seq).unwrap(), size).unwrap();
        Some(probe.answer(&report))
    }
}

proptest! {
    #[test]
    fn what_cannot_be_true_changes_no_figure_and_is_counted(truths in truths(), forgeries in forgeries()) {
        let honest = simulate(&truths, happenings(&truths));
        let mut mixed = happenings(&truths);
        let (mut told, mut held_too_long) = (0, 0);
        for (index, forgery) in (0..).zip(&forgeries) {
            if let Some(answer) = forgery.answer(&truths) {
                told += 1;
                held_too_long += u64::from(matches!(forgery.lie, Lie::HeldTooLong(_)));
                let order = if forgery.overtakes { 500 } else { 20_000 };
                mixed.insert((forgery.at, order + index), Some(answer));
            }
        }
        let Simulated { ledger, verdicts, figures } = simulate(&truths, mixed);
        prop_assert_eq!(verdicts, honest.verdicts);
        prop_assert_eq!(format!("{figures:?}"), format!("{:?}", honest.figures));
        prop_assert_eq!(ledger.forgot(), honest.ledger.forgot());
        prop_assert_eq!(ledger.closed(), honest.ledger.closed());
        let counts = ledger.counts();
        // Of a probe whose verdict is final it is not known any more how long it was held at the most.
        prop_assert!(counts.duplicates <= held_too_long);
        prop_assert_eq!(counts.implausible + counts.foreign + counts.duplicates, told);
        let others = Counts { implausible: 0, foreign: 0, duplicates: 0, ..counts };
        prop_assert_eq!(others, honest.ledger.counts());
    }
}
