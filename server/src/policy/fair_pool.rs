//! A bounded pool of values whose holders have [fair shares](super::fair_share) of it.

use super::fair_share::{Class, EntryId, FairShare, Holder, Order, Turn};

/// Values in bounded memory: one more than there are places puts one out, and the most loaded network loses one.
#[derive(Debug)]
pub struct FairPool<T> {
    share: FairShare,
    values: Vec<Option<T>>,
}

/// What a new value came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inserted<T> {
    /// Its number, if it has a place. It is used again after the value has gone.
    pub id: Option<EntryId>,
    /// The value that had to go, with the number that it had: another one, or, if it has no place, the new one itself.
    pub displaced: Option<(EntryId, T)>,
}

impl<T> FairPool<T> {
    /// A pool of this many places. Memory is taken as they are used. Of one host the value that was inactive for longest goes
    /// first.
    #[must_use]
    pub fn new(places: u32) -> Self {
        Self::with_order(places, Order::Oldest)
    }

    /// The same, where of one host the values go in this order.
    #[must_use]
    pub fn with_order(places: u32, order: Order) -> Self {
        Self {
            share: FairShare::new(places, order),
            values: Vec::new(),
        }
    }

    /// Adds a value of this holder.
    pub fn insert(&mut self, holder: Holder, turn: Turn, value: T) -> Inserted<T> {
        self.insert_or_choose(holder, turn, value, |_, _, _| None)
    }

    /// Adds a value of this holder. If there is one more than places then, and no prefix of the class that has to give way has
    /// a load above one, the shares protect no value: `choose` is given the pool, that class and the new value's number, and
    /// may choose what goes.
    pub fn insert_or_choose(
        &mut self,
        holder: Holder,
        turn: Turn,
        value: T,
        choose: impl FnOnce(&Self, Class, EntryId) -> Option<EntryId>,
    ) -> Inserted<T> {
        let id = self.share.insert(holder, turn);
        let index = usize::try_from(id).unwrap_or(usize::MAX);
        match self.values.get_mut(index) {
            Some(place) => *place = Some(value),
            None => self.values.push(Some(value)),
        }
        let class = self.share.surplus_without_overload();
        let chosen = class.and_then(|class| choose(self, class, id));
        let surplus = chosen.or_else(|| self.share.surplus());
        let displaced = surplus.and_then(|goes| self.remove(goes).map(|value| (goes, value)));
        let stays = displaced.as_ref().is_none_or(|(goes, _)| *goes != id);
        Inserted {
            id: stays.then_some(id),
            displaced,
        }
    }

    /// The value of this number.
    #[must_use]
    pub fn get(&self, id: EntryId) -> Option<&T> {
        self.values.get(usize::try_from(id).ok()?)?.as_ref()
    }

    /// The value of this number.
    pub fn get_mut(&mut self, id: EntryId) -> Option<&mut T> {
        self.values.get_mut(usize::try_from(id).ok()?)?.as_mut()
    }

    /// Notes that the holder of a value was active, and the value's turn from now on.
    pub fn touch(&mut self, id: EntryId, turn: Turn) {
        self.share.touch(id, turn);
    }

    /// Changes a value's turn, if it has another one. That counts as activity.
    pub fn set_turn(&mut self, id: EntryId, turn: Turn) {
        if self.share.turn(id) != turn {
            self.share.touch(id, turn);
        }
    }

    /// Removes a value.
    pub fn remove(&mut self, id: EntryId) -> Option<T> {
        let value = self.values.get_mut(usize::try_from(id).ok()?)?.take()?;
        self.share.remove(id);
        Some(value)
    }

    /// All numbers of values are below this.
    #[must_use]
    pub fn id_bound(&self) -> EntryId {
        EntryId::try_from(self.values.len()).unwrap_or(EntryId::MAX)
    }

    /// How many places there are.
    #[must_use]
    pub fn places(&self) -> u32 {
        self.share.places()
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.share.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.share.is_empty()
    }

    /// How many values there are of one class.
    #[must_use]
    pub fn count(&self, class: Class) -> u32 {
        self.share.count(class)
    }
}
