//! Which probes may go out now: those whose slots have come, or as many as the window of a flood has places for.

use std::time::Duration;

use hii_transport::burst::{MOST_OCTETS, MOST_SEGMENTS};

use super::schedule::{Pace, Schedule};
use super::window::{Host, Window};

/// A flood sends when this part of its window is free: the fewer go together, the more each of them takes.
const WORTH_SENDING: usize = 3;

/// Follows the sending of a run. No clock: times go in.
#[derive(Debug)]
pub struct Pacing {
    schedule: Schedule,
    start: Duration,
    /// The number of the next probe.
    next: u64,
    /// The most that go out together.
    burst: usize,
    /// Of a flood.
    window: Option<Window>,
}

impl Pacing {
    /// A run of probes of this size to this host that starts now.
    #[must_use]
    pub fn new(schedule: Schedule, size: usize, host: Host, start: Duration) -> Self {
        let window = match schedule.pace {
            Pace::Flood { window, .. } => {
                Some(window.map_or_else(|| Window::for_size(size, host), Window::fixed))
            }
            Pace::Interval {} | Pace::Rate { .. } => None,
        };
        Self {
            schedule,
            start,
            next: 1,
            burst: (MOST_OCTETS / size.max(1)).clamp(1, MOST_SEGMENTS),
            window,
        }
    }

    /// The most probes that go out together.
    #[must_use]
    pub fn burst(&self) -> usize {
        self.burst
    }

    /// The number of the next probe.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// How many probes are to go out now, together.
    pub fn ready(&mut self, now: Duration) -> usize {
        if self.is_through(now) {
            return 0;
        }
        let left = self.schedule.last() - (self.next - 1);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let most = left.min(self.burst);
        let Some(window) = &mut self.window else {
            let due = self.schedule.slots_until(now.saturating_sub(self.start));
            let due = due.saturating_sub(self.next - 1);
            return usize::try_from(due).unwrap_or(usize::MAX).min(most);
        };
        let free = window.free(now);
        let worth_it = window.places().div_ceil(WORTH_SENDING).min(most);
        if free >= worth_it { free.min(most) } else { 0 }
    }

    /// When the next probe is due, or was.
    #[must_use]
    pub fn due(&self, now: Duration) -> Duration {
        if self.window.is_some() {
            return now;
        }
        self.start.saturating_add(self.schedule.slot(self.next))
    }

    /// The next probe was sent, or could not be.
    pub fn sent(&mut self, at: Duration, went_out: bool) {
        if let Some(window) = &mut self.window {
            window.sent(at, went_out);
        }
        self.next += 1;
    }

    /// An answer to this probe came.
    pub fn answered(&mut self, seq: u64, at: Duration) {
        if let Some(window) = &mut self.window {
            window.answered(seq, at);
        }
    }

    /// So many answers came in one buffer.
    pub fn came(&mut self, answers: usize) {
        if let Some(window) = &mut self.window {
            window.came(answers);
        }
    }

    /// Whether all has been sent.
    #[must_use]
    pub fn is_through(&self, now: Duration) -> bool {
        let is_over = match self.schedule.pace {
            Pace::Flood {
                lasts: Some(lasts), ..
            } => now >= self.start.saturating_add(self.schedule.offset + lasts),
            _ => false,
        };
        is_over || self.next > self.schedule.last()
    }

