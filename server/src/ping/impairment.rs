//! Loss, delay, duplication and reordering on purpose, drawn from a seed so that a run can be repeated.

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
    /// The probability that an answer is sent twice.
    pub duplicate: f64,
    /// The probability that an answer lets the next one to the same sender go first.
    pub reorder: f64,
}

impl Impairments {
    /// Every message is answered at once.
    pub const NONE: Self = Self {
        loss: 0.0,
        delay: DelayRange::NONE,
        duplicate: 0.0,
        reorder: 0.0,
    };

    /// What the original server does: one in ten is lost, the others wait 0.1 to 500 ms.
    pub const ORIGINAL: Self = Self {
        loss: 0.1,
        delay: DelayRange::ORIGINAL,
        ..Self::NONE
    };
}

impl fmt::Display for Impairments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the noise of the last binary digits.
        let percent = |share: f64| (share * 100.0 * 1e9).round() / 1e9;
        let mut before = "";
        let mut tell = |what: fmt::Arguments<'_>| {
            let result = write!(f, "{before}{what}");
            before = ", ";
            result
        };
        if self.loss > 0.0 {
            tell(format_args!(
                "loses {} % of its answers",
                percent(self.loss)
            ))?;
        }
        let DelayRange { min, max, .. } = self.delay;
        match (min, max) {
            (_, Duration::ZERO) => {}
            (min, max) if min == max => tell(format_args!("delays answers by {min:?}"))?,
            (min, max) => tell(format_args!("delays answers by {min:?} to {max:?}"))?,
        }
        if self.duplicate > 0.0 {
            tell(format_args!("sends {} % twice", percent(self.duplicate)))?;
        }
        if self.reorder > 0.0 {
            tell(format_args!(
                "lets {} % be overtaken",
                percent(self.reorder)
            ))?;
        }
        Ok(())
    }
}

/// What happens to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// No answer.
    Lost,
    /// An answer.
    Answered {
        /// How long it waits.
        delay: Duration,
        /// Whether it is sent twice.
        twice: bool,
        /// Whether it lets the next one to the same sender go first.
        yields: bool,
    },
}

/// What a seed is mixed with for the second row of draws, so that it is another row than the first.
const SECOND_ROW: u64 = 0x9e37_79b9_7f4a_7c15;

/// Draws the fate of each message in turn. The same seed draws the same fates.
#[derive(Debug, Clone)]
pub struct Dice {
    impairments: Impairments,
    is_unimpaired: bool,
    rng: Xoshiro256PlusPlus,
    /// Duplication and reordering have a row of their own: a seed means the same loss and delay as before there were
    /// any.
    second: Xoshiro256PlusPlus,
}

impl Dice {
    /// Dice for these impairments.
    #[must_use]
    pub fn new(impairments: Impairments, seed: u64) -> Self {
        Self {
            impairments,
            is_unimpaired: impairments == Impairments::NONE,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            second: Xoshiro256PlusPlus::seed_from_u64(seed ^ SECOND_ROW),
        }
    }

    /// Whether there is no impairment: then each message is answered at once, and nothing needs to be drawn.
    #[must_use]
    pub fn is_unimpaired(&self) -> bool {
        self.is_unimpaired
    }

    /// The fate of the next message. Everything is drawn for each, in this order, so that one setting does not shift the
    /// draws of another.
    pub fn roll(&mut self) -> Fate {
        let (lost, fate) = self.draw();
        if lost { Fate::Lost } else { fate }
    }

    /// The delay of the next answer that may not be lost; it uses up a fate as [`roll`](Self::roll) does.
    pub fn roll_delay(&mut self) -> Duration {
        match self.draw().1 {
            Fate::Answered { delay, .. } => delay,
            Fate::Lost => Duration::ZERO,
        }
    }

    /// Whether the next message is lost, and its fate if it is not.
    fn draw(&mut self) -> (bool, Fate) {
        let delay = self.delay();
        let lost = self.rng.random::<f64>() < self.impairments.loss;
        let twice = self.second.random::<f64>() < self.impairments.duplicate;
        let yields = self.second.random::<f64>() < self.impairments.reorder;
        let fate = Fate::Answered {
            delay,
            twice,
            yields,
        };
        (lost, fate)
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
    fn what_is_faked_is_told_and_the_rest_is_not() {
        let tell = |impairments: Impairments| impairments.to_string();
        assert_eq!(tell(Impairments::NONE), "");
        assert_eq!(
            tell(Impairments {
                duplicate: 0.07,
                reorder: 0.3,
                ..Impairments::ORIGINAL
            }),
            "loses 10 % of its answers, delays answers by 100µs to 500ms, sends 7 % twice, lets 30 % be overtaken"
        );
    }

    #[test]
    fn the_original_loses_a_tenth_and_delays_in_tenths_of_a_millisecond() {
        let mut dice = Dice::new(Impairments::ORIGINAL, 7);
        let fates: Vec<_> = (0..20_000).map(|_| dice.roll()).collect();
        let mut sum = Duration::ZERO;
        let mut answered = 0;
        for fate in &fates {
            if let Fate::Answered { delay, .. } = fate {
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
    #[test]
    fn a_seed_means_the_same_loss_and_delay_in_every_version() {
        let mut dice = Dice::new(Impairments::ORIGINAL, 7);
        let drawn: Vec<_> = (0..8)
            .map(|_| match dice.roll() {
                Fate::Lost => None,
                Fate::Answered { delay, .. } => Some(delay.as_micros()),
            })
            .collect();
        let ms = |tenths: u128| Some(tenths * 100);
        assert_eq!(
            drawn,
            [
                ms(277),
                ms(3588),
                ms(4819),
                ms(3620),
                None,
                ms(572),
                ms(3670),
                None
            ]
        );
    }

    #[test]
    fn each_setting_comes_as_often_as_asked_and_shifts_no_other() {
        let all = Impairments {
            duplicate: 0.3,
            reorder: 0.2,
            ..Impairments::ORIGINAL
        };
        let roll = |impairments| {
            let mut dice = Dice::new(impairments, 7);
            (0..10_000).map(|_| dice.roll()).collect::<Vec<_>>()
        };
        let (mut doubled, mut yielding) = (0, 0);
        let settings = [
            all,
            Impairments { loss: 0.0, ..all },
            Impairments {
                duplicate: 0.0,
                ..all
            },
            Impairments {
                reorder: 0.0,
                ..all
            },
        ]
        .map(roll);
        for index in 0..10_000 {
            let [with_all, no_loss, no_copies, in_order] = settings.each_ref().map(|of| of[index]);
            let Fate::Answered {
                delay,
                twice,
                yields,
            } = no_loss
            else {
                panic!()
            };
            doubled += u32::from(twice);
            yielding += u32::from(yields);
            if with_all == Fate::Lost {
                assert_eq!((no_copies, in_order), (Fate::Lost, Fate::Lost));
                continue;
            }
            assert_eq!(with_all, no_loss);
            assert_eq!(
                no_copies,
                Fate::Answered {
                    delay,
                    twice: false,
                    yields
                }
            );
            assert_eq!(
                in_order,
                Fate::Answered {
                    delay,
                    twice,
                    yields: false
                }
            );
        }
        // Ten standard deviations.
        assert!((2_540..3_460).contains(&doubled), "{doubled}");
        assert!((1_600..2_400).contains(&yielding), "{yielding}");
    }
}
