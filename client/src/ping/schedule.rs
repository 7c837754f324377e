//! When each probe is due: absolute slots from the start, so that nothing drifts and no slot is skipped.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::figures::serialize_nanos;

/// After so many steps an interval of a year at a decay of 0.999 is below a nanosecond.
const MOST_STEPS: u64 = 1 << 16;

/// Several targets' first probes are spread over so long at most.
const LONGEST_STAGGER: Duration = Duration::from_secs(1);

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// An open-loop schedule: slots do not depend on answers, unless its pace is that of a flood.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Schedule {
    /// How many probes; none is without end.
    pub count: Option<u64>,
    /// The time from the first slot to the second.
    #[serde(
        rename = "interval_ns",
        serialize_with = "super::figures::serialize_nanos"
    )]
    pub interval: Duration,
    /// After how long an answer is late; none is the interval to the next probe, by the originals' rule.
    #[serde(skip)]
    pub deadline: Option<Duration>,
    /// What each interval is of the one before: 1 is a fixed interval, 0.95 the originals' ramp.
    pub decay: f64,
    /// When the first slot is, after the start.
    #[serde(skip)]
    pub offset: Duration,
    /// What sets the pace.
    #[serde(flatten)]
    pub pace: Pace,
}

/// What sets the pace of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Pace {
    /// The interval.
    Interval {},
    /// So many probes a second. The interval is rounded, the slots are exact.
    Rate {
        /// Probes a second.
        rate: NonZeroU32,
    },
    /// The answers: a probe goes out as soon as there is a place for it. There are no slots.
    Flood {
        /// How many probes may be in flight, where the path does not say it.
        #[serde(skip_serializing_if = "Option::is_none")]
        window: Option<usize>,
        /// How long probes are sent, where that is limited.
        #[serde(
            rename = "lasts_ns",
            skip_serializing_if = "Option::is_none",
            serialize_with = "serialize_lasts"
        )]
        lasts: Option<Duration>,
    },
}

impl Schedule {
    /// So many probes at a fixed interval.
    pub const fn fixed(count: Option<u64>, interval: Duration) -> Self {
        Self {
            count,
            interval,
            deadline: None,
            decay: 1.0,
            offset: Duration::ZERO,
            pace: Pace::Interval {},
        }
    }

    /// So many probes at a rate a second.
    pub const fn at_rate(count: Option<u64>, rate: NonZeroU32) -> Self {
        let interval = Duration::from_nanos(1_000_000_000 / rate.get() as u64);
        Self {
            pace: Pace::Rate { rate },
            ..Self::fixed(count, interval)
        }
    }

    /// So many probes, or for so long, as fast as they are answered, with a window of probes in flight.
    pub const fn flood(count: Option<u64>, lasts: Option<Duration>, window: Option<usize>) -> Self {
        Self {
            pace: Pace::Flood { window, lasts },
            ..Self::fixed(count, Duration::ZERO)
        }
    }

    /// The schedule of one of several targets, numbered from 0: they take turns, so that their probes do not go out all
    /// at once.
    #[must_use]
    pub fn staggered(self, number: usize, targets: usize) -> Self {
        let turn = self.interval.min(LONGEST_STAGGER);
        let share = number as f64 / targets.max(1) as f64;
        Self {
            offset: turn.mul_f64(share),
            ..self
        }
    }

    /// The number of the last probe.
    pub fn last(&self) -> u64 {
        // Even without end, numbers for closing probes are left.
        self.count.unwrap_or(u64::MAX / 2)
    }

    /// The slot of probe `seq`, counted from the start.
    pub fn slot(&self, seq: u64) -> Duration {
        self.offset.saturating_add(self.since_first(seq))
    }

    fn since_first(&self, seq: u64) -> Duration {
        let steps = seq.saturating_sub(1);
        if self.is_fixed() {
            let steps = u128::from(steps);
            let nanos = match self.pace {
                Pace::Rate { rate } => steps * NANOS_PER_SECOND / u128::from(rate.get()),
                _ => self.interval.as_nanos().saturating_mul(steps),
            };
            // Centuries away there is no more difference.
            return Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        }
        // The sum of a geometric series.
        self.interval
            .mul_f64((1.0 - self.shrunk(steps)) / (1.0 - self.decay))
    }

