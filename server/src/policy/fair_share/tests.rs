//! Fair shares against a model that counts everything anew, and against floods.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;

use super::floods::{ATTACKS, Attack, honest, v6};
use super::holder::{Depth, Prefix};
use super::*;
use crate::policy::fair_pool::{FairPool, Inserted};
use crate::policy::origin::origin;

fn holder(ip: impl Into<IpAddr>) -> Holder {
    Holder::of(&origin(SocketAddr::new(ip.into(), 9)))
}

/// One entry, as the model has it.
#[derive(Debug, Clone, Copy)]
struct Known {
    holder: Holder,
    turn: Turn,
    last_active: u64,
}

/// A load as a fraction, and the depth of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rank(u64, u64, Depth);

impl Rank {
    fn key(self) -> (u64, Depth) {
        // Pools of these tests have allowances below 2^10.
        ((self.0 << 30) / self.1, self.2)
    }

    fn is_overloaded(self) -> bool {
        self.0 > self.1
    }
}

fn rank(entries: usize, places: u32, depth: Depth) -> Rank {
    let parts = match depth {
        Depth::Class => 1,
        Depth::Region => 16,
        Depth::Site => 64,
        Depth::Host => 256,
    };
    Rank(entries as u64, u64::from((places / parts).max(4)), depth)
}

fn below(depth: Depth) -> Depth {
    match depth {
        Depth::Class => Depth::Region,
        Depth::Region => Depth::Site,
        Depth::Site | Depth::Host => Depth::Host,
    }
}

/// The entry that gives way among these, and the highest rank.
fn first(
    known: &BTreeMap<EntryId, Known>,
    ids: &[EntryId],
    depth: Depth,
    places: u32,
    entries: Order,
) -> (Rank, EntryId) {
    let own = rank(ids.len(), places, depth);
    let goes_at = |last_active| match entries {
        Order::Oldest => last_active,
        Order::Newest => u64::MAX - last_active,
    };
    if depth == Depth::Host {
        let order = |id: &&EntryId| {
            let one = known[*id];
            (one.turn as u8, goes_at(one.last_active))
        };
        return (own, *ids.iter().min_by_key(order).unwrap());
    }
    let depth = below(depth);
    let mut children: Vec<(Prefix, Vec<EntryId>)> = Vec::new();
    for id in ids {
        let prefix = known[id].holder.prefix(depth);
        match children.iter_mut().find(|(other, _)| *other == prefix) {
            Some((_, ids)) => ids.push(*id),
            None => children.push((prefix, vec![*id])),
        }
    }
    let children = children
        .iter()
        .map(|(_, ids)| first(known, ids, depth, places, entries));
    let order =
        |(rank, id): &(Rank, EntryId)| (rank.key(), Reverse(goes_at(known[id].last_active)));
    let (highest, id) = children.max_by_key(order).unwrap();
    let is_class = own.2 == Depth::Class;
    let rank = if is_class || highest.key() > own.key() {
        highest
    } else {
        own
    };
    (rank, id)
}

/// Fair shares, and the model beside them.
struct Checked {
    share: FairShare,
    known: BTreeMap<EntryId, Known>,
    time: u64,
}

impl Checked {
    fn new(places: u32, order: Order) -> Self {
        Self {
            share: FairShare::new(places, order),
            known: BTreeMap::new(),
            time: 0,
        }
    }

    /// Inserts an entry, and returns what had to go.
    fn insert(&mut self, holder: Holder, turn: Turn) -> Option<Known> {
        self.time += 1;
        let last_active = self.time;
        let id = self.share.insert(holder, turn);
        let entry = Known {
            holder,
            turn,
            last_active,
        };
        assert!(self.known.insert(id, entry).is_none(), "{id} is in use");
        let surplus = self.share.surplus();
        let places = self.share.places();
        if self.known.len() <= places as usize {
            assert_eq!(surplus, None);
            assert_eq!(self.share.surplus_without_overload(), None);
            return None;
        }
        let class = self.over_its_half();
        self.check_choice(class);
        let ids = self.of_class(class);
        let (_, expected) = first(&self.known, &ids, Depth::Class, places, self.share.order);
        assert_eq!(surplus, Some(expected), "{:?}", self.known);
        let gone = self.known[&expected];
        self.check_promise(&ids, gone);
        self.remove(expected);
        Some(gone)
    }

    fn of_class(&self, class: Class) -> Vec<EntryId> {
        let is_of = |one: &Known| one.holder.class() == class;
        let ids = self.known.iter().filter(|(_, one)| is_of(one));
        ids.map(|(id, _)| *id).collect()
    }

