//! The peers of a relay: who registered, how, and when they were last heard of. Bounded, whoever registers.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashTable;
use hii_protocol::Endpoint;

use super::budgets::of_receiver;
use super::shares::Shares;
use super::slot::{NIL, Slot, packed, packed_ip, seconds};
use crate::args::Rate;
use crate::policy::{Limit, Pace};

/// How long a peer that proved its address is one, unless it proves it again.
pub const EXPIRY: Duration = Duration::from_secs(300);

/// What part of the table connections may take, which are not put out for others.
const SHARE_OF_CONNECTIONS: usize = 2;

/// Slots looked at for expired peers at each registration; more of them when there seems to be no room.
const SWEPT: usize = 2;
const SWEPT_FOR_ROOM: usize = 1024;

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

/// A peer that was heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Where it is in the table, as long as that does not change.
    pub place: u32,
    /// How it came to be a peer.
    pub standing: Standing,
    /// How much its rate lets it send now.
    pub left: u64,
}

/// A peer that a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receiver {
    /// Where it is in the table, as long as that does not change.
    pub place: u32,
    /// The peer.
    pub peer: Peer,
    /// How many messages it may be sent now.
    pub left: u64,
}

impl Peer {
    /// Whether it is reached by a connection.
    #[must_use]
    pub fn is_connected(self) -> bool {
        self.standing == Standing::Connected
    }

    /// Whether it may be sent any octets: a program of ours, and not an original one that takes them for text.
    #[must_use]
    pub fn takes_raw(self) -> bool {
        self.standing != Standing::Greeted
    }
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
    shares: Shares,
    connections: usize,
    /// What each peer may send.
    sent: Pace,
    /// What each peer is sent.
    received: Pace,
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
            shares: Shares::new(&key, most),
            connections: 0,
            key,
            sent: Limit::from(rate).into(),
            received: of_receiver(rate).into(),
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
        self.sweep(SWEPT, now);
        if let Some(index) = self.live(endpoint, now) {
            return self.register_again(index, peer, now);
        }
        let is_counted = !is_trusted && peer.standing != Standing::Connected;
        let ip = packed_ip(endpoint.ip());
        if is_counted && !self.shares.have_room(ip) {
            // Peers that have expired and were not noticed yet do not keep others out.
            self.sweep(SWEPT_FOR_ROOM, now);
            if !self.shares.have_room(ip) {
                return Registration::NoRoom;
            }
        }
        // One that has expired stands in its way.
        if let Some(index) = self.index(endpoint) {
            self.remove_at(index);
        }
        let is_connection = peer.standing == Standing::Connected;
        if is_connection && self.connections >= (self.most / SHARE_OF_CONNECTIONS).max(1) {
            return Registration::NoRoom;
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

    /// The peer at this address, if there is one, as a message's receiver.
    #[must_use]
    pub fn receiver(&self, endpoint: Endpoint, now: Duration) -> Option<Receiver> {
        let place = self.live(endpoint, now)?;
        let slot = self.slot(place)?;
        Some(Receiver {
            place,
            peer: slot.peer(),
            left: self.received.left(slot.received, now),
        })
    }

    /// A peer has sent something now: it has been heard of. None is nobody. Whoever has the address of a connection, and
    /// sends datagrams, is not that peer; nor the other way round.
    pub fn hear(&mut self, endpoint: Endpoint, is_connected: bool, now: Duration) -> Option<Heard> {
        let index = self.live(endpoint, now)?;
        let slot = self.slot(index)?;
        let heard = Heard {
            place: index,
            standing: slot.standing,
            left: self.sent.left(slot.sent, now),
        };
        if is_connected != (heard.standing == Standing::Connected) {
            return None;
        }
        self.touch(index);
        Some(heard)
    }

    /// Whether there is a peer at this address that proved it, by a token or a connection.
    #[must_use]
    pub fn is_proven(&self, endpoint: Endpoint, now: Duration) -> bool {
        let peer = self.find(endpoint, now);
        peer.is_some_and(|peer| peer.standing != Standing::Greeted)
    }

    /// Charges the peer in this place for what it sent.
    pub fn charge_sender(&mut self, place: u32, count: u64, now: Duration) {
        let Self { slots, sent, .. } = self;
        let slot = usize::try_from(place)
            .ok()
            .and_then(|place| slots.get_mut(place));
        if let Some(slot) = slot {
            sent.charge(&mut slot.sent, count, now);
        }
    }

    /// Charges the peer in this place for what it was sent.
    pub fn charge_receiver(&mut self, place: u32, count: u64, now: Duration) {
        let Self {
            slots, received, ..
        } = self;
        let slot = usize::try_from(place)
            .ok()
            .and_then(|place| slots.get_mut(place));
        if let Some(slot) = slot {
            received.charge(&mut slot.received, count, now);
        }
    }

    /// Charges the peer at this address for something that it sent now, and returns whether that is within its rate, or
    /// `None` if there is no peer, as [`hear`](Self::hear) does.
    pub fn pay(&mut self, endpoint: Endpoint, is_connected: bool, now: Duration) -> Option<bool> {
        let heard = self.hear(endpoint, is_connected, now)?;
        let is_within = heard.left > 0;
        if is_within {
            self.charge_sender(heard.place, 1, now);
        }
        Some(is_within)
    }

    /// Returns how long the connection that is a peer at this address has to wait until it is within its rate, or `None` if
    /// none is.
    #[must_use]
    pub fn wait(&self, endpoint: Endpoint, now: Duration) -> Option<Duration> {
        let slot = self.slot(self.live(endpoint, now)?)?;
        let is_connection = slot.standing == Standing::Connected;
        let wait = self.sent.wait(slot.sent, 1, now).unwrap_or_default();
        is_connection.then_some(wait)
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

    /// Puts out expired peers among the next so many slots.
    fn sweep(&mut self, slots: usize, now: Duration) {
        for _ in 0..slots.min(self.slots.len()) {
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

    pub(super) fn index(&self, endpoint: Endpoint) -> Option<u32> {
        let (ip, port) = (packed_ip(endpoint.ip()), endpoint.port());
        let hash = self.key.hash_one((ip, port));
        let is_it = |index: &u32| self.slot(*index).is_some_and(|slot| slot.is_of(ip, port));
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
            self.shares.add(slot.ip);
        }
        self.connections += usize::from(slot.standing == Standing::Connected);
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
            self.shares.remove(slot.ip);
        }
        let was_connection = usize::from(slot.standing == Standing::Connected);
        self.connections = self.connections.saturating_sub(was_connection);
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
