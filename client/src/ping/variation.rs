//! How delay varies, and how the order of probes changes: RFC 3550 jitter, RFC 3393 delay variation, RFC 4737
//! reordering. All of round trips, since that is what a probe and its answer make together.

use std::time::Duration;

use serde::Serialize;

use super::figures::{Distribution, Figures, nanos};

/// How many answers may come between those to two probes in a row for the two to be compared.
const RECENT: u64 = 128;

/// Places for answers, by the number of the probe: more than there are recent ones, so that of two that want the same
/// place the older one is almost never recent.
const PLACES: usize = 1024;

/// Follows the answers in the order of their arrival.
#[derive(Debug)]
pub struct Variation {
    /// The last answers, each in the place of its number. Looked up, not searched: there may be a million a second.
    recent: Box<[Recent]>,
    /// The round trip of the last answer.
    last: Option<u64>,
    jitter: f64,
    /// The size of the difference between each two probes in a row.
    differences: Distribution,
    /// The number expected next (RFC 4737: `NextExp`).
    next_expected: u64,
    arrived: u64,
    reordered: u64,
    is_of_bursts: bool,
}

/// An answer.
#[derive(Debug, Clone, Copy, Default)]
struct Recent {
    seq: u64,
    rtt: u64,
    /// How many had come with it; none came there yet when 0.
    arrived: u64,
}

/// The figures of a run's variation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct VariationFigures {
    /// RFC 3550 section 6.4.1: the smoothed difference between the round trips of answers as they arrive, in
    /// nanoseconds.
    ///
    /// None in bursts, here and below: probes that go in one system call have one time together.
    pub jitter_ns: Option<f64>,
    /// RFC 3393: the size of the difference between the round trips of two probes sent one after the other, in
    /// nanoseconds.
    pub difference_ns: Option<Figures>,
    /// RFC 4737: answers that arrived after one to a later probe.
    pub reordered: u64,
    /// RFC 4737: the same as a part of all answers, in percent.
    pub reordered_percent: f64,
}

impl Variation {
    /// Nothing arrived yet.
    pub fn new() -> Self {
        Self {
            recent: vec![Recent::default(); PLACES].into(),
            last: None,
            jitter: 0.0,
            differences: Distribution::new(),
            next_expected: 1,
            arrived: 0,
            reordered: 0,
            is_of_bursts: false,
        }
    }

    /// The same for probes that go out several at a time.
    #[must_use]
    pub fn of_bursts(mut self) -> Self {
        self.is_of_bursts = true;
        self
    }

    /// Takes the first answer to a probe.
    pub fn take(&mut self, seq: u64, rtt: Duration) {
        self.arrived += 1;
        if seq < self.next_expected {
            self.reordered += 1;
        } else {
            self.next_expected = seq + 1;
        }
        if !self.is_of_bursts {
            self.compare(seq, nanos(rtt));
        }
    }

    fn compare(&mut self, seq: u64, rtt: u64) {
        if let Some(last) = self.last.replace(rtt) {
            self.jitter += (rtt.abs_diff(last) as f64 - self.jitter) / 16.0;
        }
        for neighbour in [seq.wrapping_sub(1), seq.wrapping_add(1)] {
            if let Some(of_neighbour) = self.recent(neighbour) {
                let difference = rtt.abs_diff(of_neighbour);
                self.differences.record(Duration::from_nanos(difference));
            }
        }
        let arrived = self.arrived;
        if let Some(place) = self.recent.get_mut(place(seq)) {
            *place = Recent { seq, rtt, arrived };
        }
    }

    /// The round trip of this probe, when it was answered lately.
    fn recent(&self, seq: u64) -> Option<u64> {
        let recent = self.recent.get(place(seq))?;
        let is_there = recent.seq == seq && recent.arrived > 0;
        (is_there && self.arrived - recent.arrived <= RECENT).then_some(recent.rtt)
    }

    /// The figures; none before the second answer.
    pub fn figures(&self) -> Option<VariationFigures> {
        (self.arrived > 1).then(|| VariationFigures {
            jitter_ns: (!self.is_of_bursts).then_some(self.jitter),
            difference_ns: self.differences.figures(),
            reordered: self.reordered,
            reordered_percent: self.reordered as f64 * 100.0 / self.arrived as f64,
        })
    }
}

fn place(seq: u64) -> usize {
    usize::try_from(seq % PLACES as u64).unwrap_or_default()
}

