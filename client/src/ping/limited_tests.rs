//! A server with a limit, over simulated paths: what the client concludes against what really happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hii_protocol::ping::{LimitedNotice, Probe, ProbeAnswer, ProbeSize, Report, Run, Seq};
use hii_server::ping::Runs;
use proptest::prelude::*;

use super::ledger::tests::{DEADLINE, EPOCH, ms, slot};
use super::ledger::{Arrival, LEAST_PATIENCE, Ledger, Sent};
use super::pair_tests::origin;
use super::statistics::Statistics;
use super::summary::Summary;
use super::verdict::Verdict;

/// A probe at the server.
#[derive(Debug, Clone)]
struct Received {
    /// Its one-way delay.
    there: Duration,
    /// Whether its source is over the limit then.
    is_over: bool,
    /// Whether the server gives notice of that.
    gives_notice: bool,
    /// Whether the server has just forgotten the run.
    has_forgotten: bool,
    /// The one-way delay of each copy of its answer, or of the notice.
    back: Vec<Duration>,
}

/// The copies of each probe that the server receives.
type Probes = Vec<Vec<Received>>;

/// What happens at the client.
#[derive(Debug, Clone, Copy)]
enum Event {
    Send,
    Answer(ProbeAnswer),
    Notice(LimitedNotice),
}

/// A model of the server, with the same state.
#[derive(Debug, Default)]
struct Server {
    runs: Runs,
    /// Probes that it counted as over the limit, and those that it did not count.
    limited: BTreeSet<u64>,
    uncounted: BTreeSet<u64>,
    answered: BTreeSet<u64>,
}

impl Server {
    fn receive(&mut self, seq: u64, at: Duration, received: &Received) -> Option<Event> {
        if received.has_forgotten {
            self.runs = Runs::new();
        }
        let size = ProbeSize::new(128).unwrap();
        let probe = Probe::new(Run(1), Seq::new(seq).unwrap(), size).unwrap();
        let from = &origin();
        if received.is_over {
            let known = self.runs.record_limited(from, probe, at);
            let limited = known.map_or(&mut self.uncounted, |_| &mut self.limited);
            limited.insert(seq);
            let is_first = known.is_none_or(|(standing, _)| standing.is_first);
            let count = known.map(|(standing, _)| standing.count);
            let limited = known.map_or(0, |(standing, _)| standing.limited);
            let notice = Event::Notice(probe.limited_notice(count, limited));
            return (received.gives_notice && is_first).then_some(notice);
        }
        self.answered.insert(seq);
        let standing = self.runs.record(from, probe, at);
        Some(Event::Answer(probe.answer(&Report {
            count: standing.count,
            window: standing.window.unwrap(),
            held: 0,
            received: EPOCH + u64::try_from(at.as_nanos()).unwrap() + 1,
            limited: standing.limited,
        })))
    }
}

/// The outcome of a run.
#[derive(Debug)]
struct Outcome {
    server: Server,
    verdicts: Vec<Verdict>,
    summary: Summary,
}

/// Sends a probe every 10 ms, and a closing one at the end, which the server answers.
fn run(probes: &Probes) -> Outcome {
    let last = probes.len() as u64;
    let end = slot(last) + LEAST_PATIENCE;
    let closing = Received {
        there: Duration::ZERO,
        is_over: false,
        gives_notice: false,
        has_forgotten: false,
        back: vec![ms(1)],
    };
    let mut at_server = BTreeMap::new();
    for (seq, copies) in (1..).zip(probes) {
        for (copy, received) in (0_u64..).zip(copies) {
            at_server.insert((slot(seq) + received.there, seq, copy), received);
        }
    }
    at_server.insert((end, last + 1, 0), &closing);
    let mut at_client: BTreeMap<_, _> = (1..=last)
        .map(|seq| ((slot(seq), 0), Event::Send))
        .collect();
    let mut server = Server::default();
    for (order, ((at, seq, _), received)) in (1_u64..).zip(at_server) {
        if let Some(event) = server.receive(seq, at, received) {
            for (copy, back) in (0..).zip(&received.back) {
                at_client.insert((at + *back, 10 * order + copy), event);
            }
        }
    }
    let mut ledger = Ledger::new(last, DEADLINE, true);
    let mut verdicts = Vec::new();
    let mut is_closing = false;
    let mut due = (1..).map(slot);
    for ((at, _), event) in at_client {
        if at >= end && !is_closing {
            is_closing = true;
            ledger.end();
            ledger.sent_closing(end);
        }
        match event {
            Event::Send => {
                ledger.sent(Sent {
                    due: due.next().unwrap(),
                    deadline: DEADLINE,
                    at,
                    went_out: true,
                    clash: None,
                });
            }
            Event::Answer(answer) => {
                ledger.arrived(Arrival {
                    seq: answer.seq().get(),
                    at,
                    report: Some(answer),
                    stamp: None,
                });
            }
            Event::Notice(notice) => ledger.limited_notice(&notice, at),
        }
        verdicts.extend(std::iter::from_fn(|| ledger.settle(at)).map(|settled| settled.verdict));
    }
    let rest = std::iter::from_fn(|| ledger.close(Duration::MAX, false));
    verdicts.extend(rest.map(|settled| settled.verdict));
    let counts = ledger.counts();
    assert_eq!((counts.implausible, counts.foreign), (0, 0));
    Outcome {
        server,
        verdicts,
        summary: Summary::new(&counts, Statistics::new(0).figures(), true),
    }
}

