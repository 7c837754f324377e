//! How many places the prefixes of all holders have, and which of them is the most loaded.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;

use super::holder::{Class, Depth, Holder, Prefix};
use super::{NIL, Order};

/// No prefix is allowed fewer places, however small the pool.
const MIN_ALLOWANCE: u32 = 4;

/// A prefix with at least one entry. Siblings form a heap (a pairing heap): the one that gives way first is its root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// A keyed hash of the prefix; its lowest bits are the depth.
    id: u64,
    parent: u32,
    pub(super) entries: u32,
    /// When the entry that gives way was last active, as of the last change.
    last_active: u32,
    /// The child that gives way first; of a host, the oldest entry of those that go first.
    pub(super) first: u32,
    /// Of a host, the oldest entry of those that go last.
    pub(super) last: u32,
    /// The heap of siblings: those below this one, each leading to the next, and the way back.
    child: u32,
    next: u32,
    before: u32,
}

const DEPTH_BITS: u64 = 0b11;

/// The load of a prefix that has as many entries as it is allowed.
const LOAD_OF_ONE: u64 = 1 << 30;

const NO_NODE: Node = Node {
    id: 0,
    parent: NIL,
    entries: 0,
    last_active: 0,
    first: NIL,
    last: NIL,
    child: NIL,
    next: NIL,
    before: NIL,
};

impl Node {
    fn depth(&self) -> u64 {
        self.id & DEPTH_BITS
    }

    fn is_host(&self) -> bool {
        self.depth() == Depth::Host as u64
    }
}

/// How many places of a pool a host, a site and a region may have before they are overloaded.
pub(crate) fn allowances(places: u32) -> [u32; 3] {
    [256, 64, 16].map(|parts| (places / parts).max(MIN_ALLOWANCE))
}

/// The tree of prefixes: class, region, site, host.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// Unused nodes, each leading to the next.
    free: u32,
    by_id: HashTable<u32>,
    key: RandomState,
    order: Order,
    /// How many places a prefix of each depth may have before it is overloaded.
    allowances: [u32; 4],
}

impl Tree {
    /// For a pool of this many places.
    pub(super) fn new(places: u32, order: Order) -> Self {
        let [host, site, region] = allowances(places);
        Self {
            // The roots of both classes.
            nodes: vec![NO_NODE; 2],
            free: NIL,
            by_id: HashTable::new(),
            key: RandomState::new(),
            order,
            allowances: [u32::MAX, region, site, host],
        }
    }

    pub(super) fn class(&self, class: Class) -> &Node {
        self.node(class as u32)
    }

    /// The node of the holder's host, which is made if there is none; then it has no entry yet.
    pub(super) fn host(&mut self, holder: Holder) -> u32 {
        let id = self.id(holder.prefix(Depth::Host));
        if let Some(host) = self.find(id) {
            return host;
        }
        let mut parent = holder.class() as u32;
        for depth in [Depth::Region, Depth::Site, Depth::Host] {
            let id = self.id(holder.prefix(depth));
            parent = self.find(id).unwrap_or_else(|| self.add(id, parent));
        }
        parent
    }

    /// The host that gives way in this class.
    pub(super) fn first_host(&self, class: Class) -> u32 {
        let mut index = class as u32;
        while !self.node(index).is_host() && index != NIL {
            index = self.node(index).first;
        }
        index
    }

    /// Whether a prefix of this class has a load above one.
    pub(super) fn is_overloaded(&self, class: Class) -> bool {
        self.rank(class as u32) >> 2 > LOAD_OF_ONE
    }

    pub(super) fn node(&self, index: u32) -> &Node {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.nodes.get(index).unwrap_or(&NO_NODE)
    }

    pub(super) fn with(&mut self, index: u32, change: impl FnOnce(&mut Node)) {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        if let Some(node) = self.nodes.get_mut(index) {
            change(node);
        }
    }

    /// Notes that a host has more or fewer entries, and when the first of them to give way was last active.
    pub(super) fn update(&mut self, host: u32, change: i32, last_active: u32) {
        let mut index = host;
        while self.node(index).parent != NIL {
            let Node {
                parent,
                entries,
                first,
                ..
            } = *self.node(index);
            let heap = self.node(parent).first;
            let last_active = if index == host {
                last_active
            } else {
                self.node(first).last_active
            };
            // What gives way first and grows does so all the more.
            let stays = heap == index && change > 0;
            let rest = if stays || entries == 0 {
                heap
            } else {
                self.detach(heap, index)
            };
            let entries = entries.saturating_add_signed(change);
            self.with(index, |node| {
                node.entries = entries;
                node.last_active = last_active;
            });
            let heap = if entries == 0 {
                self.remove(index);
                rest
            } else if stays {
                heap
            } else {
                self.meld(rest, index)
            };
            self.with(parent, |node| node.first = heap);
            index = parent;
        }
        self.with(index, |root| {
            root.entries = root.entries.saturating_add_signed(change);
        });
    }

