//! The peers of a relay: who registered, how, and when they were last heard of. Bounded, whoever registers.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use hashbrown::HashTable;
use hii_protocol::Endpoint;

use crate::args::Rate;

/// How long a peer that proved its address is one, unless it proves it again.
pub const EXPIRY: Duration = Duration::from_secs(300);

/// Buckets that the peers of a network are counted in. Networks that share one share their room; the keyed hash keeps
/// that from being arranged.
const NETWORKS: usize = 1 << 16;

/// What part of the table one network may take: the /24 or /48, and the /64.
const SHARE_OF_SITE: usize = 64;
const SHARE_OF_LINK: usize = 256;

/// A network may have so many peers, however small the table.
const LEAST_SHARE: u32 = 64;

/// No peer: the end of the list.
const NIL: u32 = u32::MAX;

/// How a peer came to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// By a bare greeting from where that is enough. It stays until it is evicted: an original client greets once.
    Greeted,
    /// By a token: what is sent to its address arrives there.
    Proven,
    /// By a TCP connection, as long as that is open.
    Connected,
}

/// Where a peer is reached, besides its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Which of the service's sockets, or which connection.
    pub socket: u32,
    /// The address of this host that the peer greeted, where the socket has several.
    pub asked: Option<IpAddr>,
}

/// A peer, as it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// How it came to be one.
    pub standing: Standing,
    /// Where it is reached.
    pub way: Way,
}

/// What became of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// It is a peer now.
    New,
    /// It was one.
    Known,
    /// The address and port are another's: the first live registration keeps them.
    Taken,
    /// Its network has as many peers as it may.
    NoRoom,
}

/// The peers, in bounded memory. The one not heard of for longest makes room for another.
#[derive(Debug)]
pub struct Peers {
    slots: Vec<Slot>,
    table: HashTable<u32>,
    key: RandomState,
    most: usize,
    latest: u32,
    oldest: u32,
    /// Slots without a peer, one leading to the next.
    free: u32,
    /// Where the search for expired peers goes on.
    hand: usize,
    sites: Shares,
    links: Shares,
    /// Nanoseconds between a peer's messages at the allowed rate; none is no limit.
    gap: Option<u64>,
}

/// A peer, packed: a relay may have a million of them.
#[derive(Debug, Clone, Copy)]
struct Slot {
    ip: u128,
    /// Zero where it is not known.
    asked: u128,
    /// When, at the allowed rate, all that was let through would have come.
    all_due: u64,
    /// When it proved its address, in seconds.
    proven: u32,
    socket: u32,
    before: u32,
    after: u32,
    /// Zero in a slot without a peer.
    port: u16,
    standing: Standing,
    is_counted: bool,
}

impl Peers {
    /// A table of so many peers at most, each of which may send at this rate.
    #[must_use]
    pub fn new(most: u32, rate: Rate) -> Self {
        let most = most.clamp(1, NIL - 1) as usize;
        let key = RandomState::new();
        Self {
            slots: Vec::new(),
            table: HashTable::new(),
            most,
            latest: NIL,
            oldest: NIL,
            free: NIL,
            hand: 0,
            sites: Shares::new(key.clone(), most / SHARE_OF_SITE, site),
            links: Shares::new(key.clone(), most / SHARE_OF_LINK, link),
            key,
            gap: rate.gap(),
        }
    }

    /// How many there are, the expired among them that were not noticed yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Makes a sender a peer. `is_trusted`: its network may take as much of the table as it likes.
    pub fn register(
        &mut self,
        endpoint: Endpoint,
        peer: Peer,
        is_trusted: bool,
        now: Duration,
    ) -> Registration {
        self.sweep(now);
        if let Some(index) = self.live(endpoint, now) {
            return self.register_again(index, peer, now);
        }
        let is_counted = !is_trusted && peer.standing != Standing::Connected;
        let ip = packed_ip(endpoint.ip());
        if is_counted && !(self.sites.has_room(ip) && self.links.has_room(ip)) {
            return Registration::NoRoom;
        }
        // One that has expired stands in its way.
        if let Some(index) = self.index(endpoint) {
            self.remove_at(index);
        }
        if self.table.len() >= self.most {
            self.remove_at(self.oldest);
        }
        if self.table.len() >= self.most {
            // All others are connections, which are not put out.
            return Registration::NoRoom;
        }
        self.insert(Slot::new(endpoint, peer, is_counted, now));
        Registration::New
    }

