//! When each probe is due: absolute slots from the start, so that nothing drifts and no slot is skipped.

use std::time::Duration;

/// A fixed-interval, open-loop schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// How many probes.
    pub count: u64,
    /// The time between two slots.
    pub interval: Duration,
}

impl Schedule {
    /// The slot of probe `seq`, counted from the first probe's.
    #[must_use]
    pub fn slot(&self, seq: u64) -> Duration {
        let nanos = self
            .interval
            .as_nanos()
            .saturating_mul(u128::from(seq.saturating_sub(1)));
        // Centuries away there is no more difference.
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_do_not_drift() {
        let schedule = Schedule {
            count: 10,
            interval: Duration::from_nanos(333_333_333),
        };
        assert_eq!(schedule.slot(1), Duration::ZERO);
        assert_eq!(schedule.slot(1_000_001), Duration::from_millis(333_333_333));
        assert_eq!(schedule.slot(u64::MAX), Duration::from_nanos(u64::MAX));
    }
}
