//! When sending fell behind the schedule, and caught up: this program was not let run, or, over TCP, the other side took no
//! more. What is caught up are the probes that were due before the one before them had gone out.
//!
//! They go out one after the other then, none is skipped, and their round trips count from their sending; what somebody saw
//! who waited for their turns is the round trip from when they were due.

use serde::Serialize;

use super::figures::nanos;
use super::ledger::Sent;

/// Follows the sending of probes that have slots of their own.
#[derive(Debug, Default)]
pub struct Stalls {
    /// The probe sent last.
    last: Option<Sent>,
    /// Whether that was sent to catch up.
    is_behind: bool,
    figures: StallFigures,
}

/// How often, for how long, and how many probes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StallFigures {
    /// How often sending fell behind by a slot or more.
    pub count: u64,
    /// Probes that were due before the one before them was sent.
    pub caught_up: u64,
    /// How much later than due a probe went out at most at such a time, in nanoseconds.
    pub longest_ns: u64,
}

impl Stalls {
    /// Takes the next probe that was sent, or could not be.
    pub fn take(&mut self, sent: &Sent) {
        let before = self.last.replace(*sent);
        let Some(before) = before.filter(|before| before.at > sent.due) else {
            self.is_behind = false;
            return;
        };
        self.figures.count += u64::from(!self.is_behind);
        self.is_behind = true;
        self.figures.caught_up += 1;
        // The first to be late is the one before.
        let late = [before, *sent].map(|sent| nanos(sent.at.saturating_sub(sent.due)));
        let longest = late.into_iter().fold(self.figures.longest_ns, u64::max);
        self.figures.longest_ns = longest;
    }

    /// The figures so far.
    #[must_use]
    pub fn figures(&self) -> StallFigures {
        self.figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn sent(due: u64, at: u64) -> Sent {
        Sent {
            due: Duration::from_millis(due),
            deadline: Duration::from_secs(1),
            at: Duration::from_millis(at),
            went_out: true,
            clash: None,
        }
    }

    fn figures(probes: &[(u64, u64)]) -> StallFigures {
        let mut stalls = Stalls::default();
        for (due, at) in probes {
            stalls.take(&sent(*due, *at));
        }
        stalls.figures()
    }

    #[test]
    fn a_probe_that_is_late_by_less_than_a_slot_is_no_stall() {
        let probes: Vec<_> = (0..100).map(|slot| (slot * 10, slot * 10 + 10)).collect();
        assert_eq!(figures(&probes), StallFigures::default());
    }

    #[test]
    fn what_is_sent_in_a_row_after_a_stall_is_caught_up() {
        // Nothing went out from 10 to 45, and again from 60 to 75.
        let probes = [
            (0, 0),
            (10, 45),
            (20, 46),
            (30, 46),
            (40, 47),
            (50, 50),
            (60, 75),
            (70, 75),
            (80, 80),
        ];
        let expected = StallFigures {
            count: 2,
            caught_up: 4,
            longest_ns: 35_000_000,
        };
        assert_eq!(figures(&probes), expected);
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_recomputation(delays in prop::collection::vec(0..40_u64, 0..60)) {
            let mut now = 0;
            let probes: Vec<_> = (0..).map(|slot| slot * 10).zip(delays).map(|(due, delay)| {
                now = due.max(now) + delay;
                (due, now)
            }).collect();
            let caught: Vec<_> = (1..probes.len()).filter(|probe| probes[probe - 1].1 > probes[*probe].0).collect();
            let count = caught.iter().filter(|probe| !caught.contains(&(*probe - 1))).count();
            let late = caught.iter().flat_map(|probe| [probes[probe - 1], probes[*probe]]);
            let longest = late.map(|(due, at)| at - due).max().unwrap_or(0);
            let expected = StallFigures {
                count: count as u64,
                caught_up: caught.len() as u64,
                longest_ns: longest * 1_000_000,
            };
            prop_assert_eq!(figures(&probes), expected);
        }
    }
}
