//! The ledger on simulated paths: what it concludes against what really happened.

use std::collections::BTreeMap;
use std::time::Duration;

use hii_protocol::ping::{Probe, ProbeAnswer, ProbeSize, Report, Run, Seq};
use proptest::prelude::*;

use super::{Answered, Arrival, LEAST_PATIENCE, Ledger, Outcome, Sent, Settled};
use crate::ping::statistics::{RunFigures, Statistics};
use crate::ping::summary::Summary;
use crate::ping::verdict::{Counts, Verdict};

pub(in crate::ping) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn answer(seq: u64, at: Duration) -> Arrival {
    Arrival {
        seq,
        at,
        report: None,
        stamp: None,
    }
}

/// A probe sent when it was due, with a deadline of 100 ms.
fn sent(at: Duration) -> Sent {
    Sent {
        due: at,
        deadline: ms(100),
        at,
        went_out: true,
        clash: None,
    }
}

/// The probe that an outcome answers, and how.
fn answered(outcome: Outcome) -> Option<(u64, Verdict)> {
    match outcome {
        Outcome::Answered(Answered { seq, verdict, .. }) => Some((seq, verdict)),
        Outcome::Refused(..) | Outcome::Counted => None,
    }
}

fn settle_all(ledger: &mut Ledger) -> Vec<Settled> {
    std::iter::from_fn(|| ledger.close(Duration::MAX, false)).collect()
}

#[test]
fn a_late_answer_is_late_and_never_another_probe_s() {
    let mut ledger = Ledger::new(2, ms(100), false);
    ledger.sent(sent(ms(0)));
    ledger.sent(sent(ms(100)));
    // The answer to 1 comes when 2 is out already.
    let outcome = ledger.arrived(answer(1, ms(150)));
    assert_eq!(answered(outcome), Some((1, Verdict::Late { rtt: ms(150) })));
    assert_eq!(ledger.overdue(ms(2_150)), Some((2, Verdict::LostUnknown)));
    assert_eq!(ledger.overdue(ms(2_150)), None);
    let settled = settle_all(&mut ledger);
    assert_eq!(settled[1].verdict, Verdict::LostUnknown);
    assert_eq!((ledger.counts().late, ledger.counts().lost()), (1, 1));
}

#[test]
fn a_true_answer_counts_though_a_forged_one_came_before_its_probe_was_known() {
    let mut ledger = Ledger::new(1, ms(100), false);
    ledger.arrived(answer(1, ms(1)));
    ledger.arrived(answer(1, ms(7)));
    // The thread that sends tells only now, and it was sent in between.
    let outcome = ledger.sent(sent(ms(5))).map(answered);
    assert_eq!(outcome, Some(Some((1, Verdict::InTime { rtt: ms(2) }))));
    assert_eq!(
        (ledger.counts().foreign, ledger.counts().duplicates),
        (1, 0)
    );
}

#[test]
fn a_probe_is_not_held_back_for_ever_when_nothing_more_is_heard() {
    let mut ledger = Ledger::new(9, ms(100), true);
    for second in 0..9 {
        ledger.sent(sent(ms(1000 * second)));
    }
    // A later answer might still tell which way it was lost.
    assert_eq!(ledger.settle(ms(19_999)), None);
    let settled = ledger.settle(ms(20_000)).map(|settled| settled.verdict);
    assert_eq!(settled, Some(Verdict::LostUnknown));
}

#[test]
fn the_deadline_itself_is_in_time() {
    let mut ledger = Ledger::new(1, ms(100), false);
    ledger.sent(sent(ms(5)));
    assert_eq!(
        answered(ledger.arrived(answer(1, ms(105)))),
        Some((1, Verdict::InTime { rtt: ms(100) }))
    );
}

#[test]
fn duplicates_foreign_and_given_up_answers_change_no_verdict() {
    let mut ledger = Ledger::new(3, ms(100), false);
    ledger.sent(sent(ms(0)));
    ledger.arrived(answer(1, ms(1)));
    assert_eq!(ledger.arrived(answer(1, ms(2))), Outcome::Counted);
    ledger.foreign();
    ledger.sent(sent(ms(100)));
    assert!(ledger.settle(ms(10_000)).is_some());
    assert!(ledger.settle(ms(10_100)).is_some());
    assert_eq!(ledger.arrived(answer(2, ms(10_101))), Outcome::Counted);
    // A number that was never sent.
    ledger.arrived(answer(3, ms(10_102)));
    assert!(settle_all(&mut ledger).is_empty());
    let expected = Counts {
        sent: 2,
        in_time: 1,
        lost_unknown: 1,
        duplicates: 1,
        foreign: 2,
        forgotten: 1,
        ..Counts::default()
    };
    assert_eq!(ledger.counts(), expected);
}

