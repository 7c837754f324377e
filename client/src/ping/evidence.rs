//! What a Hii server's answers say about other probes (`WIRE.md` section 2.4).

use std::collections::VecDeque;
use std::ops::Range;

use hii_protocol::ping::ProbeAnswer;

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
    gap: Range<u64>,
}

/// Follows the answers of one server through a run.
#[derive(Debug, Default)]
pub struct Witness {
    /// The answer that the server made last, of those that came.
    last: Option<Answered>,
    /// Probes answered lately, and when the server received them by its own clock.
    recent: VecDeque<(u64, u64)>,
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

/// Which of the last 64 numbers up to the highest are marked. Bit k is that of `top - k`.
#[derive(Debug, Clone, Copy, Default)]
struct Marks {
    top: u64,
    bits: u64,
}

#[derive(Debug, Clone, Copy)]
struct Answered {
    seq: u64,
    count: u64,
    received: Option<u64>,
}

impl Testimony {
    /// Probes that the server had received.
    pub fn received(&self) -> impl Iterator<Item = u64> + use<> {
        numbers(self.seq, self.received)
    }

    /// Probes that the server had not received.
    pub fn missing(&self) -> impl Iterator<Item = u64> + use<> {
        numbers(self.seq, self.missing).chain(self.gap.clone())
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

impl Marks {
    /// The marks as bits of the numbers up to this one.
    fn up_to(self, seq: u64) -> u64 {
        match seq.checked_sub(self.top) {
            Some(ahead) => shifted_left(self.bits, ahead),
            None => shifted_right(self.bits, self.top - seq),
        }
    }

    /// Marks those of the numbers up to this one.
    fn add(&mut self, seq: u64, bits: u64) {
        if seq > self.top {
            self.bits = self.up_to(seq);
            self.top = seq;
        }
        self.bits |= shifted_left(bits, self.top - seq);
    }
}

fn shifted_left(bits: u64, by: u64) -> u64 {
    let by = u32::try_from(by).unwrap_or(u32::MAX);
    bits.checked_shl(by).unwrap_or(0)
}

fn shifted_right(bits: u64, by: u64) -> u64 {
    let by = u32::try_from(by).unwrap_or(u32::MAX);
    bits.checked_shr(by).unwrap_or(0)
}

/// The bits of the numbers from `first` to `seq`.
fn bits_from(first: u64, seq: u64) -> u64 {
    match seq.checked_sub(first) {
        Some(behind) => !shifted_left(u64::MAX - 1, behind),
        None => 0,
    }
}

impl Witness {
    /// How often the server forgot the run.
    #[must_use]
    pub fn forgot(&self) -> u64 {
        self.forgot
    }

    /// Takes an answer and tells what it says about other probes.
    pub fn hear(&mut self, answer: &ProbeAnswer) -> Option<Testimony> {
        let this = Answered {
            seq: answer.seq().get(),
            count: answer.count()?.get(),
            received: answer.received(),
        };
        let window = answer.window()?;
        let before = if self.forgot_since(this, window) {
            self.forget(this);
            None
        } else {
            self.note(this)
        };
        if let Some(received) = this.received {
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back((this.seq, received));
        }
        self.heard.add(this.seq, 1);
        let gap = before.and_then(|before| self.gap(before, this, window));
        Some(self.in_window(this.seq, window, gap.unwrap_or(0..0)))
    }

    /// Whether the window lacks a probe that the server had answered before, by its own clock.
    fn forgot_since(&self, this: Answered, window: u64) -> bool {
        // Most often none is lacking, and there is nothing to look for.
        if self.heard.up_to(this.seq) & !window == 0 {
            return false;
        }
        self.recent.iter().any(|(seq, received)| {
            let earlier = this.received.is_some_and(|this| *received < this);
            let behind = this.seq.checked_sub(*seq).filter(|behind| *behind < 64);
            earlier
                && *seq >= self.remembers_from
                && behind.is_some_and(|behind| window >> behind & 1 == 0)
        })
    }

    fn forget(&mut self, this: Answered) {
        self.forgot += 1;
        self.remembers_from = self.remembers_from.max(this.seq);
        self.last = Some(this);
    }

    /// Notes an answer; returns the one that the server made before it, when `count` can be compared.
    fn note(&mut self, this: Answered) -> Option<Answered> {
        let Some(last) = self.last else {
            self.last = Some(this);
            return None;
        };
        // The server's clock orders its answers; without it the numbers have to do.
        let is_later = match (last.received, this.received) {
            (Some(last), Some(this)) => this > last,
            _ => this.seq > last.seq,
        };
        if !is_later {
            return None;
        }
        if this.count <= last.count {
            self.forget(this);
            return None;
        }
        self.last = Some(this);
        Some(last)
    }

    /// What the window tells, and was not told before.
    fn in_window(&mut self, seq: u64, window: u64, gap: Range<u64>) -> Testimony {
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
    /// all of those were missing. More says nothing of any one of them, since duplicates are in the count.
    fn gap(&self, before: Answered, this: Answered, window: u64) -> Option<Range<u64>> {
        let unseen = before.seq.max(self.remembers_from) + 1..this.seq.saturating_sub(63);
        // Longer gaps than a client remembers say nothing that could be used.
        let is_short = unseen.end.saturating_sub(unseen.start) <= 1 << 20;
        let in_sight = u64::from(window.count_ones());
        (is_short && this.count - before.count == in_sight).then_some(unseen)
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
        })
    }

    /// Which probes were received, and which were missing.
    fn hear(witness: &mut Witness, answer: &ProbeAnswer) -> (Vec<u64>, Vec<u64>) {
        let testimony = witness.hear(answer).unwrap();
        (
            testimony.received().collect(),
            testimony.missing().collect(),
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
        witness.hear(&answer(10, 10, 0x3ff, 10)).unwrap();
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
        witness.hear(&answer(1, 1, 0b1, 10)).unwrap();
        witness.hear(&answer(2, 3, 0b11, 30)).unwrap();
        witness.hear(&answer(3, 2, 0b101, 20)).unwrap();
        assert_eq!(witness.forgot(), 0);
    }

    #[test]
    fn over_a_long_gap_count_tells_only_that_none_arrived() {
        let mut none = Witness::default();
        none.hear(&answer(1, 1, 1, 10)).unwrap();
        let (_, missing) = hear(&mut none, &answer(101, 2, 1, 20));
        assert!((2..101).all(|seq| missing.contains(&seq)));
        // As many as there are probes may be all of them, or fewer and duplicates.
        let mut as_many = Witness::default();
        as_many.hear(&answer(1, 1, 1, 10)).unwrap();
        let (received, missing) = hear(&mut as_many, &answer(101, 101, u64::MAX, 20));
        assert!(!received.contains(&20) && !missing.contains(&20));
    }

    #[test]
    fn a_window_without_a_probe_that_was_answered_shows_a_server_that_forgot() {
        let mut witness = Witness::default();
        witness.hear(&answer(1, 1, 0b1, 10)).unwrap();
        witness.hear(&answer(2, 2, 0b11, 20)).unwrap();
        // It received up to 20, was started anew, and received 21 to 24: more than before, so count does not show it.
        let told = hear(&mut witness, &answer(24, 4, 0b1111, 240));
        assert_eq!(witness.forgot(), 1);
        assert_eq!(told, (vec![23, 22, 21], vec![]));
        // It is noticed once, and what is missed from then on is known.
        let (_, missing) = hear(&mut witness, &answer(26, 5, 0b11_1101, 260));
        assert_eq!((witness.forgot(), missing), (1, vec![25]));
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