    /// The class that has more than its half.
    fn over_its_half(&self) -> Class {
        let trusted = self.of_class(Class::Trusted).len();
        if trusted > self.share.places().div_ceil(2) as usize {
            Class::Trusted
        } else {
            Class::Stranger
        }
    }

    /// Whether an entry with this holder has a prefix that is overloaded.
    fn is_overloaded(&self, holder: Holder) -> bool {
        let depths = [Depth::Host, Depth::Site, Depth::Region];
        depths.into_iter().any(|depth| {
            let same = |one: &&Known| one.holder.prefix(depth) == holder.prefix(depth);
            let entries = self.known.values().filter(same).count();
            rank(entries, self.share.places(), depth).is_overloaded()
        })
    }

    /// The pool's owner may choose if there is no overloaded prefix.
    fn check_choice(&self, class: Class) {
        let mut ids = self.of_class(class).into_iter();
        let is_overloaded = ids.any(|id| self.is_overloaded(self.known[&id].holder));
        let found = self.share.surplus_without_overload();
        assert_eq!(found, (!is_overloaded).then_some(class), "{:?}", self.known);
    }

    /// While a prefix of the class is overloaded, only an entry of an overloaded prefix goes.
    fn check_promise(&self, ids: &[EntryId], gone: Known) {
        if ids
            .iter()
            .any(|id| self.is_overloaded(self.known[id].holder))
        {
            assert!(self.is_overloaded(gone.holder), "{gone:?}");
        }
    }

    fn remove(&mut self, id: EntryId) {
        self.share.remove(id);
        self.known.remove(&id);
    }

    fn touch(&mut self, id: EntryId, turn: Turn) {
        self.time += 1;
        self.share.touch(id, turn);
        if let Some(known) = self.known.get_mut(&id) {
            *known = Known {
                turn,
                last_active: self.time,
                ..*known
            };
        }
    }

    fn nth(&self, number: usize) -> Option<EntryId> {
        let number = number.checked_rem(self.known.len())?;
        self.known.keys().nth(number).copied()
    }
}

