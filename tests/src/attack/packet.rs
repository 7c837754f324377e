//! Packets on the link: forged ones, and captured ones.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use etherparse::{
    LinkSlice, NetSlice, PacketBuilder, PacketBuilderStep, SlicedPacket, TransportSlice,
};

/// A hardware address.
pub type Mac = [u8; 6];

/// The broadcast address of the link.
pub const BROADCAST: Mac = [0xff; 6];

/// The type of an `ICMPv6` message that asks for the hardware address of a neighbour.
const NEIGHBOUR_SOLICITATION: u8 = 135;

/// The hardware address to which packets for this multicast address go.
#[must_use]
pub fn multicast(ip: IpAddr) -> Mac {
    match ip {
        IpAddr::V4(ip) => {
            let [_, b, c, d] = ip.octets();
            [0x01, 0x00, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V6(ip) => {
            let [.., a, b, c, d] = ip.octets();
            [0x33, 0x33, a, b, c, d]
        }
    }
}

/// The addresses of a forged packet; the source is not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forged {
    /// From this hardware address.
    pub from: Mac,
    /// To this hardware address.
    pub to: Mac,
    /// The claimed source.
    pub source: SocketAddr,
    /// The destination.
    pub destination: SocketAddr,
}

impl Forged {
    /// A frame with a datagram.
    ///
    /// # Panics
    /// The addresses are of two families, or the payload is too long.
    #[must_use]
    pub fn datagram(&self, payload: &[u8]) -> Vec<u8> {
        let builder = self.ip().udp(self.source.port(), self.destination.port());
        let mut frame = Vec::with_capacity(builder.size(payload.len()));
        builder.write(&mut frame, payload).expect("room for it");
        frame
    }

    /// A frame that asks for a TCP connection.
    ///
    /// # Panics
    /// The addresses are of two families.
    #[must_use]
    pub fn syn(&self) -> Vec<u8> {
        let (from, to) = (self.source.port(), self.destination.port());
        let builder = self.ip().tcp(from, to, 1, u16::MAX).syn();
        let mut frame = Vec::with_capacity(builder.size(0));
        builder.write(&mut frame, &[]).expect("room for it");
        frame
    }

    fn ip(&self) -> PacketBuilderStep<etherparse::IpHeaders> {
        const HOPS: u8 = 64;
        let link = PacketBuilder::ethernet2(self.from, self.to);
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => link.ipv4(from.octets(), to.octets(), HOPS),
            (IpAddr::V6(from), IpAddr::V6(to)) => link.ipv6(from.octets(), to.octets(), HOPS),
            (from, to) => panic!("no packet goes from {from} to {to}"),
        }
    }
}

/// A packet on the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The hardware address that it came from.
    pub from: Mac,
    /// Its length, IP header included.
    pub octets: usize,
    /// What it is.
    pub content: Content,
}

/// What a packet is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A datagram; several of one train where the device segments.
    Datagram {
        /// Its source.
        source: SocketAddr,
        /// Its destination.
        destination: SocketAddr,
        /// Its payload.
        payload: Vec<u8>,
    },
    /// A segment of TCP.
    Segment {
        /// Its source.
        source: SocketAddr,
        /// Its destination.
        destination: SocketAddr,
        /// The octets that it carries.
        payload: Vec<u8>,
    },
    /// A question for the hardware address of a neighbour.
    WhoHas(IpAddr),
    /// Something else.
    Other,
}

impl Packet {
    /// The packet in a frame.
    #[must_use]
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let sliced = SlicedPacket::from_ethernet(frame).ok()?;
        let Some(LinkSlice::Ethernet2(link)) = &sliced.link else {
            return None;
        };
        let packet = |octets, content| Self {
            from: link.source(),
            octets,
            content,
        };
        let (source, destination, octets): (IpAddr, IpAddr, _) = match &sliced.net {
            Some(NetSlice::Ipv4(ip)) => {
                let header = ip.header();
                let octets = usize::from(header.total_len());
                (
                    header.source_addr().into(),
                    header.destination_addr().into(),
                    octets,
                )
            }
            Some(NetSlice::Ipv6(ip)) => {
                let header = ip.header();
                let octets = header.slice().len() + usize::from(header.payload_length());
                (
                    header.source_addr().into(),
                    header.destination_addr().into(),
                    octets,
                )
            }
            Some(NetSlice::Arp(arp)) => {
                let target = <[u8; 4]>::try_from(arp.target_protocol_addr());
                let content = target.map_or(Content::Other, |ip| Content::WhoHas(ip.into()));
                return Some(packet(0, content));
            }
            None => return None,
        };
        let content = match &sliced.transport {
            Some(TransportSlice::Udp(udp)) => Content::Datagram {
                source: (source, udp.source_port()).into(),
                destination: (destination, udp.destination_port()).into(),
                payload: udp.payload().to_vec(),
            },
            Some(TransportSlice::Tcp(tcp)) => Content::Segment {
                source: (source, tcp.source_port()).into(),
                destination: (destination, tcp.destination_port()).into(),
                payload: tcp.payload().to_vec(),
            },
            Some(TransportSlice::Icmpv6(icmp)) if icmp.type_u8() == NEIGHBOUR_SOLICITATION => {
                let target = icmp.payload().first_chunk::<16>();
                target.map_or(Content::Other, |ip| {
                    Content::WhoHas(Ipv6Addr::from(*ip).into())
                })
            }
            _ => Content::Other,
        };
        Some(packet(octets, content))
    }

    /// Its payload, where it is a datagram.
    #[must_use]
    pub fn datagram(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Datagram { payload, .. } => Some(payload),
            _ => None,
        }
    }

    /// The port that it goes to.
    #[must_use]
    pub fn destination_port(&self) -> Option<u16> {
        match &self.content {
            Content::Datagram { destination, .. } | Content::Segment { destination, .. } => {
                Some(destination.port())
            }
            Content::WhoHas(_) | Content::Other => None,
        }
    }

    /// The destination address, or the one whose hardware address is asked for.
    #[must_use]
    pub fn destination(&self) -> Option<IpAddr> {
        match &self.content {
            Content::Datagram { destination, .. } | Content::Segment { destination, .. } => {
                Some(destination.ip())
            }
            Content::WhoHas(ip) => Some(*ip),
            Content::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forged_datagram_is_read_back() {
        for (source, destination, octets) in [
            ("127.9.9.9:1", "255.255.255.255:8080", 28 + 4),
            ("[::ffff:127.0.0.1]:40000", "[fd77:2::2]:8080", 48 + 4),
        ] {
            let forged = Forged {
                from: [2; 6],
                to: BROADCAST,
                source: source.parse().unwrap(),
                destination: destination.parse().unwrap(),
            };
            let packet = Packet::parse(&forged.datagram(b"exit")).unwrap();
            assert_eq!(packet.octets, octets);
            assert_eq!(packet.datagram(), Some(&b"exit"[..]));
            let content = Content::Datagram {
                source: forged.source,
                destination: forged.destination,
                payload: b"exit".to_vec(),
            };
            assert_eq!(packet.content, content);
        }
    }
}