impl Default for Variation {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definitions, word for word, of answers in the order of their arrival: the number of each, and its round trip in
    /// nanoseconds.
    pub(in crate::ping) fn plainly(answers: &[(u64, u64)]) -> Option<VariationFigures> {
        let mut jitter = 0.0;
        for pair in answers.windows(2) {
            let difference = pair[1].1.abs_diff(pair[0].1) as f64;
            jitter += (difference - jitter) / 16.0;
        }
        let mut differences = Distribution::new();
        let mut reordered = 0;
        for (at, (seq, rtt)) in answers.iter().enumerate() {
            let before = &answers[..at];
            reordered += u64::from(before.iter().any(|(earlier, _)| earlier > seq));
            let neighbour = |(earlier, _): &(u64, u64)| earlier.abs_diff(*seq) == 1;
            for (index, (earlier, of_neighbour)) in before.iter().enumerate() {
                let is_displaced = || {
                    let mut later = before[index + 1..].iter();
                    later.any(|(later, _)| later % 1024 == earlier % 1024)
                };
                if neighbour(&before[index]) && at - index <= 128 && !is_displaced() {
                    let difference = Duration::from_nanos(rtt.abs_diff(*of_neighbour));
                    differences.record(difference);
                }
            }
        }
        (answers.len() > 1).then(|| VariationFigures {
            jitter_ns: Some(jitter),
            difference_ns: differences.figures(),
            reordered,
            reordered_percent: reordered as f64 * 100.0 / answers.len() as f64,
        })
    }

    /// Answers in the order of their arrival. Some numbers want the same place, and a probe may be overtaken by none, by a
    /// few, or by more than are compared.
    fn arrivals() -> impl Strategy<Value = Vec<(u64, u64)>> {
        let probe = (any::<prop::sample::Index>(), 0..50_000_000_u64);
        let reach = prop_oneof![Just(1), Just(9), Just(130), Just(600)];
        let probes = (50..250_u64, 1..4_u64, any::<bool>(), reach);
        probes.prop_flat_map(move |(length, stretches, in_turn, reach)| {
            let mut seqs: Vec<u64> = (0..stretches)
                .flat_map(|stretch| (1..=length).map(move |seq| seq + 1024 * stretch))
                .collect();
            if in_turn {
                seqs.sort_by_key(|seq| seq % 1024);
            }
            prop::collection::vec(probe.clone(), seqs.len()).prop_map(move |drawn| {
                let numbered = seqs.iter().zip(drawn).enumerate();
                let mut keyed: Vec<_> = numbered
                    .map(|(at, (seq, (late, rtt)))| (at + late.index(reach), (*seq, rtt)))
                    .collect();
                keyed.sort_by_key(|(at, _)| *at);
                keyed.into_iter().map(|(_, answer)| answer).collect()
            })
        })
    }

    fn figures(answers: &[(u64, u64)]) -> Option<VariationFigures> {
        let mut variation = Variation::new();
        for (seq, micros) in answers {
            variation.take(*seq, Duration::from_micros(*micros));
        }
        variation.figures()
    }

    #[test]
    fn jitter_is_smoothed_by_a_sixteenth() {
        let found = figures(&[(1, 100), (2, 132), (3, 132)]).unwrap();
        let expected = 2_000.0 - 2_000.0 / 16.0;
        assert!(
            (found.jitter_ns.unwrap() - expected).abs() < 1e-6,
            "{found:?}"
        );
        assert_eq!(found.difference_ns.unwrap().max, 32_000);
        assert_eq!(figures(&[(1, 100)]), None);
    }

    #[test]
    fn probes_sent_in_a_row_are_compared_in_whatever_order_they_are_answered() {
        let found = figures(&[(2, 150), (1, 100), (4, 100), (3, 170)]).unwrap();
        let differences = found.difference_ns.unwrap();
        assert_eq!(
            (differences.count, differences.min, differences.max),
            (3, 20_000, 70_000)
        );
    }

    #[test]
    fn neighbours_answered_long_after_one_another_are_not_compared() {
        let apart = |others: u64| {
            let others = (0..others).map(|other| (1_000 + 2 * other, 1));
            let answers: Vec<_> = [(1, 100)]
                .into_iter()
                .chain(others)
                .chain([(2, 150)])
                .collect();
            figures(&answers)
                .unwrap()
                .difference_ns
                .map(|differences| differences.max)
        };
        assert_eq!(apart(127), Some(50_000));
        assert_eq!(apart(128), None);
        // One that has taken the other's place is not taken for it.
        let taken = figures(&[(1, 100), (1 + PLACES as u64, 7), (2, 150)]).unwrap();
        assert_eq!(taken.difference_ns, None);
    }

    #[test]
    fn an_answer_overtaken_by_a_later_probe_s_is_reordered() {
        // RFC 4737 section 4.2.1: 1, 4, 2, 3, 5 has two reordered.
        let found = figures(&[(1, 1), (4, 1), (2, 1), (3, 1), (5, 1)]).unwrap();
        assert_eq!(found.reordered, 2);
        assert!((found.reordered_percent - 40.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn all_figures_agree_with_a_plain_recomputation(answers in arrivals()) {
            let mut variation = Variation::new();
            for (seq, nanos) in &answers {
                variation.take(*seq, Duration::from_nanos(*nanos));
            }
            prop_assert_eq!(variation.figures(), plainly(&answers));
        }

        #[test]
        fn reordering_agrees_with_a_plain_recomputation(seqs in Just((1..40_u64).collect::<Vec<_>>()).prop_shuffle()) {
            let answers: Vec<_> = seqs.iter().map(|seq| (*seq, 1)).collect();
            let reordered = (0..seqs.len()).filter(|i| seqs[..*i].iter().any(|earlier| *earlier > seqs[*i])).count();
            prop_assert_eq!(figures(&answers).unwrap().reordered, reordered as u64);
        }
    }
}
