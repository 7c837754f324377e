//! Budgets of any number of sources, in constant memory.

use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::time::Duration;

use super::pace::{Limit, Pace};
use crate::source::Source;

/// Number of buckets. They are allocated when the first holder is charged: a service has a dozen budgets, and a test or a
/// fuzz target that makes a service for each run uses one or two.
pub(super) const BUCKETS: usize = 1 << 16;

/// The key of the hashes of holders.
#[cfg(not(test))]
pub(crate) type Key = std::hash::RandomState;

/// The same key in each run of a test, so that the same holders share a bucket each time.
#[cfg(test)]
pub(crate) type Key = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// One limit for each of any number of holders, in constant memory: each holder has the bucket that a keyed hash of it
/// gives. Two holders with one bucket share its rate; the key keeps anyone from choosing with whom.
#[derive(Debug)]
pub struct Buckets {
    pace: Pace,
    /// Empty before the first charge.
    pub(super) cells: Vec<u64>,
}

impl Buckets {
    /// Buckets with this limit each.
    #[must_use]
    pub fn new(limit: Limit) -> Self {
        Self {
            pace: Pace::new(limit),
            cells: Vec::new(),
        }
    }

    /// Whether a decision depends on the holder; otherwise its hash need not be known.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        matches!(self.pace.limit(), Limit::Rate { .. })
    }

    fn is_unlimited(&self) -> bool {
        self.pace.limit() == Limit::Unlimited
    }

    /// Whether `cost` units more of the holder with this hash would be within the limit now.
    #[must_use]
    pub fn has_room(&self, hash: u64, cost: u64, now: Duration) -> bool {
        self.pace.has_room(self.cell(hash), cost, now)
    }

    /// Returns how many units more of the holder with this hash would be within the limit now.
    #[must_use]
    pub fn left(&self, hash: u64, now: Duration) -> u64 {
        self.pace.left(self.cell(hash), now)
    }

    /// Charges the holder with this hash for `cost` units that are let through at `now`.
    pub fn charge(&mut self, hash: u64, cost: u64, now: Duration) {
        if self.cells.is_empty() && self.is_limited() {
            self.cells = vec![0; BUCKETS];
        }
        if let Some(cell) = self.cells.get_mut(index(hash)) {
            self.pace.charge(cell, cost, now);
        }
    }

    /// Returns how long the holder with this hash has to wait for `cost` units more, or `None` if it never ends.
    #[must_use]
    pub fn wait(&self, hash: u64, cost: u64, now: Duration) -> Option<Duration> {
        self.pace.wait(self.cell(hash), cost, now)
    }

    fn cell(&self, hash: u64) -> u64 {
        self.cells.get(index(hash)).copied().unwrap_or_default()
    }
}

pub(super) fn index(hash: u64) -> usize {
    usize::try_from(hash).unwrap_or_default() % BUCKETS
}

/// Two limits, one under the other: for an address and port, and for the address (IPv4) or the /64 (IPv6). A forger
/// that does not know the port uses up the second and not the first, so the second is larger.
#[derive(Debug)]
pub struct Budget {
    pub(super) endpoints: Buckets,
    pub(super) addresses: Buckets,
    key: Key,
}

impl Budget {
    /// A budget with these limits.
    #[must_use]
    pub fn new(endpoint: Limit, address: Limit) -> Self {
        Self {
            endpoints: Buckets::new(endpoint),
            addresses: Buckets::new(address),
            key: Key::default(),
        }
    }

    /// Lets `cost` units of a source through now if both limits have room for all of them, and charges both; otherwise
    /// charges neither. `is_exempt`: the limit for the address does not hold for this source.
    #[must_use]
    pub fn allows(
        &mut self,
        ip: IpAddr,
        port: u16,
        is_exempt: bool,
        cost: u64,
        now: Duration,
    ) -> bool {
        if self.allows_all(is_exempt) {
            return true;
        }
        let holders = self.holders(ip, port, is_exempt);
        let is_within = self.endpoints.has_room(holders.endpoint, cost, now)
            && (is_exempt || self.addresses.has_room(holders.address, cost, now));
        if is_within {
            self.charge(holders, is_exempt, cost, now);
        }
        is_within
    }

    /// Whether no limit holds for a source: nothing is looked up and nothing charged.
    fn allows_all(&self, is_exempt: bool) -> bool {
        self.endpoints.is_unlimited() && (is_exempt || self.addresses.is_unlimited())
    }

    /// Returns how many units more of a source would be let through now.
    #[must_use]
    pub fn left(&self, ip: IpAddr, port: u16, is_exempt: bool, now: Duration) -> u64 {
        let holders = self.holders(ip, port, is_exempt);
        let endpoint = self.endpoints.left(holders.endpoint, now);
        if is_exempt {
            return endpoint;
        }
        endpoint.min(self.addresses.left(holders.address, now))
    }

    /// Returns how long a source has to wait until `cost` units more are let through, or `None` if it never ends.
    #[must_use]
    pub fn wait(
        &self,
        ip: IpAddr,
        port: u16,
        is_exempt: bool,
        cost: u64,
        now: Duration,
    ) -> Option<Duration> {
        let holders = self.holders(ip, port, is_exempt);
        let endpoint = self.endpoints.wait(holders.endpoint, cost, now)?;
        if is_exempt {
            return Some(endpoint);
        }
        let address = self.addresses.wait(holders.address, cost, now)?;
        Some(endpoint.max(address))
    }

    /// Charges a source for `cost` units that were let through without a check, even beyond its limit.
    pub fn charge_for(&mut self, ip: IpAddr, port: u16, is_exempt: bool, cost: u64, now: Duration) {
        self.charge(self.holders(ip, port, is_exempt), is_exempt, cost, now);
    }

    fn charge(&mut self, holders: Holders, is_exempt: bool, cost: u64, now: Duration) {
        self.endpoints.charge(holders.endpoint, cost, now);
        if !is_exempt {
            self.addresses.charge(holders.address, cost, now);
        }
    }

    pub(super) fn holders(&self, ip: IpAddr, port: u16, is_exempt: bool) -> Holders {
        let source = Source::of(ip);
        Holders {
            endpoint: self.hash(self.endpoints.is_limited(), (source, port)),
            address: self.hash(self.addresses.is_limited() && !is_exempt, source),
        }
    }

    fn hash(&self, is_needed: bool, holder: impl Hash) -> u64 {
        if is_needed {
            self.key.hash_one(holder)
        } else {
            0
        }
    }
}

/// The hashes of a source at both levels.
#[derive(Clone, Copy)]
pub(super) struct Holders {
    pub(super) endpoint: u64,
    pub(super) address: u64,
}
