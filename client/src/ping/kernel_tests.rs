//! What the kernel tells of probes, through the ledger and the statistics: conclusions against what really happened.

use std::time::Duration;

use hii_protocol::ping::{Probe, ProbeAnswer, ProbeSize, Report, Run, Seq};
use hii_transport::probe::Stamp;
use proptest::prelude::*;

use super::kernel_times::KernelTrip;
use super::ledger::{Arrival, Ledger, Outcome, Sent, Settled};
use super::local_drops::Dropped;
use super::refusal::Refusal;
use super::statistics::{By, Statistics};
use super::verdict::Verdict;

const fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

const DEADLINE: Duration = us(100_000);

fn ledger(last: u64) -> Ledger {
    Ledger::new(last, DEADLINE, true)
}

fn sent(at: Duration) -> Sent {
    Sent {
        due: at,
        deadline: DEADLINE,
        at,
        went_out: true,
        clash: None,
    }
}

fn stamp(at: Duration, read: Duration) -> Stamp {
    Stamp {
        at,
        read,
        steady: Duration::ZERO,
    }
}

fn arrival(seq: u64, at: Duration, stamp: Option<Stamp>) -> Arrival {
    Arrival {
        seq,
        at,
        report: None,
        stamp,
    }
}

/// The answer to a probe by a server that has received all so far and held it for so long.
fn report(seq: u64, held: Duration, received: u64) -> ProbeAnswer {
    let size = ProbeSize::new(128).unwrap();
    let seq = Seq::new(seq).unwrap();
    Probe::new(Run(1), seq, size).unwrap().answer(&Report {
        count: seq,
        window: u64::MAX >> (64 - seq.get().min(64)),
        held: u64::try_from(held.as_nanos()).unwrap(),
        received,
        limited: 0,
    })
}

fn settle_all(ledger: &mut Ledger) -> Vec<Settled> {
    std::iter::from_fn(|| ledger.close(Duration::MAX, false)).collect()
}

#[test]
fn a_stamp_of_sending_counts_whether_it_comes_before_the_answer_or_after() {
    let mut ledger = ledger(4);
    for seq in 1..=3 {
        ledger.sent(sent(us(1_000 * seq)));
    }
    let went = |seq: u64| stamp(us(1_000 * seq + 10), us(1_000 * seq + 900));
    let came = |seq: u64| Some(stamp(us(1_000 * seq + 90), us(1_000 * seq + 101)));
    ledger.transmitted(1, went(1));
    ledger.arrived(arrival(1, us(1_100), came(1)));
    ledger.arrived(arrival(2, us(2_100), came(2)));
    ledger.transmitted(2, went(2));
    // Only one of the two, or none.
    ledger.transmitted(3, went(3));
    ledger.arrived(arrival(3, us(3_100), None));
    ledger.sent(sent(us(4_000)));
    let trips: Vec<_> = settle_all(&mut ledger)
        .iter()
        .map(|settled| settled.kernel)
        .collect();
    let trip = |sent| {
        let (sent, rtt) = (us(sent), us(80));
        Some(KernelTrip { sent, rtt })
    };
    assert_eq!(trips, [trip(1_010), trip(2_010), None, None]);
    assert_eq!(ledger.counts().unusable_stamps, 0);
}

#[test]
fn the_first_answer_s_stamp_counts_and_no_duplicate_s() {
    let mut ledger = ledger(1);
    ledger.sent(sent(us(0)));
    ledger.transmitted(1, stamp(us(10), us(20)));
    ledger.arrived(arrival(1, us(100), Some(stamp(us(90), us(101)))));
    ledger.arrived(arrival(1, us(200), Some(stamp(us(190), us(201)))));
    ledger.transmitted(1, stamp(us(150), us(160)));
    let settled = settle_all(&mut ledger);
    assert_eq!(settled[0].kernel.map(|kernel| kernel.rtt), Some(us(80)));
}

