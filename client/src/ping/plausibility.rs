//! Answers that cannot be true (`WIRE.md` section 2.4).
//!
//! An answer that comes from the right address and knows the run may still be false: a server that is broken, or
//! somebody on the way who reads the probes. What contradicts what the client knows for itself is told here, and then
//! nothing of that answer counts: the true one may still come. Whoever answers in a way that could be true is believed.

use std::time::Duration;

use hii_protocol::ping::{LimitedNotice, ProbeAnswer};

use super::marks::bits_from;

/// No path makes more copies of a datagram than this: each of the 255 hops that it can pass would have to make one.
const MOST_COPIES: u64 = 256;

/// A clock that is being set may run so much faster than another one: Linux changes its pace by up to a tenth.
const PACE: u32 = 10;

/// What a clock may tick in.
const TICK: Duration = Duration::from_millis(1);

/// No system's clock can show more: this is in the year 2262.
const LATEST: u64 = i64::MAX.unsigned_abs();

/// What the client knows for itself when an answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The highest number sent so far.
    pub highest: u64,
    /// Bit k is set when this host could not send the probe k numbers before the one that is answered.
    pub not_sent: u64,
    /// How long it was at most from the sending of the probe to this answer.
    pub took: Duration,
}

/// Why an answer cannot be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Falsehood {
    /// `window` says that the probe had not been received when it was.
    WindowLacksItself,
    /// `window` has a bit for a probe that was never sent.
    WindowBeyondSent,
    /// `count` is less than the probes that `window` shows.
    CountBelowWindow,
    /// `count` is more than all that was sent and any copies of it.
    CountBeyondCopies,
    /// `limited` is more than all that was received.
    LimitedBeyondCount,
    /// The probe was `held` for longer than until its answer came, by any clock.
    HeldLongerThanItTook,
    /// `received` is beyond what a clock can show.
    ReceivedBeyondClocks,
}

impl Known {
    /// Holds an answer against what is known.
    ///
    /// # Errors
    /// It cannot be true.
    pub fn check(&self, answer: &ProbeAnswer) -> Result<(), Falsehood> {
        let count = answer.count().map(u64::from);
        let window = answer.window();
        if let Some(window) = window {
            if window & 1 == 0 {
                return Err(Falsehood::WindowLacksItself);
            }
            if window & (!bits_from(1, answer.seq().get()) | self.not_sent) != 0 {
                return Err(Falsehood::WindowBeyondSent);
            }
        }
        if let Some(count) = count {
            if count < window.map_or(0, |window| u64::from(window.count_ones())) {
                return Err(Falsehood::CountBelowWindow);
            }
            if count > self.highest.saturating_mul(MOST_COPIES) {
                return Err(Falsehood::CountBeyondCopies);
            }
            if answer.limited().is_some_and(|limited| limited > count) {
                return Err(Falsehood::LimitedBeyondCount);
            }
        }
        let most = self
            .took
            .saturating_add(self.took / PACE)
            .saturating_add(TICK);
        if answer
            .held()
            .is_some_and(|held| Duration::from_nanos(held) > most)
        {
            return Err(Falsehood::HeldLongerThanItTook);
        }
        if answer.received().is_some_and(|received| received > LATEST) {
            return Err(Falsehood::ReceivedBeyondClocks);
        }
        Ok(())
    }