/// Stretches of probes that are over the limit or not, with a loss in percent for each direction.
fn probes(
    there: impl Strategy<Value = Duration> + Clone + 'static,
    back: impl Strategy<Value = Duration> + Clone + 'static,
    copies: usize,
    forgets: u32,
) -> impl Strategy<Value = Probes> {
    let stretch = (1..150_usize, 0..101_u32, 0..40_u32, 0..40_u32);
    let probes = stretch.prop_flat_map(move |(length, over, lost_there, lost_back)| {
        let back = back.clone();
        let times = move |lost: u32, copies: usize| {
            prop_oneof![
                lost => Just(0..1_usize),
                100 - lost => Just(1..copies + 1),
            ]
            .prop_flat_map(|range| range)
        };
        let received = (
            there.clone(),
            prop::bool::weighted(f64::from(over.min(100)) / 100.0),
            prop::bool::weighted(0.02),
            prop::bool::weighted(f64::from(forgets) / 1000.0),
            times(lost_back, copies).prop_flat_map(move |n| prop::collection::vec(back.clone(), n)),
        );
        let received =
            received.prop_map(
                |(there, is_over, gives_notice, has_forgotten, back)| Received {
                    there,
                    is_over,
                    gives_notice,
                    has_forgotten,
                    back,
                },
            );
        let probe = times(lost_there, copies)
            .prop_flat_map(move |n| prop::collection::vec(received.clone(), n));
        prop::collection::vec(probe, length)
    });
    prop::collection::vec(probes, 1..5).prop_map(|stretches| stretches.concat())
}

/// Verdicts that are right for a probe on a path without reordering or duplication.
fn is_true(verdict: Verdict, seq: u64, is_received: bool, server: &Server) -> bool {
    let is_limited = server.limited.contains(&seq) || server.uncounted.contains(&seq);
    match verdict {
        Verdict::RateLimited => is_limited,
        Verdict::LostThere => !is_received,
        Verdict::LostBack | Verdict::InTime { .. } | Verdict::Late { .. } => {
            server.answered.contains(&seq)
        }
        Verdict::LostUnknown => !is_limited || server.uncounted.contains(&seq),
        Verdict::LimitedOrLost => true,
        _ => false,
    }
}

proptest! {
    // Each runs up to 600 probes.
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn on_a_path_that_keeps_the_order_every_verdict_is_true_and_the_number_is_exact(
        probes in probes(Just(ms(35)), Just(ms(22)), 1, 0),
    ) {
        let Outcome { server, verdicts, summary } = run(&probes);
        prop_assert_eq!(verdicts.len(), probes.len());
        for ((seq, verdict), copies) in (1..).zip(&verdicts).zip(&probes) {
            prop_assert!(is_true(*verdict, seq, !copies.is_empty(), &server), "probe {seq}: {verdict:?}");
        }
        let limited = server.limited.len() as u64;
        let all = (server.limited.len() + server.uncounted.len()) as u64;
        prop_assert!(summary.rate_limited >= limited && summary.rate_limited <= all, "{summary:?} {server:?}");
        let lost = probes.len() as u64 - summary.answered - all;
        if server.uncounted.is_empty() {
            prop_assert_eq!((summary.rate_limited, summary.lost.total, summary.limited_or_lost), (limited, lost, 0));
        }
    }

    #[test]
    fn a_server_that_forgets_makes_no_verdict_false(
        probes in probes(Just(ms(35)), Just(ms(22)), 1, 20),
    ) {
        let Outcome { server, verdicts, summary } = run(&probes);
        for ((seq, verdict), copies) in (1..).zip(&verdicts).zip(&probes) {
            // What it counted since its last answer is forgotten with the rest.
            let is_open = *verdict == Verdict::LostUnknown;
            let is_right = is_open || is_true(*verdict, seq, !copies.is_empty(), &server);
            prop_assert!(is_right, "probe {seq}: {verdict:?}");
        }
        let all = (server.limited.len() + server.uncounted.len()) as u64;
        prop_assert!(summary.rate_limited <= all, "{summary:?}");
    }

    #[test]
    fn nothing_is_called_limited_that_was_not_whatever_the_path_does(
        probes in probes((0..80_u64).prop_map(ms), (0..80_u64).prop_map(ms), 3, 5),
    ) {
        let Outcome { server, verdicts, .. } = run(&probes);
        for ((seq, verdict), copies) in (1..).zip(&verdicts).zip(&probes) {
            let right = match verdict {
                Verdict::RateLimited => server.limited.contains(&seq) || server.uncounted.contains(&seq),
                Verdict::LostBack => server.answered.contains(&seq),
                // The last answer that shows it may have overtaken it.
                Verdict::LostThere => copies.iter().all(|copy| copy.there > Duration::ZERO),
                _ => true,
            };
            prop_assert!(right, "probe {seq}: {verdict:?}, {copies:?}");
        }
    }
}