#[test]
fn what_is_final_is_settled_in_order_and_further_answers_are_told_apart() {
    let mut ledger = Ledger::new(4, ms(100), false);
    let not_sent = Sent {
        went_out: false,
        ..sent(ms(10))
    };
    for probe in [sent(ms(0)), not_sent, sent(ms(20)), sent(ms(30))] {
        ledger.sent(probe);
    }
    ledger.arrived(answer(1, ms(31)));
    ledger.arrived(answer(4, ms(32)));
    let settled: Vec<_> = std::iter::from_fn(|| ledger.settle(ms(33))).collect();
    // The third may still be answered, and the fourth has to wait for it.
    assert_eq!(
        settled.iter().map(|probe| probe.seq).collect::<Vec<_>>(),
        [1, 2]
    );
    for seq in 1..=4 {
        ledger.arrived(answer(seq, ms(34)));
    }
    settle_all(&mut ledger);
    let expected = Counts {
        sent: 3,
        in_time: 3,
        not_sent: 1,
        duplicates: 2,
        foreign: 1,
        ..Counts::default()
    };
    assert_eq!(ledger.counts(), expected);
}

#[test]
fn an_answer_long_after_its_probe_was_overdue_is_late_not_lost() {
    let mut ledger = Ledger::new(200, ms(100), false);
    for probe in 0..200 {
        ledger.sent(sent(ms(probe * 20)));
    }
    assert_eq!(ledger.overdue(ms(2_500)), Some((1, Verdict::LostUnknown)));
    assert_eq!(ledger.settle(ms(9_999)), None);
    let late = Verdict::Late { rtt: ms(9_999) };
    assert_eq!(
        answered(ledger.arrived(answer(1, ms(9_999)))),
        Some((1, late))
    );
    assert_eq!(ledger.settle(ms(10_000)).unwrap().verdict, late);
    assert_eq!(
        ledger.settle(ms(10_020)).unwrap().verdict,
        Verdict::LostUnknown
    );
}

#[test]
fn notice_may_arrive_before_its_probe_is_known_to_be_sent() {
    let size = ProbeSize::new(128).unwrap();
    let notice = |seq| {
        let probe = Probe::new(Run(1), Seq::new(seq).unwrap(), size).unwrap();
        probe.limited_notice(Seq::new(seq), seq)
    };
    let mut ledger = Ledger::new(2, ms(100), true);
    ledger.limited_notice(&notice(1), ms(2));
    // One for a probe that is never sent, and one from before its probe was sent.
    ledger.limited_notice(&notice(9), ms(2));
    ledger.limited_notice(&notice(2), ms(3));
    ledger.sent(sent(ms(1)));
    ledger.limited_notice(&notice(2), ms(6));
    ledger.sent(sent(ms(4)));
    assert!(ledger.nothing_waits());
    let verdicts = settle_all(&mut ledger);
    assert_eq!(verdicts[0].verdict, Verdict::RateLimited);
    assert_eq!(verdicts[1].verdict, Verdict::RateLimited);
    assert_eq!((ledger.counts().limited, ledger.counts().foreign), (2, 2));
}

/// An answer of a server that has counted probes and those over its limit.
fn says(seq: u64, count: u64, window: u64, limited: u64, at: Duration) -> Arrival {
    let size = ProbeSize::new(128).unwrap();
    let probe = Probe::new(Run(1), Seq::new(seq).unwrap(), size).unwrap();
    let report = probe.answer(&Report {
        count: Seq::new(count).unwrap(),
        window,
        held: 0,
        received: 1,
        limited,
    });
    Arrival {
        report: Some(report),
        ..answer(seq, at)
    }
}

