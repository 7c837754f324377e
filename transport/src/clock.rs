//! One clock for a run: monotonic time since its start, and waiting for an absolute point of it.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Looks at two clocks that are so close together are as good as one.
const CLOSE: Duration = Duration::from_micros(5);

/// Looks at most, where the system lets others go first between two of them.
const MOST_READINGS: u32 = 3;

/// A monotonic clock that starts at zero. Copies tell the same time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: imp::Origin,
}

/// One moment by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since the clock's start.
    pub monotonic: Duration,
    /// The wall clock, in nanoseconds since the Unix epoch.
    pub wall: u64,
}

impl Clock {
    /// A clock that is at zero now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            origin: imp::Origin::now(),
        }
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Both clocks at once: as close together as they can be read.
    #[must_use]
    pub fn now(&self) -> Now {
        self.reading().now
    }

    /// What the wall clock showed when this one was at zero, had it not been set since: nanoseconds since the Unix epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        *self.epoch_range().end()
    }

    /// The same, and how far it may be off: between two looks at one clock lies one at the other, and who looks may be
    /// kept waiting.
    #[must_use]
    pub fn epoch_range(&self) -> RangeInclusive<u64> {
        let Reading { now, after } = self.reading();
        let less = |time: Duration| {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            now.wall.saturating_sub(nanos)
        };
        less(after)..=less(now.monotonic)
    }

    fn reading(&self) -> Reading {
        let mut best = self.read();
        for _ in 1..MOST_READINGS {
            if best.spread() <= CLOSE {
                break;
            }
            let next = self.read();
            if next.spread() < best.spread() {
                best = next;
            }
        }
        best
    }

    fn read(&self) -> Reading {
        let monotonic = self.elapsed();
        let wall = wall_nanos();
        Reading {
            now: Now { monotonic, wall },
            after: self.elapsed(),
        }
    }

    /// Blocks the thread until the clock reaches `at`; returns at once when it has. The wait is to an absolute time, so
    /// waits in a row do not drift.
    pub fn sleep_until(&self, at: Duration) {
        self.origin.sleep_until(at);
    }

    /// The same, but the last of the wait is not slept, so that the thread need not be woken for it. It takes the
    /// processor that long.
    pub fn spin_until(&self, at: Duration) {
        self.sleep_until(at.saturating_sub(SPIN));
        while self.elapsed() < at {
            std::hint::spin_loop();
        }
    }
}

/// How long before a point in time to stay awake for it: longer than it usually takes to wake a thread.
pub const SPIN: Duration = Duration::from_micros(100);

/// Lets the calling thread sleep no longer than it asks to; best effort. By default the kernel may wake it some 50 us
/// later, together with others.
pub fn sleep_exactly() {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_timerslack(1) {
        tracing::debug!(%error, "timers stay as they are");
    }
}

/// A look at the wall clock between two at the other.
#[derive(Debug, Clone, Copy)]
struct Reading {
    now: Now,
    after: Duration,
}

impl Reading {
    fn spread(&self) -> Duration {
        self.after.saturating_sub(self.now.monotonic)
    }
}

/// The wall clock in nanoseconds since the Unix epoch; 0 before it.
fn wall_nanos() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
        })
}

#[cfg(target_os = "linux")]
mod imp {
    use std::time::Duration;

    use nix::errno::Errno;
    use nix::sys::time::TimeSpec;
    use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

    #[derive(Debug, Clone, Copy)]
    pub(super) struct Origin(Duration);

    impl Origin {
        pub(super) fn now() -> Self {
            Self(monotonic())
        }

        pub(super) fn elapsed(self) -> Duration {
            monotonic().saturating_sub(self.0)
        }

        pub(super) fn sleep_until(self, at: Duration) {
            let until = TimeSpec::from_duration(self.0 + at);
            let clock = ClockId::CLOCK_MONOTONIC;
            while clock_nanosleep(clock, ClockNanosleepFlags::TIMER_ABSTIME, &until)
                == Err(Errno::EINTR)
            {}
        }
    }

    fn monotonic() -> Duration {
        // Linux has this clock always.
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::time::{Duration, Instant};

    #[derive(Debug, Clone, Copy)]
    pub(super) struct Origin(Instant);

    impl Origin {
        pub(super) fn now() -> Self {
            Self(Instant::now())
        }

        pub(super) fn elapsed(self) -> Duration {
            self.0.elapsed()
        }

        pub(super) fn sleep_until(self, at: Duration) {
            while let Some(left) = at
                .checked_sub(self.elapsed())
                .filter(|left| !left.is_zero())
            {
                std::thread::sleep(left);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_wakes_early_and_the_past_does_not_wait() {
        let clock = Clock::start();
        for step in 1..=5 {
            let at = Duration::from_micros(300) * step;
            clock.sleep_until(at);
            assert!(clock.elapsed() >= at);
        }
        clock.sleep_until(Duration::ZERO);
        clock.spin_until(Duration::ZERO);
        let at = clock.elapsed() + Duration::from_micros(300);
        clock.spin_until(at);
        assert!(clock.elapsed() >= at);
        assert!(clock.now().wall > 0);
    }

    #[test]
    fn the_epoch_is_the_same_whenever_it_is_looked_at() {
        let clock = Clock::start();
        let first = clock.epoch_range();
        for _ in 0..100 {
            let range = clock.epoch_range();
            assert!(range.start() <= range.end());
            // They have one moment in common, unless the clock is being set just now.
            assert!(range.start() <= first.end() && first.start() <= range.end());
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_can_ask_for_exact_timers() {
        let asked = std::thread::spawn(|| {
            sleep_exactly();
            nix::sys::prctl::get_timerslack()
        });
        assert_eq!(asked.join().unwrap(), Ok(1));
    }
}
