//! The rounds of one program, until one fails.

use super::figures::Rounds;
use super::trouble::{Outcome, Trouble};

/// Figures round by round, or what kept one from being measured: no round after that is tried.
#[derive(Debug, Clone)]
pub struct Series(Outcome<Rounds>);

impl Series {
    /// No round yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Ok(Rounds::default()))
    }

    /// Measures a round, unless one before failed.
    pub fn add(&mut self, round: impl FnOnce() -> Outcome<f64>) {
        if let Ok(rounds) = &mut self.0 {
            match round() {
                Ok(figure) => rounds.push(figure),
                Err(trouble) => self.0 = Err(trouble),
            }
        }
    }

    /// All rounds.
    ///
    /// # Errors
    /// One failed.
    pub fn rounds(self) -> Outcome<Rounds> {
        self.0
    }
}

impl Default for Series {
    fn default() -> Self {
        Self::new()
    }
}

/// What there is, without taking it.
///
/// # Errors
/// There is nothing.
pub fn borrow<T>(outcome: &Outcome<T>) -> Outcome<&T> {
    outcome.as_ref().map_err(Trouble::clone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_round_is_the_last_and_says_why() {
        let mut series = Series::new();
        series.add(|| Ok(1.0));
        series.add(|| Err("broken".into()));
        series.add(|| unreachable!());
        assert_eq!(series.rounds(), Err("broken".into()));
    }
}