#[test]
fn nothing_is_lost_in_an_interrupted_run_that_a_limit_may_explain() {
    let mut ledger = Ledger::new(100, ms(100), true);
    for seq in 0..5 {
        ledger.sent(sent(ms(seq)));
    }
    ledger.arrived(says(1, 1, 0b1, 0, ms(6)));
    // Two of the three between were over the limit.
    ledger.arrived(says(5, 5, 0b1_1111, 2, ms(7)));
    // Sent after the last answer, long before the end and shortly before it.
    for at in [500, 2_900, 2_950] {
        ledger.sent(sent(ms(at)));
    }
    let end = || ledger.close(ms(3_000), true);
    let verdicts: Vec<_> = std::iter::from_fn(end)
        .map(|settled| settled.verdict)
        .collect();
    assert_eq!(verdicts[1..4], [Verdict::LimitedOrLost; 3]);
    assert_eq!(verdicts[5], Verdict::LimitedOrLost);
    assert_eq!(verdicts[6..], [Verdict::InFlight; 2]);
    let summary = Summary::new(&ledger.counts(), Statistics::new(0).figures(), true);
    assert_eq!((summary.lost.total, summary.limited_or_lost), (0, 4));
    assert_eq!(summary.in_flight, 2);
}

#[test]
fn probe_known_to_be_over_a_limit_is_not_overdue() {
    let mut ledger = Ledger::new(5, ms(100), true);
    for seq in 0..5 {
        ledger.sent(sent(ms(seq)));
    }
    ledger.arrived(says(1, 1, 0b1, 0, ms(6)));
    ledger.arrived(says(5, 5, 0b1_1111, 2, ms(7)));
    // Only this answer, overtaken, shows that all others between were over the limit.
    ledger.arrived(says(3, 3, 0b111, 1, ms(8)));
    assert_eq!(ledger.overdue(ms(5_000)), None);
    let settled = settle_all(&mut ledger);
    for seq in [2, 4] {
        let settled = &settled[seq - 1];
        assert_eq!(
            (settled.verdict, settled.told),
            (Verdict::RateLimited, false)
        );
    }
}

#[test]
fn closing_probes_over_a_limit_are_not_counted_in_the_run() {
    let mut ledger = Ledger::new(2, ms(100), true);
    ledger.sent(sent(ms(0)));
    ledger.sent(sent(ms(10)));
    ledger.arrived(says(1, 1, 0b1, 0, ms(1)));
    ledger.end();
    ledger.sent_closing(ms(2_000));
    ledger.sent_closing(ms(3_000));
    // Number 2 or the first closing probe was limited; it is not known which.
    ledger.arrived(says(4, 3, 0b1011, 1, ms(3_001)));
    assert_eq!(ledger.counts().limited, 0);
    settle_all(&mut ledger);
    assert_eq!(ledger.counts().rate_limited, 0);
}

#[test]
fn an_answer_before_its_probe_was_sent_is_forged() {
    let mut ledger = Ledger::new(1, ms(100), false);
    ledger.arrived(answer(1, ms(1)));
    assert_eq!(ledger.sent(sent(ms(2))), None);
    assert_eq!(ledger.counts().foreign, 1);
    assert!(!ledger.nothing_waits());
}

#[test]
fn an_answer_may_overtake_the_news_of_its_sending() {
    let mut ledger = Ledger::new(1, ms(100), false);
    assert_eq!(ledger.arrived(answer(1, ms(3))), Outcome::Counted);
    assert_eq!(
        ledger.sent(sent(ms(1))).and_then(answered),
        Some((1, Verdict::InTime { rtt: ms(2) }))
    );
    assert!(ledger.nothing_waits());
}

#[test]
fn forged_answers_to_later_probes_leave_room_for_one_that_overtakes() {
    let mut ledger = Ledger::new(1_000, ms(100), false);
    for seq in 500..700 {
        ledger.arrived(answer(seq, ms(1)));
    }
    ledger.arrived(answer(1, ms(3)));
    let first = ledger.sent(sent(ms(1))).and_then(answered);
    assert_eq!(first, Some((1, Verdict::InTime { rtt: ms(2) })));
    settle_all(&mut ledger);
    assert_eq!(ledger.counts().foreign, 200);
}

