//! How fast messages follow one another.

use std::time::Duration;

use hii_server::args::Rate;

/// Gives each message its slot, at a rate that is not gone beyond: what was late is not made up for.
#[derive(Debug)]
pub struct Pace {
    gap: Duration,
    next: Duration,
}

impl Pace {
    /// At most so many a second.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self {
            gap: rate
                .0
                .map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate.get()),
            next: Duration::ZERO,
        }
    }

    /// How long the next message has to wait from now on.
    pub fn wait(&mut self, now: Duration) -> Duration {
        let slot = self.next.max(now);
        self.next = slot.saturating_add(self.gap);
        slot.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use hii_server::args::rate;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn messages_have_slots_of_their_own_and_nothing_is_made_up_for() {
        let mut pace = Pace::new(rate("100/s").unwrap());
        assert_eq!(pace.wait(5 * MS), Duration::ZERO);
        assert_eq!(pace.wait(6 * MS), 9 * MS);
        // It slept a little too long, which does not shift the slots.
        assert_eq!(pace.wait(17 * MS), 8 * MS);
        assert_eq!(pace.wait(500 * MS), Duration::ZERO);
        assert_eq!(pace.wait(500 * MS), 10 * MS);
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut pace = Pace::new(rate("0").unwrap());
        assert!((0..9).all(|_| pace.wait(MS) == Duration::ZERO));
    }
}
