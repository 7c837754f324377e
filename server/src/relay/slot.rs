//! A peer as the table keeps it, and where it is kept.

use std::net::IpAddr;
use std::time::Duration;

use hii_protocol::Endpoint;
use slab::Slab;

use super::peers::{EXPIRY, Standing};
use crate::policy::fair_pool::FairPool;
use crate::policy::fair_share::Turn;

/// A peer, packed: a relay may have a million of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) ip: u128,
    /// What it sent of what it may send.
    pub(super) sent: u64,
    /// What it was sent of what it may be sent.
    pub(super) received: u64,
    /// When it proved its address, or, if it only greeted, when it was last active; in seconds.
    pub(super) since: u32,
    pub(super) socket: u32,
    /// The number of the address that it greeted.
    pub(super) greeted: u32,
    pub(super) port: u16,
    pub(super) standing: Standing,
}

impl Slot {
    pub(super) fn is_of(&self, ip: u128, port: u16) -> bool {
        self.ip == ip && self.port == port
    }

    pub(super) fn has_expired(&self, now: Duration) -> bool {
        self.standing == Standing::Proven && self.is_old(now)
    }

    /// Whether it only greeted, and sent nothing for as long as a proof is valid.
    pub(super) fn is_silent(&self, now: Duration) -> bool {
        self.standing == Standing::Greeted && self.is_old(now)
    }

    fn is_old(&self, now: Duration) -> bool {
        let age = seconds(now).saturating_sub(self.since);
        u64::from(age) >= EXPIRY.as_secs()
    }

    /// Which peers of one host make room first. An original client greets once, and cannot register again when it is none.
    pub(super) fn turn(&self) -> Turn {
        match self.standing {
            Standing::Greeted => Turn::Last,
            Standing::Proven | Standing::Connected => Turn::First,
        }
    }
}

/// The bit of a place that is a connection's.
const CONNECTION: u32 = 1 << 31;

/// The peers by their places. Those over UDP have a fair share of a bounded pool each; there are as many connections as the
/// relay serves.
#[derive(Debug)]
pub(super) struct Slots {
    pub(super) datagrams: FairPool<Slot>,
    pub(super) connections: Slab<Slot>,
}

impl Slots {
    pub(super) fn new(most: u32) -> Self {
        Self {
            datagrams: FairPool::new(most),
            connections: Slab::new(),
        }
    }

    pub(super) fn get(&self, place: u32) -> Option<&Slot> {
        match connection(place) {
            Some(key) => self.connections.get(key),
            None => self.datagrams.get(place),
        }
    }

    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut Slot> {
        match connection(place) {
            Some(key) => self.connections.get_mut(key),
            None => self.datagrams.get_mut(place),
        }
    }

    /// Adds a connection, and returns its place.
    pub(super) fn connect(&mut self, slot: Slot) -> u32 {
        let key = self.connections.insert(slot);
        u32::try_from(key).unwrap_or_default() | CONNECTION
    }

    pub(super) fn remove(&mut self, place: u32) -> Option<Slot> {
        match connection(place) {
            Some(key) => self.connections.try_remove(key),
            None => self.datagrams.remove(place),
        }
    }

    /// Notes that a peer was active.
    pub(super) fn touch(&mut self, place: u32, turn: Turn) {
        if connection(place).is_none() {
            self.datagrams.touch(place, turn);
        }
    }
}

/// The number of a connection's place.
fn connection(place: u32) -> Option<usize> {
    let is_one = place & CONNECTION != 0;
    is_one.then(|| usize::try_from(place ^ CONNECTION).unwrap_or(usize::MAX))
}

pub(super) fn packed(endpoint: Endpoint) -> (u128, u16) {
    let ip = match endpoint.ip() {
        // As an IPv4-mapped address, in fewer instructions.
        IpAddr::V4(v4) => 0xffff_0000_0000 | u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    (ip, endpoint.port())
}

pub(super) fn seconds(now: Duration) -> u32 {
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX)
}
