//! IP packets: what their headers say, one flipped bit, and the ICMP error about one that is too big.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use etherparse::icmpv4::DestUnreachableHeader::FragmentationNeeded;
use etherparse::{Icmpv4Type, Icmpv6Type, NetSlice, PacketBuilder, SlicedPacket, TransportSlice};

use super::plan::Damage;

/// The protocol that an IP packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP, not in fragments.
    Udp,
    /// TCP, not in fragments.
    Tcp,
    /// Anything else, such as ICMP or a fragment.
    Other,
}

/// What the headers of a packet say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Headers {
    pub(super) transport: Transport,
    /// The port is 0 without UDP or TCP.
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    /// Where the payload of UDP or TCP is.
    pub(super) payload: Range<usize>,
    /// Where the checksum of UDP or TCP is.
    checksum: usize,
    /// Whether routers may cut the packet.
    may_be_cut: bool,
}

impl Headers {
    /// The headers of an IP packet, or `None` if it is none.
    pub(super) fn parse(packet: &[u8]) -> Option<Self> {
        let sliced = SlicedPacket::from_ip(packet).ok()?;
        let (source, destination, may_be_cut): (IpAddr, IpAddr, _) = match &sliced.net {
            Some(NetSlice::Ipv4(ip)) => {
                let header = ip.header();
                (
                    header.source_addr().into(),
                    header.destination_addr().into(),
                    !header.dont_fragment(),
                )
            }
            Some(NetSlice::Ipv6(ip)) => {
                let header = ip.header();
                (
                    header.source_addr().into(),
                    header.destination_addr().into(),
                    false,
                )
            }
            _ => return None,
        };
        let (transport, ports, payload_len, checksum) = match &sliced.transport {
            Some(TransportSlice::Udp(udp)) => {
                let ports = (udp.source_port(), udp.destination_port());
                let start = packet.len() - udp.slice().len();
                (Transport::Udp, ports, udp.payload().len(), start + 6)
            }
            Some(TransportSlice::Tcp(tcp)) => {
                let ports = (tcp.source_port(), tcp.destination_port());
                let start = packet.len() - tcp.slice().len();
                (Transport::Tcp, ports, tcp.payload().len(), start + 16)
            }
            _ => (Transport::Other, (0, 0), 0, 0),
        };
        Some(Self {
            transport,
            source: (source, ports.0).into(),
            destination: (destination, ports.1).into(),
            payload: packet.len() - payload_len..packet.len(),
            checksum,
            may_be_cut,
        })
    }

    /// Whether no router passes the packet on: one for many hosts, or for a link-local address.
    pub(super) fn stays_on_link(&self) -> bool {
        match self.destination.ip() {
            IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast() || ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_multicast() || ip.is_unicast_link_local(),
        }
    }

    /// Flips a bit of the packet, chosen by `random`. A packet without a payload is damaged in its checksum, and one that
    /// is neither UDP nor TCP not at all.
    pub(super) fn damage(&self, packet: &mut [u8], damage: Damage, random: usize) {
        if self.transport == Transport::Other {
            return;
        }
        let (at, bit) = match damage {
            Damage::Payload if !self.payload.is_empty() => {
                let bit = random % (self.payload.len() * 8);
                (self.payload.start + bit / 8, bit % 8)
            }
            Damage::Payload | Damage::Checksum => {
                // A checksum of 0 would mean that there is none.
                let becomes_zero = |bit: usize| {
                    let mut sum = [packet[self.checksum], packet[self.checksum + 1]];
                    sum[bit / 8] ^= 1 << (bit % 8);
                    sum == [0, 0]
                };
                let bit = random % 16;
                let bit = if becomes_zero(bit) {
                    (bit + 1) % 16
                } else {
                    bit
                };
                (self.checksum + bit / 8, bit % 8)
            }
        };
        packet[at] ^= 1 << bit;
    }

