//! Log lines in bounded number, however often a stranger causes them.
//!
//! Each [`sampled!`](crate::sampled!) is a kind of line of its own. A kind has [`MAX_LINES`] lines a second; the others are
//! counted, and the next line of the kind has their number as `left_out`. What no line follows is reported by
//! [`report_left_out`] at the end of the program.

use std::mem;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;

/// Lines of one kind in a second.
pub const MAX_LINES: u32 = 10;

/// Decides which lines of one kind are written, and counts the others. Times are those of one monotonic clock.
#[derive(Debug, Default)]
pub struct Sampler {
    second: u64,
    lines: u32,
    left_out: u64,
}

impl Sampler {
    /// A sampler that has left nothing out.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            second: 0,
            lines: 0,
            left_out: 0,
        }
    }

    /// Whether the line of this moment is written, and how many were left out before it.
    pub fn take(&mut self, now: Duration) -> Option<u64> {
        if now.as_secs() > self.second {
            self.second = now.as_secs();
            self.lines = 0;
        }
        if self.lines >= MAX_LINES {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(mem::take(&mut self.left_out))
    }
}

/// The lines of one kind, from all threads.
#[derive(Debug)]
pub struct Kind {
    sampler: Mutex<Sampler>,
    /// Writes the line about those that were left out last.
    report: fn(u64),
}

/// All kinds of which a line was left out since the last report.
static KINDS: Mutex<Vec<&'static Kind>> = Mutex::new(Vec::new());

impl Kind {
    /// A kind of line, with what writes a line about those that were left out last.
    #[must_use]
    pub const fn new(report: fn(u64)) -> Self {
        Self {
            sampler: Mutex::new(Sampler::new()),
            report,
        }
    }

    /// Whether the line of this moment is written, and how many were left out before it.
    pub fn take(&'static self, now: Duration) -> Option<u64> {
        let mut sampler = lock(&self.sampler);
        let before = sampler.left_out;
        let taken = sampler.take(now);
        let is_first_left_out = before == 0 && sampler.left_out > 0;
        drop(sampler);
        if is_first_left_out {
            let mut kinds = lock(&KINDS);
            if !kinds.iter().any(|kind| std::ptr::eq(*kind, self)) {
                kinds.push(self);
            }
        }
        taken
    }
}

/// Writes a line for each kind that has left lines out since its last one.
pub fn report_left_out() {
    let kinds = mem::take(&mut *lock(&KINDS));
    for kind in kinds {
        let left_out = mem::take(&mut lock(&kind.sampler).left_out);
        if left_out > 0 {
            (kind.report)(left_out);
        }
    }
}

/// Time since the first line of any kind.
#[must_use]
pub fn now() -> Duration {
    static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::start);
    CLOCK.elapsed()
}

/// A number of lines left out, as a field that only lines have before which some were.
#[must_use]
pub fn some(left_out: u64) -> Option<u64> {
    (left_out > 0).then_some(left_out)
}

/// Nothing is done under these locks that could leave their content half written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Logs a line that somebody remote can cause again and again, unless its kind had its lines in this second. Each use is a
/// kind of its own; a level that is off leaves nothing out.
///
/// ```
/// use hii_transport::sampled;
///
/// let (from, error) = ("192.0.2.1:7", "another key");
/// sampled!(info, "not let in", %from, %error);
/// // At a given time, of one monotonic clock.
/// sampled!(at std::time::Duration::ZERO, debug, "denied", %from);
/// ```
#[macro_export]
macro_rules! sampled {
    (at $now:expr, $level:ident, $what:literal $(, $($field:tt)+)?) => {
        if $crate::sampled!(@enabled $level) {
            static KIND: $crate::sampled::Kind = $crate::sampled::Kind::new(|left_out| {
                ::tracing::$level!(left_out, of = $what, "lines left out");
            });
            if let Some(left_out) = KIND.take($now) {
                let left_out = $crate::sampled::some(left_out);
                ::tracing::$level!($($($field)+,)? left_out, $what);
            }
        }
    };
    (@enabled debug) => { ::tracing::enabled!(::tracing::Level::DEBUG) };
    (@enabled info) => { ::tracing::enabled!(::tracing::Level::INFO) };
    (@enabled warn) => { ::tracing::enabled!(::tracing::Level::WARN) };
    ($level:ident, $($line:tt)+) => {
        $crate::sampled!(at $crate::sampled::now(), $level, $($line)+)
    };
}

#[cfg(test)]
#[path = "sampled_tests.rs"]
mod tests;