    /// After how long the answer to probe `seq` is late.
    pub fn deadline_of(&self, seq: u64) -> Duration {
        self.deadline.unwrap_or_else(|| self.interval_after(seq))
    }

    /// The time from the slot of probe `seq` to the next.
    pub fn interval_after(&self, seq: u64) -> Duration {
        if self.is_fixed() {
            return self.interval;
        }
        self.interval.mul_f64(self.shrunk(seq.saturating_sub(1)))
    }

    /// How many slots there are before `end`; none when they have no end.
    pub fn slots_before(&self, end: Duration) -> Option<u64> {
        if self.is_fixed() {
            let end = end.as_nanos();
            let slots = match self.pace {
                Pace::Rate { rate } => (end * u128::from(rate.get())).div_ceil(NANOS_PER_SECOND),
                _ => end.div_ceil(self.interval.as_nanos().max(1)),
            };
            return u64::try_from(slots).ok().map(|slots| slots.max(1));
        }
        // Solved for the number of steps; a ramp has few, so looking is exact and quick.
        (1..=MOST_STEPS).find(|seq| self.since_first(seq + 1) >= end)
    }

    /// How many slots have come when so long has passed since the start.
    pub fn slots_until(&self, passed: Duration) -> u64 {
        match passed.checked_sub(self.offset) {
            None => 0,
            Some(passed) => self
                .slots_before(passed.saturating_add(Duration::from_nanos(1)))
                .unwrap_or(u64::MAX),
        }
    }

    /// How long probes are sent, where that is limited and known before.
    pub fn lasts(&self) -> Option<Duration> {
        match self.pace {
            Pace::Flood { lasts, .. } => lasts,
            _ => self.count.map(|count| self.slot(count)),
        }
    }

    /// Whether probes have slots, rather than being sent as fast as they are answered.
    pub fn has_slots(&self) -> bool {
        !matches!(self.pace, Pace::Flood { .. })
    }

    /// Whether probes may go out several at a time.
    pub fn has_bursts(&self) -> bool {
        !matches!(self.pace, Pace::Interval {})
    }

    /// Whether the interval stays the same.
    pub fn is_fixed(&self) -> bool {
        self.decay >= 1.0
    }

    fn shrunk(&self, steps: u64) -> f64 {
        self.decay.powf(steps as f64)
    }
}

