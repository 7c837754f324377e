//! Where a relay never sends, in any mode and whatever it looks like.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::own::Own;

/// Why nothing is sent to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unreachable {
    /// `0.0.0.0` and its network, `::`: on many systems this is the host itself.
    Unspecified,
    /// Many hosts: multicast.
    Multicast,
    /// Many hosts: broadcast.
    Broadcast,
    /// A host on the relay's own wire, which no peer elsewhere should reach.
    LinkLocal,
    /// The relay's own host, for a sender that is elsewhere.
    Loopback,
    /// The relay itself.
    Relay,
    /// An address that no host has.
    Reserved,
}

/// Knows which addresses are the relay's own.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    own: Own,
}

impl Reach {
    /// For a relay on these sockets of a host with these addresses.
    #[must_use]
    pub fn new(sockets: &[SocketAddr], host: impl IntoIterator<Item = IpAddr>) -> Self {
        Self {
            own: Own::new(sockets, host),
        }
    }

    /// Whether anything may be sent to an address and port on behalf of this sender.
    ///
    /// # Errors
    /// It may not, for this reason.
    pub fn allows(&self, ip: IpAddr, port: u16, sender: IpAddr) -> Result<(), Unreachable> {
        match ip.to_canonical() {
            // It has no other face, and most are such.
            ip @ IpAddr::V4(_) => self.allows_face(ip, port, sender),
            ip @ IpAddr::V6(_) => faces(ip).try_for_each(|ip| self.allows_face(ip, port, sender)),
        }
    }

    /// Whether a message may go to an address that is no peer: not to another service of the relay's own host, to which it
    /// would seem to come from that host itself, unless the sender is on that host.
    #[must_use]
    pub fn allows_stranger(&self, ip: IpAddr, sender: IpAddr) -> bool {
        let is_here = |ip| self.own.is_host(ip);
        is_here(sender.to_canonical()) || !faces(ip).any(is_here)
    }

    fn allows_face(&self, ip: IpAddr, port: u16, sender: IpAddr) -> Result<(), Unreachable> {
        if self.own.is_service(ip, port) {
            return Err(Unreachable::Relay);
        }
        if ip.is_loopback() && !sender.to_canonical().is_loopback() {
            return Err(Unreachable::Loopback);
        }
        let reason = match ip {
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => of_v6(v6),
        };
        reason.map_or(Ok(()), Err)
    }
}

fn of_v4(ip: Ipv4Addr) -> Option<Unreachable> {
    match ip.octets() {
        [0, ..] => Some(Unreachable::Unspecified),
        [255, 255, 255, 255] => Some(Unreachable::Broadcast),
        [169, 254, ..] => Some(Unreachable::LinkLocal),
        [224..=239, ..] => Some(Unreachable::Multicast),
        [240..=255, ..] => Some(Unreachable::Reserved),
        _ => None,
    }
}

fn of_v6(ip: Ipv6Addr) -> Option<Unreachable> {
    if ip.is_unspecified() {
        Some(Unreachable::Unspecified)
    } else if ip.is_multicast() {
        Some(Unreachable::Multicast)
    } else if ip.is_unicast_link_local() {
        Some(Unreachable::LinkLocal)
    } else if matches!(ip.segments(), [0x64, 0xff9b, 1, ..]) {
        // NAT64 within a network (RFC 8215): which IPv4 host that is, only its operator can tell.
        Some(Unreachable::Reserved)
    } else {
        None
    }
}

/// All that an address may turn out to be: itself, and the IPv4 addresses that a translator or tunnel on the way takes
/// out of it.
pub(super) fn faces(ip: IpAddr) -> impl Iterator<Item = IpAddr> {
    let ip = ip.to_canonical();
    let inner = match ip {
        IpAddr::V4(_) => [None; 2],
        IpAddr::V6(v6) => embedded(v6),
    };
    std::iter::once(ip).chain(inner.into_iter().flatten().map(IpAddr::V4))
}

/// The IPv4 addresses within an IPv6 one.
fn embedded(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    match ip.segments() {
        // `::1` is loopback, and `::` is unspecified.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None; 2],
        // IPv4-compatible (RFC 4291), IPv4-translated (RFC 2765), NAT64 with the well-known prefix (RFC 6052),
        // 6to4 (RFC 3056), ISATAP (RFC 5214).
        [0, 0, 0, 0, 0 | 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..]
        | [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => [Some(v4(high, low)), None],
        // Teredo (RFC 4380): its server, and its client with every bit turned over.
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            [v4(high, low), v4(!client_high, !client_low)].map(Some)
        }
        _ => [None; 2],
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(ip: &str, port: u16, sender: &str) -> Option<Unreachable> {
        let reach = Reach::new(
            &["[::]:8081".parse().unwrap()],
            [
                "198.51.100.1".parse().unwrap(),
                "127.0.0.1".parse().unwrap(),
            ],
        );
        let sender = sender.parse().unwrap();
        reach.allows(ip.parse().unwrap(), port, sender).err()
    }

    #[test]
    fn rejects_what_is_not_one_other_host() {
        use Unreachable::*;
        for (ip, why) in [
            ("0.0.0.0", Unspecified),
            ("0.1.2.3", Unspecified),
            ("::", Unspecified),
            ("224.0.0.1", Multicast),
            ("239.255.255.255", Multicast),
            ("ff02::1", Multicast),
            ("255.255.255.255", Broadcast),
            ("169.254.1.1", LinkLocal),
            ("fe80::1", LinkLocal),
            ("250.1.1.1", Reserved),
            ("64:ff9b:1::192.0.2.1", Reserved),
            ("127.0.0.1", Loopback),
            ("127.9.9.9", Loopback),
            ("::1", Loopback),
        ] {
            assert_eq!(reason(ip, 9000, "192.0.2.7"), Some(why), "{ip}");
        }
        for ip in [
            "192.0.2.9",
            "10.0.0.1",
            "198.51.100.1",
            "2001:db8::1",
            "fd00::1",
        ] {
            assert_eq!(reason(ip, 9000, "192.0.2.7"), None, "{ip}");
        }
    }

    #[test]
    fn rejects_the_same_in_any_disguise() {
        for disguise in [
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "2002:7f00:1::9",
            "2001:0:7f00:1::1",
            "2001:0:c000:207::80ff:fffe",
            "2001:db8::5efe:127.0.0.1",
            "2001:db8::200:5efe:127.0.0.1",
        ] {
            assert_eq!(
                reason(disguise, 9000, "192.0.2.7"),
                Some(Unreachable::Loopback),
                "{disguise}"
            );
        }
        let multicast = Some(Unreachable::Multicast);
        assert_eq!(reason("2002:e000:1::", 9000, "192.0.2.7"), multicast);
    }

    #[test]
    fn rejects_the_relay_itself_and_loopback_for_others_than_loopback() {
        let relay = Some(Unreachable::Relay);
        for ip in [
            "198.51.100.1",
            "127.0.0.1",
            "127.3.2.1",
            "::1",
            "2002:c633:6401::",
        ] {
            assert_eq!(reason(ip, 8081, "127.0.0.1"), relay, "{ip}");
        }
        assert_eq!(reason("127.0.0.1", 9000, "127.0.0.1"), None);
        assert_eq!(reason("::1", 9000, "::ffff:127.0.0.1"), None);
        assert_eq!(reason("198.51.100.1", 9000, "192.0.2.7"), None);
    }
}
