//! The peers of a relay: who registered, how, and when they were last heard of. Bounded, whoever registers.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashTable;
use hii_protocol::Endpoint;

use super::budgets::of_receiver;
use super::greeted_addrs::GreetedAddrs;
use super::slot::{Slot, Slots, packed, seconds};
use crate::args::Rate;
use crate::policy::fair_pool::Inserted;
use crate::policy::fair_share::{Holder, Turn};
use crate::policy::{Limit, Pace};

/// How long a peer that proved its address is one, unless it proves it again.
pub const EXPIRY: Duration = Duration::from_secs(300);

/// Slots looked at for expired peers at each registration; more of them when there is no free one.
const SWEPT: u32 = 2;
const SWEPT_FOR_ROOM: u32 = 1024;

/// How a peer came to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// By a bare greeting from where that is enough. It stays until it has to make room: an original client greets once.
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
    /// It is a peer now, and another one is none any more.
    Displacing,
    /// It was one.
    Known,
    /// The address and port are another's: the first live registration keeps them.
    Taken,
    /// There is no room: its network has its share.
    NoRoom,
}

/// The peers, in bounded memory. Those over UDP have fair shares of it; connections are bounded elsewhere.
#[derive(Debug)]
pub struct Peers {
    slots: Slots,
    /// The places of all peers, by address and port.
    table: HashTable<u32>,
    key: RandomState,
    greeted: GreetedAddrs,
    /// Where the search for expired peers goes on.
    hand: u32,
    /// The second of that search, and how many slots were looked at in it.
    second: u32,
    swept: u32,
    /// What each peer may send.
    sent: Pace,
    /// What each peer is sent.
    received: Pace,
}

impl Peers {
    /// A table of this many peers over UDP at most, each of which may send at this rate.
    #[must_use]
    pub fn new(most: u32, rate: Rate) -> Self {
        Self {
            slots: Slots::new(most.max(1)),
            table: HashTable::new(),
            key: RandomState::new(),
            greeted: GreetedAddrs::default(),
            hand: 0,
            second: 0,
            swept: 0,
            sent: Limit::from(rate).into(),
            received: of_receiver(rate).into(),
        }
    }