#[expect(clippy::ref_option, reason = "serde asks for it so")]
fn serialize_lasts<S: Serializer>(
    lasts: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serialize_nanos(&lasts.unwrap_or_default(), serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slots_do_not_drift() {
        let schedule = Schedule::fixed(Some(10), Duration::from_nanos(333_333_333));
        assert_eq!(schedule.slot(1), Duration::ZERO);
        assert_eq!(schedule.slot(1_000_001), Duration::from_millis(333_333_333));
        assert_eq!(schedule.slot(u64::MAX), Duration::from_nanos(u64::MAX));
        assert_eq!(
            schedule.interval_after(7),
            Duration::from_nanos(333_333_333)
        );
        assert_eq!(schedule.slots_before(Duration::from_secs(1)), Some(4));
        assert_eq!(schedule.slots_before(Duration::ZERO), Some(1));
    }

    fn at_rate(rate: u32) -> Schedule {
        Schedule::at_rate(None, NonZeroU32::new(rate).unwrap())
    }

    #[test]
    fn a_rate_that_no_interval_has_keeps_it_all_the_same() {
        let thirds = at_rate(3);
        assert_eq!(thirds.slot(2), Duration::from_nanos(333_333_333));
        assert_eq!(thirds.slot(4), Duration::from_secs(1));
        assert_eq!(thirds.slot(3_000_001), Duration::from_secs(1_000_000));
        assert_eq!(thirds.slots_before(Duration::from_secs(2)), Some(6));
        // Several in a nanosecond.
        assert_eq!(at_rate(u32::MAX).slot(5), Duration::ZERO);
        assert_eq!(
            at_rate(u32::MAX).slot(u64::MAX),
            Duration::from_nanos(4_294_967_296_999_999_999)
        );
    }

    proptest! {
        #[test]
        fn slots_are_counted_as_they_lie(rate in 1_u32.., seq in 1..1_u64 << 40) {
            let schedule = at_rate(rate);
            let slot = schedule.slot(seq);
            // The nanosecond before has none of it, and the one after has all of it.
            if slot > Duration::ZERO {
                prop_assert!(schedule.slots_before(slot).unwrap() < seq);
            }
            prop_assert!(schedule.slots_before(slot + Duration::from_nanos(1)).unwrap() >= seq);
        }
    }

    #[test]
    fn several_targets_take_turns() {
        let schedule = Schedule::fixed(Some(10), Duration::from_millis(90));
        let second = schedule.staggered(1, 3);
        assert_eq!(second.slot(1), Duration::from_millis(30));
        assert_eq!(second.slot(4), Duration::from_millis(300));
        assert_eq!(second.slots_before(Duration::from_millis(91)), Some(2));
        let rare = Schedule::fixed(None, Duration::from_secs(3600));
        assert_eq!(rare.staggered(1, 2).slot(1), Duration::from_millis(500));
    }

    #[test]
    fn a_ramp_shrinks_its_interval_after_each_probe_as_the_original_does() {
        let schedule = Schedule {
            decay: 0.95,
            ..Schedule::fixed(Some(200), Duration::from_secs(1))
        };
        // What the original does, step by step.
        let (mut slot, mut interval) = (0.0_f64, 1.0_f64);
        for seq in 1..=200 {
            assert!(
                (schedule.slot(seq).as_secs_f64() - slot).abs() < 1e-8,
                "slot {seq}"
            );
            assert!(
                (schedule.interval_after(seq).as_secs_f64() - interval).abs() < 1e-8,
                "after {seq}"
            );
            slot += interval;
            interval *= 0.95;
        }
        assert_eq!(schedule.slots_before(Duration::from_secs(1)), Some(1));
        assert_eq!(schedule.slots_before(Duration::from_millis(1_950)), Some(2));
        assert_eq!(schedule.slots_before(Duration::from_secs(30)), None);
        // It ends at twenty intervals, however many probes there are.
        assert!(schedule.slot(u64::MAX) <= Duration::from_secs(20));
    }

    #[test]
    fn a_ramp_s_deadline_shrinks_with_its_interval_and_a_given_one_does_not() {
        let ramp = Schedule {
            decay: 0.5,
            ..Schedule::fixed(Some(5), Duration::from_millis(40))
        };
        let deadlines: Vec<_> = (1..=5).map(|seq| ramp.deadline_of(seq)).collect();
        let expected = [40_000, 20_000, 10_000, 5_000, 2_500].map(Duration::from_micros);
        assert_eq!(deadlines, expected);
        let given = Schedule {
            deadline: Some(Duration::from_millis(7)),
            ..ramp
        };
        assert!((1..=5).all(|seq| given.deadline_of(seq) == Duration::from_millis(7)));
    }

    proptest! {
        #[test]
        fn a_ramp_s_answer_is_late_when_the_next_probe_is_due(
            millis in 1..5_000_u64,
            decay in 0.1..0.9999_f64,
            seq in 1..200_u64,
        ) {
            let ramp = Schedule { decay, ..Schedule::fixed(None, Duration::from_millis(millis)) };
            let (slot, next) = (ramp.slot(seq), ramp.slot(seq + 1));
            // Both are rounded, and the slots are sums.
            let apart = next.abs_diff(slot).abs_diff(ramp.deadline_of(seq));
            prop_assert!(apart <= Duration::from_nanos(10), "{apart:?}");
            prop_assert!(ramp.deadline_of(seq + 1) <= ramp.deadline_of(seq));
        }
    }
}
