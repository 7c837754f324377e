//! The sender of a datagram or connection, as far as its addresses can be trusted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hii_transport::datagrams::Peer;
use hii_transport::packet_info::PacketInfo;

use super::embedded_ipv4::embedded;
use super::local_addrs::HostAddrs;

/// The validated source of a datagram or a connection. Every rule of a service about senders uses this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin {
    address: SocketAddr,
    is_loopback: bool,
    peer: Peer,
}

/// What carried it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A datagram: its source address can be forged.
    Udp,
    /// A connection: packets have gone both ways.
    Tcp,
}

/// Why a source is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceRefusal {
    /// An IPv4-mapped IPv6 source that is no IPv4 sender.
    Disguised,
    /// An address that no single host sends from.
    NoHost,
    /// A loopback source that did not arrive by loopback.
    ForgedLoopback,
    /// It was sent to many hosts: broadcast or multicast.
    ToMany,
}

impl Origin {
    /// Validates a source address. In this order it is refused when
    ///
    /// 1. it is IPv4-mapped and arrived at an IPv6 address, or the other way round ([`SourceRefusal::Disguised`]): an IPv6
    ///    packet may carry any such source;
    /// 2. no single host can have it, in any IPv4 address that it embeds, or its port is 0 ([`SourceRefusal::NoHost`]);
    /// 3. it is loopback, and did not arrive at loopback; over UDP the interface has to be the loopback interface too
    ///    ([`SourceRefusal::ForgedLoopback`]);
    /// 4. it arrived at a broadcast or multicast address ([`SourceRefusal::ToMany`]).
    ///
    /// Other addresses of this host are those of a host like any other: the kernel reports what the host sends to itself with
    /// the interface that has the address, as it does a packet from there. Where the platform does not report the destination,
    /// mapped sources are refused; where it reports none, or no loopback interface is known, loopback is believed on a socket
    /// that is bound to loopback.
    ///
    /// # Errors
    /// The first reason that applies.
    pub fn validate(
        info: &PacketInfo,
        transport: Transport,
        hosts: &HostAddrs,
    ) -> Result<Self, SourceRefusal> {
        let source = info.source.ip();
        let destination = info.destination;
        let is_ipv4 = |ip: IpAddr| ip.to_canonical().is_ipv4();
        let is_mapped = source.is_ipv6() && is_ipv4(source);
        let arrived_otherwise = destination.is_some_and(|at| is_ipv4(at) != is_ipv4(source));
        if arrived_otherwise || is_mapped && (destination.is_none() || !info.bound.is_dual_stack) {
            return Err(SourceRefusal::Disguised);
        }
        let ip = source.to_canonical();
        if info.source.port() == 0 || !is_host(ip, hosts) {
            return Err(SourceRefusal::NoHost);
        }
        let destination = destination.map(|ip| ip.to_canonical());
        if ip.is_loopback() {
            let bound_to_loopback = info.bound.ip.to_canonical().is_loopback();
            let interface = info.interface.filter(|_| hosts.knows_loopback_interfaces());
            let is_local = match (destination, transport, interface) {
                (Some(at), Transport::Tcp, _) => at.is_loopback(),
                (Some(at), Transport::Udp, Some(interface)) => {
                    at.is_loopback() && hosts.is_loopback_interface(interface)
                }
                (None, ..) | (_, Transport::Udp, None) => bound_to_loopback,
            };
            if !is_local {
                return Err(SourceRefusal::ForgedLoopback);
            }
        }
        if destination.is_some_and(|ip| is_many(ip, hosts)) {
            return Err(SourceRefusal::ToMany);
        }
        let peer = info.peer();
        Ok(Self {
            address: peer.address,
            is_loopback: ip.is_loopback(),
            peer,
        })
    }

    /// The source's address; never IPv4-mapped.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// The same with its port, and with its zone where it is link-local.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it is this host itself.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// Where an answer goes.
    #[must_use]
    pub fn reply_to(&self) -> Peer {
        self.peer
    }
}

