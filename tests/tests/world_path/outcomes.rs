//! What became of the probes of a measurement, by the record of the path.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::time::Duration;

use hii_protocol::ping::{Answer, Request, Run};
use hii_tests::tun_path::{Direction, Fate, Record};

/// What became of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An answer was delivered, after both were this long on the path.
    Answered(Duration),
    /// No copy of the probe was delivered.
    LostForward,
    /// The probe was delivered, and no answer.
    LostReturn,
}

/// What became of the probes of a measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Truth {
    /// The outcome of each probe that counts, by its number.
    pub(crate) outcomes: BTreeMap<u64, Outcome>,
    /// Answers to these that were delivered after another one: at least those before the last first answer, with which the
    /// program may end, and at most all.
    pub(crate) duplicates: RangeInclusive<usize>,
    /// Probes whose first answer was delivered after that of a later probe (RFC 4737).
    pub(crate) reordered: usize,
    /// Probes beside those that count: questions before the run and closing probes after it.
    pub(crate) uncounted: usize,
}

impl Truth {
    /// Of a measurement of this many probes.
    pub(crate) fn new(record: &Record, count: u64) -> Self {
        let probes: Vec<_> = record
            .datagrams(Direction::Forward)
            .filter_map(|passage| match Request::decode(&passage.payload) {
                Ok(Request::Probe(probe)) => Some((probe, passage)),
                _ => None,
            })
            .collect();
        let answer = |payload: &[u8]| match Answer::decode(payload) {
            Ok(Answer::Probe(answer)) => Some((answer.run(), answer.seq().get())),
            _ => None,
        };
        // The questions before the run are of another one each.
        let mut of_run: HashMap<Run, usize> = HashMap::new();
        for (probe, _) in &probes {
            *of_run.entry(probe.run()).or_default() += 1;
        }
        let (run, _) = of_run
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .expect("probes");
        let counts = |run_of, seq| run_of == run && seq <= count;
        let mut outcomes = BTreeMap::new();
        let mut first_left = HashMap::new();
        for (probe, passage) in &probes {
            let seq = probe.seq().get();
            if counts(probe.run(), seq) {
                let is_delivered = passage.fate == Fate::Delivered;
                let outcome = if is_delivered {
                    Outcome::LostReturn
                } else {
                    Outcome::LostForward
                };
                assert_eq!(
                    outcomes.insert(seq, outcome),
                    None,
                    "probe {seq} was sent twice"
                );
                first_left.insert(seq, passage.time_on_path());
            }
        }
        let (mut duplicates, mut counted, mut reordered, mut highest) = (0, 0, 0, 0);
        for passage in record.arrivals(Direction::Return) {
            let Some((_, seq)) = answer(&passage.payload).filter(|(run, seq)| counts(*run, *seq))
            else {
                continue;
            };
            let outcome = outcomes.get_mut(&seq).expect("an answer to a probe");
            if matches!(outcome, Outcome::Answered(_)) {
                duplicates += 1;
                continue;
            }
            let there = first_left[&seq].expect("a probe that was delivered");
            let back = passage
                .time_on_path()
                .expect("an answer that was delivered");
            *outcome = Outcome::Answered(there + back);
            counted = duplicates;
            if seq < highest {
                reordered += 1;
            }
            highest = highest.max(seq);
        }
        Self {
            uncounted: probes.len() - outcomes.len(),
            outcomes,
            duplicates: counted..=duplicates,
            reordered,
        }
    }

    /// How many probes had this outcome.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        let all = self.outcomes.values();
        all.filter(|this| **this == outcome).count()
    }

    /// How many probes were answered.
    pub(crate) fn answered(&self) -> usize {
        let all = self.outcomes.values();
        all.filter(|this| matches!(this, Outcome::Answered(_)))
            .count()
    }
}
