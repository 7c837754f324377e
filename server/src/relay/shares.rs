//! How much of the table of peers each network has.

use std::hash::{BuildHasher, RandomState};

/// What part of the table one network may take: the /24 or /48, and within it the address or the /64.
const SHARE_OF_SITE: usize = 64;
const SHARE_OF_HOST: usize = 256;

/// A network may have so many peers, however small the table.
const LEAST_SHARE: u32 = 64;

/// Buckets that the peers of a network are counted in. Networks that share one share their room; the keyed hash keeps
/// that from being arranged.
const BUCKETS: usize = 1 << 16;

/// Counts the peers of each network, by their packed addresses.
#[derive(Debug)]
pub(super) struct Shares {
    sites: Counts,
    hosts: Counts,
}

impl Shares {
    /// For a table of so many peers at most.
    pub(super) fn new(key: &RandomState, most: usize) -> Self {
        Self {
            sites: Counts::new(key.clone(), most / SHARE_OF_SITE, site),
            hosts: Counts::new(key.clone(), most / SHARE_OF_HOST, host),
        }
    }

    /// Whether the networks of an address have fewer peers than they may.
    pub(super) fn have_room(&mut self, ip: u128) -> bool {
        self.sites.have_room(ip) && self.hosts.have_room(ip)
    }

    pub(super) fn add(&mut self, ip: u128) {
        self.sites.add(ip);
        self.hosts.add(ip);
    }

    pub(super) fn remove(&mut self, ip: u128) {
        self.sites.remove(ip);
        self.hosts.remove(ip);
    }
}

/// How many peers there are of each network of one kind, by a keyed hash of it.
#[derive(Debug)]
struct Counts {
    /// Empty before the first peer.
    buckets: Vec<u32>,
    key: RandomState,
    most: u32,
    /// The network of an address.
    network: fn(u128) -> u128,
}

impl Counts {
    fn new(key: RandomState, most: usize, network: fn(u128) -> u128) -> Self {
        Self {
            buckets: Vec::new(),
            key,
            most: u32::try_from(most).unwrap_or(u32::MAX).max(LEAST_SHARE),
            network,
        }
    }

    fn bucket(&mut self, ip: u128) -> Option<&mut u32> {
        let hash = self.key.hash_one((self.network)(ip));
        let index = usize::try_from(hash).unwrap_or_default() % BUCKETS;
        self.buckets.get_mut(index)
    }

    fn have_room(&mut self, ip: u128) -> bool {
        let most = self.most;
        self.bucket(ip).is_none_or(|count| *count < most)
    }

    fn add(&mut self, ip: u128) {
        if self.buckets.is_empty() {
            self.buckets = vec![0; BUCKETS];
        }
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

/// The address or the /64: what one host has.
fn host(ip: u128) -> u128 {
    if is_v4(ip) { ip } else { ip >> 64 }
}

/// Whether it is an IPv4-mapped address.
fn is_v4(ip: u128) -> bool {
    ip >> 32 == 0xffff
}