    fn register_again(&mut self, index: u32, peer: Peer, now: Duration) -> Registration {
        let Some(slot) = self.slot_mut(index) else {
            return Registration::NoRoom;
        };
        let is_connection = |standing| standing == Standing::Connected;
        let is_other = is_connection(slot.standing) != is_connection(peer.standing)
            || is_connection(slot.standing) && slot.socket != peer.way.socket;
        if is_other {
            return Registration::Taken;
        }
        // A bare greeting takes nothing from a peer that proved itself, and does not prove it again.
        if peer.standing != Standing::Greeted {
            slot.standing = peer.standing;
            slot.proven = seconds(now);
        }
        if slot.standing == peer.standing {
            slot.socket = peer.way.socket;
            slot.asked = packed(peer.way.asked);
        }
        self.touch(index);
        Registration::Known
    }

    /// The peer at this address, if there is one.
    #[must_use]
    pub fn find(&self, endpoint: Endpoint, now: Duration) -> Option<Peer> {
        let index = self.live(endpoint, now)?;
        self.slot(index).map(Slot::peer)
    }

    /// The peer that sent something now, and whether that is within its rate. It has been heard of.
    pub fn hear(&mut self, endpoint: Endpoint, now: Duration) -> Option<(Peer, bool)> {
        let index = self.live(endpoint, now)?;
        self.touch(index);
        let gap = self.gap;
        let slot = self.slot_mut(index)?;
        let within = gap.is_none_or(|gap| crate::rate::take(&mut slot.all_due, gap, now));
        Some((slot.peer(), within))
    }

    /// A connection has ended, and what was registered by it.
    pub fn disconnect(&mut self, endpoint: Endpoint, connection: u32) {
        let found = self.index(endpoint).filter(|index| {
            self.slot(*index).is_some_and(|slot| {
                slot.standing == Standing::Connected && slot.socket == connection
            })
        });
        if let Some(index) = found {
            self.remove_at(index);
        }
    }

    /// Puts out a few expired peers, if they are where it looks.
    fn sweep(&mut self, now: Duration) {
        for _ in 0..2 {
            let index = self.hand;
            self.hand = if index + 1 < self.slots.len() {
                index + 1
            } else {
                0
            };
            if self
                .slots
                .get(index)
                .is_some_and(|slot| slot.has_expired(now))
            {
                self.remove_at(u32::try_from(index).unwrap_or(NIL));
            }
        }
    }

    /// The place of a peer that has not expired.
    fn live(&self, endpoint: Endpoint, now: Duration) -> Option<u32> {
        let index = self.index(endpoint)?;
        let expired = self.slot(index).is_some_and(|slot| slot.has_expired(now));
        (!expired).then_some(index)
    }

    fn index(&self, endpoint: Endpoint) -> Option<u32> {
        let (ip, port) = (packed_ip(endpoint.ip()), endpoint.port());
        let hash = self.key.hash_one((ip, port));
        let is_it = |index: &u32| {
            self.slot(*index)
                .is_some_and(|slot| slot.ip == ip && slot.port == port)
        };
        self.table.find(hash, is_it).copied()
    }

