//! How long the thread that sends stays awake for answers.
//!
//! A core without work goes to sleep, and is awake again some 5 to 50 us after an answer has come: time of this host, and
//! not of the path. So the thread that has sent a probe keeps its core awake, looks for answers itself, and between two
//! looks lets whoever else wants the core have it. That is worth its price only where answers come soon, and where nobody
//! else has much to do on that core.

use std::time::Duration;

/// Of the time between two probes, at most this part is spent awake: one of so many.
const PART: u32 = 5;

/// A shorter time is worth nothing: no answer is there so soon.
const LEAST: Duration = Duration::from_micros(10);

/// The longest time: more than an answer within one network takes, and of longer ones the waking is a small part.
const MOST: Duration = Duration::from_micros(500);

/// Each try that brings no answer so soon doubles how many are left out until the next, up to so many times.
const MOST_DOUBLINGS: u32 = 6;

/// Learns whether answers come so soon that it is worth to stay awake for them.
#[derive(Debug, Default)]
pub struct Vigil {
    /// Tries in a row that brought none.
    misses: u32,
    /// Tries that are still to be left out.
    rest: u32,
}

impl Vigil {
    /// Whether to stay awake now, and then for how long: as long as it may be at most, unless that is worth nothing.
    pub fn begin(&mut self, most: Duration) -> Option<Duration> {
        if let Some(less) = self.rest.checked_sub(1) {
            self.rest = less;
            return None;
        }
        (most >= LEAST).then_some(most)
    }

    /// Whether an answer came in that time.
    pub fn end(&mut self, in_time: bool) {
        if in_time {
            self.misses = 0;
        } else {
            self.misses = (self.misses + 1).min(MOST_DOUBLINGS);
            self.rest = (1 << self.misses) - 1;
        }
    }
}

/// How long to stay awake at most after a probe, where the next one is sent after this `gap`.
#[must_use]
pub fn part_of(gap: Duration) -> Duration {
    MOST.min(gap / PART)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_part_of_the_gap_is_spent_and_never_long() {
        let mut vigil = Vigil::default();
        for (gap, most) in [
            (0, None),
            (49, None),
            (50, Some(10)),
            (1_000, Some(200)),
            (2_500, Some(500)),
            (1_000_000, Some(500)),
        ] {
            let most = most.map(Duration::from_micros);
            assert_eq!(vigil.begin(part_of(Duration::from_micros(gap))), most);
            vigil.end(true);
        }
    }

    #[test]
    fn answers_that_come_late_are_waited_for_less_and_less() {
        let mut vigil = Vigil::default();
        let mut vigils = |probes: u32, answered: bool| {
            let begun = (0..probes).filter(|_| {
                let begun = vigil.begin(SECOND).is_some();
                if begun {
                    vigil.end(answered);
                }
                begun
            });
            begun.count()
        };
        assert_eq!(vigils(100, true), 100);
        // The 1st, 3rd, 7th, 15th, 31st, 63rd, and then one of 64.
        assert_eq!(vigils(63, false), 6);
        assert_eq!(vigils(64 * 100, false), 100);
        // One that comes soon is enough, when it is looked for.
        assert!(vigils(64, true) >= 1);
        assert_eq!(vigils(100, true), 100);
    }
}
