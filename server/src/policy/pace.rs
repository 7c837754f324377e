//! A rate with a burst, as the generic cell rate algorithm has it.

use std::time::Duration;

use crate::args::Rate;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// How much is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Everything.
    Unlimited,
    /// This rate.
    Rate {
        /// Units (datagrams, or octets) a second.
        per_second: u64,
        /// Units at once, after a rest.
        burst: u64,
    },
    /// Nothing.
    Nothing,
}

impl Limit {
    /// A rate whose burst is one second's worth; 0 lets nothing through.
    #[must_use]
    pub const fn per_second(per_second: u64) -> Self {
        Self::with_burst(per_second, per_second)
    }

    /// A rate with this burst; 0 as either lets nothing through.
    #[must_use]
    pub const fn with_burst(per_second: u64, burst: u64) -> Self {
        if per_second == 0 || burst == 0 {
            return Self::Nothing;
        }
        Self::Rate { per_second, burst }
    }

    /// Returns the limit that is `times / parts` of this one, in rate and burst. What is not nothing stays at least 1.
    #[must_use]
    pub const fn scaled(self, times: u64, parts: u64) -> Self {
        const fn scale(value: u64, times: u64, parts: u64) -> u64 {
            match value.saturating_mul(times).checked_div(parts) {
                Some(0) => 1,
                Some(scaled) => scaled,
                None => u64::MAX,
            }
        }
        match self {
            Self::Rate { per_second, burst } => {
                if times == 0 {
                    return Self::Nothing;
                }
                Self::with_burst(scale(per_second, times, parts), scale(burst, times, parts))
            }
            other => other,
        }
    }
}

/// The rate of an option for which 0 is no limit, with a burst of one second's worth.
impl From<Rate> for Limit {
    fn from(rate: Rate) -> Self {
        rate.0
            .map_or(Self::Unlimited, |rate| Self::per_second(rate.get().into()))
    }
}

/// A limit, prepared for decisions. What a source has used of it is one `u64`, its cell: the time, in ticks, at which
/// all that was let through would have come at the allowed rate. A cell of 0 has used nothing.
///
/// The length of a tick depends on the rate, so that a unit is a whole number of ticks and no rate is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    limit: Limit,
    /// Ticks that one unit takes at the allowed rate.
    unit: u64,
    /// Ticks a second: `unit` times the rate, as near to a nanosecond as that comes.
    ticks_per_second: u64,
    /// Ticks that a cell may be ahead of the clock.
    burst: u64,
}

impl Pace {
    /// Prepares a limit.
    #[must_use]
    pub const fn new(limit: Limit) -> Self {
        let (per_second, burst) = match limit {
            Limit::Rate { per_second, burst } if per_second > 0 => (per_second, burst),
            Limit::Rate { .. } | Limit::Unlimited | Limit::Nothing => (NANOS_PER_SECOND, 0),
        };
        let nanos = NANOS_PER_SECOND / per_second;
        let unit = if nanos == 0 { 1 } else { nanos };
        Self {
            limit,
            unit,
            ticks_per_second: unit.saturating_mul(per_second),
            burst: burst.saturating_mul(unit),
        }
    }

    /// The limit.
    #[must_use]
    pub const fn limit(&self) -> Limit {
        self.limit
    }

    /// Lets `cost` units through now if all of them are within the limit, and charges the cell for them; otherwise
    /// changes nothing.
    #[must_use]
    #[inline]
    pub fn take(&self, cell: &mut u64, cost: u64, now: Duration) -> bool {
        let is_within = self.has_room(*cell, cost, now);
        if is_within {
            self.charge(cell, cost, now);
        }
        is_within
    }

    /// Whether `cost` units more would be within the limit now.
    #[must_use]
    #[inline]
    pub fn has_room(&self, cell: u64, cost: u64, now: Duration) -> bool {
        match self.limit {
            Limit::Unlimited => true,
            Limit::Nothing => false,
            Limit::Rate { .. } => {
                // What does not fit into 64 bits is no room.
                let ticks = cost.checked_mul(self.unit);
                ticks.is_some_and(|ticks| ticks <= self.free_ticks(cell, now))
            }
        }
    }

