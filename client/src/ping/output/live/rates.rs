//! How much happened lately.

use std::time::Duration;

/// Parts that the period is counted in, so that old ones drop out one by one.
const PARTS: u64 = 10;

/// Parts held: those of the period, the one that has begun, and a few that events may be late by.
const HELD: usize = 16;

/// Counts what happened in the last period, in constant memory.
#[derive(Debug)]
pub(super) struct Rates {
    part: Duration,
    held: [Part; HELD],
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    number: u64,
    sent: u64,
    answered: u64,
}

/// What happened in a second, on average.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    pub(super) sent: f64,
    pub(super) answered: f64,
}

impl Rates {
    /// Over this period.
    pub(super) fn new(period: Duration) -> Self {
        Self {
            part: (period / 10).max(Duration::from_millis(1)),
            held: [Part::default(); HELD],
        }
    }

    /// A probe was sent.
    pub(super) fn sent(&mut self, at: Duration) {
        if let Some(part) = self.part(at) {
            part.sent += 1;
        }
    }

    /// An answer came.
    pub(super) fn answered(&mut self, at: Duration) {
        if let Some(part) = self.part(at) {
            part.answered += 1;
        }
    }

    /// The rate in the last period, or in what there is of it; none in the first moment.
    pub(super) fn at(&self, now: Duration) -> Option<Rate> {
        let end = self.number(now);
        let begin = end.saturating_sub(PARTS);
        let seconds = self.part.as_secs_f64() * (end - begin) as f64;
        let parts = || {
            self.held
                .iter()
                .filter(move |part| (begin..end).contains(&part.number))
        };
        (end > begin).then(|| Rate {
            sent: parts().map(|part| part.sent).sum::<u64>() as f64 / seconds,
            answered: parts().map(|part| part.answered).sum::<u64>() as f64 / seconds,
        })
    }

    fn number(&self, at: Duration) -> u64 {
        u64::try_from(at.as_nanos() / self.part.as_nanos().max(1)).unwrap_or(u64::MAX)
    }

    /// The part of this time, empty if it is new; none when it is no longer held.
    fn part(&mut self, at: Duration) -> Option<&mut Part> {
        let number = self.number(at);
        let part = self
            .held
            .get_mut(usize::try_from(number % HELD as u64).ok()?)?;
        if part.number < number {
            *part = Part {
                number,
                ..Part::default()
            };
        }
        (part.number == number).then_some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn counts_the_last_period_and_forgets_what_was_before() {
        let mut rates = Rates::new(Duration::from_secs(1));
        assert_eq!(rates.at(ms(99)), None);
        for millis in (0..5_000).step_by(10) {
            rates.sent(ms(millis));
            if millis % 40 == 0 {
                rates.answered(ms(millis));
            }
        }
        let rate = Rate {
            sent: 100.0,
            answered: 25.0,
        };
        assert_eq!(rates.at(ms(5_000)), Some(rate));
        // Nothing happens any more.
        let rate = |sent, answered| Some(Rate { sent, answered });
        assert_eq!(rates.at(ms(5_500)), rate(50.0, 12.0));
        assert_eq!(rates.at(ms(6_000)), rate(0.0, 0.0));
    }

    #[test]
    fn a_run_that_has_just_begun_has_a_rate() {
        let mut rates = Rates::new(Duration::from_secs(1));
        rates.sent(ms(0));
        rates.sent(ms(100));
        let rate = Rate {
            sent: 10.0,
            answered: 0.0,
        };
        assert_eq!(rates.at(ms(200)), Some(rate));
        // Not a whole part more.
        assert_eq!(rates.at(ms(299)), Some(rate));
    }

    #[test]
    fn what_is_too_old_does_not_count() {
        let mut rates = Rates::new(Duration::from_secs(1));
        rates.sent(ms(100_000));
        rates.answered(ms(98_900));
        rates.answered(ms(98_400));
        rates.sent(Duration::MAX);
        let rate = Rate {
            sent: 1.0,
            answered: 0.0,
        };
        assert_eq!(rates.at(ms(100_100)), Some(rate));
    }
}
