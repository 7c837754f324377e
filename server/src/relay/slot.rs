//! A peer as the table keeps it.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use hii_protocol::Endpoint;

use super::peers::{EXPIRY, Peer, Standing, Way};

/// No peer: the end of the list.
pub(super) const NIL: u32 = u32::MAX;

/// A peer, packed: a relay may have a million of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) ip: u128,
    /// Zero where it is not known.
    pub(super) asked: u128,
    /// What it sent of what it may send.
    pub(super) sent: u64,
    /// What it was sent of what it may be sent.
    pub(super) received: u64,
    /// When it proved its address, in seconds.
    pub(super) proven: u32,
    pub(super) socket: u32,
    pub(super) before: u32,
    pub(super) after: u32,
    /// Zero in a slot without a peer.
    pub(super) port: u16,
    pub(super) standing: Standing,
    pub(super) is_counted: bool,
}

impl Slot {
    pub(super) fn new(endpoint: Endpoint, peer: Peer, is_counted: bool, now: Duration) -> Self {
        Self {
            ip: packed_ip(endpoint.ip()),
            asked: packed(peer.way.asked),
            sent: 0,
            received: 0,
            proven: seconds(now),
            socket: peer.way.socket,
            before: NIL,
            after: NIL,
            port: endpoint.port(),
            standing: peer.standing,
            is_counted,
        }
    }

    pub(super) fn peer(&self) -> Peer {
        let asked = (self.asked != 0).then(|| Ipv6Addr::from(self.asked).to_canonical());
        Peer {
            standing: self.standing,
            way: Way {
                socket: self.socket,
                asked,
            },
        }
    }

    /// Whether it is this one's; a slot without a peer has no port.
    pub(super) fn is_of(&self, ip: u128, port: u16) -> bool {
        self.ip == ip && self.port == port
    }

    pub(super) fn has_expired(&self, now: Duration) -> bool {
        let age = seconds(now).saturating_sub(self.proven);
        self.port != 0 && self.standing == Standing::Proven && u64::from(age) >= EXPIRY.as_secs()
    }
}

pub(super) fn packed_ip(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

pub(super) fn packed(ip: Option<IpAddr>) -> u128 {
    ip.map_or(0, packed_ip)
}

pub(super) fn seconds(now: Duration) -> u32 {
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX)
}
