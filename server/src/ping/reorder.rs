//! Answers that let the next one to the same sender go first.

use std::collections::HashMap;
use std::time::Duration;

use hii_transport::datagrams::Peer;

use super::departures::Departure;
use super::fair_queue::FairQueue;
use crate::policy::fair_pool::Inserted;
use crate::policy::fair_share::{EntryId, Holder};

/// The longest that an answer is held when no other comes to overtake it.
const LONGEST: Duration = Duration::from_secs(1);

/// Senders that may have an answer held at once; then they have fair shares.
pub(super) const CAPACITY: u32 = 1 << 14;

/// One held answer at most for each sender, in bounded memory and for a bounded time.
#[derive(Debug)]
pub(super) struct Held {
    queue: FairQueue<Departure>,
    by_peer: HashMap<Peer, EntryId>,
}

impl Held {
    /// Holds nothing yet.
    pub(super) fn new() -> Self {
        Self {
            queue: FairQueue::new(CAPACITY),
            by_peer: HashMap::new(),
        }
    }

    /// Holds an answer until the next one to this sender has gone out, or for a second. Returns the answer that is not held
    /// any more for want of room, which may be that of another sender, or the same if one is held for this sender already.
    pub(super) fn hold(&mut self, departure: Departure, now: Duration) -> Option<Departure> {
        let to = departure.to;
        if self.by_peer.contains_key(&to) {
            return Some(departure);
        }
        let holder = Holder::at(to.address);
        let Inserted { id, displaced } = self.queue.push(holder, now + LONGEST, departure);
        if let Some(id) = id {
            self.by_peer.insert(to, id);
        }
        let (_, departure) = displaced?;
        self.by_peer.remove(&departure.to);
        Some(departure)
    }

    /// The answer held for this sender, which another has overtaken.
    pub(super) fn release(&mut self, to: Peer) -> Option<Departure> {
        // Most servers never hold any: not worth a hash.
        if self.by_peer.is_empty() {
            return None;
        }
        let id = self.by_peer.remove(&to)?;
        self.queue.remove(id)
    }

    /// When the next answer has been held for too long.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.queue.next_due()
    }

    /// The next answer that nothing overtook in time.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<Departure> {
        let departure = self.queue.take_due(now)?;
        self.by_peer.remove(&departure.to);
        Some(departure)
    }

    /// How many answers are held.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use hii_protocol::ping::Answer;

    use super::super::service::Reply;
    use super::*;

    fn departure(port: u16) -> Departure {
        Departure {
            to: Peer {
                address: ([192, 0, 2, 1], port).into(),
                socket: 0,
                asked: None,
            },
            reply: Reply::Fixed(Answer::PacketAcknowledged),
            twice: false,
            yields: true,
        }
    }

    fn port(departure: Option<Departure>) -> Option<u16> {
        departure.map(|departure| departure.to.address.port())
    }

    #[test]
    fn an_answer_is_held_until_overtaken_or_for_a_second() {
        let ms = Duration::from_millis;
        let mut held = Held::new();
        let add = |held: &mut Held, number, at| port(held.hold(departure(number), ms(at)));
        assert_eq!(add(&mut held, 1, 0), None);
        assert_eq!(add(&mut held, 2, 10), None);
        assert_eq!(add(&mut held, 1, 20), Some(1));
        let release = |held: &mut Held, number| port(held.release(departure(number).to));
        assert_eq!(release(&mut held, 3), None);
        assert_eq!(release(&mut held, 1), Some(1));
        assert_eq!(release(&mut held, 1), None);
        assert_eq!(add(&mut held, 1, 30), None);
        assert_eq!(held.next_due(), Some(ms(1010)));
        assert_eq!(port(held.take_due(ms(1009))), None);
        assert_eq!(port(held.take_due(ms(2000))), Some(2));
        assert_eq!(port(held.take_due(ms(2000))), Some(1));
        assert_eq!(port(held.take_due(ms(2000))), None);
        assert_eq!((held.next_due(), held.len()), (None, 0));
        assert!(held.by_peer.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_what_has_no_place_comes_back() {
        let mut held = Held::new();
        let now = Duration::ZERO;
        let back = (0..=u16::MAX).filter(|port| held.hold(departure(*port), now).is_some());
        assert_eq!(back.count(), (1 << 16) - CAPACITY as usize);
        let held_now = CAPACITY as usize;
        assert_eq!((held.len(), held.by_peer.len()), (held_now, held_now));
        // Another sender has a place: one of this address is released for it.
        let mut other = departure(1);
        other.to.address = ([198, 51, 100, 1], 1).into();
        let released = held.hold(other, now).unwrap();
        assert_eq!(released.to.address.ip(), departure(1).to.address.ip());
        assert_eq!((held.len(), held.by_peer.len()), (held_now, held_now));
        assert!(held.hold(released, now).is_some());
        assert!(held.release(other.to).is_some());
    }
}
