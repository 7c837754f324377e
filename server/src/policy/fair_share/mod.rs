//! Fair shares of a bounded pool.
//!
//! Each prefix of a source (address or /64, /24 or /48, /16 or /32) is *allowed* a part of the pool: 1/256, 1/64, 1/16,
//! and at least four places. Its *load* is the number of its entries by that allowance. When the pool is full, the prefix
//! of the highest load gives way; in it the prefix of the highest load, and so on down to a host, and there the entry that
//! was inactive for longest, or else active last ([`Order`]). The newcomer counts as well.
//!
//! So, while any prefix has a load above one, no entry goes whose prefixes all have a load of at most one. A holder that
//! wants to take the places of others needs more prefixes than the pool has parts.
//!
//! Trusted holders have a right to one half of the pool, and strangers to the other; what one half leaves free the other
//! may use.

#[cfg(test)]
pub(crate) mod floods;
mod holder;
mod tree;

#[cfg(test)]
mod tests;

pub use holder::{Class, Holder};
use tree::Tree;
#[cfg(test)]
pub(crate) use tree::allowances;

/// No node, no entry.
const NIL: u32 = u32::MAX;

/// Hosts whose place among equals is brought up to date at a choice. Each was active since it was last looked at.
const MAX_REFRESHED: usize = 64;

/// Which entries of one host go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Before all of [`Last`](Self::Last).
    First,
    /// When the host has no other left.
    Last,
}

/// Which entries go first of one host and turn, and of equally loaded prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The one that was inactive for longest.
    Oldest,
    /// The one that was active last, as where entries wait for something: in a pool that is always full the oldest would go
    /// before it comes.
    Newest,
}

/// The number of an entry. It is used again after the entry has gone.
pub type EntryId = u32;

/// What an entry needs: its host, and its place among the host's entries of the same turn, which form a ring.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The host's node, and in the lowest bit the turn.
    host_and_turn: u32,
    before: u32,
    /// In an unused entry, the next one.
    after: u32,
    last_active: u32,
}

const NO_ENTRY: Entry = Entry {
    host_and_turn: NIL,
    before: NIL,
    after: NIL,
    last_active: 0,
};

impl Entry {
    fn host(&self) -> u32 {
        self.host_and_turn >> 1
    }

    fn turn(&self) -> Turn {
        if self.host_and_turn & 1 == 0 {
            Turn::First
        } else {
            Turn::Last
        }
    }

    fn is_used(&self) -> bool {
        self.host_and_turn != NIL
    }
}

/// Octets of an entry that is the only one of its host, in a prefix that many share; the hash table's are not included.
#[cfg(test)]
pub(crate) const LONE_ENTRY: usize = size_of::<Entry>() + size_of::<tree::Node>();

/// Counts the entries of a pool by holder, and chooses the one that gives way. It stores nothing else of them.
#[derive(Debug)]
pub struct FairShare {
    places: u32,
    order: Order,
    tree: Tree,
    entries: Vec<Entry>,
    /// Unused entries, each leading to the next.
    free: u32,
    /// Counts activity. It wraps around: of entries with equal loads, one that was inactive for 2^31 of it may pass for a
    /// recent one.
    time: u32,
}

impl FairShare {
    /// Shares of a pool of this many places. Memory is taken as they are used.
    #[must_use]
    pub fn new(places: u32, order: Order) -> Self {
        // A node's number has 31 bits, and an entry has three of them at most.
        let places = places.min(1 << 29);
        Self {
            places,
            order,
            tree: Tree::new(places, order),
            entries: Vec::new(),
            free: NIL,
            time: 0,
        }
    }

