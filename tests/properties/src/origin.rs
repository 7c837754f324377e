//! Valid origins of octets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hii_server::policy::local_addrs::HostAddrs;
use hii_server::policy::origin::{Origin, Transport};
use hii_transport::packet_info::{Bound, PacketInfo};

/// The origin of a message that arrived from this address in a valid way.
pub(crate) fn origin(source: SocketAddr) -> Origin {
    let info = PacketInfo {
        source,
        destination: Some(match source.ip() {
            ip if ip.is_loopback() => ip,
            IpAddr::V4(_) => Ipv4Addr::new(203, 0, 113, 1).into(),
            IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1).into(),
        }),
        interface: None,
        bound: Bound::dual_stack(),
        socket: 0,
    };
    Origin::validate(&info, Transport::Tcp, &HostAddrs::default()).expect("a valid source")
}