    /// The ICMP error by which a router reports that a packet is too big, or `None` where it would cut it instead.
    pub(super) fn too_big(&self, packet: &[u8], router: IpAddr, mtu: u16) -> Option<Vec<u8>> {
        /// As much of the packet as fits, and no more than is always delivered (RFC 1812 4.3.2.3, RFC 4443 2.4).
        const QUOTED: [usize; 2] = [548, 1232];
        const HOPS: u8 = 64;
        if self.may_be_cut {
            return None;
        }
        let quote = |len: usize| &packet[..len.min(packet.len())];
        let mut error = Vec::new();
        match (router, self.source.ip()) {
            (IpAddr::V4(router), IpAddr::V4(source)) => {
                let icmp =
                    Icmpv4Type::DestinationUnreachable(FragmentationNeeded { next_hop_mtu: mtu });
                PacketBuilder::ipv4(router.octets(), source.octets(), HOPS)
                    .icmpv4(icmp)
                    .write(&mut error, quote(QUOTED[0]))
                    .expect("room for it");
            }
            (IpAddr::V6(router), IpAddr::V6(source)) => {
                let icmp = Icmpv6Type::PacketTooBig { mtu: mtu.into() };
                PacketBuilder::ipv6(router.octets(), source.octets(), HOPS)
                    .icmpv6(icmp)
                    .write(&mut error, quote(QUOTED[1]))
                    .expect("room for it");
            }
            _ => return None,
        }
        Some(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: [[u8; 4]; 2] = [[203, 0, 113, 1], [203, 0, 113, 2]];

    fn datagram(payload: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ipv4(V4[0], V4[1], 64)
            .udp(1000, 2000)
            .write(&mut packet, payload)
            .unwrap();
        packet
    }

    fn datagram_v6(payload: &[u8]) -> Vec<u8> {
        let [from, to] = ["2001:db8::1", "2001:db8::2"].map(|ip| match ip.parse() {
            Ok(IpAddr::V6(ip)) => ip.octets(),
            other => panic!("{other:?}"),
        });
        let mut packet = Vec::new();
        PacketBuilder::ipv6(from, to, 64)
            .udp(1000, 2000)
            .write(&mut packet, payload)
            .unwrap();
        packet
    }

    #[test]
    fn headers_of_udp_over_both_families() {
        for (packet, source) in [
            (datagram(b"payload"), "203.0.113.1:1000"),
            (datagram_v6(b"payload"), "[2001:db8::1]:1000"),
        ] {
            let headers = Headers::parse(&packet).unwrap();
            assert_eq!(headers.transport, Transport::Udp);
            assert_eq!(headers.source, source.parse().unwrap());
            assert_eq!(headers.destination.port(), 2000);
            assert_eq!(&packet[headers.payload], b"payload");
        }
    }

    #[test]
    fn headers_of_tcp() {
        let mut packet = Vec::new();
        let tcp = PacketBuilder::ipv4(V4[0], V4[1], 64).tcp(1, 2, 3, 4);
        tcp.write(&mut packet, b"stream").unwrap();
        let headers = Headers::parse(&packet).unwrap();
        assert_eq!(headers.transport, Transport::Tcp);
        assert_eq!(&packet[headers.payload], b"stream");
    }

    #[test]
    fn what_is_no_packet_has_no_headers() {
        assert_eq!(Headers::parse(b""), None);
        assert_eq!(Headers::parse(&[0x45; 10]), None);
    }

    #[test]
    fn packets_for_the_link_stay_there() {
        for (destination, stays) in [
            ([224, 0, 0, 22], true),
            ([255; 4], true),
            ([169, 254, 1, 1], true),
            ([203, 0, 113, 2], false),
        ] {
            let mut packet = Vec::new();
            let udp = PacketBuilder::ipv4(V4[0], destination, 64).udp(1, 2);
            udp.write(&mut packet, b"x").unwrap();
            let headers = Headers::parse(&packet).unwrap();
            assert_eq!(headers.stays_on_link(), stays, "{destination:?}");
        }
    }

    /// Whether the receiver accepts the checksum.
    fn is_intact(packet: &[u8]) -> bool {
        let sliced = SlicedPacket::from_ip(packet).unwrap();
        let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) =
            (&sliced.net, &sliced.transport)
        else {
            panic!("{sliced:?}");
        };
        let sum = udp.to_header().calc_checksum_ipv4_raw(
            ip.header().source(),
            ip.header().destination(),
            udp.payload(),
        );
        udp.checksum() == 0 || udp.checksum() == sum.unwrap()
    }

    #[test]
    fn each_flipped_bit_breaks_the_checksum() {
        for payload in [&b"payload"[..], b""] {
            let whole = datagram(payload);
            assert!(is_intact(&whole));
            let headers = Headers::parse(&whole).unwrap();
            for damage in [Damage::Payload, Damage::Checksum] {
                for random in 0..100 {
                    let mut packet = whole.clone();
                    headers.damage(&mut packet, damage, random);
                    let flipped: u32 = whole
                        .iter()
                        .zip(&packet)
                        .map(|(one, other)| (one ^ other).count_ones())
                        .sum();
                    assert_eq!(flipped, 1);
                    assert!(!is_intact(&packet), "{damage:?} {random}");
                }
            }
        }
    }

    #[test]
    fn damaged_checksum_is_never_zero() {
        let mut packet = datagram(b"payload");
        let headers = Headers::parse(&packet).unwrap();
        packet[headers.checksum] = 0;
        packet[headers.checksum + 1] = 0x10;
        headers.damage(&mut packet, Damage::Checksum, 8 + 4);
        let sum = &packet[headers.checksum..headers.checksum + 2];
        assert_eq!(sum, [0, 0x30]);
    }

    #[test]
    fn error_about_a_packet_that_is_too_big_quotes_it() {
        let router = [203, 0, 113, 254].into();
        let mut packet = datagram(&[7; 1200]);
        let headers = Headers::parse(&packet).unwrap();
        // etherparse sets DF.
        let error = headers.too_big(&packet, router, 1000).unwrap();
        assert_eq!(error.len(), 576);
        let sliced = SlicedPacket::from_ip(&error).unwrap();
        let Some(TransportSlice::Icmpv4(icmp)) = &sliced.transport else {
            panic!("{sliced:?}");
        };
        let reported =
            Icmpv4Type::DestinationUnreachable(FragmentationNeeded { next_hop_mtu: 1000 });
        assert_eq!(icmp.icmp_type(), reported);
        assert_eq!(icmp.payload(), &packet[..548]);
        assert_eq!(
            Headers::parse(&error).unwrap().destination.ip(),
            headers.source.ip()
        );

        // A router cuts it instead.
        packet[6] &= !0x40;
        let headers = Headers::parse(&packet).unwrap();
        assert_eq!(headers.too_big(&packet, router, 1000), None);

        let packet = datagram_v6(&[7; 1400]);
        let headers = Headers::parse(&packet).unwrap();
        let router = "2001:db8::fe".parse().unwrap();
        let error = headers.too_big(&packet, router, 1300).unwrap();
        assert_eq!(error.len(), 1280);
        let sliced = SlicedPacket::from_ip(&error).unwrap();
        let Some(TransportSlice::Icmpv6(icmp)) = &sliced.transport else {
            panic!("{sliced:?}");
        };
        assert_eq!(icmp.icmp_type(), Icmpv6Type::PacketTooBig { mtu: 1300 });
    }
}
