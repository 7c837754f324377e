//! An attacker, who forges packets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::link::Injector;
use super::packet::{BROADCAST, Forged, multicast};
use super::{Host, LINK_BROADCAST, ROUTER_TO_FAR};
use crate::netns::Namespace;

/// An attacking host's access to its link.
#[derive(Debug)]
pub struct Attacker {
    host: Host,
    injector: Injector,
}

impl Attacker {
    pub(super) fn new(host: Host, at: &Namespace) -> Self {
        Self {
            host,
            injector: Injector::new(at, "wire"),
        }
    }

    /// The link addresses of a packet from this source to a host.
    #[must_use]
    pub fn forge(&self, source: SocketAddr, destination: SocketAddr) -> Forged {
        let to = match (self.host, destination.ip()) {
            (Host::Far, _) => ROUTER_TO_FAR,
            (_, ip) if ip.is_multicast() => multicast(ip),
            (_, IpAddr::V4(Ipv4Addr::BROADCAST | LINK_BROADCAST)) => BROADCAST,
            _ => Host::Server.mac(),
        };
        Forged {
            from: self.host.mac(),
            to,
            source,
            destination,
        }
    }

    /// Sends a datagram from this source.
    pub fn send(&self, source: SocketAddr, destination: SocketAddr, payload: &[u8]) {
        let forged = self.forge(source, destination);
        self.injector.send(&forged.datagram(payload));
    }

    /// Asks for a TCP connection from this source.
    pub fn syn(&self, source: SocketAddr, destination: SocketAddr) {
        self.injector.send(&self.forge(source, destination).syn());
    }
}
