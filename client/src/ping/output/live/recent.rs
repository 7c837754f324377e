//! The probes that the chart shows: those of the last while, in bounded memory however many there are.

use std::collections::VecDeque;
use std::time::Duration;

use crate::ping::figures::nanos;
use crate::ping::plot::dots::Mark;

/// Slots of time that the while is divided into: about as many as the widest terminal has dots.
const SLOTS: u64 = 512;

/// Answers kept of one slot: the fastest and the slowest of it, and the first others.
const MOST_ANSWERS: usize = 8;

/// Probes of the last while, by when they were sent after the start.
#[derive(Debug)]
pub(super) struct Recent {
    /// How long a slot is.
    slot: Duration,
    /// The number of the first slot held.
    first: u64,
    slots: VecDeque<Slot>,
}

#[derive(Debug, Clone, Default)]
struct Slot {
    answers: Vec<Answer>,
    /// How many probes that were not answered have which mark.
    marks: [u32; Mark::ALL.len()],
}

/// An answered probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// When it was sent.
    pub(super) at: Duration,
    pub(super) rtt: Duration,
    pub(super) is_late: bool,
}

impl Recent {
    /// Holds probes for so long after they were sent.
    pub(super) fn new(span: Duration) -> Self {
        let slot = span.as_nanos().div_ceil(u128::from(SLOTS)).max(1_000);
        Self {
            slot: Duration::from_nanos(u64::try_from(slot).unwrap_or(u64::MAX)),
            first: 0,
            slots: VecDeque::new(),
        }
    }

    /// Adds an answered probe.
    pub(super) fn add(&mut self, answer: Answer) {
        let Some((_, slot)) = self.slot(answer.at) else {
            return;
        };
        if slot.answers.len() < MOST_ANSWERS {
            slot.answers.push(answer);
            return;
        }
        let fastest = slot.answers.iter_mut().min_by_key(|kept| kept.rtt);
        if let Some(fastest) = fastest.filter(|kept| answer.rtt < kept.rtt) {
            *fastest = answer;
            return;
        }
        let slowest = slot.answers.iter_mut().max_by_key(|kept| kept.rtt);
        if let Some(slowest) = slowest.filter(|kept| answer.rtt > kept.rtt) {
            *slowest = answer;
        }
    }

    /// Marks a probe that was sent then and not answered.
    pub(super) fn mark(&mut self, at: Duration, mark: Mark) {
        if let Some(count) = self.count(at, mark) {
            *count = count.saturating_add(1);
        }
    }

    /// Takes back a mark.
    pub(super) fn unmark(&mut self, at: Duration, mark: Mark) {
        if let Some(count) = self.count(at, mark) {
            *count = count.saturating_sub(1);
        }
    }

    /// The answered probes.
    pub(super) fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.slots.iter().flat_map(|slot| &slot.answers)
    }

    /// When probes with this mark were sent, to the slot.
    pub(super) fn marks(&self, mark: Mark) -> impl Iterator<Item = Duration> {
        let slots = (self.first..).zip(&self.slots);
        slots.filter_map(move |(number, slot)| {
            let count = slot.marks.get(mark as usize)?;
            let begin = nanos(self.slot).saturating_mul(number);
            (*count > 0).then_some(Duration::from_nanos(begin))
        })
    }

    fn count(&mut self, at: Duration, mark: Mark) -> Option<&mut u32> {
        let (_, slot) = self.slot(at)?;
        slot.marks.get_mut(mark as usize)
    }

    /// The slot of this time and its number; none when it is no longer held.
    fn slot(&mut self, at: Duration) -> Option<(u64, &mut Slot)> {
        let number = nanos(at) / nanos(self.slot);
        let end = self.first + self.slots.len() as u64;
        if number >= end + SLOTS {
            // Nothing of what is held is recent any more.
            self.slots.clear();
            self.first = number;
        }
        while number >= self.first + self.slots.len() as u64 {
            self.slots.push_back(Slot::default());
            // One more than the while has, since the first is seldom shown whole.
            if self.slots.len() as u64 > SLOTS + 1 {
                self.slots.pop_front();
                self.first += 1;
            }
        }
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        Some((number, self.slots.get_mut(index)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(60);

    fn answer(at: Duration, micros: u64) -> Answer {
        Answer {
            at,
            rtt: Duration::from_micros(micros),
            is_late: false,
        }
    }

    #[test]
    fn memory_is_bounded_and_the_extremes_of_each_moment_stay() {
        let mut recent = Recent::new(SPAN);
        for probe in 0..400_000_u64 {
            let at = Duration::from_millis(probe);
            recent.add(answer(at, 1000 + probe % 100));
            recent.mark(at, Mark::LostBack);
        }
        assert!(recent.slots.len() as u64 <= SLOTS + 1);
        assert!(recent.answers().count() as u64 <= (SLOTS + 1) * MOST_ANSWERS as u64);
        let oldest = recent.answers().map(|answer| answer.at).min().unwrap();
        assert!(oldest <= Duration::from_secs(340), "{oldest:?}");
        for slot in recent.slots.iter().skip(1).take(500) {
            let micros = || slot.answers.iter().map(|answer| answer.rtt.as_micros());
            assert_eq!((micros().min(), micros().max()), (Some(1000), Some(1099)));
        }
        assert_eq!(recent.marks(Mark::LostBack).count(), recent.slots.len());
        assert_eq!(recent.marks(Mark::LostThere).count(), 0);
    }

    #[test]
    fn what_is_no_longer_held_is_let_be() {
        let mut recent = Recent::new(SPAN);
        recent.mark(Duration::from_secs(1), Mark::Lost);
        recent.mark(Duration::from_secs(1), Mark::Lost);
        recent.unmark(Duration::from_secs(1), Mark::Lost);
        assert_eq!(recent.marks(Mark::Lost).count(), 1);
        recent.unmark(Duration::from_secs(1), Mark::Lost);
        assert_eq!(recent.marks(Mark::Lost).count(), 0);
        // A stall of a hundred years.
        recent.add(answer(Duration::from_secs(3_155_760_000), 1));
        assert_eq!((recent.slots.len(), recent.answers().count()), (1, 1));
        recent.mark(Duration::from_secs(1), Mark::Lost);
        recent.add(answer(Duration::from_secs(2), 1));
        assert_eq!((recent.slots.len(), recent.answers().count()), (1, 1));
        recent.add(answer(Duration::MAX, 1));
        assert_eq!(recent.answers().count(), 1);
    }
}
