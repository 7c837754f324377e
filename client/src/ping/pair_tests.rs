//! A client and a server over a simulated path that loses, delays, reorders and copies, with a clock each: all that is
//! concluded of a run against what really happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hii_protocol::ping::{Probe, ProbeAnswer, ProbeSize, Report, Run, Seq};
use hii_server::ping::Runs;
use hii_server::policy::local_addrs::HostAddrs;
use hii_server::policy::origin::{Origin, Transport};
use hii_transport::packet_info::PacketInfo;
use proptest::prelude::*;

use super::figures::Distribution;
use super::ledger::LEAST_PATIENCE;
use super::ledger::tests::{DEADLINE, EPOCH, Happenings, Simulated, simulate_until, slot};
use super::loss_runs;
use super::server_clock::OneWay;
use super::statistics::By;
use super::variation;
use super::verdict::{Counts, Verdict};

const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;

/// Whom the server receives the client's probes from.
pub(super) fn origin() -> Origin {
    let [source, local] = [([192, 0, 2, 1], 7).into(), ([203, 0, 113, 1], 8).into()];
    let info = PacketInfo::of_connection(source, Some(local));
    Origin::validate(&info, Transport::Tcp, &HostAddrs::default()).unwrap()
}

/// What really happens to a probe. All times are in nanoseconds, by a clock that is right.
#[derive(Debug, Clone)]
struct Truth {
    /// How much later than due it is sent.
    lag: u64,
    /// Those of it that reach the server: none when it is lost on the way, several when the path copies it.
    received: Vec<Received>,
}

/// A probe, or a copy of one, at the server.
#[derive(Debug, Clone)]
struct Received {
    there: u64,
    held: u64,
    /// How long each copy of its answer that comes is under way; none when it is lost.
    back: Vec<u64>,
}

/// The server's clock.
#[derive(Debug, Clone, Copy)]
struct Clock {
    /// How much it is ahead of the client's at the start.
    offset: i64,
    /// How much it gains in a second.
    drift: i64,
}

impl Clock {
    fn shows(self, at: u64) -> u64 {
        let gained = i128::from(self.drift) * i128::from(at) / 1_000_000_000;
        let shown = i128::from(EPOCH + at) + i128::from(self.offset) + gained;
        u64::try_from(shown).unwrap()
    }
}

/// An answer as it comes to the client, and what the path knows of it.
#[derive(Debug, Clone, Copy)]
struct Came {
    at: u64,
    report: ProbeAnswer,
    there: u64,
    back: u64,
}

impl Came {
    fn seq(&self) -> u64 {
        self.report.seq().get()
    }
}

/// A client and a server, and the path between them.
#[derive(Debug)]
struct Pair {
    truths: Vec<Truth>,
    clock: Clock,
}

impl Pair {
    fn last(&self) -> u64 {
        self.truths.len() as u64
    }

    /// When a probe is sent.
    fn sent(&self, seq: u64) -> Duration {
        let truth = &self.truths[usize::try_from(seq - 1).unwrap()];
        slot(seq) + Duration::from_nanos(truth.lag)
    }

    fn end(&self) -> Duration {
        self.sent(self.last()) + LEAST_PATIENCE
    }

    /// What comes to the client, in that order; the answer to a closing probe, which is under way for no time, is the last.
    fn answers(&self) -> Vec<Came> {
        let mut at_server = Vec::new();
        for (seq, truth) in (1..).zip(&self.truths) {
            let sent = nanos(self.sent(seq));
            at_server.extend(truth.received.iter().map(|it| (sent + it.there, seq, it)));
        }
        let closing = Received {
            there: 0,
            held: 0,
            back: vec![0],
        };
        at_server.push((nanos(self.end()), self.last() + 1, &closing));
        at_server.sort_by_key(|(at, seq, _)| (*at, *seq));
        let mut runs = Runs::new();
        let mut answers = Vec::new();
        for (at, seq, received) in at_server {
            let size = ProbeSize::new(128).unwrap();
            let probe = Probe::new(Run(1), Seq::new(seq).unwrap(), size).unwrap();
            let from = &origin();
            let standing = runs.record(from, probe, Duration::from_nanos(at));
            let leaves = at + received.held;
            let report = probe.answer(&Report {
                count: standing.count,
                window: standing.window.unwrap(),
                held: self.clock.shows(leaves) - self.clock.shows(at),
                received: self.clock.shows(at),
                limited: 0,
            });
            answers.extend(received.back.iter().map(|back| Came {
                at: leaves + back,
                report,
                there: received.there,
                back: *back,
            }));
        }
        answers.sort_by_key(|came| came.at);
        answers
    }

    /// What the client makes of it.
    fn measure(&self, answers: &[Came]) -> Simulated {
        let mut happenings: Happenings = (1..=self.last())
            .map(|seq| ((self.sent(seq), 0), None))
            .collect();
        for (index, came) in (1..).zip(answers) {
            let at = Duration::from_nanos(came.at);
            happenings.insert((at, index), Some(came.report));
        }
        simulate_until(self.last(), self.end(), happenings)
    }

