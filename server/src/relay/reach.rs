//! Where a relay never sends, in any mode and whatever it looks like.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::policy::embedded_ipv4::with_embedded;
use crate::policy::local_addrs::LocalAddrs;

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
    local: LocalAddrs,
}

impl Reach {
    /// For a relay at these addresses.
    #[must_use]
    pub fn new(local: LocalAddrs) -> Self {
        Self { local }
    }

    /// Whether anything may be sent to an address and port on behalf of this sender.
    ///
    /// # Errors
    /// It may not, for this reason.
    pub fn allows(&self, ip: IpAddr, port: u16, sender: IpAddr) -> Result<(), Unreachable> {
        match ip.to_canonical() {
            // It embeds no other address, and most are such.
            ip @ IpAddr::V4(_) => self.allows_one(ip, port, sender),
            ip @ IpAddr::V6(_) => {
                with_embedded(ip).try_for_each(|ip| self.allows_one(ip, port, sender))
            }
        }
    }

    /// Whether a message may go to an address that is no peer: not to all hosts of one of this host's networks, in any
    /// disguise (a peer has no such address), and not to another service of the relay's own host, to which it
    /// would seem to come from that host itself, unless the sender is on that host.
    #[must_use]
    pub fn allows_stranger(&self, ip: IpAddr, sender: IpAddr) -> bool {
        let is_here = |ip| self.local.is_host(ip);
        let is_broadcast = |ip| match ip {
            IpAddr::V4(v4) => self.local.current().is_broadcast(v4),
            IpAddr::V6(_) => false,
        };
        !with_embedded(ip).any(is_broadcast)
            && (is_here(sender.to_canonical()) || !with_embedded(ip).any(is_here))
    }

    fn allows_one(&self, ip: IpAddr, port: u16, sender: IpAddr) -> Result<(), Unreachable> {
        if self.local.is_service(ip, port) {
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

#[cfg(test)]
mod tests {
    use hii_transport::addresses::InterfaceAddress;

    use super::*;

    fn reason(ip: &str, port: u16, sender: &str) -> Option<Unreachable> {
        let bound = ["[::]:8081", "198.51.100.1:8081"].map(|socket| socket.parse().unwrap());
        let reach = Reach::new(LocalAddrs::fixed(&bound, Vec::new()));
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
    fn strangers_are_no_broadcast_address_of_this_host_in_any_disguise() {
        let interface = InterfaceAddress {
            ip: "198.51.100.1".parse().unwrap(),
            broadcasts: vec!["198.51.100.255".parse().unwrap()],
            interface: Some(2),
            is_loopback_interface: false,
        };
        let reach = Reach::new(LocalAddrs::fixed(&[], vec![interface]));
        let allows = |ip: &str, sender: &str| {
            reach.allows_stranger(ip.parse().unwrap(), sender.parse().unwrap())
        };
        for sender in ["192.0.2.7", "127.0.0.1"] {
            for ip in [
                "198.51.100.255",
                "::198.51.100.255",
                "64:ff9b::198.51.100.255",
            ] {
                assert!(!allows(ip, sender), "{ip} from {sender}");
            }
            assert!(allows("198.51.100.7", sender));
        }
        assert!(allows("198.51.100.1", "127.0.0.1") && !allows("198.51.100.1", "192.0.2.7"));
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
