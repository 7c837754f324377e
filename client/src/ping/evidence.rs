//! What a Hii server's answers say about other probes (`WIRE.md` section 2.4).

use std::collections::VecDeque;
use std::time::Duration;

use hii_protocol::ping::ProbeAnswer;

/// Answers that are remembered to catch a server that forgot: two windows' worth.
const RECENT: usize = 128;

/// What one answer says about the probes before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Testimony {
    /// Probes that the server had received.
    pub received: Vec<u64>,
    /// Probes that the server had not received, as far as it can know.
    pub missing: Vec<u64>,
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
}

/// When a probe was sent, where that is remembered, and when its answer came, by the client's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trip {
    /// When the probe was sent.
    pub sent: Option<Duration>,
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
        if self.trip.sent.is_some_and(|sent| sent >= that.trip.arrived) {
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
        let mut testimony = self.in_window(this.seq, window);
        if let Some(before) = before {
            self.in_gap(before, this, window, &mut testimony);
        }
        Some(testimony)
    }

    /// Whether the window lacks a probe that the server had answered before.
    fn forgot_since(&self, this: Answered, window: u64) -> bool {
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

    fn in_window(&self, seq: u64, window: u64) -> Testimony {
        let covered = (1..64).filter_map(|k| Some((seq.checked_sub(k).filter(|seq| *seq > 0)?, k)));
        let (received, missing): (Vec<_>, Vec<_>) =
            covered.partition(|(_, k)| window >> k & 1 == 1);
        let seqs = |list: Vec<(u64, u64)>| list.into_iter().map(|(seq, _)| seq);
        Testimony {
            received: seqs(received).collect(),
            missing: seqs(missing)
                .filter(|seq| *seq >= self.remembers_from)
                .collect(),
        }
    }

    /// Between two answers further apart than a window, `count` tells how many arrived out of its sight. When none did,
    /// all of those were missing. More says nothing of any one of them, since duplicates are in the count.
    fn in_gap(&self, before: Answered, this: Answered, window: u64, testimony: &mut Testimony) {
        let unseen = before.seq.max(self.remembers_from) + 1..this.seq.saturating_sub(63);
        // Longer gaps than a client remembers say nothing that could be used.
        let is_short = unseen.end.saturating_sub(unseen.start) <= 1 << 20;
        let in_sight = u64::from(window.count_ones());
        if is_short && this.count - before.count == in_sight {
            testimony.missing.extend(unseen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hii_protocol::ping::{Probe, ProbeSize, Report, Run, Seq};

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

    /// As if all were under way at once: the client's clock tells no order.
    const AT_ONCE: Trip = Trip {
        sent: Some(Duration::ZERO),
        arrived: Duration::from_secs(1),
    };

    /// A round trip that is over when the next second's begins.
    fn in_second(second: u64) -> Trip {
        Trip {
            sent: Some(Duration::from_secs(second)),
            arrived: Duration::from_secs(second) + Duration::from_millis(500),
        }
    }

    impl Witness {
        fn hears(&mut self, answer: &ProbeAnswer) -> Testimony {
            self.hear(answer, AT_ONCE).unwrap()
        }
    }

    #[test]
    fn a_window_tells_received_from_missing() {
        let mut witness = Witness::default();
        let testimony = witness.hears(&answer(4, 3, 0b1011, 10));
        assert_eq!(
            testimony,
            Testimony {
                received: vec![3, 1],
                missing: vec![2]
            }
        );
    }

    #[test]
    fn a_server_that_forgot_is_no_witness_for_what_was_before() {
        let mut witness = Witness::default();
        witness.hears(&answer(10, 10, 0x3ff, 10));
        let testimony = witness.hears(&answer(15, 1, 1, 20));
        assert!(testimony.missing.is_empty());
        assert_eq!(witness.forgot(), 1);
        // What it missed since, it knows.
        let testimony = witness.hears(&answer(17, 2, 0b101, 30));
        assert_eq!(
            testimony,
            Testimony {
                received: vec![15],
                missing: vec![16]
            }
        );
    }

    #[test]
    fn probes_that_overtook_each_other_are_no_loss_of_memory() {
        let mut witness = Witness::default();
        // 3 was received before 2, and the answers came in the order of the numbers.
        witness.hears(&answer(1, 1, 0b1, 10));
        witness.hears(&answer(2, 3, 0b11, 30));
        witness.hears(&answer(3, 2, 0b101, 20));
        assert_eq!(witness.forgot(), 0);
    }

    #[test]
    fn over_a_long_gap_count_tells_only_that_none_arrived() {
        let mut none = Witness::default();
        none.hears(&answer(1, 1, 1, 10));
        let testimony = none.hears(&answer(101, 2, 1, 20));
        assert!((2..101).all(|seq| testimony.missing.contains(&seq)));
        // As many as there are probes may be all of them, or fewer and duplicates.
        let mut as_many = Witness::default();
        as_many.hears(&answer(1, 1, 1, 10));
        let testimony = as_many.hears(&answer(101, 101, u64::MAX, 20));
        assert!(!testimony.received.contains(&20) && !testimony.missing.contains(&20));
    }

    #[test]
    fn a_window_without_a_probe_that_was_answered_shows_a_server_that_forgot() {
        let mut witness = Witness::default();
        witness.hears(&answer(1, 1, 0b1, 10));
        witness.hears(&answer(2, 2, 0b11, 20));
        // It received up to 20, was started anew, and received 21 to 24: more than before, so count does not show it.
        let testimony = witness.hears(&answer(24, 4, 0b1111, 240));
        assert_eq!(witness.forgot(), 1);
        assert!(testimony.missing.is_empty(), "{testimony:?}");
        assert_eq!(testimony.received, vec![23, 22, 21]);
        // It is noticed once, and what is missed from then on is known.
        let testimony = witness.hears(&answer(26, 5, 0b11_1101, 260));
        assert_eq!((witness.forgot(), testimony.missing), (1, vec![25]));
    }
    #[test]
    fn a_server_whose_clock_is_set_back_is_still_compared() {
        let mut witness = Witness::default();
        witness.hear(&answer(1, 1, 1, 1_000), in_second(1));
        let long_after = witness.hear(&answer(101, 2, 1, 20), in_second(101));
        assert!((2..101).all(|seq| long_after.as_ref().unwrap().missing.contains(&seq)));
        let anew = witness.hear(&answer(201, 1, 1, 10), in_second(201));
        assert_eq!((witness.forgot(), anew.unwrap().missing), (1, vec![]));
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
            })
        };
        let mut witness = Witness::default();
        for (seq, count, window) in [(1, 1, 0b1), (2, 3, 0b11), (3, 2, 0b101)] {
            let answer = small(seq, count, window);
            assert_eq!(answer.received(), None);
            witness.hears(&answer);
        }
        assert_eq!(witness.forgot(), 0);
        witness.hear(&small(4, 1, 0b1), in_second(2));
        assert_eq!(witness.forgot(), 1);
    }

    #[test]
    fn a_count_that_contradicts_the_window_is_no_loss_of_memory() {
        let mut witness = Witness::default();
        witness.hears(&answer(1, 1, 0b1, 10));
        // Somebody says that 500 came.
        witness.hears(&answer(2, 500, 0b11, 20));
        witness.hears(&answer(3, 3, 0b111, 30));
        assert_eq!(witness.forgot(), 0);
        let testimony = witness.hears(&answer(5, 4, 0b1_1101, 50));
        assert_eq!((witness.forgot(), testimony.missing), (0, vec![4]));
    }
}
