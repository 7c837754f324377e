//! Events told many at a time, in bounded memory: a message for each of a million a second would take longer than the
//! event.

use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;

use super::events::Event;

/// Events of one batch.
const MOST_EVENTS: usize = 1024;

/// Batches under way at once. When all are, the teller waits for the judge.
const MOST_BATCHES: usize = 32;

/// How often a wait of the bursts looks whether it is to end.
pub(super) const BURSTS_GLANCE: Duration = Duration::from_millis(10);

/// Events in the order they happened.
#[derive(Debug)]
pub struct Batch {
    events: Vec<Event>,
    /// Where its memory goes when the events have been taken.
    home: Sender<Vec<Event>>,
}

/// Gathers events and tells them in batches.
#[derive(Debug)]
pub struct Teller {
    out: Sender<Event>,
    gathered: Vec<Event>,
    home: Sender<Vec<Event>>,
    spare: Inbox<Vec<Event>>,
    made: usize,
}

impl Batch {
    /// When the last of its events happened that have a time.
    pub fn at(&self) -> Option<Duration> {
        self.events.iter().rev().find_map(Event::at)
    }

    /// Its events.
    pub fn drain(&mut self) -> impl Iterator<Item = Event> {
        self.events.drain(..)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.events.clear();
        // Whoever made it may be gone.
        let _ = self.home.send(std::mem::take(&mut self.events));
    }
}

impl Teller {
    /// Tells those who take these events.
    #[must_use]
    pub fn new(out: Sender<Event>) -> Self {
        let (home, spare) = channel();
        Self {
            out,
            gathered: Vec::with_capacity(MOST_EVENTS),
            home,
            spare,
            made: 1,
        }
    }

    /// Gathers an event.
    pub fn gather(&mut self, event: Event) {
        self.gathered.push(event);
    }

    /// Whether there is enough to be told.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.gathered.len() >= MOST_EVENTS
    }

    /// When the first of what was gathered happened.
    #[must_use]
    pub fn since(&self) -> Option<Duration> {
        self.gathered.iter().find_map(Event::at)
    }

    /// Tells what was gathered. Waits while too much is under way, unless `hurry` says that nobody would take it. False
    /// when nobody listens any more.
    pub fn tell(&mut self, hurry: impl Fn() -> bool) -> bool {
        if self.gathered.is_empty() {
            return true;
        }
        let spare = self.spare(hurry);
        let batch = Batch {
            events: std::mem::replace(&mut self.gathered, spare),
            home: self.home.clone(),
        };
        self.out.send(Event::Batch(batch)).is_ok()
    }

    fn spare(&mut self, hurry: impl Fn() -> bool) -> Vec<Event> {
        match self.spare.try_recv() {
            Ok(spare) => return spare,
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        while self.made >= MOST_BATCHES && !hurry() {
            match self.spare.recv_timeout(BURSTS_GLANCE) {
                Ok(spare) => return spare,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
        self.made += 1;
        Vec::with_capacity(MOST_EVENTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::ledger::Arrival;

    fn arrival(seq: u64) -> Event {
        Event::Arrived(Arrival {
            seq,
            at: Duration::from_nanos(seq),
            report: None,
            stamp: None,
        })
    }

    /// The numbers in a batch.
    fn numbers(event: Event) -> Vec<u64> {
        let Event::Batch(mut batch) = event else {
            panic!("{event:?}");
        };
        let number = |event| match event {
            Event::Arrived(Arrival { seq, .. }) => seq,
            other => panic!("{other:?}"),
        };
        batch.drain().map(number).collect()
    }

    #[test]
    fn tells_everything_in_order_and_uses_its_memory_again() {
        let (out, inbox) = channel();
        let mut teller = Teller::new(out);
        let mut heard = Vec::new();
        for seq in 1..=100_000 {
            teller.gather(arrival(seq));
            if teller.is_full() {
                assert!(teller.tell(|| false));
                heard.extend(numbers(inbox.recv().unwrap()));
            }
        }
        assert_eq!(
            teller.since(),
            Some(Duration::from_nanos(heard.len() as u64 + 1))
        );
        teller.tell(|| false);
        let last = inbox.recv().unwrap();
        assert_eq!(last.at(), Some(Duration::from_micros(100)));
        heard.extend(numbers(last));
        assert!(heard.into_iter().eq(1..=100_000));
        assert_eq!(teller.made, 2);
        // There is nothing to tell twice.
        assert!(teller.tell(|| false) && inbox.try_recv().is_err());
    }

    #[test]
    fn what_nobody_took_is_not_told_again() {
        let (out, inbox) = channel();
        let mut teller = Teller::new(out);
        for seq in 1..=3 {
            teller.gather(arrival(seq));
            teller.tell(|| false);
            let batch = inbox.recv().unwrap();
            if seq < 3 {
                drop(batch);
            } else {
                assert_eq!(numbers(batch), [3]);
            }
        }
    }

    #[test]
    fn waits_for_who_is_slow_until_told_to_hurry() {
        let (out, inbox) = channel();
        let mut teller = Teller::new(out);
        for seq in 1..MOST_BATCHES as u64 {
            teller.gather(arrival(seq));
            assert!(teller.tell(|| panic!("there is room")));
        }
        let asked = std::cell::Cell::new(0);
        teller.gather(arrival(99));
        // All are under way. It asks again and again, and goes on when the answer is yes.
        teller.tell(|| asked.replace(asked.get() + 1) == 3);
        assert_eq!(asked.get(), 4);
        drop(inbox);
        teller.gather(arrival(100));
        assert!(!teller.tell(|| true));
    }
}
