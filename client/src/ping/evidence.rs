//! What a Hii server's answers say about other probes (`WIRE.md` section 2.4).

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use hii_protocol::ping::ProbeAnswer;

use super::marks::{Marks, bits_from};

/// Answers that are remembered to catch a server that forgot: two windows' worth.
const RECENT: usize = 128;

/// What one answer says about the probes before it, as far as no answer has said it before. Of a fast run that is little:
/// each window repeats almost all of the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Testimony {
    /// The probe answered.
    seq: u64,
    /// Bit k is set when the server had received probe `seq - k`.
    received: u64,
    /// Bit k is set when it had not, as far as it can know.
    missing: u64,
    /// Further probes that it had not received.
    gap: Gap,
}

/// Probes between two answers, out of sight of either, none of which arrived between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gap {
    /// Their numbers.
    pub probes: Range<u64>,
    /// When the earlier of the two answers came: what was sent before may have been received before it.
    pub since: Duration,
}

/// Follows the answers of one server through a run.
#[derive(Debug, Default)]
pub struct Witness {
    /// The answer that the server made last, of those that came.
    last: Option<Answered>,
    /// Answers that came lately.
    recent: VecDeque<Answered>,
    /// The server knows nothing of probes below this: it forgot the run, or was started anew.
    remembers_from: u64,
    /// How often it forgot.
    forgot: u64,
    /// Probes whose answers were heard.
    heard: Marks,
    /// What was told of the probes that it had received, and of those that it had not.
    told_received: Marks,
    told_missing: Marks,
}

/// When a probe was sent, and when its answer came, by the client's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trip {
    /// When the probe was sent.
    pub sent: Duration,
    /// When the answer came.
    pub arrived: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Answered {
    seq: u64,
    count: u64,
    received: Option<u64>,
    trip: Trip,
}

impl Answered {
    /// Whether the server received this probe after that one, as far as that is known. Where the client's clock can tell,
    /// no other is asked: the server's may be set during the run.
    fn is_after(&self, that: &Self) -> bool {
        if self.trip.sent >= that.trip.arrived {
            return true;
        }
        matches!((self.received, that.received), (Some(this), Some(that)) if this > that)
    }

    /// Whether this window says that the server remembered that probe.
    fn remembers(&self, window: u64, that: &Self) -> Option<bool> {
        let behind = self.seq.checked_sub(that.seq)?;
        (behind < 64).then(|| window >> behind & 1 == 1)
    }
}

impl Testimony {
    /// Probes that the server had received.
    pub fn received(&self) -> impl Iterator<Item = u64> + use<> {
        numbers(self.seq, self.received)
    }

    /// Probes that the server had not received.
    pub fn missing(&self) -> impl Iterator<Item = u64> + use<> {
        numbers(self.seq, self.missing)
    }

    /// Further ones, out of sight of its window.
    pub fn gap(&self) -> Gap {
        self.gap.clone()
    }
}

/// The numbers `seq - k` of all bits k that are set.
fn numbers(seq: u64, bits: u64) -> impl Iterator<Item = u64> {
    let mut left = bits;
    std::iter::from_fn(move || {
        let k = left.trailing_zeros();
        left &= left.checked_sub(1)?;
        Some(seq - u64::from(k))
    })
}

impl Witness {
    /// How often the server forgot the run.
    #[must_use]
    pub fn forgot(&self) -> u64 {
        self.forgot
    }

    /// Takes an answer that could be true, and tells what it says about other probes.
    pub fn hear(&mut self, answer: &ProbeAnswer, trip: Trip) -> Option<Testimony> {
        let this = Answered {
            seq: answer.seq().get(),
            count: answer.count()?.get(),
            received: answer.received(),
            trip,
        };
        let window = answer.window()?;
        let before = if self.forgot_since(this, window) {
            self.forget(this);
            None
        } else {
            self.note(this, window)
        };
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(this);
        self.heard.add(this.seq, 1);
        let gap = before.and_then(|before| self.gap(before, this, window));
        Some(self.in_window(this.seq, window, gap.unwrap_or_default()))
    }

