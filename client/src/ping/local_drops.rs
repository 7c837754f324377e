//! Which answers this host itself threw away, since the program did not take them in time.
//!
//! With each datagram the kernel tells how many it has thrown away so far. So between two answers it is known how many
//! were, and as long as answers keep their order, these are answers to the probes between the two.

use std::collections::VecDeque;
use std::ops::Range;

/// Answers that were thrown away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// How many.
    pub count: u32,
    /// Which probes they can answer; none when the answers did not keep their order.
    pub between: Option<Range<u64>>,
}

/// Follows what the kernel tells with each answer that came to one socket.
#[derive(Debug, Default)]
pub struct DropCount {
    /// The highest number so far.
    seq: u64,
    count: u32,
}

impl DropCount {
    /// Takes the next answer: its probe's number and the count that came with it.
    pub fn take(&mut self, seq: u64, count: u32) -> Option<Dropped> {
        let dropped = count.wrapping_sub(self.count);
        let between = (seq > self.seq).then(|| self.seq + 1..seq);
        self.seq = self.seq.max(seq);
        self.count = count;
        (dropped > 0).then_some(Dropped {
            count: dropped,
            between,
        })
    }
}

/// The gaps between answers in which some were thrown away, in the order of the probes.
#[derive(Debug, Default)]
pub struct Gaps(VecDeque<Gap>);

#[derive(Debug)]
struct Gap {
    probes: Range<u64>,
    dropped: u64,
    /// Whether all of its probes that were not answered are accounted for; none as long as nobody asked.
    explains: Option<bool>,
}

impl Gaps {
    /// Notes answers that were thrown away.
    pub fn add(&mut self, dropped: &Dropped) {
        if let Some(probes) = dropped.between.clone().filter(|probes| !probes.is_empty()) {
            self.0.push_back(Gap {
                probes,
                dropped: dropped.count.into(),
                explains: None,
            });
        }
    }

    /// Notes that an answer came. One from within a gap was overtaken, and then so may have been those thrown away.
    pub fn arrived(&mut self, seq: u64) {
        self.0.retain(|gap| !gap.probes.contains(&seq));
    }

    /// Whether the answer to this probe, which did not come, was thrown away here. Probes are asked about in their order;
    /// `missing` tells how many of these, itself included, may have been answered in vain.
    pub fn explain(&mut self, seq: u64, missing: impl FnOnce(Range<u64>) -> u64) -> bool {
        while self.0.front().is_some_and(|gap| gap.probes.end <= seq) {
            self.0.pop_front();
        }
        let Some(gap) = self.0.front_mut().filter(|gap| gap.probes.contains(&seq)) else {
            return false;
        };
        // Answered once for the whole gap: where there are more, nobody knows which ones.
        *gap.explains
            .get_or_insert_with(|| missing(gap.probes.clone()) <= gap.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONE: [u64; 0] = [];

    /// What is explained of the probes that are missing, when these answers came with these counts.
    fn explained(answers: &[(u64, u32)], missing: &[u64]) -> Vec<u64> {
        let mut count = DropCount::default();
        let mut gaps = Gaps::default();
        for (seq, drops) in answers {
            if let Some(dropped) = count.take(*seq, *drops) {
                gaps.add(&dropped);
            }
            gaps.arrived(*seq);
        }
        let among = |probes: Range<u64>| missing.iter().filter(|seq| probes.contains(seq)).count();
        let explains = |seq: &u64| gaps.explain(*seq, |probes| among(probes) as u64);
        missing.iter().copied().filter(explains).collect()
    }

    #[test]
    fn as_many_as_were_thrown_away_are_explained_and_more_are_not() {
        assert_eq!(explained(&[(1, 0), (4, 2)], &[2, 3]), [2, 3]);
        assert_eq!(explained(&[(1, 0), (4, 3)], &[2, 3]), [2, 3]);
        assert_eq!(explained(&[(1, 0), (4, 1)], &[2, 3]), NONE);
        // Another gap is another matter.
        assert_eq!(explained(&[(1, 0), (4, 1), (6, 2)], &[2, 3, 5]), [5]);
        assert_eq!(explained(&[(1, 0), (3, 1), (6, 1)], &[2, 4, 5]), [2]);
    }

    #[test]
    fn the_first_answer_tells_of_those_before_it() {
        assert_eq!(explained(&[(3, 2)], &[1, 2]), [1, 2]);
        assert_eq!(explained(&[], &[1, 2]), NONE);
    }

    #[test]
    fn answers_that_overtake_each_other_explain_nothing() {
        // 5 came late, so it is not known when the other was thrown away.
        assert_eq!(explained(&[(2, 0), (8, 1), (5, 1)], &[3]), NONE);
        // 7 was overtaken, and thrown away was what came just before it.
        let mut count = DropCount::default();
        count.take(9, 0);
        let dropped = count.take(7, 4).unwrap();
        assert_eq!((dropped.count, dropped.between), (4, None));
        assert_eq!(count.take(10, 4), None);
    }

    #[test]
    fn a_number_that_nobody_sent_explains_nothing_after_it() {
        let mut count = DropCount::default();
        assert_eq!(count.take(u64::MAX, 0), None);
        assert_eq!(count.take(2, 3).unwrap().between, None);
    }

    #[test]
    fn the_kernel_s_count_begins_anew() {
        let mut count = DropCount::default();
        assert_eq!(count.take(1, u32::MAX).unwrap().count, u32::MAX);
        assert_eq!(count.take(3, 1).unwrap().count, 2);
    }

    proptest! {
        /// Every answer comes, in its order, to a host that throws some away.
        #[test]
        fn what_was_thrown_away_is_explained(kept in prop::collection::vec(any::<bool>(), 1..200)) {
            let mut drops = 0;
            let mut answers = Vec::new();
            for (seq, kept) in (1..).zip(&kept) {
                if *kept {
                    answers.push((seq, drops));
                } else {
                    drops += 1;
                }
            }
            let last = answers.last().map_or(0, |(seq, _)| *seq);
            let missing: Vec<u64> = (1..).zip(&kept).filter(|(_, kept)| !**kept).map(|(seq, _)| seq).collect();
            // After the last answer nobody has told of any.
            let told: Vec<u64> = missing.iter().copied().filter(|seq| *seq < last).collect();
            prop_assert_eq!(explained(&answers, &missing), told);
        }

        /// Where the path loses as well, no more are explained than were thrown away, and none when it is not known which.
        #[test]
        fn never_explains_what_the_path_lost(fates in prop::collection::vec(0..3_u8, 1..200)) {
            const ANSWERED: u8 = 0;
            const THROWN: u8 = 1;
            let mut drops = 0;
            let mut answers = Vec::new();
            let mut right = Vec::new();
            let mut gap = Vec::new();
            for (seq, fate) in (1..).zip(&fates) {
                match *fate {
                    ANSWERED => {
                        answers.push((seq, drops));
                        // Only a gap in which nothing was lost otherwise is clear.
                        if gap.iter().all(|(_, fate)| *fate == THROWN) {
                            right.extend(gap.iter().map(|(seq, _)| *seq));
                        }
                        gap.clear();
                    }
                    fate => {
                        drops += u32::from(fate == THROWN);
                        gap.push((seq, fate));
                    }
                }
            }
            let missing: Vec<u64> = (1..).zip(&fates).filter(|(_, fate)| **fate != ANSWERED).map(|(seq, _)| seq).collect();
            prop_assert_eq!(explained(&answers, &missing), right);
        }
    }
}