/// Whether a single host can send from a canonical address, to here and over any translator or tunnel.
fn is_host(ip: IpAddr, hosts: &HostAddrs) -> bool {
    match ip {
        IpAddr::V4(v4) => is_host_v4(v4, hosts),
        IpAddr::V6(v6) => {
            let inner = || embedded(v6).into_iter().flatten();
            is_host_v6(v6) && inner().all(|v4| is_host_v4(v4, hosts) && !v4.is_loopback())
        }
    }
}

fn is_host_v4(ip: Ipv4Addr, hosts: &HostAddrs) -> bool {
    let [first, ..] = ip.octets();
    first != 0 && !ip.is_multicast() && !hosts.is_broadcast(ip)
}

fn is_host_v6(ip: Ipv6Addr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast()
}

/// Whether a canonical address reaches many hosts.
fn is_many(ip: IpAddr, hosts: &HostAddrs) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_multicast() || hosts.is_broadcast(v4),
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

/// The origin of what arrived from this address as it should.
#[cfg(test)]
pub(crate) fn origin(source: SocketAddr) -> Origin {
    use hii_transport::packet_info::Bound;

    let ip = source.ip();
    let destination = match ip.to_canonical() {
        loopback if loopback.is_loopback() => loopback,
        IpAddr::V4(_) => Ipv4Addr::new(203, 0, 113, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1).into(),
    };
    let info = PacketInfo {
        source,
        destination: Some(destination),
        interface: None,
        bound: Bound::dual_stack(),
        socket: 0,
    };
    Origin::validate(&info, Transport::Tcp, &HostAddrs::default()).expect("a valid source")
}

#[cfg(test)]
mod tests {
    use hii_transport::addresses::InterfaceAddress;
    use hii_transport::packet_info::Bound;
    use proptest::prelude::*;

    use super::*;

    const LOOPBACK: u32 = 1;
    const WIRE: u32 = 2;

    fn hosts() -> HostAddrs {
        let interface = |ip: &str, broadcasts: &[&str], interface| InterfaceAddress {
            ip: ip.parse().unwrap(),
            broadcasts: broadcasts.iter().map(|ip| ip.parse().unwrap()).collect(),
            interface: Some(interface),
            is_loopback_interface: interface == LOOPBACK,
        };
        HostAddrs::new(&[
            interface("127.0.0.1", &[], LOOPBACK),
            interface("::1", &[], LOOPBACK),
            interface("192.0.2.1", &["192.0.2.255"], WIRE),
            interface("2001:db8::1", &[], WIRE),
        ])
    }

    fn info(source: &str, destination: Option<&str>, interface: Option<u32>) -> PacketInfo {
        let source: SocketAddr = source.parse().unwrap();
        PacketInfo {
            source,
            destination: destination.map(|ip| ip.parse().unwrap()),
            interface,
            bound: if source.is_ipv6() {
                Bound::dual_stack()
            } else {
                Bound::to(Ipv4Addr::UNSPECIFIED.into())
            },
            socket: 0,
        }
    }

    fn validate(info: &PacketInfo) -> Result<String, SourceRefusal> {
        let origin = Origin::validate(info, Transport::Udp, &hosts())?;
        Ok(origin.address().to_string())
    }

    use SourceRefusal::{Disguised, ForgedLoopback, NoHost, ToMany};

    #[test]
    fn an_ipv4_mapped_source_is_ipv4_where_it_arrived_at_ipv4_and_nothing_elsewhere() {
        let mapped = "[::ffff:192.0.2.9]:5000";
        for at in ["192.0.2.1", "::ffff:192.0.2.1"] {
            let found = validate(&info(mapped, Some(at), Some(WIRE)));
            assert_eq!(found.unwrap(), "192.0.2.9:5000");
            // Another source that arrived at IPv4.
            let other = info("[2001:db8::9]:5000", Some(at), Some(WIRE));
            assert_eq!(validate(&other), Err(Disguised));
        }
        for source in [mapped, "[::ffff:127.0.0.1]:5000"] {
            for interface in [LOOPBACK, WIRE] {
                for at in [Some("2001:db8::1"), Some("::1"), None] {
                    let found = validate(&info(source, at, Some(interface)));
                    assert_eq!(found, Err(Disguised), "{source} {at:?}");
                }
            }
        }
        // A socket for IPv6 only has no mapped senders.
        let mut only_v6 = info(mapped, Some("::ffff:192.0.2.1"), Some(WIRE));
        only_v6.bound = Bound::to(Ipv6Addr::UNSPECIFIED.into());
        assert_eq!(validate(&only_v6), Err(Disguised));
    }