    fn slot(&self, index: u32) -> Option<&Slot> {
        self.slots.get(usize::try_from(index).ok()?)
    }

    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(index).ok()?)
    }

    fn insert(&mut self, slot: Slot) {
        let index = if self.free == NIL {
            let index = u32::try_from(self.slots.len()).unwrap_or(NIL);
            self.slots.push(slot);
            index
        } else {
            let index = self.free;
            if let Some(room) = self.slot_mut(index) {
                let next = room.after;
                *room = slot;
                self.free = next;
            }
            index
        };
        let hash = self.key.hash_one((slot.ip, slot.port));
        let Self {
            table, slots, key, ..
        } = self;
        table.insert_unique(hash, index, |index| {
            let slot = usize::try_from(*index)
                .ok()
                .and_then(|index| slots.get(index));
            slot.map_or(0, |slot| key.hash_one((slot.ip, slot.port)))
        });
        if slot.is_counted {
            self.sites.add(slot.ip);
            self.links.add(slot.ip);
        }
        self.link(index);
    }

    fn remove_at(&mut self, index: u32) {
        let Some(slot) = self.slot(index).copied().filter(|slot| slot.port != 0) else {
            return;
        };
        self.unlink(index);
        let hash = self.key.hash_one((slot.ip, slot.port));
        if let Ok(entry) = self.table.find_entry(hash, |other| *other == index) {
            entry.remove();
        }
        if slot.is_counted {
            self.sites.remove(slot.ip);
            self.links.remove(slot.ip);
        }
        let free = self.free;
        if let Some(slot) = self.slot_mut(index) {
            slot.port = 0;
            slot.after = free;
        }
        self.free = index;
    }

    /// Makes it the latest.
    fn touch(&mut self, index: u32) {
        if self.latest != index {
            self.unlink(index);
            self.link(index);
        }
    }

    /// Puts it at the latest end of the list; connections are in no list, so that they are not put out.
    fn link(&mut self, index: u32) {
        let latest = self.latest;
        let Some(slot) = self.slot_mut(index) else {
            return;
        };
        slot.after = NIL;
        slot.before = NIL;
        if slot.standing == Standing::Connected {
            return;
        }
        slot.before = latest;
        match self.slot_mut(latest) {
            Some(before) => before.after = index,
            None => self.oldest = index,
        }
        self.latest = index;
    }

    fn unlink(&mut self, index: u32) {
        let Some(Slot {
            before,
            after,
            standing,
            ..
        }) = self.slot(index).copied()
        else {
            return;
        };
        if standing == Standing::Connected {
            return;
        }
        match self.slot_mut(before) {
            Some(slot) => slot.after = after,
            None => self.oldest = after,
        }
        match self.slot_mut(after) {
            Some(slot) => slot.before = before,
            None => self.latest = before,
        }
    }
}

impl Slot {
    fn new(endpoint: Endpoint, peer: Peer, is_counted: bool, now: Duration) -> Self {
        Self {
            ip: packed_ip(endpoint.ip()),
            asked: packed(peer.way.asked),
            all_due: 0,
            proven: seconds(now),
            socket: peer.way.socket,
            before: NIL,
            after: NIL,
            port: endpoint.port(),
            standing: peer.standing,
            is_counted,
        }
    }

    fn peer(&self) -> Peer {
        let asked = (self.asked != 0).then(|| Ipv6Addr::from(self.asked).to_canonical());
        Peer {
            standing: self.standing,
            way: Way {
                socket: self.socket,
                asked,
            },
        }
    }

    fn has_expired(&self, now: Duration) -> bool {
        let age = seconds(now).saturating_sub(self.proven);
        self.port != 0 && self.standing == Standing::Proven && u64::from(age) >= EXPIRY.as_secs()
    }
}

/// How many peers there are of each network, by a keyed hash of it.
#[derive(Debug)]
struct Shares {
    buckets: Box<[u32]>,
    key: RandomState,
    most: u32,
    /// The network of an address.
    network: fn(u128) -> u128,
}

impl Shares {
    fn new(key: RandomState, most: usize, network: fn(u128) -> u128) -> Self {
        Self {
            buckets: vec![0; NETWORKS].into(),
            key,
            most: u32::try_from(most).unwrap_or(u32::MAX).max(LEAST_SHARE),
            network,
        }
    }