    /// How many there are, connections and the expired that were not noticed yet included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// How many places are taken.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.slots.datagrams.len() as usize + self.slots.connections.len()
    }

    /// How many addresses peers greeted.
    #[cfg(test)]
    pub(super) fn greeted_addrs(&self) -> usize {
        self.greeted.len()
    }

    /// Makes a sender a peer. Where all places are taken, the most loaded network loses one.
    pub fn register(
        &mut self,
        endpoint: Endpoint,
        peer: Peer,
        holder: Holder,
        now: Duration,
    ) -> Registration {
        self.sweep(SWEPT, now);
        if let Some((place, _)) = self.live(endpoint, now) {
            return self.register_again(place, peer, now);
        }
        // One that has expired stands in its way.
        if let Some(place) = self.place(endpoint) {
            self.remove(place);
        }
        let datagrams = &self.slots.datagrams;
        if !peer.is_connected() && datagrams.len() >= datagrams.places() {
            // Peers that have expired and were not noticed yet do not keep others out.
            self.sweep(SWEPT_FOR_ROOM, now);
        }
        self.insert(endpoint, peer, holder, now)
    }

    fn register_again(&mut self, place: u32, peer: Peer, now: Duration) -> Registration {
        let Some(slot) = self.slots.get_mut(place) else {
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
        }
        if slot.standing == peer.standing {
            slot.since = seconds(now);
            slot.socket = peer.way.socket;
            let before = slot.greeted;
            slot.greeted = self.greeted.add(peer.way.asked);
            self.greeted.remove(before);
        }
        let turn = slot.turn();
        self.slots.touch(place, turn);
        Registration::Known
    }

    fn insert(
        &mut self,
        endpoint: Endpoint,
        peer: Peer,
        holder: Holder,
        now: Duration,
    ) -> Registration {
        let (ip, port) = packed(endpoint);
        let slot = Slot {
            ip,
            sent: 0,
            received: 0,
            since: seconds(now),
            socket: peer.way.socket,
            greeted: self.greeted.add(peer.way.asked),
            port,
            standing: peer.standing,
        };
        let mut registration = Registration::New;
        let place = if peer.is_connected() {
            self.slots.connect(slot)
        } else {
            let Inserted { id, displaced } = self.slots.datagrams.insert(holder, slot.turn(), slot);
            if let Some((place, slot)) = displaced {
                self.forget(place, slot);
                registration = Registration::Displacing;
            }
            let Some(place) = id else {
                return Registration::NoRoom;
            };
            place
        };
        let Self {
            table, slots, key, ..
        } = self;
        table.insert_unique(key.hash_one((ip, port)), place, |place| {
            let slot = slots.get(*place);
            slot.map_or(0, |slot| key.hash_one((slot.ip, slot.port)))
        });
        registration
    }

    fn remove(&mut self, place: u32) {
        if let Some(slot) = self.slots.remove(place) {
            self.forget(place, slot);
        }
    }

    /// Forgets where a peer was.
    fn forget(&mut self, place: u32, slot: Slot) {
        self.greeted.remove(slot.greeted);
        let hash = self.key.hash_one((slot.ip, slot.port));
        if let Ok(entry) = self.table.find_entry(hash, |other| *other == place) {
            entry.remove();
        }
    }

    /// The peer at this address, if there is one.
    #[must_use]
    pub fn find(&self, endpoint: Endpoint, now: Duration) -> Option<Peer> {
        let (_, slot) = self.live(endpoint, now)?;
        Some(self.peer(slot))
    }

    /// The peer at this address, if there is one, as a message's receiver.
    #[must_use]
    pub fn receiver(&self, endpoint: Endpoint, now: Duration) -> Option<Receiver> {
        let (place, slot) = self.live(endpoint, now)?;
        Some(Receiver {
            place,
            peer: self.peer(slot),
            left: self.received.left(slot.received, now),
        })
    }

    /// A peer has sent something now: it has been heard of. None is nobody. Whoever has the address of a connection, and
    /// sends datagrams, is not that peer; nor the other way round.
    pub fn hear(&mut self, endpoint: Endpoint, is_connected: bool, now: Duration) -> Option<Heard> {
        let (place, slot) = self.live(endpoint, now)?;
        let heard = Heard {
            place,
            standing: slot.standing,
            left: self.sent.left(slot.sent, now),
        };
        if is_connected != (heard.standing == Standing::Connected) {
            return None;
        }
        let turn = slot.turn();
        self.slots.touch(place, turn);
        if heard.standing == Standing::Greeted
            && let Some(slot) = self.slots.get_mut(place)
        {
            slot.since = seconds(now);
        }
        Some(heard)
    }

    /// Whether there is a peer at this address that proved it, by a token or a connection.
    #[must_use]
    pub fn is_proven(&self, endpoint: Endpoint, now: Duration) -> bool {
        let live = self.live(endpoint, now);
        live.is_some_and(|(_, slot)| slot.standing != Standing::Greeted)
    }

    /// Charges the peer in this place for what it sent.
    pub fn charge_sender(&mut self, place: u32, count: u64, now: Duration) {
        if let Some(slot) = self.slots.get_mut(place) {
            self.sent.charge(&mut slot.sent, count, now);
        }
    }

    /// Charges the peer in this place for what it was sent.
    pub fn charge_receiver(&mut self, place: u32, count: u64, now: Duration) {
        if let Some(slot) = self.slots.get_mut(place) {
            self.received.charge(&mut slot.received, count, now);
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
        let (_, slot) = self.live(endpoint, now)?;
        let is_connection = slot.standing == Standing::Connected;
        let wait = self.sent.wait(slot.sent, 1, now).unwrap_or_default();
        is_connection.then_some(wait)
    }

    /// A connection has ended, and what was registered by it.
    pub fn disconnect(&mut self, endpoint: Endpoint, connection: u32) {
        let is_it = |slot: &Slot| slot.standing == Standing::Connected && slot.socket == connection;
        let place = self.place(endpoint);
        if let Some(place) = place.filter(|place| self.slots.get(*place).is_some_and(is_it)) {
            self.remove(place);
        }
    }

    /// Removes expired peers among the next slots, and lets those that only greeted and are silent make room as others do.
    /// None is looked at twice in a second, in which no other one expires.
    fn sweep(&mut self, slots: u32, now: Duration) {
        let end = self.slots.datagrams.id_bound();
        let second = seconds(now);
        if self.second != second {
            self.second = second;
            self.swept = 0;
        }
        for _ in 0..slots.min(end.saturating_sub(self.swept)) {
            self.swept += 1;
            let place = self.hand;
            self.hand = if place + 1 < end { place + 1 } else { 0 };
            match self.slots.get(place) {
                Some(slot) if slot.has_expired(now) => self.remove(place),
                Some(slot) if slot.is_silent(now) => {
                    self.slots.datagrams.set_turn(place, Turn::First);
                }
                _ => {}
            }
        }
    }

    /// The peer at this address that has not expired, and its place.
    fn live(&self, endpoint: Endpoint, now: Duration) -> Option<(u32, &Slot)> {
        let place = self.place(endpoint)?;
        let slot = self.slots.get(place)?;
        (!slot.has_expired(now)).then_some((place, slot))
    }

    /// The place of a peer, expired or not.
    pub(super) fn place(&self, endpoint: Endpoint) -> Option<u32> {
        let (ip, port) = packed(endpoint);
        let hash = self.key.hash_one((ip, port));
        let is_it = |place: &u32| {
            self.slots
                .get(*place)
                .is_some_and(|slot| slot.is_of(ip, port))
        };
        self.table.find(hash, is_it).copied()
    }

    fn peer(&self, slot: &Slot) -> Peer {
        Peer {
            standing: slot.standing,
            way: Way {
                socket: slot.socket,
                asked: self.greeted.get(slot.greeted),
            },
        }
    }
}