    /// What may be said of each probe, given the answers that came: those of it that reached the server, and what the
    /// windows of answers to later ones say.
    fn verdicts(&self, answers: &[Came]) -> Vec<Vec<Verdict>> {
        let firsts = firsts(answers);
        let lowest = answers.iter().map(|came| {
            let behind = came.report.window().unwrap().ilog2();
            came.seq() - u64::from(behind)
        });
        let lowest = lowest.min().unwrap();
        let has_gaps = answers
            .windows(2)
            .any(|two| two[0].seq().abs_diff(two[1].seq()) > 63);
        let judge = |(seq, truth): (u64, &Truth)| {
            if let Some(came) = firsts.get(&seq) {
                let rtt = Duration::from_nanos(came.at - nanos(self.sent(seq)));
                return vec![if rtt <= DEADLINE {
                    Verdict::InTime { rtt }
                } else {
                    Verdict::Late { rtt }
                }];
            }
            let told: BTreeSet<bool> = answers
                .iter()
                .filter_map(|came| Some((came.seq().checked_sub(seq)?, came)))
                .filter(|(behind, _)| *behind < 64)
                .map(|(behind, came)| came.report.window().unwrap() >> behind & 1 == 1)
                .collect();
            match (told.contains(&true), told.contains(&false)) {
                (true, _) => vec![Verdict::LostBack],
                // Where no window covers two answers, the server may have forgotten the run between them.
                (false, true) if seq > lowest && has_gaps => {
                    vec![Verdict::LostThere, Verdict::LostUnknown]
                }
                (false, true) if seq > lowest => vec![Verdict::LostThere],
                // The counts on both sides of it may tell.
                (false, false) if truth.received.is_empty() => {
                    vec![Verdict::LostThere, Verdict::LostUnknown]
                }
                // A clear bit of one below all others says nothing: the server may have had no entry for the run yet.
                (false, _) => vec![Verdict::LostUnknown],
            }
        };
        (1..).zip(&self.truths).map(judge).collect()
    }
}

/// The first answer to each probe that counts, by its number.
fn firsts(answers: &[Came]) -> BTreeMap<u64, Came> {
    let mut firsts = BTreeMap::new();
    for came in &answers[..answers.len() - 1] {
        firsts.entry(came.seq()).or_insert(*came);
    }
    firsts
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap()
}

fn distribution(times: impl Iterator<Item = u64>) -> Distribution {
    let mut distribution = Distribution::new();
    for nanos in times {
        distribution.record(Duration::from_nanos(nanos));
    }
    distribution
}

/// Stretches of probes, each of which loses so much of a hundred there and back.
fn truths() -> impl Strategy<Value = Vec<Truth>> {
    let stretch = prop_oneof![
        4 => (1..80_usize, Just(1), Just(1)),
        4 => (1..80_usize, 1..40_u32, 1..40_u32),
        // An outage, which an answer may come through.
        3 => (1..150_usize, 50..100_u32, 50..100_u32),
    ];
    let truths = stretch
        .prop_flat_map(|(length, there, back)| prop::collection::vec(truth(there, back), length));
    prop::collection::vec(truths, 1..5).prop_map(|stretches| stretches.concat())
}

fn truth(lost_there: u32, lost_back: u32) -> impl Strategy<Value = Truth> {
    let way = || prop_oneof![6 => 10 * MICRO..5 * MILLI, 2 => 10 * MICRO..60 * MILLI];
    let copies = |lost: u32| {
        prop_oneof![
            lost => Just(0..1_usize),
            100 - lost => Just(1..2_usize),
            (100 - lost) / 8 + 1 => Just(2..4_usize),
        ]
        .prop_map(|copies| copies.start)
    };
    let back = copies(lost_back).prop_flat_map(move |copies| prop::collection::vec(way(), copies));
    let received = (way(), 0..3 * MILLI, back);
    let received = received.prop_map(|(there, held, back)| Received { there, held, back });
    let received =
        copies(lost_there).prop_flat_map(move |n| prop::collection::vec(received.clone(), n));
    (0..3 * MILLI, received).prop_map(|(lag, received)| Truth { lag, received })
}

fn pairs() -> impl Strategy<Value = Pair> {
    let offset = -1_000_000_000_000_i64..1_000_000_000_000;
    // Up to half of a thousandth, as cheap clocks do.
    let drift = prop_oneof![Just(0), -500_000..500_000_i64];
    (truths(), offset, drift).prop_map(|(truths, offset, drift)| Pair {
        truths,
        clock: Clock { offset, drift },
    })
}