#[test]
fn a_verdict_waits_for_the_stamp_of_sending_and_no_longer_than_a_second() {
    let answered = || {
        let mut ledger = ledger(2).with_stamps();
        ledger.sent(sent(us(0)));
        ledger.arrived(arrival(1, us(100), Some(stamp(us(90), us(101)))));
        ledger
    };
    let mut late = answered();
    assert_eq!(late.settle(us(999_999)), None);
    late.transmitted(1, stamp(us(10), us(999_999)));
    let settled = late.settle(us(999_999)).unwrap();
    assert_eq!(settled.kernel.map(|kernel| kernel.rtt), Some(us(80)));

    let mut never = answered();
    let settled = never.settle(us(1_000_000)).unwrap();
    assert_eq!(
        (settled.verdict.rtt(), settled.kernel),
        (Some(us(100)), None)
    );

    // Nobody waits where there are none.
    let mut without = ledger(2);
    without.sent(sent(us(0)));
    without.arrived(arrival(1, us(100), None));
    assert!(without.settle(us(100)).is_some());
}

#[test]
fn a_refused_probe_is_not_lost_and_not_waited_for() {
    let mut ledger = ledger(9);
    for seq in 1..=3 {
        ledger.sent(sent(us(seq)));
    }
    let why = Refusal::PortUnreachable;
    assert_eq!(ledger.refused(Some(2), why), Some(Outcome::Refused(2, why)));
    // It is told of once, whoever else sends it back.
    assert_eq!(ledger.refused(Some(2), Refusal::TimeExceeded), None);
    ledger.arrived(arrival(1, us(10), None));
    ledger.arrived(arrival(3, us(11), None));
    assert!(ledger.nothing_waits());
    assert_eq!(ledger.overdue(Duration::MAX), None);
    let settled = settle_all(&mut ledger);
    assert_eq!(settled[1].verdict, Verdict::Refused(why));
    assert!(settled[1].told);
    let counts = ledger.counts();
    assert_eq!((counts.refused, counts.refused_unknown), (1, 0));
    assert_eq!((counts.sent, counts.answered(), counts.lost()), (3, 2, 0));
    assert_eq!(ledger.refusals().by_reason()["port-unreachable"], 1);
}

#[test]
fn a_refusal_may_overtake_the_news_of_its_probe() {
    let mut ledger = ledger(2);
    assert_eq!(ledger.refused(Some(1), Refusal::TimeExceeded), None);
    assert_eq!(
        ledger.sent(sent(us(0))),
        Some(Outcome::Refused(1, Refusal::TimeExceeded))
    );
    // One about what was never sent is about no known probe.
    ledger.refused(Some(2), Refusal::TimeExceeded);
    settle_all(&mut ledger);
    let counts = ledger.counts();
    assert_eq!((counts.refused, counts.refused_unknown), (1, 1));
}

#[test]
fn refusals_of_no_known_probe_are_counted_and_change_nothing() {
    let mut ledger = ledger(1);
    ledger.sent(sent(us(0)));
    for seq in [None, Some(0), Some(9)] {
        assert_eq!(ledger.refused(seq, Refusal::HostUnreachable), None);
    }
    // Closing probes do not count, and are known.
    ledger.sent_closing(us(1));
    assert_eq!(ledger.refused(Some(2), Refusal::HostUnreachable), None);
    let settled = settle_all(&mut ledger);
    assert_eq!(settled[0].verdict, Verdict::LostUnknown);
    assert_eq!(ledger.counts().refused_unknown, 3);
}

#[test]
fn who_answers_after_all_has_answered() {
    let mut ledger = ledger(1);
    ledger.sent(sent(us(0)));
    ledger.refused(Some(1), Refusal::HostUnreachable);
    // As long as answers are waited for.
    assert_eq!(ledger.settle(us(1_999_999)), None);
    let outcome = ledger.arrived(arrival(1, us(50), None));
    assert!(matches!(outcome, Outcome::Answered(_)));
    assert_eq!(ledger.refused(Some(1), Refusal::HostUnreachable), None);
    settle_all(&mut ledger);
    let counts = ledger.counts();
    assert_eq!((counts.answered(), counts.refused), (1, 0));
}