    /// When the entry that gives way in this host was last active, as far as its place among its siblings shows.
    pub(super) fn known_last_active(&self, host: u32) -> u32 {
        self.node(host).last_active
    }

    /// How many prefixes have an entry.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// How many nodes there have been at once.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.nodes.len()
    }

    fn id(&self, prefix: Prefix) -> u64 {
        let depth = prefix.depth() as u64;
        self.key.hash_one(prefix) & !DEPTH_BITS | depth
    }

    fn find(&self, id: u64) -> Option<u32> {
        let is_it = |index: &u32| self.node(*index).id == id;
        self.by_id.find(id, is_it).copied()
    }

    fn add(&mut self, id: u64, parent: u32) -> u32 {
        let node = Node {
            id,
            parent,
            ..NO_NODE
        };
        let index = if self.free == NIL {
            let index = u32::try_from(self.nodes.len()).unwrap_or(NIL);
            self.nodes.push(node);
            index
        } else {
            let index = self.free;
            self.free = self.node(index).next;
            self.with(index, |unused| *unused = node);
            index
        };
        let Self { nodes, by_id, .. } = self;
        by_id.insert_unique(id, index, |index| {
            let index = usize::try_from(*index).unwrap_or(usize::MAX);
            nodes.get(index).map_or(0, |node| node.id)
        });
        index
    }

    fn remove(&mut self, index: u32) {
        let id = self.node(index).id;
        if let Ok(entry) = self.by_id.find_entry(id, |other| *other == index) {
            entry.remove();
        }
        let free = self.free;
        self.with(index, |node| {
            *node = NO_NODE;
            node.next = free;
        });
        self.free = index;
    }

    /// The highest load of a prefix and of all within it; of equal ones, the longer prefix is higher.
    fn rank(&self, index: u32) -> u64 {
        let mut highest = 0;
        let mut index = index;
        while index != NIL {
            let node = self.node(index);
            highest = highest.max(self.load(node) << 2 | node.depth());
            index = if node.is_host() { NIL } else { node.first };
        }
        highest
    }

    /// Entries by allowance, in fixed point. The quotient of two 32-bit integers fits: a prefix is allowed at least four.
    fn load(&self, node: &Node) -> u64 {
        let depth = usize::try_from(node.depth()).unwrap_or_default();
        let allowance = self.allowances.get(depth).copied().unwrap_or(u32::MAX);
        u64::from(node.entries) * LOAD_OF_ONE / u64::from(allowance)
    }

    /// Whether one sibling gives way before the other. Of equal ones the order of their entries decides.
    fn precedes(&self, one: u32, other: u32) -> bool {
        let (one_rank, other_rank) = (self.rank(one), self.rank(other));
        let is_first = || {
            let (one, other) = (self.node(one).last_active, self.node(other).last_active);
            match self.order {
                Order::Oldest => super::is_before(one, other),
                Order::Newest => super::is_before(other, one),
            }
        };
        one_rank > other_rank || one_rank == other_rank && is_first()
    }

    /// One heap of two.
    fn meld(&mut self, one: u32, other: u32) -> u32 {
        if one == NIL || other == NIL {
            return if one == NIL { other } else { one };
        }
        let (top, below) = if self.precedes(other, one) {
            (other, one)
        } else {
            (one, other)
        };
        let next = self.node(top).child;
        self.with(next, |node| node.before = below);
        self.with(below, |node| {
            node.next = next;
            node.before = top;
        });
        self.with(top, |node| {
            node.child = below;
            node.next = NIL;
            node.before = NIL;
        });
        top
    }

    /// Takes a node out of its heap, and returns the heap of the others.
    fn detach(&mut self, heap: u32, index: u32) -> u32 {
        let Node {
            child,
            next,
            before,
            ..
        } = *self.node(index);
        let below = self.meld_all(child);
        self.with(index, |node| {
            node.child = NIL;
            node.next = NIL;
            node.before = NIL;
        });
        if heap == index {
            return below;
        }
        self.with(next, |node| node.before = before);
        self.with(before, |node| {
            if node.child == index {
                node.child = next;
            } else {
                node.next = next;
            }
        });
        self.meld(heap, below)
    }

    /// One heap of a list of them: two by two, and then from the last pair to the first.
    fn meld_all(&mut self, list: u32) -> u32 {
        let mut rest = list;
        let mut pairs = NIL;
        while rest != NIL {
            let one = rest;
            let other = self.node(one).next;
            rest = self.node(other).next;
            let pair = self.meld(one, other);
            self.with(pair, |node| node.next = pairs);
            pairs = pair;
        }
        let mut heap = NIL;
        while pairs != NIL {
            let pair = pairs;
            pairs = self.node(pair).next;
            self.with(pair, |node| node.next = NIL);
            heap = self.meld(heap, pair);
        }
        heap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_takes_40_octets() {
        assert_eq!(size_of::<Node>(), 40);
    }
}