#[derive(Debug, Clone)]
enum Act {
    Insert(IpAddr, Turn),
    Touch(usize, Turn),
    Remove(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    // Few values in each place, so that addresses share prefixes of every depth.
    let few = || 0..3_u16;
    let v4 = (few(), few(), 0..5_u16).prop_map(|(region, site, host)| {
        let [.., region] = region.to_be_bytes();
        let [.., site] = site.to_be_bytes();
        let [.., host] = host.to_be_bytes();
        IpAddr::from(Ipv4Addr::new(192, region, site, host + 1))
    });
    let v6 = (few(), few(), few(), few()).prop_map(|(region, site, host, rest)| {
        IpAddr::from(Ipv6Addr::new(0x2a00, region, site, host, 0, 0, 0, rest))
    });
    let loopback = (1..4_u8).prop_map(|host| IpAddr::from(Ipv4Addr::new(127, 0, 0, host)));
    let turn = || prop_oneof![Just(Turn::First), Just(Turn::Last)];
    let any = any::<usize>;
    let act = prop_oneof![
        6 => (prop_oneof![3 => v4, 3 => v6, 2 => loopback], turn())
            .prop_map(|(ip, turn)| Act::Insert(ip, turn)),
        3 => (any(), turn()).prop_map(|(number, turn)| Act::Touch(number, turn)),
        1 => any().prop_map(Act::Remove),
    ];
    prop::collection::vec(act, 0..300)
}

proptest! {
    #[test]
    fn agrees_with_a_count_of_everything(
        places in 0..90_u32,
        newest_first: bool,
        acts in acts(),
    ) {
        let order = if newest_first { Order::Newest } else { Order::Oldest };
        let mut checked = Checked::new(places, order);
        for act in acts {
            match act {
                Act::Insert(ip, turn) => {
                    checked.insert(holder(ip), turn);
                }
                Act::Touch(number, turn) => {
                    if let Some(id) = checked.nth(number) {
                        checked.touch(id, turn);
                    }
                }
                Act::Remove(number) => {
                    if let Some(id) = checked.nth(number) {
                        checked.remove(id);
                    }
                }
            }
            prop_assert_eq!(checked.share.len() as usize, checked.known.len());
            prop_assert_eq!(checked.share.is_empty(), checked.known.is_empty());
        }
        for id in checked.known.clone().into_keys() {
            checked.remove(id);
        }
        prop_assert!(checked.share.is_empty());
        prop_assert_eq!(checked.share.tree.len(), 0);
    }
}

/// What the attacker does after each entry: it is active in those that it has, or it is not.
#[derive(Debug, Clone, Copy)]
enum Flood {
    Entries,
    Renewals,
}

#[test]
fn no_flood_displaces_honest_holders() {
    for (name, attack) in ATTACKS {
        for flood in [Flood::Entries, Flood::Renewals] {
            for honest_first in [true, false] {
                let lost = lost(attack, flood, honest_first);
                assert_eq!(lost, 0, "{name}, {flood:?}, honest first: {honest_first}");
            }
        }
    }
}

/// How many honest entries were displaced, in a pool of 1,024 places.
fn lost(attack: Attack, flood: Flood, honest_first: bool) -> usize {
    let mut pool = FairPool::new(1024);
    let mut lost = 0;
    let count = |inserted: Inserted<bool>, lost: &mut usize| {
        *lost += usize::from(inserted.displaced.is_some_and(|(_, is_honest)| is_honest));
        inserted.id
    };
    let enter_honest = |pool: &mut FairPool<bool>, lost: &mut usize| {
        for ip in honest() {
            count(pool.insert(holder(ip), Turn::First, true), lost);
        }
    };
    if honest_first {
        enter_honest(&mut pool, &mut lost);
    }
    for number in 0..20_000 {
        let inserted = pool.insert(holder(attack(number)), Turn::First, false);
        let id = count(inserted, &mut lost);
        if let (Flood::Renewals, Some(id)) = (flood, id) {
            pool.touch(id, Turn::Last);
        }
    }
    if !honest_first {
        enter_honest(&mut pool, &mut lost);
        for number in 0..5000 {
            count(
                pool.insert(holder(attack(number)), Turn::Last, false),
                &mut lost,
            );
        }
    }
    lost
}

#[test]
fn each_class_has_a_right_to_one_half() {
    let stranger = |number| holder(Ipv4Addr::from_bits(0xc633_6400 + number));
    let trusted = holder(Ipv4Addr::LOCALHOST);
    let mut pool = FairPool::new(100);
    let counts = |pool: &FairPool<u32>| (pool.count(Class::Trusted), pool.count(Class::Stranger));
    // Either may use what the other leaves free.
    for number in 0..150 {
        pool.insert(trusted, Turn::First, number);
    }
    assert_eq!(counts(&pool), (100, 0));
    for number in 0..150 {
        pool.insert(stranger(number), Turn::First, number);
    }
    assert_eq!(counts(&pool), (50, 50));
    for number in 0..150 {
        pool.insert(trusted, Turn::First, number);
    }
    assert_eq!(counts(&pool), (50, 50));
}

#[test]
fn in_one_host_the_inactive_go_first_and_those_of_the_last_turn_last() {
    let host = holder(Ipv4Addr::new(192, 0, 2, 1));
    let mut pool = FairPool::new(4);
    let insert = |pool: &mut FairPool<char>, turn, value| {
        let Inserted { displaced, .. } = pool.insert(host, turn, value);
        displaced.map(|(_, value)| value)
    };
    for (turn, value) in [
        (Turn::Last, 'a'),
        (Turn::First, 'b'),
        (Turn::First, 'c'),
        (Turn::Last, 'd'),
    ] {
        assert_eq!(insert(&mut pool, turn, value), None);
    }
    pool.touch(1, Turn::First);
    assert_eq!(insert(&mut pool, Turn::First, 'e'), Some('c'));
    assert_eq!(insert(&mut pool, Turn::Last, 'f'), Some('b'));
    pool.touch(0, Turn::Last);
    assert_eq!(insert(&mut pool, Turn::Last, 'g'), Some('e'));
    assert_eq!(insert(&mut pool, Turn::Last, 'h'), Some('d'));
    // One that has the first turn, where all others have the last, has no place.
    let inserted = pool.insert(host, Turn::First, 'i');
    assert_eq!(inserted.id, None);
    assert_eq!(inserted.displaced.map(|(_, value)| value), Some('i'));
    assert_eq!(pool.len(), 4);
}

#[test]
fn memory_is_bounded_by_the_places() {
    assert_eq!(size_of::<Entry>(), 16);
    let mut share = FairShare::new(1000, Order::Oldest);
    for number in 0..100_000_u32 {
        // Each in a region of its own.
        share.insert(holder(v6(0x2a00_0000 + number, 0, 0, 1)), Turn::First);
        if let Some(goes) = share.surplus() {
            share.remove(goes);
        }
    }
    assert_eq!(share.entries.len(), 1001);
    assert_eq!(share.tree.len(), 3 * 1000);
    assert!(share.tree.capacity() <= 2 + 3 * 1001);
}
