//! Loss and delay on purpose, drawn from a seed so that a run can be repeated.

use std::fmt;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use crate::args::DelayRange;

/// What is faked, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Impairments {
    /// The probability that a message is not answered.
    pub loss: f64,
    /// How long an answer waits.
    pub delay: DelayRange,
}

impl Impairments {
    /// Every message is answered at once.
    pub const NONE: Self = Self {
        loss: 0.0,
        delay: DelayRange::NONE,
    };

    /// What the original server does: one in ten is lost, the others wait 0.1 to 500 ms.
    pub const ORIGINAL: Self = Self {
        loss: 0.1,
        delay: DelayRange::ORIGINAL,
    };
}

impl fmt::Display for Impairments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the noise of the last binary digits.
        let percent = (self.loss * 100.0 * 1e9).round() / 1e9;
        write!(f, "loses {percent} % of its answers")?;
        let DelayRange { min, max, .. } = self.delay;
        match (min, max) {
            (_, Duration::ZERO) => Ok(()),
            (min, max) if min == max => write!(f, ", delays the others by {min:?}"),
            (min, max) => write!(f, ", delays the others by {min:?} to {max:?}"),
        }
    }
}

/// What happens to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// No answer.
    Lost,
    /// An answer after so long.
    Delayed(Duration),
}

/// Draws the fate of each message in turn. The same seed draws the same fates.
#[derive(Debug, Clone)]
pub struct Dice {
    impairments: Impairments,
    rng: Xoshiro256PlusPlus,
}

impl Dice {
    /// Dice for these impairments.
    #[must_use]
    pub fn new(impairments: Impairments, seed: u64) -> Self {
        Self {
            impairments,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
        }
    }

    /// The fate of the next message. Delay and loss are both drawn for each, so that one setting does not shift the
    /// draws of the other.
    pub fn roll(&mut self) -> Fate {
        let delay = self.delay();
        if self.rng.random::<f64>() < self.impairments.loss {
            Fate::Lost
        } else {
            Fate::Delayed(delay)
        }
    }

    /// The delay of the next answer that may not be lost; it uses up a fate as [`roll`](Self::roll) does.
    pub fn roll_delay(&mut self) -> Duration {
        let delay = self.delay();
        let _ = self.rng.random::<f64>();
        delay
    }

    fn delay(&mut self) -> Duration {
        let DelayRange { min, max, step } = self.impairments.delay;
        // An hour is the longest delay, so nanoseconds fit.
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let steps = nanos(max.saturating_sub(min)) / nanos(step).max(1);
        min + Duration::from_nanos(nanos(step) * self.rng.random_range(0..=steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_loses_a_tenth_and_delays_in_tenths_of_a_millisecond() {
        let mut dice = Dice::new(Impairments::ORIGINAL, 7);
        let fates: Vec<_> = (0..20_000).map(|_| dice.roll()).collect();
        let mut sum = Duration::ZERO;
        let mut answered = 0;
        for fate in &fates {
            if let Fate::Delayed(delay) = fate {
                assert_eq!(delay.as_nanos() % 100_000, 0);
                assert!((DelayRange::ORIGINAL.min..=DelayRange::ORIGINAL.max).contains(delay));
                sum += *delay;
                answered += 1;
            }
        }
        // Ten standard deviations around 18,000 of 20,000 and around the mean of 250 ms.
        assert!((17_575..18_425).contains(&answered), "{answered}");
        assert!(
            (240..261).contains(&(sum / answered).as_millis()),
            "{sum:?}"
        );
    }

    #[test]
    fn a_seed_repeats_and_loss_does_not_shift_delays() {
        let roll = |loss, seed| {
            let mut dice = Dice::new(
                Impairments {
                    loss,
                    ..Impairments::ORIGINAL
                },
                seed,
            );
            (0..100).map(|_| dice.roll()).collect::<Vec<_>>()
        };
        assert_eq!(roll(0.1, 7), roll(0.1, 7));
        assert_ne!(roll(0.1, 7), roll(0.1, 8));
        for (some, none) in roll(0.5, 7).iter().zip(roll(0.0, 7)) {
            assert!(*some == Fate::Lost || *some == none);
        }
        assert!(roll(1.0, 7).iter().all(|fate| *fate == Fate::Lost));
    }
}
