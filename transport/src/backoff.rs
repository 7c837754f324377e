//! Exponential back-off of a call that was refused.

use std::time::Duration;

/// The first pause, and the one after a success.
pub(crate) const MIN_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
pub(crate) const MAX_PAUSE: Duration = Duration::from_secs(60);

/// A pause and how long the next one is. Times are those of one monotonic clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// The end of the last pause and its length, until a call succeeds.
    last: Option<(Duration, Duration)>,
}

impl Backoff {
    /// Whether the pause goes on. The clock is read only if there was one since the last success.
    pub(crate) fn is_on(&self, now: impl FnOnce() -> Duration) -> bool {
        self.last.is_some_and(|(end, _)| now() < end)
    }

    /// Begins a pause, twice as long as the last one, and returns its length.
    pub(crate) fn begin(&mut self, now: Duration) -> Duration {
        let length = self.last.map_or(MIN_PAUSE, |(_, length)| {
            length.saturating_mul(2).min(MAX_PAUSE)
        });
        self.last = Some((now.saturating_add(length), length));
        length
    }

    /// Records a success: there is no pause, and the next one is short again.
    pub(crate) fn reset(&mut self) {
        self.last = None;
    }

    /// Whether there was no pause since the last success.
    pub(crate) fn is_reset(&self) -> bool {
        self.last.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_short_again_after_a_success() {
        let mut backoff = Backoff::default();
        let mut now = Duration::ZERO;
        assert!(!backoff.is_on(|| unreachable!("the clock is not read")));
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let length = backoff.begin(now);
            assert_eq!(length, Duration::from_secs(seconds));
            assert!(backoff.is_on(|| now + length.mul_f64(0.999)));
            now += length;
            assert!(!backoff.is_on(|| now));
            assert!(!backoff.is_reset());
        }
        backoff.reset();
        assert!(backoff.is_reset());
        assert_eq!(backoff.begin(now), MIN_PAUSE);
    }
}
