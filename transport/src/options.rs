//! What a client asks of its sockets: where they send from, and what the headers of their packets say.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use socket2::Socket;

/// What is asked of a socket; by default nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// The address to send from.
    pub source: Option<IpAddr>,
    /// The differentiated services code point (RFC 2474), 0 to 63.
    pub dscp: Option<u8>,
    /// The time to live, or hop limit, of what is sent.
    pub ttl: Option<u8>,
    /// Refuses to send what is too long for the path, rather than to cut it into fragments.
    pub dont_fragment: bool,
    /// How many octets are buffered until they are received; the kernel gives what it allows.
    pub receive_buffer: Option<usize>,
}

impl SocketOptions {
    /// What a socket towards `target` is bound to.
    pub(crate) fn local(&self, target: SocketAddr) -> io::Result<SocketAddr> {
        match (self.source, target) {
            (Some(IpAddr::V6(ip)), SocketAddr::V6(target)) => {
                // A link-local address needs an interface, and there is only one that leads to a link-local target.
                let scope = if ip.is_unicast_link_local() {
                    target.scope_id()
                } else {
                    0
                };
                Ok(SocketAddrV6::new(ip, 0, 0, scope).into())
            }
            (Some(ip @ IpAddr::V4(_)), SocketAddr::V4(_)) => Ok((ip, 0).into()),
            (Some(_), _) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the source is of the other family",
            )),
            (None, SocketAddr::V4(_)) => Ok((Ipv4Addr::UNSPECIFIED, 0).into()),
            (None, SocketAddr::V6(_)) => Ok((Ipv6Addr::UNSPECIFIED, 0).into()),
        }
    }

    /// Sets what the headers of packets say.
    pub(crate) fn apply(&self, socket: &Socket, is_ipv6: bool) -> io::Result<()> {
        if let Some(dscp) = self.dscp {
            // The two bits below are those of explicit congestion notification (RFC 3168).
            let octet = u32::from(dscp) << 2;
            if is_ipv6 {
                imp::set_traffic_class(socket, octet)?;
            } else {
                socket.set_tos_v4(octet)?;
            }
        }
        if let Some(ttl) = self.ttl.map(u32::from) {
            if is_ipv6 {
                socket.set_unicast_hops_v6(ttl)?;
            } else {
                socket.set_ttl_v4(ttl)?;
            }
        }
        if self.dont_fragment {
            imp::forbid_fragments(socket, is_ipv6)?;
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::io;

    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
    };
    use socket2::Socket;

    pub(super) fn set_traffic_class(socket: &Socket, octet: u32) -> io::Result<()> {
        socket.set_tclass_v6(octet)
    }

    pub(super) fn forbid_fragments(socket: &Socket, is_ipv6: bool) -> io::Result<()> {
        if is_ipv6 {
            set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DO)?;
        } else {
            set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DO)?;
        }
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;

    use socket2::Socket;

    pub(super) fn set_traffic_class(_: &Socket, _: u32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn forbid_fragments(_: &Socket, _: bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::net::sockopt;
    use socket2::{Domain, Type};

    const ALL: SocketOptions = SocketOptions {
        source: None,
        dscp: Some(46),
        ttl: Some(7),
        dont_fragment: true,
        receive_buffer: None,
    };

    #[test]
    fn headers_say_what_was_asked_for() {
        let v4 = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        ALL.apply(&v4, false).unwrap();
        assert_eq!((v4.tos_v4().unwrap(), v4.ttl_v4().unwrap()), (46 << 2, 7));
        let discovery = sockopt::ip_mtu_discover(&v4).unwrap();
        assert_eq!(discovery, sockopt::Ipv4PathMtuDiscovery::DO);
        let Ok(v6) = Socket::new(Domain::IPV6, Type::DGRAM, None) else {
            return; // a host without IPv6
        };
        ALL.apply(&v6, true).unwrap();
        assert_eq!(v6.tclass_v6().unwrap(), 46 << 2);
        assert_eq!(v6.unicast_hops_v6().unwrap(), 7);
        let discovery = sockopt::ipv6_mtu_discover(&v6).unwrap();
        assert_eq!(discovery, sockopt::Ipv6PathMtuDiscovery::DO);
    }

    #[test]
    fn a_link_local_source_is_that_of_the_target_s_interface() {
        let from = |source: &str, target: &str| {
            let source = Some(source.parse().unwrap());
            let options = SocketOptions {
                source,
                ..SocketOptions::default()
            };
            options.local(target.parse().unwrap()).ok()
        };
        let local = from("fe80::1", "[fe80::2%3]:9").unwrap();
        assert_eq!(local, "[fe80::1%3]:0".parse().unwrap());
        let global = from("2001:db8::1", "[2001:db8::2]:9").unwrap();
        assert_eq!(global, "[2001:db8::1]:0".parse().unwrap());
        assert_eq!(from("192.0.2.1", "[2001:db8::2]:9"), None);
        assert_eq!(from("2001:db8::1", "192.0.2.1:9"), None);
    }
}