/// Probes 1 to 6, of which 1 and 6 were answered; this host threw so many answers away between them.
fn with_drops(count: u32, answered: &[u64]) -> Vec<Verdict> {
    let mut ledger = ledger(6);
    for seq in 1..=6 {
        ledger.sent(sent(us(seq)));
    }
    ledger.arrived(Arrival {
        report: Some(report(1, Duration::ZERO, 1)),
        ..arrival(1, us(10), None)
    });
    let between = Some(2..6);
    ledger.dropped(&Dropped { count, between });
    // The server has received all but the third.
    let seq = Seq::new(6).unwrap();
    let probe = Probe::new(Run(1), seq, ProbeSize::new(128).unwrap()).unwrap();
    let report = probe.answer(&Report {
        count: Seq::new(5).unwrap(),
        window: 0b11_0111,
        held: 0,
        received: 6,
        limited: 0,
    });
    ledger.arrived(Arrival {
        report: Some(report),
        ..arrival(6, us(20), None)
    });
    for seq in answered {
        ledger.arrived(arrival(*seq, us(30), None));
    }
    assert_eq!(ledger.counts().dropped_here, u64::from(count));
    let settled = settle_all(&mut ledger);
    let answered = |seq: &u64| answered.contains(seq) || [1, 6].contains(seq);
    settled
        .iter()
        .filter(|settled| !answered(&settled.seq))
        .map(|settled| settled.verdict)
        .collect()
}

#[test]
fn answers_that_this_host_threw_away_are_not_lost() {
    use Verdict::{DroppedLocally, LostBack, LostThere};
    let (dropped, back, there) = (DroppedLocally, LostBack, LostThere);
    // 3 never arrived there, so that its answer cannot be among them.
    assert_eq!(with_drops(3, &[]), [dropped, there, dropped, dropped]);
    assert_eq!(with_drops(4, &[]), [dropped, there, dropped, dropped]);
    // Two of three: nobody knows which.
    assert_eq!(with_drops(2, &[]), [back, there, back, back]);
    // Answers did not keep their order.
    assert_eq!(with_drops(3, &[4]), [back, there, back]);
}

/// What the kernel noted of a probe.
#[derive(Debug, Clone, Copy)]
struct Noted {
    /// Of the way: from the call to the network, there, held, back, and to the program.
    took: [u64; 5],
    answered: bool,
    /// Whether the notes were made, and by how much each is off.
    went: Option<i64>,
    came: Option<i64>,
    /// The note of sending is read before the answer comes.
    is_early: bool,
}

fn noted() -> impl Strategy<Value = Noted> {
    let note = || {
        prop_oneof![
            6 => Just(Some(0)),
            1 => Just(None),
            2 => prop_oneof![-100_000..-2_000_i64, 2_000..100_000_i64].prop_map(Some),
        ]
    };
    let parts = (prop::array::uniform5(1..200_u64), prop::bool::weighted(0.9));
    let notes = (note(), note(), any::<bool>());
    (parts, notes).prop_map(|((took, answered), (went, came, is_early))| Noted {
        took,
        answered,
        went,
        came,
        is_early,
    })
}

/// How far one-way delays may be off, and the least on the way there, in nanoseconds; the server's clock is ours.
fn bound_and_least(ways: &[[Duration; 2]]) -> Option<(i64, i64)> {
    let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap();
    let ways: Vec<_> = ways.iter().map(|way| way.map(nanos)).collect();
    // The quickest probe tells best how far the clocks are apart: as if it took as long each way.
    let [there, back] = ways.iter().min_by_key(|[there, back]| there + back)?;
    let least = ways.iter().map(|[there, _]| there).min()?;
    Some(((there + back) / 2, least - (there - back) / 2))
}

