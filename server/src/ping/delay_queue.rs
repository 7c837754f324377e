//! Items that wait for their time: one queue for all, so that nobody's delay delays anybody else.

use std::collections::BTreeMap;
use std::time::Duration;

/// Items that become due. Items due at the same time come out in the order they went in.
#[derive(Debug)]
pub(super) struct DelayQueue<T> {
    items: BTreeMap<Place, T>,
    pushed: u64,
}

/// The place of an item in the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    due: Duration,
    order: u64,
}

impl<T> DelayQueue<T> {
    /// An empty queue, which takes no memory.
    pub(super) fn new() -> Self {
        Self {
            items: BTreeMap::new(),
            pushed: 0,
        }
    }

    /// Lets an item wait until it is due.
    pub(super) fn push(&mut self, due: Duration, item: T) -> Place {
        self.pushed += 1;
        let place = Place {
            due,
            order: self.pushed,
        };
        self.items.insert(place, item);
        place
    }

    /// Removes an item that is not due yet.
    pub(super) fn remove(&mut self, place: Place) -> Option<T> {
        self.items.remove(&place)
    }

    /// When the next item is due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.items.first_key_value().map(|(place, _)| place.due)
    }

    /// The next item, when it is due.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<T> {
        let first = self.items.first_entry()?;
        (first.key().due <= now).then(|| first.remove())
    }

    /// How many items wait.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_out_when_due_in_the_order_they_went_in() {
        let ms = Duration::from_millis;
        let mut queue = DelayQueue::new();
        let mut places = Vec::new();
        for (due, item) in [(30, 'c'), (10, 'a'), (30, 'x'), (30, 'd'), (20, 'b')] {
            places.push(queue.push(ms(due), item));
        }
        assert_eq!(queue.remove(places[2]), Some('x'));
        assert_eq!(queue.remove(places[2]), None);
        assert_eq!(queue.next_due(), Some(ms(10)));
        assert_eq!(queue.take_due(ms(9)), None);
        let out: String = std::iter::from_fn(|| queue.take_due(ms(30))).collect();
        assert_eq!(out, "abcd");
        assert!(queue.is_empty());
    }
}
