//! Where a service is itself.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

/// The addresses of a service's host, and the ports of its sockets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Own {
    addresses: HashSet<IpAddr>,
    ports: Vec<u16>,
}

impl Own {
    /// Those of a service on these sockets of a host with these addresses.
    pub(crate) fn new(sockets: &[SocketAddr], host: impl IntoIterator<Item = IpAddr>) -> Self {
        let bound = sockets.iter().map(SocketAddr::ip);
        let addresses = host.into_iter().chain(bound);
        Self {
            addresses: addresses.map(|ip| ip.to_canonical()).collect(),
            ports: sockets.iter().map(SocketAddr::port).collect(),
        }
    }

    /// Whether a canonical address is the host's.
    pub(crate) fn is_host(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.addresses.contains(&ip)
    }

    /// Whether the service itself is at this port of a canonical address.
    pub(crate) fn is_service(&self, ip: IpAddr, port: u16) -> bool {
        self.ports.contains(&port) && self.is_host(ip)
    }
}
