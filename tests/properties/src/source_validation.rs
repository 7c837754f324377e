//! For any source, destination, interface and socket: the trust in an origin does not exceed that in its arrival.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use arbitrary::{Arbitrary, Result, Unstructured};
use hii_server::policy::embedded_ipv4::with_embedded;
use hii_server::policy::local_addrs::HostAddrs;
use hii_server::policy::origin::{Origin, Transport};
use hii_transport::addresses::InterfaceAddress;
use hii_transport::packet_info::{Bound, PacketInfo};

/// The index of the loopback interface.
const LOOPBACK: u32 = 1;

/// A network whose sources a relay may trust without a token.
const TRUSTED: [u8; 3] = [192, 0, 2];

/// The trust in a source.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trust {
    Stranger,
    TrustedNetwork,
    Loopback,
}

/// A packet, a connection or neither, and whether it is a connection.
pub fn source_validation(octets: &[u8]) {
    let Ok((info, transport)) = packet(&mut Unstructured::new(octets)) else {
        return;
    };
    let hosts = hosts();
    if let Ok(origin) = Origin::validate(&info, transport, &hosts) {
        assert!(
            trust(&origin) <= at_most(&info, transport, &hosts),
            "{origin:?} of {info:?}"
        );
        is_one_host(&origin, &hosts);
        assert!(!is_sent_to_many(&info, &hosts), "{info:?}");
    }
}

fn hosts() -> HostAddrs {
    let interface = |ip: [u8; 4], broadcast: Option<[u8; 4]>, interface| InterfaceAddress {
        ip: ip.into(),
        broadcasts: broadcast.into_iter().map(Ipv4Addr::from).collect(),
        interface: Some(interface),
        is_loopback_interface: interface == LOOPBACK,
    };
    HostAddrs::new(&[
        interface([127, 0, 0, 1], None, LOOPBACK),
        interface([198, 51, 100, 1], Some([198, 51, 100, 255]), 2),
    ])
}

fn packet(octets: &mut Unstructured<'_>) -> Result<(PacketInfo, Transport)> {
    let info = PacketInfo {
        source: SocketAddr::new(address(octets)?, u16::arbitrary(octets)?),
        destination: if bool::arbitrary(octets)? {
            Some(address(octets)?)
        } else {
            None
        },
        interface: Option::arbitrary(octets)?.map(|index: u8| u32::from(index % 4)),
        bound: Bound {
            ip: address(octets)?,
            is_dual_stack: bool::arbitrary(octets)?,
        },
        socket: 0,
    };
    let transport = if bool::arbitrary(octets)? {
        Transport::Tcp
    } else {
        Transport::Udp
    };
    Ok((info, transport))
}

/// Any address; special ones are more frequent.
fn address(octets: &mut Unstructured<'_>) -> Result<IpAddr> {
    const SPECIAL: [&str; 16] = [
        "127.0.0.1",
        "::1",
        "::",
        "0.0.0.0",
        "192.0.2.7",
        "198.51.100.1",
        "198.51.100.255",
        "255.255.255.255",
        "224.0.0.1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:192.0.2.7",
        "::127.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::198.51.100.255",
    ];
    let kind = u8::arbitrary(octets)?;
    Ok(match SPECIAL.get(usize::from(kind)) {
        Some(text) => text.parse().expect("an address"),
        None if kind & 1 == 0 => IpAddr::from(<[u8; 4]>::arbitrary(octets)?),
        None => IpAddr::from(<[u8; 16]>::arbitrary(octets)?),
    })
}

/// The trust in an origin.
fn trust(origin: &Origin) -> Trust {
    match origin.ip() {
        _ if origin.is_loopback() => Trust::Loopback,
        IpAddr::V4(v4) if v4.octets()[..3] == TRUSTED => Trust::TrustedNetwork,
        _ => Trust::Stranger,
    }
}

/// The highest trust in a message that arrived in this way.
fn at_most(info: &PacketInfo, transport: Transport, hosts: &HostAddrs) -> Trust {
    let at = info.destination.map(|ip| ip.to_canonical());
    let is_local = match (at, transport, info.interface) {
        (Some(at), Transport::Tcp, _) => at.is_loopback(),
        (Some(at), Transport::Udp, Some(index)) => {
            at.is_loopback() && hosts.is_loopback_interface(index)
        }
        _ => info.bound.ip.to_canonical().is_loopback(),
    };
    // Only an IPv4 sender reaches an IPv4 address.
    let is_ipv4 = at.map_or(info.source.is_ipv4(), |at| at.is_ipv4());
    if is_local {
        Trust::Loopback
    } else if is_ipv4 {
        Trust::TrustedNetwork
    } else {
        Trust::Stranger
    }
}

/// An origin is a host, with an answer for each of the addresses that it embeds.
fn is_one_host(origin: &Origin, hosts: &HostAddrs) {
    assert_ne!(origin.address().port(), 0);
    assert_eq!(origin.ip(), origin.ip().to_canonical());
    for (index, ip) in with_embedded(origin.ip()).enumerate() {
        assert!(!ip.is_unspecified() && !ip.is_multicast(), "{origin:?}");
        assert!(index == 0 || !ip.is_loopback(), "{origin:?}");
        if let IpAddr::V4(v4) = ip {
            assert!(v4.octets()[0] != 0 && !hosts.is_broadcast(v4), "{origin:?}");
        }
    }
}

fn is_sent_to_many(info: &PacketInfo, hosts: &HostAddrs) -> bool {
    match info.destination.map(|ip| ip.to_canonical()) {
        Some(IpAddr::V4(v4)) => v4.is_multicast() || hosts.is_broadcast(v4),
        Some(IpAddr::V6(v6)) => v6.is_multicast(),
        None => false,
    }
}
