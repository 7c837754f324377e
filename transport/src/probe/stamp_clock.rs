//! The kernel stamps by the wall clock, which may be set at any time; a run goes by its own clock.
//!
//! The two differ by the same as long as nobody sets the wall clock: both run at the same rate. So a stamp is as good as
//! a reading of the run's clock, provided that the difference was the same before it was made and when it is read.

use std::time::Duration;

use crate::clock::Clock;

/// How far two readings of the difference may be apart without the wall clock having been set: the clocks count in whole
/// nanoseconds, and the processor's counters need not agree to the last tick.
const TOLERANCE: i128 = 200;

/// A reading that took longer says too little.
const LONGEST_READING: Duration = Duration::from_micros(2);

/// How often a reading is taken until it is quick enough: the thread may have been interrupted in the midst of it.
const TRIES: usize = 4;

/// The difference is found out once, so that may take a little longer.
const FIRST_TRIES: usize = 32;

/// A moment that the kernel noted, by the run's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// When it was; zero when that was before the run's clock began.
    pub at: Duration,
    /// When this was read.
    pub read: Duration,
    /// The wall clock was not set from then on until this was read.
    pub steady: Duration,
}

impl Stamp {
    /// Whether it is known to lie within these bounds.
    #[must_use]
    pub fn is_within(&self, earliest: Duration, latest: Duration) -> bool {
        self.steady <= earliest && (earliest..=latest).contains(&self.at)
    }
}

/// Tells moments of the wall clock by the run's clock. Copies go on by themselves.
#[derive(Debug, Clone, Copy)]
pub struct StampClock {
    clock: Clock,
    steady: Steady,
}

/// What is known of the difference between the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Steady {
    /// The wall clock less the run's, in nanoseconds.
    difference: i128,
    /// Since when it is so.
    since: Duration,
}

/// The wall clock, read after one look at the run's clock and before another.
#[derive(Debug, Clone, Copy)]
struct Reading {
    before: Duration,
    wall: u64,
    after: Duration,
}

impl StampClock {
    /// Begins to follow the wall clock.
    #[must_use]
    pub fn start(clock: Clock) -> Self {
        let steady = Steady::from(read(&clock, FIRST_TRIES, Duration::ZERO));
        Self { clock, steady }
    }

    /// A moment of the wall clock, in nanoseconds since the Unix epoch, that is read now.
    pub fn stamp(&mut self, wall: u64) -> Stamp {
        let reading = read(&self.clock, TRIES, LONGEST_READING);
        self.steady = self.steady.observe(reading);
        self.steady.stamp(wall, reading)
    }
}

/// The quickest of so many readings, or the first that is quick enough.
fn read(clock: &Clock, tries: usize, enough: Duration) -> Reading {
    let once = || {
        let now = clock.now();
        Reading {
            before: now.monotonic,
            wall: now.wall,
            after: clock.elapsed(),
        }
    };
    let mut best = once();
    for _ in 1..tries {
        if best.took() <= enough {
            break;
        }
        let next = once();
        if next.took() < best.took() {
            best = next;
        }
    }
    best
}

impl Reading {
    fn took(&self) -> Duration {
        self.after.saturating_sub(self.before)
    }

    /// The least and the most that the clocks can differ by.
    fn difference(&self) -> (i128, i128) {
        let wall = i128::from(self.wall);
        (wall - nanos(self.after), wall - nanos(self.before))
    }
}

impl From<Reading> for Steady {
    fn from(reading: Reading) -> Self {
        let (least, most) = reading.difference();
        Self {
            difference: i128::midpoint(least, most),
            since: reading.after,
        }
    }
}

impl Steady {
    /// What is known after a further reading.
    fn observe(self, reading: Reading) -> Self {
        let (least, most) = reading.difference();
        if (least - TOLERANCE..=most + TOLERANCE).contains(&self.difference) {
            self
        } else {
            Self::from(reading)
        }
    }

    fn stamp(self, wall: u64, reading: Reading) -> Stamp {
        let at = u64::try_from(i128::from(wall) - self.difference).unwrap_or_default();
        Stamp {
            at: Duration::from_nanos(at),
            read: reading.after,
            steady: if reading.took() <= LONGEST_READING {
                self.since
            } else {
                // Nothing is known of the time before.
                reading.after
            },
        }
    }
}

fn nanos(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: u64 = 1_789_000_000_000_000_000;

    const fn us(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    /// A reading at this time, on a wall clock that is ahead by so much.
    fn reading(at: Duration, wall: u64) -> Reading {
        let at_nanos = u64::try_from(at.as_nanos()).unwrap();
        Reading {
            before: at,
            wall: wall + at_nanos + 50,
            after: at + Duration::from_nanos(100),
        }
    }

    #[test]
    fn a_stamp_is_told_by_the_run_s_clock() {
        let steady = Steady::from(reading(us(10), WALL));
        let read = reading(us(1_000), WALL);
        let stamp = steady.observe(read).stamp(WALL + 900_000, read);
        assert_eq!(stamp.at, us(900));
        assert!(stamp.is_within(us(890), stamp.read));
        assert!(!stamp.is_within(us(901), stamp.read));
        assert!(!stamp.is_within(us(800), us(899)));
    }

    #[test]
    fn a_stamp_from_before_the_clock_was_set_is_not_trusted_and_a_later_one_is() {
        for step in [-3_600_000_000_000, -3_000, 3_000, 3_600_000_000_000_i64] {
            let steady = Steady::from(reading(us(10), WALL));
            let wall = WALL.checked_add_signed(step).unwrap();
            let read = reading(us(1_000), wall);
            let after = steady.observe(read);
            // Sent after 990 us; it would seem to be in between by either wall clock.
            for stamped in [WALL, wall] {
                let stamp = after.stamp(stamped + 995_000, read);
                assert!(!stamp.is_within(us(990), stamp.read), "{step} {stamp:?}");
            }
            let read = reading(us(3_000), wall);
            let stamp = after.observe(read).stamp(wall + 2_000_000, read);
            assert_eq!(stamp.at, us(2_000));
            assert!(stamp.is_within(us(1_990), stamp.read));
        }
    }

    #[test]
    fn a_reading_that_was_interrupted_makes_nothing_trusted() {
        let steady = Steady::from(reading(us(10), WALL));
        let slow = Reading {
            after: us(5_000),
            ..reading(us(1_000), WALL)
        };
        let after = steady.observe(slow);
        assert_eq!(after, steady);
        let stamp = after.stamp(WALL + 900_000, slow);
        assert!(!stamp.is_within(us(890), stamp.read));
    }

    #[test]
    fn a_moment_before_the_clock_began_is_no_moment_of_the_run() {
        let steady = Steady::from(reading(us(10), WALL));
        let stamp = steady.stamp(WALL - 1, reading(us(20), WALL));
        assert_eq!(stamp.at, Duration::ZERO);
        assert!(!stamp.is_within(us(11), stamp.read));
    }

    #[test]
    fn the_wall_clock_of_now_is_now() {
        let clock = Clock::start();
        let mut stamps = StampClock::start(clock);
        let before = clock.elapsed();
        let wall = clock.now().wall;
        let stamp = stamps.stamp(wall);
        // Two roundings and half of a reading.
        let slack = us(5);
        assert!(stamp.at + slack >= before, "{stamp:?} {before:?}");
        assert!(stamp.at <= stamp.read + slack, "{stamp:?}");
    }
}
