//! What the kernel reports about a received datagram or an accepted connection.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::datagrams::Peer;
use crate::udp::canonical;

/// Where a datagram or a connection came from and what it was addressed to, as the kernel reports it. Nothing here is
/// validated: any source address can be forged, IPv4-mapped ones included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketInfo {
    /// Source address and port as the socket reports them. On a dual-stack socket an IPv4 source is IPv4-mapped, and an
    /// IPv6 packet with a mapped source looks the same.
    pub source: SocketAddr,
    /// Destination address of the IP header; for a connection its local address. `None` where the platform does not report
    /// it.
    pub destination: Option<IpAddr>,
    /// Index of the interface that received it. `None` for connections, and where the platform does not report it.
    pub interface: Option<u32>,
    /// What the receiving socket is bound to.
    pub bound: Bound,
    /// Which of the service's sockets received it.
    pub socket: usize,
}

/// What a socket is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The local address.
    pub ip: IpAddr,
    /// Whether a `[::]` socket receives IPv4 too, with mapped addresses.
    pub is_dual_stack: bool,
}

impl Bound {
    /// A socket of one family on this address.
    #[must_use]
    pub fn to(ip: IpAddr) -> Self {
        Self {
            ip,
            is_dual_stack: false,
        }
    }

    /// A `[::]` socket that receives both families.
    #[must_use]
    pub fn dual_stack() -> Self {
        Self {
            ip: Ipv6Addr::UNSPECIFIED.into(),
            is_dual_stack: true,
        }
    }

    pub(crate) fn of(socket: &socket2::Socket) -> std::io::Result<Self> {
        let address = socket.local_addr()?.as_socket();
        let address = address.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(Self {
            ip: address.ip(),
            is_dual_stack: address.is_ipv6() && !socket.only_v6()?,
        })
    }
}

impl PacketInfo {
    /// An accepted connection, between these addresses as its socket reports them.
    #[must_use]
    pub fn of_connection(source: SocketAddr, local: Option<SocketAddr>) -> Self {
        let destination = local.map(|local| local.ip());
        // Only a dual-stack listener accepts connections to mapped addresses.
        let is_mapped = destination.is_some_and(|ip| ip.is_ipv6() && ip.to_canonical().is_ipv4());
        let bound = match destination {
            _ if is_mapped => Bound::dual_stack(),
            Some(ip) => Bound::to(ip),
            None => Bound::to(Ipv6Addr::UNSPECIFIED.into()),
        };
        Self {
            source,
            destination,
            interface: None,
            bound,
            socket: 0,
        }
    }

    /// Where an answer goes: to the source, from the address that was asked where the socket has several.
    #[must_use]
    pub fn peer(&self) -> Peer {
        Peer {
            address: canonical(self.source),
            socket: self.socket,
            asked: self
                .destination
                .filter(|ip| self.bound.ip.is_unspecified() && can_answer(*ip)),
        }
    }
}

/// Whether an answer can go out from the address that was asked: not from one that is many hosts'.
fn can_answer(asked: IpAddr) -> bool {
    match asked.to_canonical() {
        IpAddr::V4(v4) => !v4.is_broadcast() && !v4.is_multicast(),
        IpAddr::V6(v6) => !v6.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_leave_from_the_address_that_was_asked_where_the_socket_has_several() {
        let peer = |bound, destination: Option<&str>| {
            let info = PacketInfo {
                source: "[::ffff:192.0.2.1]:9".parse().unwrap(),
                destination: destination.map(|ip| ip.parse().unwrap()),
                interface: None,
                bound,
                socket: 3,
            };
            let peer = info.peer();
            assert_eq!(
                (peer.address.to_string().as_str(), peer.socket),
                ("192.0.2.1:9", 3)
            );
            peer.asked.map(|ip| ip.to_string())
        };
        let any = Bound::dual_stack();
        assert_eq!(peer(any, Some("198.51.100.1")).unwrap(), "198.51.100.1");
        assert_eq!(peer(any, None), None);
        for many in ["255.255.255.255", "::ffff:224.0.0.1", "ff02::1"] {
            assert_eq!(peer(any, Some(many)), None);
        }
        let one = Bound::to("198.51.100.1".parse().unwrap());
        assert_eq!(peer(one, Some("198.51.100.1")), None);
    }
}
