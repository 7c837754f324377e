//! How long the thread that sends stays awake for the answer.
//!
//! A core without work goes to sleep, and is awake again some 5 to 50 us after the answer has come: time of this host, and
//! not of the path. So the thread that has sent a probe keeps its core awake, looks for the answer itself, and between two
//! looks lets whoever else wants the core have it. That is worth its price only for answers that come soon.

use std::time::Duration;

/// Of the time between two probes, at most this part is spent awake: one of so many.
const PART: u32 = 5;

/// The longest time: more than an answer within one network takes, and of longer ones the waking is a small part.
const MOST: Duration = Duration::from_micros(500);

/// Each answer that does not come so soon doubles the probes that pass until the next try, up to so many times.
const MOST_DOUBLINGS: u32 = 6;

/// Learns whether answers come so soon that it is worth to stay awake for them.
#[derive(Debug, Default)]
pub struct Vigil {
    /// Answers in a row that did not come in time.
    misses: u32,
    /// Probes that pass until the next try.
    rest: u32,
}

impl Vigil {
    /// How long to stay awake for the answer to a probe, where the next one is sent after this `gap`; none for not at all.
    pub fn begin(&mut self, gap: Duration) -> Option<Duration> {
        if let Some(less) = self.rest.checked_sub(1) {
            self.rest = less;
            return None;
        }
        let most = MOST.min(gap / PART);
        (!most.is_zero()).then_some(most)
    }

    /// Whether the answer came meanwhile.
    pub fn end(&mut self, answered: bool) {
        if answered {
            self.misses = 0;
        } else {
            self.misses = (self.misses + 1).min(MOST_DOUBLINGS);
            self.rest = (1 << self.misses) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_part_of_the_gap_is_spent_and_never_long() {
        let mut vigil = Vigil::default();
        for (gap, most) in [
            (0, 0),
            (100, 20),
            (1_000, 200),
            (2_500, 500),
            (1_000_000, 500),
        ] {
            let [gap, most] = [gap, most].map(Duration::from_micros);
            let most = Some(most).filter(|most| !most.is_zero());
            assert_eq!(vigil.begin(gap), most);
            vigil.end(true);
        }
    }

    #[test]
    fn answers_that_come_late_are_waited_for_less_and_less() {
        let mut vigil = Vigil::default();
        let mut vigils = |probes: u32, answered: bool| {
            let begun = (0..probes).filter(|_| {
                let begun = vigil.begin(SECOND).is_some();
                if begun {
                    vigil.end(answered);
                }
                begun
            });
            begun.count()
        };
        assert_eq!(vigils(100, true), 100);
        // The 1st, 3rd, 7th, 15th, 31st, 63rd, and then one of 64.
        assert_eq!(vigils(63, false), 6);
        assert_eq!(vigils(64 * 100, false), 100);
        // One that comes soon is enough, when it is looked for.
        assert!(vigils(64, true) >= 1);
        assert_eq!(vigils(100, true), 100);
    }
}