    #[test]
    fn a_source_that_no_single_host_has_is_refused_in_any_disguise() {
        for source in [
            "0.0.0.0:9",
            "0.1.2.3:9",
            "224.0.0.1:9",
            "255.255.255.255:9",
            "192.0.2.255:9",
            "192.0.2.9:0",
            "127.0.0.1:0",
        ] {
            let found = validate(&info(source, Some("192.0.2.1"), Some(WIRE)));
            assert_eq!(found, Err(NoHost), "{source}");
        }
        for source in [
            "[::]:9",
            "[ff02::1]:9",
            "[2001:db8::9]:0",
            "[::127.0.0.1]:9",
            "[::ffff:0:127.0.0.1]:9",
            "[2002:7f00:1::9]:9",
            "[64:ff9b::127.0.0.1]:9",
            "[64:ff9b:1::127.0.0.1]:9",
            "[64:ff9b:1:7f00:0:100::]:9",
            "[64:ff9b::224.0.0.1]:9",
            "[2002::9]:9",
            "[2001:0:7f00:1::1]:9",
            "[2001:0:c000:207::80ff:fffe]:9",
            "[2001:db8::5efe:255.255.255.255]:9",
            "[2001:db8::200:5efe:192.0.2.255]:9",
        ] {
            let found = validate(&info(source, Some("2001:db8::1"), Some(WIRE)));
            assert_eq!(found, Err(NoHost), "{source}");
        }
        let translated = info("[64:ff9b::198.51.100.9]:9", Some("2001:db8::1"), Some(WIRE));
        assert!(validate(&translated).is_ok());
    }

    #[test]
    fn loopback_is_what_arrived_at_loopback_by_the_loopback_interface() {
        for (source, at, wrong) in [
            ("127.0.0.1:9", "127.0.0.9", "192.0.2.1"),
            ("127.9.9.9:9", "127.0.0.1", "255.255.255.255"),
            ("[::1]:9", "::1", "2001:db8::1"),
            (
                "[::ffff:127.0.0.1]:9",
                "::ffff:127.0.0.1",
                "::ffff:192.0.2.1",
            ),
        ] {
            let check = |at, interface| validate(&info(source, at, interface));
            assert!(check(Some(at), Some(LOOPBACK)).is_ok(), "{source}");
            assert_eq!(check(Some(at), Some(WIRE)), Err(ForgedLoopback));
            assert_eq!(check(Some(at), None), Err(ForgedLoopback));
            assert_eq!(check(Some(wrong), Some(LOOPBACK)), Err(ForgedLoopback));
            let stream = info(source, Some(at), None);
            let origin = Origin::validate(&stream, Transport::Tcp, &hosts()).unwrap();
            assert!(origin.is_loopback());
            let stream = info(source, Some(wrong), None);
            assert_eq!(
                Origin::validate(&stream, Transport::Tcp, &hosts()),
                Err(ForgedLoopback)
            );
        }
        // Where the interfaces cannot be read, only a socket that is bound to loopback tells.
        let mut unread = info("127.0.0.1:9", Some("127.0.0.1"), Some(LOOPBACK));
        let nothing = HostAddrs::default();
        let found = Origin::validate(&unread, Transport::Udp, &nothing);
        assert_eq!(found, Err(ForgedLoopback));
        unread.bound = Bound::to(Ipv4Addr::LOCALHOST.into());
        assert!(Origin::validate(&unread, Transport::Udp, &nothing).is_ok());
        let mut untold = info("127.0.0.1:9", None, None);
        assert_eq!(validate(&untold), Err(ForgedLoopback));
        untold.bound = Bound::to(Ipv4Addr::LOCALHOST.into());
        assert!(validate(&untold).is_ok());
    }