    /// Whether the window lacks a probe that the server had answered before.
    fn forgot_since(&self, this: Answered, window: u64) -> bool {
        // Most often none is lacking, and there is nothing to look for.
        if self.heard.up_to(this.seq) & !window == 0 {
            return false;
        }
        self.recent.iter().any(|earlier| {
            earlier.seq >= self.remembers_from
                && this.remembers(window, earlier) == Some(false)
                && this.is_after(earlier)
        })
    }

    fn forget(&mut self, this: Answered) {
        self.forgot += 1;
        self.remembers_from = self.remembers_from.max(this.seq);
        self.last = Some(this);
    }

    /// Notes an answer; returns the one that the server made before it, when `count` can be compared.
    fn note(&mut self, this: Answered, window: u64) -> Option<Answered> {
        let Some(last) = self.last else {
            self.last = Some(this);
            return None;
        };
        if !this.is_after(&last) {
            return None;
        }
        if this.count > last.count {
            if this.remembers(window, &last).is_none()
                && this.count - last.count < u64::from(window.count_ones())
            {
                // Either some of these overtook the last, or the server forgot the run and received that many since. It
                // may have received others before them, over its limit.
                let behind = u64::from(window.checked_ilog2().unwrap_or(0));
                let lowest = this.seq.saturating_sub(behind);
                self.remembers_from = self.remembers_from.max(lowest);
            }
            self.last = Some(this);
            return Some(last);
        }
        if this.remembers(window, &last) == Some(true) {
            // It has forgotten nothing, so one of the two counts is false: neither says anything.
            self.last = Some(this);
        } else {
            self.forget(this);
        }
        None
    }

    /// What the window tells, and was not told before.
    fn in_window(&mut self, seq: u64, window: u64, gap: Gap) -> Testimony {
        let earlier = bits_from(1, seq) & !1;
        let received = window & earlier & !self.told_received.up_to(seq);
        let known = bits_from(self.remembers_from.max(1), seq) & !1;
        let missing = !window & known & !self.told_missing.up_to(seq);
        self.told_received.add(seq, received);
        self.told_missing.add(seq, missing);
        Testimony {
            seq,
            received,
            missing,
            gap,
        }
    }