#[test]
fn what_was_not_sent_is_in_no_true_window_and_has_no_answer() {
    let mut ledger = Ledger::new(2, ms(100), true);
    let not_sent = Sent {
        went_out: false,
        ..sent(ms(0))
    };
    ledger.sent(not_sent);
    ledger.sent(sent(ms(10)));
    let says = |seq: u64, window| {
        let size = ProbeSize::new(128).unwrap();
        let probe = Probe::new(Run(1), Seq::new(seq).unwrap(), size).unwrap();
        let report = probe.answer(&Report {
            count: Seq::new(2).unwrap(),
            window,
            held: 0,
            received: 1,
            limited: 0,
        });
        Arrival {
            report: Some(report),
            ..answer(seq, ms(11))
        }
    };
    assert_eq!(ledger.arrived(says(1, 0b1)), Outcome::Counted);
    assert_eq!(ledger.arrived(says(2, 0b11)), Outcome::Counted);
    let counts = ledger.counts();
    assert_eq!((counts.foreign, counts.implausible), (1, 1));
    assert!(answered(ledger.arrived(says(2, 0b1))).is_some());
}

#[test]
fn what_overtook_the_answer_before_a_gap_is_not_missing_in_it() {
    let mut server = Server::default();
    let mut ledger = Ledger::new(102, ms(100), true);
    ledger.sent(sent(ms(0)));
    ledger.sent(sent(ms(10)));
    // The second is there first, and its answer is lost.
    server.answer(2, ms(20));
    let report = server.answer(1, ms(25));
    let arrival = |seq, at, report| Arrival {
        report: Some(report),
        ..answer(seq, at)
    };
    ledger.arrived(arrival(1, ms(30), report));
    for seq in 3..=102 {
        ledger.sent(sent(slot(seq)));
    }
    // One more came than before, and it is in the window: of those that were sent since, none of the others did.
    let report = server.answer(102, slot(102));
    ledger.arrived(arrival(102, slot(102) + ms(5), report));
    let settled = settle_all(&mut ledger);
    let verdict = |seq: usize| settled[seq - 1].verdict;
    assert_eq!(verdict(2), Verdict::LostUnknown);
    assert!((4..102).all(|seq| verdict(seq) == Verdict::LostThere));
}

#[test]
fn a_duplicate_may_overtake_it_too() {
    let mut ledger = Ledger::new(2, ms(100), false);
    for at in [2, 3, 4] {
        ledger.arrived(answer(1, ms(at)));
    }
    let first = ledger.sent(sent(ms(1))).and_then(answered);
    assert_eq!(first, Some((1, Verdict::InTime { rtt: ms(1) })));
    settle_all(&mut ledger);
    assert_eq!(
        (ledger.counts().duplicates, ledger.counts().foreign),
        (2, 0)
    );
}

#[test]
fn probes_that_share_a_port_are_unknown() {
    let mut ledger = Ledger::new(3, ms(100), false);
    ledger.sent(sent(ms(0)));
    ledger.sent(sent(ms(100)));
    ledger.sent(Sent {
        clash: Some(1),
        ..sent(ms(200))
    });
    let verdicts: Vec<_> = settle_all(&mut ledger)
        .iter()
        .map(|settled| settled.verdict)
        .collect();
    assert_eq!(
        verdicts,
        [Verdict::Unknown, Verdict::LostUnknown, Verdict::Unknown]
    );
}

#[test]
fn an_interrupted_run_has_probes_in_flight() {
    let mut ledger = Ledger::new(9, ms(100), false);
    ledger.sent(sent(ms(0)));
    ledger.sent(sent(ms(1_500)));
    ledger.sent(Sent {
        went_out: false,
        ..sent(ms(1_600))
    });
    while ledger.close(ms(2_000), true).is_some() {}
    let counts = ledger.counts();
    assert_eq!(
        (
            counts.sent,
            counts.lost_unknown,
            counts.in_flight,
            counts.not_sent
        ),
        (2, 1, 1, 1)
    );
}

/// What really happens to a probe.
#[derive(Debug, Clone, Copy)]
pub(in crate::ping) struct Truth {
    pub(in crate::ping) there: Option<Duration>,
    pub(in crate::ping) back: Option<Duration>,
}

pub(in crate::ping) fn truths() -> impl Strategy<Value = Vec<Truth>> {
    let way = |lost: u32| {
        prop_oneof![
            lost => Just(None),
            6 => (0..5_u64).prop_map(|delay| Some(ms(delay))),
            2 => (0..60_u64).prop_map(|delay| Some(ms(delay))),
        ]
    };
    prop::collection::vec(
        (way(1), way(1)).prop_map(|(there, back)| Truth { there, back }),
        1..200,
    )
}

/// A server that remembers every probe, so that its windows are whole.
#[derive(Default)]
struct Server {
    received: Vec<u64>,
}