    /// Whether a notice can be true, given what is known.
    #[must_use]
    pub fn allows(&self, notice: &LimitedNotice) -> bool {
        let Some(count) = notice.count().map(u64::from) else {
            return true;
        };
        // The probe of the notice was received, and is one of those over the limit.
        count <= self.highest.saturating_mul(MOST_COPIES)
            && notice
                .limited()
                .is_none_or(|limited| (1..=count).contains(&limited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hii_protocol::ping::{Probe, ProbeSize, Report, Run, Seq};

    /// 70 probes were sent, and the answer to this one took 10 ms.
    const KNOWN: Known = Known {
        highest: 70,
        not_sent: 0,
        took: Duration::from_millis(10),
    };

    fn checked(known: Known, seq: u64, count: u64, window: u64) -> Result<(), Falsehood> {
        let report = Report {
            count: Seq::new(count).unwrap(),
            window,
            held: 0,
            received: 1,
            limited: 0,
        };
        known.check(&answer(seq, &report))
    }

    fn answer(seq: u64, report: &Report) -> ProbeAnswer {
        let size = ProbeSize::new(128).unwrap();
        let probe = Probe::new(Run(1), Seq::new(seq).unwrap(), size).unwrap();
        probe.answer(report)
    }

    #[test]
    fn a_window_shows_its_own_probe_and_none_that_was_not_sent() {
        assert_eq!(checked(KNOWN, 3, 3, 0b111), Ok(()));
        let lacks = Err(Falsehood::WindowLacksItself);
        assert_eq!(checked(KNOWN, 3, 3, 0b110), lacks);
        let beyond = Err(Falsehood::WindowBeyondSent);
        assert_eq!(checked(KNOWN, 3, 9, 0b1001), beyond);
        assert_eq!(checked(KNOWN, 1, 9, 1 << 63 | 1), beyond);
        assert_eq!(checked(KNOWN, 63, 64, u64::MAX), beyond);
        assert_eq!(checked(KNOWN, 64, 64, u64::MAX), Ok(()));
        let not_sent = 0b10;
        let known = Known { not_sent, ..KNOWN };
        assert_eq!(checked(known, 3, 9, 0b111), beyond);
        assert_eq!(checked(known, 3, 9, 0b101), Ok(()));
    }

    #[test]
    fn a_count_is_what_the_window_shows_at_least_and_copies_of_all_at_most() {
        let below = Err(Falsehood::CountBelowWindow);
        assert_eq!(checked(KNOWN, 9, 2, 0b111), below);
        // A path may copy what is sent.
        assert_eq!(checked(KNOWN, 9, 70 * 256, 0b111), Ok(()));
        let beyond = Err(Falsehood::CountBeyondCopies);
        assert_eq!(checked(KNOWN, 9, 70 * 256 + 1, 0b111), beyond);
        assert_eq!(checked(KNOWN, 9, u64::MAX, 0b111), beyond);
    }

    #[test]
    fn notice_of_more_limited_than_received_is_implausible() {
        let check = |limited: u64| {
            let report = Report {
                count: Seq::new(3).unwrap(),
                window: 0b111,
                held: 0,
                received: 1,
                limited,
            };
            KNOWN.check(&answer(3, &report))
        };
        assert_eq!(check(3), Ok(()));
        let beyond = Err(Falsehood::LimitedBeyondCount);
        assert_eq!(check(4), beyond);
        assert_eq!(check(u64::MAX), beyond);
    }

    #[test]
    fn nothing_is_held_for_longer_than_it_took_but_by_another_clock_s_pace() {
        let check = |known: Known, held: u64| {
            known.check(&answer(
                1,
                &Report {
                    count: Seq::MIN,
                    window: 1,
                    held,
                    received: 1,
                    limited: 0,
                },
            ))
        };
        let longer = Err(Falsehood::HeldLongerThanItTook);
        assert_eq!(check(KNOWN, 12_000_000), Ok(()));
        assert_eq!(check(KNOWN, 12_000_001), longer);
        assert_eq!(check(KNOWN, u64::MAX), longer);
        let took = Duration::MAX;
        assert_eq!(check(Known { took, ..KNOWN }, u64::MAX), Ok(()));
    }

    #[test]
    fn a_clock_shows_what_a_clock_can_show() {
        let check = |received: u64| {
            KNOWN.check(&answer(
                1,
                &Report {
                    count: Seq::MIN,
                    window: 1,
                    held: 0,
                    received,
                    limited: 0,
                },
            ))
        };
        // Not set yet.
        assert_eq!(check(0), Ok(()));
        assert_eq!(check(LATEST), Ok(()));
        let beyond = Err(Falsehood::ReceivedBeyondClocks);
        assert_eq!(check(LATEST + 1), beyond);
    }

    #[test]
    fn what_a_short_answer_does_not_tell_is_not_held_against_it() {
        for size in Probe::smallest(Seq::MIN)..60 {
            let size = ProbeSize::new(size).unwrap();
            let probe = Probe::new(Run(1), Seq::MIN, size).unwrap();
            let report = Report {
                count: Seq::MIN,
                window: 1,
                held: 0,
                received: 1,
                limited: 0,
            };
            assert_eq!(KNOWN.check(&probe.answer(&report)), Ok(()));
        }
    }
}