proptest! {
    #[test]
    fn figures_are_those_of_a_plain_recomputation(probes in prop::collection::vec(noted(), 1..80)) {
        const EPOCH: u64 = 1_789_000_000_000_000_000;
        let mut ledger = ledger(probes.len() as u64);
        let mut statistics = Statistics::new(EPOCH);
        let (mut kernel, mut network, mut by_program) = (Vec::new(), Vec::new(), Vec::new());
        // Each way of each probe, as well as it is known.
        let mut ways = Vec::new();
        let mut unusable = 0;
        for (seq, probe) in (1..).zip(&probes) {
            let [out, there, held, back, up] = probe.took.map(us);
            let at = us(200_000) * u32::try_from(seq).unwrap();
            let went = at + out;
            let came = went + there + held + back;
            let end = came + up;
            let off = |time: Duration, micros: i64| {
                let micros_now = i64::try_from(time.as_micros()).unwrap();
                us(u64::try_from(micros_now + micros).unwrap())
            };
            ledger.sent(sent(at));
            let note = probe.went.map(|micros| stamp(off(went, micros), if probe.is_early { went } else { end }));
            if let Some(note) = note.filter(|_| probe.is_early) {
                ledger.transmitted(seq, note);
            }
            if probe.answered {
                let received = EPOCH + u64::try_from((went + there).as_nanos()).unwrap();
                let outcome = ledger.arrived(Arrival {
                    report: Some(report(seq, held, received)),
                    ..arrival(seq, end, probe.came.map(|micros| stamp(off(came, micros), end)))
                });
                let Outcome::Answered(answered) = outcome else {
                    panic!("{outcome:?}");
                };
                statistics.answered(&answered);
                by_program.push((out + there + back + up).as_nanos());
            }
            if let Some(note) = note.filter(|_| !probe.is_early) {
                ledger.transmitted(seq, note);
            }
            // A note that is off lies far outside of what can be.
            let is_off = |note: Option<i64>| note.is_some_and(|micros| micros != 0);
            unusable += u64::from(is_off(probe.went));
            if probe.answered {
                unusable += u64::from(is_off(probe.came));
                if (probe.went, probe.came) == (Some(0), Some(0)) {
                    kernel.push((there + held + back).as_nanos());
                    network.push((there + back).as_nanos());
                    ways.push([there, back]);
                } else {
                    ways.push([out + there, back + up]);
                }
            }
        }
        for settled in settle_all(&mut ledger) {
            statistics.settled(&settled);
        }
        prop_assert_eq!(ledger.counts().unusable_stamps, unusable);
        let figures = statistics.figures();
        let one_way = figures.one_way_ns.map(|one_way| (one_way.bound, one_way.there.min));
        prop_assert_eq!(one_way, bound_and_least(&ways));
        let by = if network.len() * 2 > by_program.len() {
            Some(By::Kernel)
        } else {
            Some(By::Program).filter(|_| !by_program.is_empty())
        };
        prop_assert_eq!(figures.network_rtt_by, by);
        let network = if by == Some(By::Kernel) { network } else { by_program };
        for (found, expected) in [(figures.kernel_rtt_ns, kernel), (figures.network_rtt_ns, network)] {
            let Some(found) = found else {
                prop_assert!(expected.is_empty());
                continue;
            };
            prop_assert_eq!(found.count, expected.len() as u64);
            prop_assert_eq!(u128::from(found.min), *expected.iter().min().unwrap());
            prop_assert_eq!(u128::from(found.max), *expected.iter().max().unwrap());
            let mean = expected.iter().sum::<u128>() as f64 / expected.len() as f64;
            prop_assert!((found.mean - mean).abs() < 1e-3);
        }
    }
}