impl Server {
    fn answer(&mut self, seq: u64, at: Duration) -> ProbeAnswer {
        self.received.push(seq);
        let window = (0..64).fold(0, |window, k| {
            let was = seq
                .checked_sub(k)
                .is_some_and(|seq| self.received.contains(&seq));
            window | u64::from(was) << k
        });
        let probe =
            Probe::new(Run(1), Seq::new(seq).unwrap(), ProbeSize::new(128).unwrap()).unwrap();
        probe.answer(&Report {
            count: Seq::new(self.received.len() as u64).unwrap(),
            window,
            held: 0,
            received: EPOCH + u64::try_from(at.as_nanos()).unwrap() + 1,
            limited: 0,
        })
    }
}

/// What happens at the client, by its time; the second number keeps apart what happens at one time. None is the sending of
/// the next probe.
pub(in crate::ping) type Happenings = BTreeMap<(Duration, u64), Option<ProbeAnswer>>;

/// What came of a simulated run.
pub(in crate::ping) struct Simulated {
    pub(in crate::ping) ledger: Ledger,
    pub(in crate::ping) verdicts: Vec<Verdict>,
    pub(in crate::ping) figures: RunFigures,
}

/// After this an answer is late.
pub(in crate::ping) const DEADLINE: Duration = ms(50);

/// The wall clock at the start of a simulated run.
pub(in crate::ping) const EPOCH: u64 = 1_789_000_000_000_000_000;

/// When a probe is due: one every 10 ms.
pub(in crate::ping) fn slot(seq: u64) -> Duration {
    ms(10) * u32::try_from(seq - 1).unwrap()
}

/// When the run is over, but for a closing probe that is answered at once.
pub(in crate::ping) fn end(truths: &[Truth]) -> Duration {
    slot(truths.len() as u64) + LEAST_PATIENCE
}

/// What happens at the client of a path where these things happen.
pub(in crate::ping) fn happenings(truths: &[Truth]) -> Happenings {
    let last = truths.len() as u64;
    let mut server = Server::default();
    // Events in the order of their times; the second number keeps those of one time apart.
    let mut at_server: BTreeMap<(Duration, u64), u64> = BTreeMap::new();
    for (seq, truth) in (1..).zip(truths) {
        if let Some(there) = truth.there {
            at_server.insert((slot(seq) + there, seq), seq);
        }
    }
    let mut at_client = Happenings::new();
    for seq in 1..=last {
        at_client.insert((slot(seq), seq), None);
    }
    for ((at, _), seq) in at_server {
        let report = server.answer(seq, at);
        if let Some(back) = truths[usize::try_from(seq - 1).unwrap()].back {
            at_client.insert((at + back, 1_000 + seq), Some(report));
        }
    }
    let end = end(truths);
    at_client.insert((end, 9_999), Some(server.answer(last + 1, end)));
    at_client
}

/// Runs probes, one every 10 ms, through what happens; an uncounted closing probe is sent at the end.
pub(in crate::ping) fn simulate(truths: &[Truth], happenings: Happenings) -> Simulated {
    simulate_until(truths.len() as u64, end(truths), happenings)
}

/// The same for so many probes, each sent at any time after its slot, and an end at any time after all other answers.
pub(in crate::ping) fn simulate_until(
    last: u64,
    end: Duration,
    happenings: Happenings,
) -> Simulated {
    let mut ledger = Ledger::new(last, DEADLINE, true);
    let mut statistics = Statistics::new(EPOCH);
    let mut slots = (1..).map(slot);
    let mut verdicts = Vec::new();
    let mut closing = false;
    let mut settled = |statistics: &mut Statistics, settled: Settled| {
        statistics.settled(&settled);
        verdicts.push(settled.verdict);
    };
    for ((at, _), event) in happenings {
        if at == end && !closing {
            closing = true;
            ledger.sent_closing(end);
        }
        let outcome = match event {
            None => {
                let sent = Sent {
                    due: slots.next().unwrap(),
                    deadline: DEADLINE,
                    ..sent(at)
                };
                statistics.sent(&sent);
                ledger.sent(sent)
            }
            Some(report) => {
                let seq = report.seq().get();
                Some(ledger.arrived(Arrival {
                    seq,
                    at,
                    report: Some(report),
                    stamp: None,
                }))
            }
        };
        if let Some(Outcome::Answered(answered)) = outcome {
            statistics.answered(&answered);
        }
        while let Some(done) = ledger.settle(at) {
            settled(&mut statistics, done);
        }
    }
    while let Some(done) = ledger.close(end, false) {
        settled(&mut statistics, done);
    }
    Simulated {
        ledger,
        verdicts,
        figures: statistics.figures(),
    }
}

