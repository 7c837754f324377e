//! Items that wait for their time in bounded memory, of which their holders have fair shares.

use std::time::Duration;

use super::delay_queue::{DelayQueue, Place};
use crate::policy::fair_pool::{FairPool, Inserted};
use crate::policy::fair_share::{EntryId, Holder, Order, Turn};

/// A delay queue of a bounded number of items. When it is full, the most loaded network loses one.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    pool: FairPool<Waiting<T>>,
    order: DelayQueue<EntryId>,
}

#[derive(Debug)]
struct Waiting<T> {
    place: Place,
    item: T,
}

impl<T> FairQueue<T> {
    /// A queue of this many places. Memory is taken as they are used.
    pub(super) fn new(places: u32) -> Self {
        Self {
            pool: FairPool::with_order(places, Order::Newest),
            order: DelayQueue::new(),
        }
    }

    /// Lets an item of this holder wait until it is due. If there is one more than places then, one is displaced: the new one,
    /// where no holder has more than its share.
    pub(super) fn push(&mut self, holder: Holder, due: Duration, item: T) -> Inserted<T> {
        let place = Place::default();
        let waiting = Waiting { place, item };
        let own = holder.class();
        let choose = |_: &_, class, id| (class == own).then_some(id);
        let Inserted { id, displaced } =
            self.pool
                .insert_or_choose(holder, Turn::First, waiting, choose);
        if let Some(id) = id {
            let place = self.order.push(due, id);
            if let Some(waiting) = self.pool.get_mut(id) {
                waiting.place = place;
            }
        }
        let displaced = displaced.map(|(id, gone)| {
            self.order.remove(gone.place);
            (id, gone.item)
        });
        Inserted { id, displaced }
    }

    /// Removes an item that is not due yet.
    pub(super) fn remove(&mut self, id: EntryId) -> Option<T> {
        let waiting = self.pool.remove(id)?;
        self.order.remove(waiting.place);
        Some(waiting.item)
    }

    /// When the next item is due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.order.next_due()
    }

    /// The next item, when it is due.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<T> {
        let id = self.order.take_due(now)?;
        self.pool.remove(id).map(|waiting| waiting.item)
    }

    /// How many items wait.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}