    /// Returns how many units more would be within the limit now.
    #[must_use]
    #[inline]
    pub fn left(&self, cell: u64, now: Duration) -> u64 {
        match self.limit {
            Limit::Unlimited => u64::MAX,
            Limit::Nothing => 0,
            Limit::Rate { .. } => self
                .free_ticks(cell, now)
                .checked_div(self.unit)
                .unwrap_or(0),
        }
    }

    /// Charges the cell for `cost` units that are let through at `now`, whether there is room for them or not.
    #[inline]
    pub fn charge(&self, cell: &mut u64, cost: u64, now: Duration) {
        if let Limit::Rate { .. } = self.limit {
            let due = (*cell).max(self.ticks(now));
            *cell = due.saturating_add(cost.saturating_mul(self.unit));
        }
    }

    /// Returns how long it takes until `cost` units more would be within the limit: nothing where they are now, `None` where
    /// they never will be.
    #[must_use]
    pub fn wait(&self, cell: u64, cost: u64, now: Duration) -> Option<Duration> {
        match self.limit {
            Limit::Unlimited => Some(Duration::ZERO),
            Limit::Nothing => None,
            Limit::Rate { .. } => {
                let needed = cost
                    .checked_mul(self.unit)
                    .filter(|ticks| *ticks <= self.burst)?;
                // What was charged beyond the burst is waited for too.
                let ahead = cell.saturating_sub(self.ticks(now));
                let short = ahead.saturating_add(needed).saturating_sub(self.burst);
                let nanos = (u128::from(short) * u128::from(NANOS_PER_SECOND))
                    .div_ceil(u128::from(self.ticks_per_second));
                u64::try_from(nanos).ok().map(Duration::from_nanos)
            }
        }
    }

    fn free_ticks(&self, cell: u64, now: Duration) -> u64 {
        let ahead = cell.saturating_sub(self.ticks(now));
        self.burst.saturating_sub(ahead)
    }

    /// The clock in ticks. Rounded down, which is no error that adds up: it is read anew each time.
    fn ticks(&self, now: Duration) -> u64 {
        let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        if self.ticks_per_second == NANOS_PER_SECOND {
            return nanos;
        }
        let ticks =
            u128::from(nanos) * u128::from(self.ticks_per_second) / u128::from(NANOS_PER_SECOND);
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }
}