    /// How many places there are.
    #[must_use]
    pub fn places(&self) -> u32 {
        self.places
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.count(Class::Stranger) + self.count(Class::Trusted)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries there are of one class.
    #[must_use]
    pub fn count(&self, class: Class) -> u32 {
        self.tree.class(class).entries
    }

    /// Adds an entry, and returns its number. If that is one more than there are places, [`surplus`](Self::surplus)
    /// returns the one to remove.
    pub fn insert(&mut self, holder: Holder, turn: Turn) -> EntryId {
        let host = self.tree.host(holder);
        let id = if self.free == NIL {
            let id = u32::try_from(self.entries.len()).unwrap_or(NIL);
            self.entries.push(NO_ENTRY);
            id
        } else {
            let id = self.free;
            self.free = self.entry(id).after;
            id
        };
        self.link(id, host, turn);
        self.update(host, 1);
        id
    }

    /// The turn of an entry.
    #[must_use]
    pub fn turn(&self, id: EntryId) -> Turn {
        self.entry(id).turn()
    }

    /// Notes that an entry was active, and its turn from now on.
    pub fn touch(&mut self, id: EntryId, turn: Turn) {
        let entry = *self.entry(id);
        if !entry.is_used() {
            return;
        }
        if entry.turn() == turn {
            self.make_latest(id, entry);
        } else {
            self.unlink(id);
            self.link(id, entry.host(), turn);
        }
        if entry.turn() != turn || self.order == Order::Newest {
            // The host may give way before some that it did not before.
            self.update(entry.host(), 0);
        }
    }

    /// Removes an entry.
    pub fn remove(&mut self, id: EntryId) {
        let entry = *self.entry(id);
        if !entry.is_used() {
            return;
        }
        self.unlink(id);
        let free = self.free;
        self.with(id, |entry| {
            *entry = NO_ENTRY;
            entry.after = free;
        });
        self.free = id;
        self.update(entry.host(), -1);
    }

    /// The entry to remove, if there are more than places.
    pub fn surplus(&mut self) -> Option<EntryId> {
        if self.len() <= self.places {
            return None;
        }
        let class = self.over_its_half();
        // Activity does not move a host among its siblings; that is made up for when it is about to give way.
        for _ in 0..MAX_REFRESHED {
            let host = self.tree.first_host(class);
            let last_active = self.entry(self.first_of(host)).last_active;
            if self.tree.known_last_active(host) == last_active {
                break;
            }
            self.update(host, 0);
        }
        let first = self.first_of(self.tree.first_host(class));
        (first != NIL).then_some(first)
    }

    /// Returns the class that has to give way, if there are more entries than places and no prefix of it has a load above one.
    /// Then the shares protect no entry, and the pool's owner may choose another one of that class than the surplus.
    #[must_use]
    pub fn surplus_without_overload(&self) -> Option<Class> {
        let class = self.over_its_half();
        (self.len() > self.places && !self.tree.is_overloaded(class)).then_some(class)
    }

    /// The class that has more than its half, when there is one entry more than places.
    fn over_its_half(&self) -> Class {
        if self.count(Class::Trusted) > self.places.div_ceil(2) {
            Class::Trusted
        } else {
            Class::Stranger
        }
    }

    /// The entry of a host that goes first.
    fn first_of(&self, host: u32) -> EntryId {
        let node = self.tree.node(host);
        let oldest = if node.first == NIL {
            node.last
        } else {
            node.first
        };
        match self.order {
            Order::Oldest => oldest,
            Order::Newest => self.entry(oldest).before,
        }
    }

    fn update(&mut self, host: u32, change: i32) {
        let last_active = self.entry(self.first_of(host)).last_active;
        self.tree.update(host, change, last_active);
    }

    fn entry(&self, id: EntryId) -> &Entry {
        let index = usize::try_from(id).unwrap_or(usize::MAX);
        self.entries.get(index).unwrap_or(&NO_ENTRY)
    }

    fn with(&mut self, id: EntryId, change: impl FnOnce(&mut Entry)) {
        let index = usize::try_from(id).unwrap_or(usize::MAX);
        if let Some(entry) = self.entries.get_mut(index) {
            change(entry);
        }
    }

    fn oldest(&self, host: u32, turn: Turn) -> EntryId {
        let node = self.tree.node(host);
        match turn {
            Turn::First => node.first,
            Turn::Last => node.last,
        }
    }

    fn set_oldest(&mut self, host: u32, turn: Turn, id: EntryId) {
        self.tree.with(host, |node| match turn {
            Turn::First => node.first = id,
            Turn::Last => node.last = id,
        });
    }

    /// Makes it the latest of its host and turn, active now.
    fn link(&mut self, id: EntryId, host: u32, turn: Turn) {
        self.time = self.time.wrapping_add(1);
        let oldest = self.oldest(host, turn);
        let (before, after) = if oldest == NIL {
            self.set_oldest(host, turn, id);
            (id, id)
        } else {
            (self.entry(oldest).before, oldest)
        };
        let entry = Entry {
            host_and_turn: host << 1 | turn as u32,
            before,
            after,
            last_active: self.time,
        };
        self.with(id, |place| *place = entry);
        if before != id {
            self.with(before, |entry| entry.after = id);
            self.with(after, |entry| entry.before = id);
        }
    }

    /// Makes an entry the latest of its host and turn, active now. This is done for each message of a peer.
    fn make_latest(&mut self, id: EntryId, entry: Entry) {
        self.time = self.time.wrapping_add(1);
        let last_active = self.time;
        let Entry { before, after, .. } = entry;
        let oldest = self.oldest(entry.host(), entry.turn());
        let latest = self.entry(oldest).before;
        if oldest == id {
            self.set_oldest(entry.host(), entry.turn(), after);
        } else if latest != id {
            self.with(before, |entry| entry.after = after);
            self.with(after, |entry| entry.before = before);
            self.with(latest, |entry| entry.after = id);
            self.with(oldest, |entry| entry.before = id);
            self.with(id, |entry| {
                entry.before = latest;
                entry.after = oldest;
            });
        }
        self.with(id, |entry| entry.last_active = last_active);
    }

    fn unlink(&mut self, id: EntryId) {
        let entry = *self.entry(id);
        let (host, turn) = (entry.host(), entry.turn());
        let Entry { before, after, .. } = entry;
        self.with(before, |entry| entry.after = after);
        self.with(after, |entry| entry.before = before);
        if self.oldest(host, turn) == id {
            let next = if after == id { NIL } else { after };
            self.set_oldest(host, turn, next);
        }
    }
}

/// Whether one time is before another.
fn is_before(one: u32, other: u32) -> bool {
    other.wrapping_sub(one).cast_signed() > 0
}