    /// When there will be something to send though nothing comes; none when that is not known.
    #[must_use]
    pub fn next_look(&self, now: Duration) -> Option<Duration> {
        match &self.window {
            Some(window) => window.next_release(),
            None => Some(self.due(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::num::NonZeroU32;

    const START: Duration = Duration::from_millis(7);

    fn at_rate(rate: u32, count: u64) -> Pacing {
        let rate = NonZeroU32::new(rate).unwrap();
        Pacing::new(Schedule::at_rate(Some(count), rate), 64, Host::Other, START)
    }

    proptest! {
        /// However late and unevenly it is looked, each probe goes once, in its turn, and not before its slot.
        #[test]
        fn no_slot_is_skipped_and_none_comes_early(
            rate in 1..3_000_000_u32,
            count in 1..2_000_u64,
            looks in prop::collection::vec(0..50_000_000_u64, 1..300),
        ) {
            let mut pacing = at_rate(rate, count);
            let mut now = START;
            let mut slots = Vec::new();
            for look in looks {
                now += Duration::from_nanos(look);
                loop {
                    let ready = pacing.ready(now);
                    prop_assert!(ready <= pacing.burst());
                    if ready == 0 {
                        break;
                    }
                    for _ in 0..ready {
                        prop_assert!(pacing.due(now) <= now);
                        slots.push(pacing.due(now));
                        pacing.sent(now, true);
                    }
                }
                // Nothing that is due is left.
                prop_assert!(pacing.is_through(now) || pacing.due(now) > now);
                prop_assert!(pacing.is_through(now) || pacing.next_look(now) == Some(pacing.due(now)));
            }
            prop_assert_eq!(pacing.next(), slots.len() as u64 + 1);
            prop_assert_eq!(pacing.is_through(now), slots.len() as u64 == count);
            for (index, slot) in (0_u64..).zip(slots) {
                let nanos = u128::from(index) * 1_000_000_000 / u128::from(rate);
                prop_assert_eq!(slot.saturating_sub(START).as_nanos(), nanos);
            }
        }
    }

    #[test]
    fn what_is_due_at_one_look_goes_together() {
        let mut pacing = at_rate(1_000_000, 1_000);
        assert_eq!(pacing.ready(START), 1);
        assert_eq!(pacing.ready(START + Duration::from_micros(9)), 10);
        assert_eq!(pacing.ready(START + Duration::from_micros(500)), 64);
    }

    #[test]
    fn long_probes_go_in_smaller_bursts() {
        let schedule = Schedule::flood(None, None, None);
        for (size, burst) in [(64, 64), (1400, 46), (65_507, 1)] {
            assert_eq!(
                Pacing::new(schedule, size, Host::Other, START).burst(),
                burst
            );
        }
    }

    #[test]
    fn a_flood_sends_bursts_as_answers_make_room_and_ends_on_time() {
        let lasts = Duration::from_millis(50);
        let schedule = Schedule::flood(None, Some(lasts), Some(96));
        let mut pacing = Pacing::new(schedule, 64, Host::Other, START);
        let sent = |pacing: &mut Pacing| {
            let ready = pacing.ready(START);
            (0..ready).for_each(|_| pacing.sent(START, true));
            ready
        };
        // The window, in bursts worth a system call.
        assert_eq!(
            [sent(&mut pacing), sent(&mut pacing), sent(&mut pacing)],
            [64, 32, 0]
        );
        let soon = START + Duration::from_micros(100);
        (1..=31).for_each(|seq| pacing.answered(seq, soon));
        assert_eq!(pacing.ready(soon), 0);
        pacing.answered(32, soon);
        assert_eq!(pacing.ready(soon), 32);
        assert!(!pacing.is_through(START + Duration::from_micros(49_999)));
        assert!(pacing.is_through(START + lasts));
        assert_eq!(pacing.ready(START + lasts), 0);
    }

    #[test]
    fn the_last_probes_of_a_flood_wait_for_no_more_room_than_they_need() {
        let mut pacing = Pacing::new(
            Schedule::flood(Some(258), None, Some(256)),
            64,
            Host::Other,
            START,
        );
        for _ in 0..4 {
            assert_eq!(pacing.ready(START), 64);
            (0..64).for_each(|_| pacing.sent(START, true));
        }
        pacing.answered(1, START);
        assert_eq!(pacing.ready(START), 0);
        pacing.answered(2, START);
        assert_eq!(pacing.ready(START), 2);
        (0..2).for_each(|_| pacing.sent(START, true));
        assert!(pacing.is_through(START));
    }
}
