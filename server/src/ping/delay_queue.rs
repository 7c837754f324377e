//! Answers that wait for their time: one queue for all, so that nobody's delay delays anybody else.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Duration;

/// Items that become due, in bounded memory. Items due at the same time come out in the order they went in.
#[derive(Debug)]
pub struct DelayQueue<T> {
    heap: BinaryHeap<Reverse<Waiting<T>>>,
    pushed: u64,
    capacity: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    due: Duration,
    order: u64,
    item: T,
}

impl<T> DelayQueue<T> {
    /// A queue that holds so many items at most.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            heap: BinaryHeap::new(),
            pushed: 0,
            capacity,
        }
    }

    /// Lets an item wait until it is due.
    ///
    /// # Errors
    /// The queue is full; the item comes back.
    pub fn push(&mut self, due: Duration, item: T) -> Result<(), T> {
        if self.heap.len() >= self.capacity {
            return Err(item);
        }
        self.pushed += 1;
        let order = self.pushed;
        self.heap.push(Reverse(Waiting { due, order, item }));
        Ok(())
    }

    /// When the next item is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse(waiting)| waiting.due)
    }

    /// The next item, when it is due.
    pub fn take_due(&mut self, now: Duration) -> Option<T> {
        if self.next_due()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(waiting)| waiting.item)
    }

    /// How many items wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

impl<T> PartialEq for Waiting<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Waiting<T> {}

impl<T> PartialOrd for Waiting<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Waiting<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_out_when_due_in_order_and_no_more_go_in_than_it_holds() {
        let ms = Duration::from_millis;
        let mut queue = DelayQueue::new(4);
        for (due, item) in [(30, 'c'), (10, 'a'), (30, 'd'), (20, 'b')] {
            queue.push(ms(due), item).unwrap();
        }
        assert_eq!(queue.push(ms(5), 'x'), Err('x'));
        assert_eq!(queue.next_due(), Some(ms(10)));
        assert_eq!(queue.take_due(ms(9)), None);
        let out: String = std::iter::from_fn(|| queue.take_due(ms(30))).collect();
        assert_eq!(out, "abcd");
        assert!(queue.is_empty());
    }
}