proptest! {
    #[test]
    fn verdicts_and_counts_are_what_happened(pair in pairs()) {
        let answers = pair.answers();
        let Simulated { ledger, verdicts, .. } = pair.measure(&answers);
        let possible = pair.verdicts(&answers);
        prop_assert_eq!(verdicts.len(), possible.len());
        let mut expected = Counts { sent: pair.last(), ..Counts::default() };
        for (index, (verdict, possible)) in verdicts.iter().zip(&possible).enumerate() {
            prop_assert!(possible.contains(verdict), "probe {}: {verdict:?} is none of {possible:?}", index + 1);
            expected.add(*verdict);
        }
        expected.duplicates = (answers.len() - 1 - firsts(&answers).len()) as u64;
        prop_assert_eq!(ledger.counts(), expected);
        prop_assert_eq!(ledger.forgot(), 0);
    }

    #[test]
    fn the_figures_of_a_run_are_those_of_what_happened(pair in pairs()) {
        let answers = pair.answers();
        let Simulated { verdicts, figures, .. } = pair.measure(&answers);
        let firsts = firsts(&answers);
        let mut in_order: Vec<_> = firsts.values().collect();
        in_order.sort_by_key(|came| answers.iter().position(|other| other.seq() == came.seq()));
        let rtt = |came: &Came| came.at - nanos(pair.sent(came.seq()));
        let from_due = |came: &Came| came.at - nanos(slot(came.seq()));
        let network = |came: &Came| rtt(came) - came.report.held().unwrap();
        prop_assert_eq!(figures.rtt_ns, distribution(firsts.values().map(rtt)).figures());
        prop_assert_eq!(figures.rtt_from_due_ns, distribution(firsts.values().map(from_due)).figures());
        prop_assert_eq!(figures.network_rtt_ns, distribution(firsts.values().map(network)).figures());
        prop_assert_eq!(figures.network_rtt_by, figures.rtt_ns.map(|_| By::Program));
        prop_assert_eq!(figures.kernel_rtt_ns, None);
        let lags = pair.truths.iter().map(|truth| truth.lag);
        prop_assert_eq!(figures.schedule_error_ns, distribution(lags).figures());
        let arrived: Vec<_> = in_order.iter().map(|came| (came.seq(), rtt(came))).collect();
        prop_assert_eq!(figures.variation, variation::tests::plainly(&arrived));
        let judged: Vec<_> = (1..).zip(verdicts).map(|(seq, verdict)| (pair.sent(seq), verdict)).collect();
        prop_assert_eq!(figures.loss_runs, loss_runs::tests::plainly(&judged));
        // The server's clock is not quite right about how long it held a probe.
        let within = |figure: u64, truth: u64| figure.abs_diff(truth) <= 2 * MICRO;
        let truth = distribution(firsts.values().map(|came| came.there + came.back)).figures();
        for (found, truth) in figures.network_rtt_ns.into_iter().zip(truth) {
            prop_assert!(within(found.min, truth.min), "{found:?} {truth:?}");
            prop_assert!(within(found.median, truth.median), "{found:?} {truth:?}");
            prop_assert!(within(found.max, truth.max), "{found:?} {truth:?}");
        }
    }

    #[test]
    fn one_way_delays_are_within_their_bound_and_what_the_clocks_drifted(pair in pairs()) {
        let answers = pair.answers();
        let firsts = firsts(&answers);
        let Some(found) = pair.measure(&answers).figures.one_way_ns else {
            prop_assert!(firsts.is_empty());
            return Ok(());
        };
        prop_assert_eq!(found.count + found.left_out, firsts.len() as u64);
        let lasts = nanos(pair.sent(pair.last())) + 200 * MILLI;
        // Each reading is rounded, and so is what is computed of them.
        let drifted = pair.clock.drift.unsigned_abs() * lasts / 1_000_000_000 + 2;
        prop_assert!(found.clock_moved.unsigned_abs() <= drifted, "{found:?}");
        if pair.clock.drift == 0 {
            prop_assert_eq!((found.clock_moved, found.left_out), (0, 0));
        }
        let bound = found.bound.unsigned_abs() + drifted;
        prop_assert!(found.clock_offset.abs_diff(pair.clock.offset) <= bound, "{found:?}");
        let least = firsts.values().map(|came| came.there + came.back).min().unwrap();
        prop_assert!(found.bound.unsigned_abs() + 2 * MICRO >= least / 2, "{found:?}");
        let left_out = found.left_out;
        for (found, truth) in [
            (found.there, distribution(firsts.values().map(|came| came.there))),
            (found.back, distribution(firsts.values().map(|came| came.back))),
        ] {
            let truth = truth.figures().unwrap();
            let OneWay { min, mean, max } = found;
            let [least, most] = [truth.min, truth.max].map(|nanos| i64::try_from(nanos).unwrap());
            // Of those left out it is not known whether they were the shortest or the longest.
            prop_assert!(min.saturating_add_unsigned(bound) >= least, "{found:?} {truth:?}");
            prop_assert!(max.saturating_sub_unsigned(bound) <= most, "{found:?} {truth:?}");
            if left_out == 0 {
                prop_assert!(min.abs_diff(least) <= bound, "{found:?} {truth:?}");
                prop_assert!(max.abs_diff(most) <= bound, "{found:?} {truth:?}");
                prop_assert!((mean as f64 - truth.mean).abs() <= bound as f64, "{found:?} {truth:?}");
            }
        }
    }
}
