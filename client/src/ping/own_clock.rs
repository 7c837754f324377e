//! Whether this host's wall clock is set during a run. All times of a run are by a clock that is never set, so no figure
//! depends on it; but whoever compares them with times since the epoch has to know.

use std::ops::RangeInclusive;

/// Two clocks of one host may differ by so much in pace, over a run.
const SLACK: u64 = 1_000_000;

/// The wall clock at the start of a run.
#[derive(Debug, Clone)]
pub struct OwnClock {
    epoch: RangeInclusive<u64>,
}

impl OwnClock {
    /// The wall clock showed this when the run's clock was at zero, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn new(epoch: RangeInclusive<u64>) -> Self {
        Self { epoch }
    }

    /// By how many nanoseconds it was set since, at least, if by now it shows that it was at this when the run's clock was
    /// at zero. A host that slept looks the same.
    #[must_use]
    pub fn set_by(&self, epoch: &RangeInclusive<u64>) -> Option<i64> {
        let forward = epoch.start().saturating_sub(*self.epoch.end());
        let back = self.epoch.start().saturating_sub(*epoch.end());
        let clamp = |nanos: u64| i64::try_from(nanos).unwrap_or(i64::MAX);
        match (forward > SLACK, back > SLACK) {
            (true, _) => Some(clamp(forward)),
            (_, true) => Some(-clamp(back)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_clock_that_is_set_is_noticed_and_one_that_is_read_slowly_is_not() {
        let clock = OwnClock::new(50 * SECOND..=50 * SECOND + 100);
        assert_eq!(clock.set_by(&(50 * SECOND..=50 * SECOND + 40)), None);
        // Two looks with a long wait between them.
        assert_eq!(clock.set_by(&(40 * SECOND..=60 * SECOND)), None);
        assert_eq!(clock.set_by(&(50 * SECOND + 200..=51 * SECOND)), None);
        let hour = 3600 * SECOND;
        let later = clock.set_by(&(hour..=hour + 100));
        assert_eq!(later, Some(3_549_999_999_900));
        let earlier = clock.set_by(&(20 * SECOND..=20 * SECOND + 100));
        assert_eq!(earlier, Some(-29_999_999_900));
        assert_eq!(clock.set_by(&(u64::MAX..=u64::MAX)), Some(i64::MAX));
    }
}