    fn bucket(&mut self, ip: u128) -> Option<&mut u32> {
        let hash = self.key.hash_one((self.network)(ip));
        let index = usize::try_from(hash).unwrap_or_default() % NETWORKS;
        self.buckets.get_mut(index)
    }

    fn has_room(&mut self, ip: u128) -> bool {
        let most = self.most;
        self.bucket(ip).is_some_and(|count| *count < most)
    }

    fn add(&mut self, ip: u128) {
        if let Some(count) = self.bucket(ip) {
            *count += 1;
        }
    }

    fn remove(&mut self, ip: u128) {
        if let Some(count) = self.bucket(ip) {
            *count = count.saturating_sub(1);
        }
    }
}

/// The /24 or the /48: what one site has.
fn site(ip: u128) -> u128 {
    if is_v4(ip) { ip >> 8 } else { ip >> 80 }
}

/// The /24 or the /64: what one link has.
fn link(ip: u128) -> u128 {
    if is_v4(ip) { ip >> 8 } else { ip >> 64 }
}

/// Whether it is an IPv4-mapped address.
fn is_v4(ip: u128) -> bool {
    ip >> 32 == 0xffff
}

fn packed_ip(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn packed(ip: Option<IpAddr>) -> u128 {
    ip.map_or(0, packed_ip)
}

fn seconds(now: Duration) -> u32 {
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::rate;
    use proptest::prelude::*;

    const WAY: Way = Way {
        socket: 0,
        asked: None,
    };

    fn peers(most: u32) -> Peers {
        Peers::new(most, rate("10/s").unwrap())
    }

    fn peer(standing: Standing) -> Peer {
        Peer { standing, way: WAY }
    }

    fn at(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    /// The n-th of many peers, each in a network of its own.
    fn nth(n: u32) -> Endpoint {
        let [_, a, b, c] = n.to_be_bytes();
        Endpoint::new([10 + a, b, c, 1].into(), 9000).unwrap()
    }

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_proof_expires_and_a_greeting_does_not() {
        let mut peers = peers(10);
        let (proven, greeted) = (at("192.0.2.1/1"), at("192.0.2.2/1"));
        assert_eq!(
            peers.register(proven, peer(Standing::Proven), false, secs(0)),
            Registration::New
        );
        peers.register(greeted, peer(Standing::Greeted), true, secs(0));
        assert!(peers.find(proven, secs(299)).is_some());
        // To be heard of is no proof.
        assert!(peers.hear(proven, secs(299)).is_some());
        assert!(peers.find(proven, secs(300)).is_none());
        assert!(peers.hear(proven, secs(300)).is_none());
        assert!(peers.find(greeted, secs(1_000_000)).is_some());
        // What has expired is put out in passing.
        peers.register(at("192.0.2.3/1"), peer(Standing::Proven), false, secs(301));
        assert_eq!(peers.len(), 2);
    }

    #[test]
    fn a_proof_refreshes_and_a_greeting_takes_nothing_from_it() {
        let mut peers = peers(10);
        let endpoint = at("192.0.2.1/1");
        peers.register(endpoint, peer(Standing::Proven), false, secs(0));
        let elsewhere = Peer {
            standing: Standing::Greeted,
            way: Way { socket: 7, ..WAY },
        };
        assert_eq!(
            peers.register(endpoint, elsewhere, true, secs(200)),
            Registration::Known
        );
        assert_eq!(
            peers.find(endpoint, secs(299)),
            Some(peer(Standing::Proven))
        );
        assert_eq!(peers.find(endpoint, secs(300)), None);
        peers.register(endpoint, peer(Standing::Proven), false, secs(300));
        peers.register(endpoint, peer(Standing::Proven), false, secs(500));
        assert!(peers.find(endpoint, secs(799)).is_some());
        // A peer that only greeted may prove itself.
        let other = at("192.0.2.2/1");
        peers.register(other, peer(Standing::Greeted), true, secs(0));
        peers.register(other, peer(Standing::Proven), false, secs(1));
        assert_eq!(peers.find(other, secs(2)), Some(peer(Standing::Proven)));
    }

    #[test]
    fn the_first_live_registration_keeps_an_address() {
        let mut peers = peers(10);
        let endpoint = at("192.0.2.1/1");
        let connected = |socket| Peer {
            standing: Standing::Connected,
            way: Way { socket, ..WAY },
        };
        peers.register(endpoint, peer(Standing::Proven), false, secs(0));
        let taken = peers.register(endpoint, connected(5), false, secs(1));
        assert_eq!(taken, Registration::Taken);
        // Once it has expired it is free.
        let new = peers.register(endpoint, connected(5), false, secs(300));
        assert_eq!(new, Registration::New);
        let taken = peers.register(endpoint, peer(Standing::Proven), false, secs(301));
        assert_eq!(taken, Registration::Taken);
        peers.disconnect(endpoint, 6);
        assert_eq!(peers.find(endpoint, secs(9999)), Some(connected(5)));
        peers.disconnect(endpoint, 5);
        assert_eq!(peers.find(endpoint, secs(302)), None);
        assert!(peers.is_empty());
    }

    #[test]
    fn a_full_table_forgets_who_was_not_heard_of_for_longest() {
        let mut peers = peers(3);
        for n in 0..3 {
            peers.register(nth(n), peer(Standing::Greeted), true, secs(0));
        }
        peers.hear(nth(0), secs(1));
        peers.register(nth(3), peer(Standing::Greeted), true, secs(2));
        let there: Vec<_> = (0..4)
            .filter(|n| peers.find(nth(*n), secs(3)).is_some())
            .collect();
        assert_eq!(there, [0, 2, 3]);
    }

    #[test]
    fn connections_are_not_put_out() {
        let mut peers = peers(2);
        let connected = peer(Standing::Connected);
        peers.register(nth(0), connected, false, secs(0));
        peers.register(nth(1), connected, false, secs(0));
        let full = peers.register(nth(2), peer(Standing::Proven), false, secs(0));
        assert_eq!(full, Registration::NoRoom);
        assert!(peers.find(nth(0), secs(1)).is_some());
    }

    #[test]
    fn one_network_does_not_take_the_table() {
        let mut peers = peers(100_000);
        let most = |peers: &mut Peers, ip: fn(u16) -> IpAddr, trusted| {
            let endpoints = (0..2000).map(|n| Endpoint::new(ip(n), 1 + n).unwrap());
            let new = |endpoint| {
                let peer = peer(Standing::Proven);
                peers.register(endpoint, peer, trusted, secs(0)) == Registration::New
            };
            endpoints.map(new).filter(|new| *new).count()
        };
        assert_eq!(
            most(&mut peers, |_| [192, 0, 2, 1].into(), false),
            100_000 / 256
        );
        let one_48 = |n| [0x2001, 0xdb8, 0, n, 0, 0, 0, 1].into();
        assert_eq!(most(&mut peers, one_48, false), 100_000 / 64);
        // Others have room all the same, and the operator's own have what they need.
        assert_eq!(
            most(
                &mut peers,
                |n| [10, (n >> 8) as u8, n as u8, 1].into(),
                false
            ),
            2000
        );
        assert_eq!(most(&mut peers, |_| [127, 0, 0, 1].into(), true), 2000);
    }

    #[test]
    fn a_peer_has_a_second_s_burst_and_then_its_rate() {
        let mut peers = peers(10);
        peers.register(nth(0), peer(Standing::Greeted), true, secs(0));
        let mut within = |at, tries| {
            let heard = (0..tries).map(|_| peers.hear(nth(0), at).unwrap().1);
            heard.filter(|within| *within).count()
        };
        assert_eq!(within(secs(5), 100), 10);
        assert_eq!(within(secs(5) + Duration::from_millis(500), 100), 5);
        assert_eq!(within(secs(60), 100), 10);
    }

    #[test]
    fn a_peer_takes_no_more_than_a_cache_line() {
        assert_eq!(size_of::<Slot>(), 64);
    }

    #[derive(Debug, Clone)]
    enum Act {
        Register(u32, Standing),
        Hear(u32),
        Disconnect(u32),
        Wait(u64),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let who = 0..20_u32;
        let standing = prop_oneof![
            Just(Standing::Greeted),
            Just(Standing::Proven),
            Just(Standing::Connected)
        ];
        let act = prop_oneof![
            4 => (who.clone(), standing).prop_map(|(who, standing)| Act::Register(who, standing)),
            2 => who.clone().prop_map(Act::Hear),
            1 => who.prop_map(Act::Disconnect),
            1 => (0..400_u64).prop_map(Act::Wait),
        ];
        prop::collection::vec(act, 0..200)
    }

    proptest! {
        #[test]
        fn does_what_a_plain_list_does(acts in acts(), most in 1..12_u32) {
            let mut peers = Peers::new(most, rate("0").unwrap());
            // Who, how, and when it proved itself; the one heard of last stands last.
            let mut list: Vec<(u32, Standing, u64)> = Vec::new();
            let mut now = 0;
            for act in acts {
                let expired = |now: u64, (_, standing, proven): &(u32, Standing, u64)| {
                    *standing == Standing::Proven && now - proven >= 300
                };
                match act {
                    Act::Wait(wait) => now += wait,
                    Act::Hear(who) => {
                        let heard = peers.hear(nth(who), secs(now));
                        let index = list.iter().position(|one| one.0 == who && !expired(now, one));
                        prop_assert_eq!(heard.map(|heard| heard.0.standing), index.map(|index| list[index].1));
                        if let Some(index) = index {
                            let one = list.remove(index);
                            list.push(one);
                        }
                    }
                    Act::Disconnect(who) => {
                        peers.disconnect(nth(who), 0);
                        list.retain(|one| one.0 != who || one.1 != Standing::Connected);
                    }
                    Act::Register(who, standing) => {
                        let got = peers.register(nth(who), peer(standing), true, secs(now));
                        // When exactly what has expired is put out is the table's own business.
                        list.retain(|one| !expired(now, one) || peers.index(nth(one.0)).is_some());
                        match list.iter().position(|one| one.0 == who && !expired(now, one)) {
                            Some(index) => {
                                let (_, before, proven) = list[index];
                                let other = (before == Standing::Connected) != (standing == Standing::Connected);
                                prop_assert_eq!(got == Registration::Taken, other);
                                if !other {
                                    list.remove(index);
                                    let proven = if standing == Standing::Greeted { proven } else { now };
                                    let standing = if standing == Standing::Greeted { before } else { standing };
                                    list.push((who, standing, proven));
                                }
                            }
                            None => {
                                list.retain(|one| one.0 != who);
                                if got == Registration::New {
                                    list.push((who, standing, now));
                                    if list.len() > most as usize {
                                        let first = list.iter().position(|one| one.1 != Standing::Connected);
                                        list.remove(first.unwrap());
                                    }
                                } else {
                                    prop_assert_eq!(got, Registration::NoRoom);
                                    prop_assert!(list.iter().all(|one| one.1 == Standing::Connected));
                                }
                            }
                        }
                    }
                }
                prop_assert!(peers.len() <= most as usize);
                prop_assert_eq!(peers.len(), list.len());
                for who in 0..20 {
                    let there = list.iter().find(|one| one.0 == who && !expired(now, one));
                    let found = peers.find(nth(who), secs(now));
                    prop_assert_eq!(found.map(|found| found.standing), there.map(|one| one.1));
                }
            }
        }
    }
}