proptest! {
    #[test]
    fn verdicts_are_what_happened(truths in truths()) {
        let Simulated { ledger, verdicts, .. } = simulate(&truths, happenings(&truths));
        prop_assert_eq!(verdicts.len(), truths.len());
        for (index, (truth, verdict)) in truths.iter().zip(&verdicts).enumerate() {
            let right = match (truth.there, truth.back, *verdict) {
                (Some(there), Some(back), Verdict::InTime { rtt }) => rtt == there + back && rtt <= ms(50),
                (Some(there), Some(back), Verdict::Late { rtt }) => rtt == there + back && rtt > ms(50),
                (None, _, Verdict::LostThere) | (Some(_), None, Verdict::LostBack) => true,
                // No answer covers it: the closing probe sees 63 back.
                (there, back, Verdict::LostUnknown) => there.is_none() || back.is_none(),
                _ => false,
            };
            prop_assert!(right, "probe {}: {:?} judged {:?}", index + 1, truth, verdict);
            // A server does not record what it received before its first entry.
            let mut earlier = (0..).zip(&truths[..index]);
            let has_known_before = earlier.any(|(index, truth): (usize, _)| {
                truth.there.is_some() && (truth.back.is_some() || truths.len() - index < 64)
            });
            if truths.len() - index < 64 && (has_known_before || truth.there.is_some()) {
                prop_assert_ne!(*verdict, Verdict::LostUnknown, "probe {} is in the closing window", index + 1);
            }
        }
        let counts = ledger.counts();
        prop_assert_eq!(counts.sent, counts.answered() + counts.lost());
        let others = [counts.duplicates, counts.foreign, counts.forgotten, counts.implausible];
        prop_assert_eq!(others, [0; 4]);
    }

    #[test]
    fn duplicated_answers_are_counted_and_nothing_else_changes(truths in truths(), copies in 1..4_u64) {
        let last = truths.len() as u64;
        let mut ledger = Ledger::new(last, ms(50), false);
        let mut answers = 0;
        for (seq, truth) in (1..).zip(&truths) {
            ledger.sent(sent(ms(seq)));
            if truth.back.is_some() {
                answers += 1;
                for _ in 0..=copies {
                    ledger.arrived(answer(seq, ms(seq + 1)));
                }
            }
        }
        settle_all(&mut ledger);
        prop_assert_eq!(ledger.counts().answered(), answers);
        prop_assert_eq!(ledger.counts().duplicates, answers * copies);
    }
}

/// A million probes a second, of which these are never answered: what is remembered at the most, and the counts.
fn fast_run(probes: u64, lost: impl Fn(u64) -> bool) -> (usize, Counts) {
    let at = |seq: u64| Duration::from_micros(seq);
    let mut ledger = Ledger::new(probes, ms(100), false);
    let mut most = 0;
    let mut settled = 0;
    for seq in 1..=probes {
        ledger.sent(sent(at(seq)));
        // Answers take a millisecond.
        if let Some(earlier) = seq.checked_sub(1_000).filter(|earlier| *earlier > 0)
            && !lost(earlier)
        {
            ledger.arrived(answer(earlier, at(seq)));
        }
        while ledger.settle(at(seq)).is_some() {
            settled += 1;
        }
        most = most.max(usize::try_from(seq).unwrap() - settled);
    }
    for seq in probes - 999..=probes {
        ledger.arrived(answer(seq, at(seq + 1_000)));
    }
    settle_all(&mut ledger);
    (most, ledger.counts())
}

#[test]
fn a_fast_run_takes_no_more_memory_than_a_slow_one() {
    let (most, counts) = fast_run(200_000, |_| false);
    assert_eq!(most, 1_000);
    assert_eq!((counts.in_time, counts.forgotten), (200_000, 0));
}

#[test]
fn a_lost_probe_of_a_fast_run_is_given_up_before_memory_is() {
    let (most, counts) = fast_run(700_000, |seq| seq == 5);
    assert_eq!(most, 1 << 19);
    assert_eq!((counts.in_time, counts.lost_unknown), (699_999, 1));
    assert_eq!((counts.forgotten, counts.foreign), (0, 0));
}