    #[test]
    fn datagram_to_many_hosts_is_refused() {
        for at in ["192.0.2.255", "255.255.255.255", "224.0.0.1"] {
            let found = validate(&info("192.0.2.9:9", Some(at), Some(WIRE)));
            assert_eq!(found, Err(ToMany), "{at}");
        }
        let found = validate(&info("[2001:db8::9]:9", Some("ff02::1"), Some(WIRE)));
        assert_eq!(found, Err(ToMany));
        let own = info("192.0.2.1:9", Some("192.0.2.1"), Some(LOOPBACK));
        assert_eq!(validate(&own).unwrap(), "192.0.2.1:9");
    }

    #[test]
    fn a_link_local_source_keeps_its_zone() {
        let mut info = info("[fe80::9]:9", Some("2001:db8::1"), Some(WIRE));
        if let SocketAddr::V6(source) = &mut info.source {
            source.set_scope_id(2);
        }
        assert_eq!(validate(&info).unwrap(), "[fe80::9%2]:9");
    }

    /// Addresses of every class, and near them.
    fn address() -> impl Strategy<Value = IpAddr> {
        let special = prop::sample::select(vec![
            0x0000_0000_u32,
            0x7f00_0001,
            0x7fff_ffff,
            0xc000_0201,
            0xc000_02ff,
            0xe000_0001,
            0xffff_ffff,
            0x0a00_0001,
        ]);
        let v4 = prop_oneof![special, any::<u32>()].prop_map(Ipv4Addr::from_bits);
        let v6 = (v4.clone(), any::<u128>(), 0..9_usize).prop_map(|(v4, bits, form)| {
            let inner = u128::from(v4.to_bits());
            Ipv6Addr::from_bits(match form {
                0 => 0xffff << 32 | inner,
                1 => inner,
                2 => 0x64_ff9b << 96 | inner,
                3 => 0x2002 << 112 | inner << 80,
                4 => 0x2001_0000 << 96 | !inner & 0xffff_ffff,
                5 => 0x2001_0db8 << 96 | 0x5efe << 32 | inner,
                6 => bits & 1,
                7 => 0xff02 << 112 | bits & 0xff,
                _ => bits,
            })
        });
        prop_oneof![v4.prop_map(IpAddr::V4), v6.prop_map(IpAddr::V6)]
    }

    /// Asserts that the trust in an origin does not exceed that in its arrival.
    fn check_trust(info: &PacketInfo, transport: Transport, origin: &Origin, hosts: &HostAddrs) {
        let ip = origin.ip();
        assert_eq!(ip, ip.to_canonical());
        assert_eq!(ip, info.source.ip().to_canonical());
        let at = info.destination.map(|ip| ip.to_canonical());
        // A network of IPv4 is trusted only where IPv4 arrived.
        match at {
            Some(at) => assert_eq!(at.is_ipv4(), ip.is_ipv4(), "{info:?}"),
            None => assert_eq!(info.source.is_ipv4(), ip.is_ipv4(), "{info:?}"),
        }
        assert_eq!(origin.is_loopback(), ip.is_loopback());
        if origin.is_loopback() {
            let arrived = at.is_some_and(|at| at.is_loopback());
            let by_loopback = info
                .interface
                .is_some_and(|one| hosts.is_loopback_interface(one));
            let bound = info.bound.ip.to_canonical().is_loopback();
            match transport {
                Transport::Udp => assert!(arrived && by_loopback || bound, "{info:?}"),
                Transport::Tcp => assert!(arrived || at.is_none() && bound, "{info:?}"),
            }
        }
        assert!(at.is_none_or(|at| !is_many(at, hosts)), "{info:?}");
        assert!(is_host(ip, hosts) && info.source.port() != 0, "{info:?}");
    }

    proptest! {
        #[test]
        fn trust_in_an_origin_does_not_exceed_its_arrival(
            source in address(),
            port in prop_oneof![Just(0_u16), any::<u16>()],
            destination in prop::option::of(address()),
            interface in prop::option::of(1..4_u32),
            bound in address(),
            is_dual_stack: bool,
            is_tcp: bool,
        ) {
            let info = PacketInfo {
                source: SocketAddr::new(source, port),
                destination,
                interface,
                bound: Bound { ip: bound, is_dual_stack },
                socket: 0,
            };
            let transport = if is_tcp { Transport::Tcp } else { Transport::Udp };
            if let Ok(origin) = Origin::validate(&info, transport, &hosts()) {
                check_trust(&info, transport, &origin, &hosts());
            }
        }
    }
}