    /// Between two answers further apart than a window, `count` tells how many arrived out of its sight. When none did,
    /// all of those were missing that cannot have overtaken the earlier one. More says nothing of any one of them, since
    /// duplicates are in the count.
    fn gap(&self, before: Answered, this: Answered, window: u64) -> Option<Gap> {
        let probes = before.seq.max(self.remembers_from) + 1..this.seq.saturating_sub(63);
        // Longer gaps than a client remembers say nothing that could be used.
        let is_short = probes.end.saturating_sub(probes.start) <= 1 << 20;
        let in_sight = u64::from(window.count_ones());
        (is_short && this.count - before.count == in_sight).then_some(Gap {
            probes,
            since: before.trip.arrived,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hii_protocol::ping::{Probe, ProbeSize, Report, Run, Seq};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn answer(seq: u64, count: u64, window: u64, received: u64) -> ProbeAnswer {
        let probe =
            Probe::new(Run(1), Seq::new(seq).unwrap(), ProbeSize::new(128).unwrap()).unwrap();
        let count = Seq::new(count).unwrap();
        probe.answer(&Report {
            count,
            window,
            held: 0,
            received,
            limited: 0,
        })
    }

    /// As if all were under way at once: the client's clock tells no order.
    const AT_ONCE: Trip = Trip {
        sent: Duration::ZERO,
        arrived: Duration::from_secs(1),
    };

    /// A round trip that is over when the next second's begins.
    fn in_second(second: u64) -> Trip {
        Trip {
            sent: Duration::from_secs(second),
            arrived: Duration::from_secs(second) + Duration::from_millis(500),
        }
    }

    /// Which probes were received, and which were missing.
    fn hear(witness: &mut Witness, answer: &ProbeAnswer) -> (Vec<u64>, Vec<u64>) {
        hear_in(witness, AT_ONCE, answer)
    }

    fn hear_in(witness: &mut Witness, trip: Trip, answer: &ProbeAnswer) -> (Vec<u64>, Vec<u64>) {
        let testimony = witness.hear(answer, trip).unwrap();
        (
            testimony.received().collect(),
            testimony.missing().chain(testimony.gap().probes).collect(),
        )
    }

    #[test]
    fn a_window_tells_received_from_missing() {
        let mut witness = Witness::default();
        let told = hear(&mut witness, &answer(4, 3, 0b1011, 10));
        assert_eq!(told, (vec![3, 1], vec![2]));
    }

    #[test]
    fn a_server_that_forgot_is_no_witness_for_what_was_before() {
        let mut witness = Witness::default();
        hear(&mut witness, &answer(10, 10, 0x3ff, 10));
        let (_, missing) = hear(&mut witness, &answer(15, 1, 1, 20));
        assert!(missing.is_empty());
        assert_eq!(witness.forgot(), 1);
        // What it missed since, it knows.
        let told = hear(&mut witness, &answer(17, 2, 0b101, 30));
        assert_eq!(told, (vec![15], vec![16]));
    }

    #[test]
    fn probes_that_overtook_each_other_are_no_loss_of_memory() {
        let mut witness = Witness::default();
        // 3 was received before 2, and the answers came in the order of the numbers.
        hear(&mut witness, &answer(1, 1, 0b1, 10));
        hear(&mut witness, &answer(2, 3, 0b11, 30));
        hear(&mut witness, &answer(3, 2, 0b101, 20));
        assert_eq!(witness.forgot(), 0);
    }

    #[test]
    fn over_a_long_gap_count_tells_only_that_none_arrived() {
        let mut none = Witness::default();
        hear(&mut none, &answer(1, 1, 1, 10));
        let (_, missing) = hear(&mut none, &answer(101, 2, 1, 20));
        assert!((2..101).all(|seq| missing.contains(&seq)));
        // As many as there are probes may be all of them, or fewer and duplicates.
        let mut as_many = Witness::default();
        hear(&mut as_many, &answer(1, 1, 1, 10));
        let (received, missing) = hear(&mut as_many, &answer(101, 101, u64::MAX, 20));
        assert!(!received.contains(&20) && !missing.contains(&20));
    }

    #[test]
    fn a_window_without_a_probe_that_was_answered_shows_a_server_that_forgot() {
        let mut witness = Witness::default();
        hear(&mut witness, &answer(1, 1, 0b1, 10));
        hear(&mut witness, &answer(2, 2, 0b11, 20));
        // It received up to 20, was started anew, and received 21 to 24: more than before, so count does not show it.
        let told = hear(&mut witness, &answer(24, 4, 0b1111, 240));
        assert_eq!(witness.forgot(), 1);
        assert_eq!(told, (vec![23, 22, 21], vec![]));
        // It is noticed once, and what is missed from then on is known.
        let (_, missing) = hear(&mut witness, &answer(26, 5, 0b11_1101, 260));
        assert_eq!((witness.forgot(), missing), (1, vec![25]));
    }

    #[test]
    fn a_server_whose_clock_is_set_back_is_still_compared() {
        let mut witness = Witness::default();
        hear_in(&mut witness, in_second(1), &answer(1, 1, 1, 1_000));
        let (_, missing) = hear_in(&mut witness, in_second(101), &answer(101, 2, 1, 20));
        assert!((2..101).all(|seq| missing.contains(&seq)));
        let (_, missing) = hear_in(&mut witness, in_second(201), &answer(201, 1, 1, 10));
        assert_eq!((witness.forgot(), missing), (1, vec![]));
    }

    #[test]
    fn without_the_server_s_clock_overtaking_is_no_loss_of_memory() {
        // What an answer of 40 octets has room for.
        let small = |seq, count, window| {
            let size = ProbeSize::new(40).unwrap();
            let probe = Probe::new(Run(1), Seq::new(seq).unwrap(), size).unwrap();
            let count = Seq::new(count).unwrap();
            probe.answer(&Report {
                count,
                window,
                held: 10_000,
                received: u64::MAX,
                limited: 0,
            })
        };
        let mut witness = Witness::default();
        for (seq, count, window) in [(1, 1, 0b1), (2, 3, 0b11), (3, 2, 0b101)] {
            let answer = small(seq, count, window);
            assert_eq!(answer.received(), None);
            hear(&mut witness, &answer);
        }
        assert_eq!(witness.forgot(), 0);
        hear_in(&mut witness, in_second(2), &small(4, 1, 0b1));
        assert_eq!(witness.forgot(), 1);
    }

    #[test]
    fn a_count_that_contradicts_the_window_is_no_loss_of_memory() {
        let mut witness = Witness::default();
        hear(&mut witness, &answer(1, 1, 0b1, 10));
        // Somebody says that 500 came.
        hear(&mut witness, &answer(2, 500, 0b11, 20));
        hear(&mut witness, &answer(3, 3, 0b111, 30));
        assert_eq!(witness.forgot(), 0);
        let (_, missing) = hear(&mut witness, &answer(5, 4, 0b1_1101, 50));
        assert_eq!((witness.forgot(), missing), (0, vec![4]));
    }

    proptest! {
        /// In whatever order the answers come: all that their windows say is told, in sum, and only once while they come in
        /// order.
        #[test]
        fn all_windows_are_told(
            arrived in prop::collection::vec(any::<bool>(), 1..200),
            order in prop::collection::vec(0..90_usize, 200),
            in_order in any::<bool>(),
        ) {
            let received: Vec<u64> = (1..).zip(&arrived).filter(|(_, there)| **there).map(|(seq, _)| seq).collect();
            let mut answers: Vec<_> = (1..).zip(&received).map(|(count, seq)| {
                let bit = |k: &u64| seq.checked_sub(*k).is_some_and(|seq| received.contains(&seq));
                let window = (0..64).filter(bit).fold(0, |window, k| window | 1 << k);
                answer(*seq, count, window, *seq)
            }).collect();
            if !in_order {
                // Each may be overtaken by many.
                let mut keyed: Vec<_> = (0..).zip(order).zip(answers).map(|((at, late), one)| (at + late, one)).collect();
                keyed.sort_by_key(|(at, _)| *at);
                answers = keyed.into_iter().map(|(_, one)| one).collect();
            }
            let mut witness = Witness::default();
            let (mut told, mut expected) = ([Vec::new(), Vec::new()], [BTreeSet::new(), BTreeSet::new()]);
            for answer in &answers {
                let (there, missing) = hear(&mut witness, answer);
                told[0].extend(there);
                told[1].extend(missing);
                let (seq, window) = (answer.seq().get(), answer.window().unwrap());
                for k in 1..64_u64.min(seq) {
                    expected[usize::from(window >> k & 1 == 0)].insert(seq - k);
                }
            }
            prop_assert_eq!(witness.forgot(), 0);
            for (told, expected) in told.iter().zip(expected) {
                let all: BTreeSet<_> = told.iter().copied().collect();
                prop_assert!(all.is_superset(&expected));
                prop_assert!(!in_order || all.len() == told.len());
            }
            // What is said to be missing was, in whatever gap.
            prop_assert!(told[1].iter().all(|seq| !in_order || !received.contains(seq)));
        }
    }
}
