//! Answers that let the next one to the same sender go first.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use hii_transport::datagrams::Peer;

/// The longest that an answer is held when no other comes to overtake it.
const LONGEST: Duration = Duration::from_secs(1);

/// Senders that may have an answer held at once. Beyond that answers go in order.
const CAPACITY: usize = 1 << 14;

/// One held item at most for each sender, in bounded memory and for a bounded time.
#[derive(Debug)]
pub(super) struct Held<T> {
    items: HashMap<Peer, (Ticket, T)>,
    /// Every ticket handed out in the last second, the oldest first; those whose item was released meanwhile are stale.
    /// The first is never stale.
    tickets: VecDeque<(Ticket, Peer)>,
    handed_out: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticket {
    due: Duration,
    number: u64,
}

impl<T> Held<T> {
    /// Holds nothing yet.
    pub(super) fn new() -> Self {
        Self {
            items: HashMap::new(),
            tickets: VecDeque::new(),
            handed_out: 0,
        }
    }

    /// Holds an item until the next one to this sender has gone out, or for a second.
    ///
    /// # Errors
    /// One is held for this sender already, or there is no room; the item comes back.
    pub(super) fn hold(&mut self, to: Peer, item: T, now: Duration) -> Result<(), T> {
        if self.items.contains_key(&to) || self.tickets.len() >= CAPACITY {
            return Err(item);
        }
        self.handed_out += 1;
        let ticket = Ticket {
            due: now + LONGEST,
            number: self.handed_out,
        };
        self.items.insert(to, (ticket, item));
        self.tickets.push_back((ticket, to));
        Ok(())
    }

    /// The item held for this sender, which another has overtaken.
    pub(super) fn release(&mut self, to: Peer) -> Option<T> {
        // Most servers never hold any: not worth a hash.
        if self.items.is_empty() {
            return None;
        }
        let (_, item) = self.items.remove(&to)?;
        self.drop_stale();
        Some(item)
    }

    /// When the next item has been held for too long.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.tickets.front().map(|(ticket, _)| ticket.due)
    }

    /// The next item that nothing overtook in time.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<(Peer, T)> {
        let (_, to) = *self
            .tickets
            .front()
            .filter(|(ticket, _)| ticket.due <= now)?;
        self.release(to).map(|item| (to, item))
    }

    /// How many items are held.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    fn drop_stale(&mut self) {
        while let Some((ticket, to)) = self.tickets.front() {
            if self.items.get(to).is_some_and(|(holds, _)| holds == ticket) {
                return;
            }
            self.tickets.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(port: u16) -> Peer {
        Peer {
            address: ([192, 0, 2, 1], port).into(),
            socket: 0,
            asked: None,
        }
    }

    #[test]
    fn an_item_is_held_until_overtaken_or_for_a_second() {
        let ms = Duration::from_millis;
        let mut held = Held::new();
        held.hold(peer(1), 'a', ms(0)).unwrap();
        held.hold(peer(2), 'b', ms(10)).unwrap();
        assert_eq!(held.hold(peer(1), 'c', ms(20)), Err('c'));
        assert_eq!(held.release(peer(3)), None);
        assert_eq!(held.release(peer(1)), Some('a'));
        assert_eq!(held.release(peer(1)), None);
        held.hold(peer(1), 'd', ms(30)).unwrap();
        assert_eq!(held.next_due(), Some(ms(1010)));
        assert_eq!(held.take_due(ms(1009)), None);
        assert_eq!(held.take_due(ms(2000)), Some((peer(2), 'b')));
        assert_eq!(held.take_due(ms(2000)), Some((peer(1), 'd')));
        assert_eq!((held.take_due(ms(2000)), held.next_due()), (None, None));
    }

    #[test]
    fn memory_is_bounded_in_senders_and_in_tickets() {
        let mut held = Held::new();
        let now = Duration::ZERO;
        let taken = (0..=u16::MAX).filter(|port| held.hold(peer(*port), (), now).is_ok());
        assert_eq!(taken.count(), CAPACITY);
        assert_eq!((held.len(), held.tickets.len()), (CAPACITY, CAPACITY));
        // The first keeps its ticket while all the others are stale.
        let mut held = Held::new();
        held.hold(peer(0), (), now).unwrap();
        for _ in 0..10 * CAPACITY {
            let _ = held.hold(peer(1), (), now);
            held.release(peer(1));
        }
        assert_eq!(held.tickets.len(), CAPACITY);
        held.release(peer(0)).unwrap();
        assert_eq!(held.tickets.len(), 0);
    }
}