impl From<Limit> for Pace {
    fn from(limit: Limit) -> Self {
        Self::new(limit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A second implementation: a bucket that runs empty at the allowed rate, in exact arithmetic.
    struct Oracle {
        per_second: u128,
        burst: u128,
        /// What is in it, in parts of `NANOS_PER_SECOND` of a unit.
        level: u128,
        at: u64,
    }

    impl Oracle {
        fn new(per_second: u64, burst: u64) -> Self {
            let [per_second, burst] = [per_second, burst].map(u128::from);
            Self {
                per_second,
                burst,
                level: 0,
                at: 0,
            }
        }

        fn take(&mut self, cost: u64, at: u64) -> bool {
            let gone = u128::from(at - self.at) * self.per_second;
            self.level = self.level.saturating_sub(gone);
            self.at = at;
            let level = self.level + u128::from(cost) * u128::from(NANOS_PER_SECOND);
            let is_within = level <= self.burst * u128::from(NANOS_PER_SECOND);
            if is_within {
                self.level = level;
            }
            is_within
        }
    }

    fn taken(pace: &Pace, cell: &mut u64, tries: u64, at: Duration) -> u64 {
        (0..tries).map(|_| u64::from(pace.take(cell, 1, at))).sum()
    }

    #[test]
    fn burst_is_let_through_at_once_and_then_the_rate() {
        for (limit, burst, in_ten_seconds) in [
            (Limit::with_burst(1, 50), 50, 10),
            (Limit::with_burst(100, 500), 500, 500),
            (Limit::with_burst(1, 20), 20, 10),
            (Limit::per_second(20_000), 20_000, 20_000),
            (Limit::per_second(3), 3, 3),
            (Limit::per_second(7_777), 7_777, 7_777),
            (Limit::per_second(3_000_001), 3_000_001, 3_000_001),
        ] {
            let pace = Pace::new(limit);
            let mut cell = 0;
            let start = Duration::from_secs(1_000_000);
            assert_eq!(
                taken(&pace, &mut cell, burst + 10, start),
                burst,
                "{limit:?}"
            );
            let later = start + Duration::from_secs(10);
            let taken = taken(&pace, &mut cell, in_ten_seconds + 10, later);
            assert_eq!(taken, in_ten_seconds, "{limit:?}");
        }
    }

    #[test]
    fn no_rate_is_rounded() {
        // What goes in a second at exactly the rate, after the burst.
        for rate in [
            1,
            3,
            20_000,
            999_999_999,
            12_500_000,
            1_250_000_000,
            4_000_000_000,
        ] {
            let pace = Pace::new(Limit::per_second(rate));
            let mut cell = 0;
            let mut now = Duration::from_secs(9);
            assert!(pace.take(&mut cell, rate, now) && !pace.take(&mut cell, 1, now));
            for _ in 0..1000 {
                now += Duration::from_secs(1);
                assert_eq!(pace.left(cell, now), rate);
                assert!(pace.take(&mut cell, rate, now), "{rate}");
                assert!(!pace.take(&mut cell, 1, now), "{rate}");
            }
        }
    }

    #[test]
    fn unlimited_lets_everything_through_and_nothing_lets_none() {
        let mut cell = 0;
        let unlimited = Pace::new(Limit::Unlimited);
        assert!(unlimited.take(&mut cell, u64::MAX, Duration::MAX));
        assert_eq!((cell, unlimited.left(cell, Duration::ZERO)), (0, u64::MAX));
        for limit in [Limit::per_second(0), Limit::with_burst(5, 0)] {
            assert_eq!(limit, Limit::Nothing);
            let nothing = Pace::new(limit);
            assert!(!nothing.take(&mut cell, 1, Duration::from_secs(100)));
            assert_eq!(nothing.left(cell, Duration::from_secs(100)), 0);
        }
        assert_eq!(Limit::from(Rate(None)), Limit::Unlimited);
    }

    #[test]
    fn a_limit_is_scaled_in_rate_and_burst() {
        let limit = Limit::with_burst(100, 500);
        assert_eq!(limit.scaled(4, 1), Limit::with_burst(400, 2000));
        assert_eq!(limit.scaled(10, 4), Limit::with_burst(250, 1250));
        assert_eq!(Limit::per_second(1).scaled(1, 4), Limit::per_second(1));
        assert_eq!(Limit::Nothing.scaled(4, 1), Limit::Nothing);
        assert_eq!(Limit::Unlimited.scaled(4, 1), Limit::Unlimited);
    }

    /// Rates whose tick is a nanosecond, so that no clock is rounded.
    fn exact_rate() -> impl Strategy<Value = u64> {
        prop::sample::select(vec![
            1,
            2,
            10,
            50,
            100,
            1_000,
            20_000,
            12_500_000,
            1_000_000_000,
        ])
    }

    proptest! {
        #[test]
        fn decides_as_a_plain_bucket_does(
            rate in exact_rate(),
            burst in 1..2000_u64,
            steps in prop::collection::vec((0..30_000_000_000_u64, 0..4_u32, 0..60_u64), 1..200),
        ) {
            let pace = Pace::new(Limit::with_burst(rate, burst));
            let mut oracle = Oracle::new(rate, burst);
            let (mut cell, mut at) = (0, 0);
            for (wait, scale, cost) in steps {
                // Waits of all sizes beside the time of a unit.
                at += (wait / rate) >> (scale * 4);
                let now = Duration::from_nanos(at);
                let left = pace.left(cell, now);
                let is_within = pace.take(&mut cell, cost, now);
                prop_assert_eq!(is_within, oracle.take(cost, at));
                prop_assert_eq!(is_within, cost <= left);
                if is_within {
                    prop_assert_eq!(pace.left(cell, now), left - cost);
                }
            }
        }

        #[test]
        fn lets_through_no_more_than_burst_and_rate_in_any_window(
            rate in prop_oneof![1..100_u64, 1..5_000_000_000_u64],
            burst in 1..300_u64,
            start in 0..u64::MAX / 8,
            waits in prop::collection::vec(0..4_000_000_000_u64, 1..200),
        ) {
            let pace = Pace::new(Limit::with_burst(rate, burst));
            let (mut cell, mut at) = (0, start);
            let mut gone = Vec::new();
            for wait in waits {
                at += wait / rate;
                for _ in 0..3 {
                    if pace.take(&mut cell, 1, Duration::from_nanos(at)) {
                        gone.push(at);
                    }
                }
            }
            for first in 0..gone.len() {
                for last in first..gone.len() {
                    let in_window = (last - first + 1) as u128;
                    let nanos = u128::from(gone[last] - gone[first]);
                    // A clock that is rounded down is late by less than a tick, which is at most one unit.
                    let most = u128::from(burst) * u128::from(NANOS_PER_SECOND)
                        + nanos * u128::from(rate)
                        + u128::from(NANOS_PER_SECOND) / u128::from(pace.unit);
                    prop_assert!(in_window * u128::from(NANOS_PER_SECOND) <= most);
                }
            }
        }

        #[test]
        fn no_time_cost_or_rate_overflows(
            rate: u64, burst: u64, mut cell: u64, cost: u64, at: u64, back: u64,
        ) {
            let pace = Pace::new(Limit::with_burst(rate, burst));
            let now = Duration::from_nanos(at);
            let left = pace.left(cell, now);
            prop_assert!(left <= burst);
            prop_assert_eq!(pace.take(&mut cell, cost, now), cost <= left);
            // A clock that goes back gives nothing.
            let before = Duration::from_nanos(at.saturating_sub(back));
            prop_assert!(pace.left(cell, before) <= pace.left(cell, now));
            pace.charge(&mut cell, u64::MAX, Duration::MAX);
            let _ = pace.left(cell, Duration::MAX);
        }
    }

    #[test]
    fn what_was_charged_beyond_the_burst_is_waited_for() {
        let pace = Pace::new(Limit::with_burst(1, 2));
        let mut cell = 0;
        pace.charge(&mut cell, 5, Duration::ZERO);
        let wait = pace.wait(cell, 1, Duration::ZERO);
        assert_eq!(wait, Some(Duration::from_secs(4)));
    }

    proptest! {
        #[test]
        fn what_waits_as_long_as_it_is_told_is_within_the_limit_and_not_sooner(
            per_second in 1..3_000_000_u64,
            burst in 1..5_000_u64,
            used in 0..10_000_u64,
            cost in 1..6_000_u64,
            at in 0..1_000_000_000_000_u64,
        ) {
            let pace = Pace::new(Limit::with_burst(per_second, burst));
            let at = Duration::from_nanos(at);
            let mut cell = 0;
            pace.charge(&mut cell, used, at);
            match pace.wait(cell, cost, at) {
                None => prop_assert!(cost > burst),
                Some(wait) => {
                    prop_assert!(pace.has_room(cell, cost, at + wait));
                    if let Some(sooner) = wait.checked_sub(Duration::from_nanos(2)) {
                        prop_assert!(!pace.has_room(cell, cost, at + sooner));
                    }
                }
            }
        }
    }
}
