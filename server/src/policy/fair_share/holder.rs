//! Who holds a place: the prefixes of a source, and whether it is trusted.

use std::net::IpAddr;
use std::net::SocketAddr;

use crate::policy::embedded_ipv4::translated;
use crate::policy::origin::Origin;

/// Which half of a pool a holder has a right to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Anybody.
    Stranger,
    /// Loopback, and the networks that the operator trusts.
    Trusted,
}

/// How much of an address a prefix covers. A smaller prefix is longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Depth {
    /// All holders of a class.
    #[cfg_attr(not(test), expect(dead_code, reason = "the roots have no prefix"))]
    Class,
    /// An IPv4 /16 or an IPv6 /32.
    Region,
    /// An IPv4 /24 or an IPv6 /48.
    Site,
    /// An IPv4 address or an IPv6 /64.
    Host,
}

/// The holder of a place in a pool.
///
/// Behind NAT64 (`64:ff9b::/96`) and 6to4 (`2002::/16`) it is the embedded IPv4 address. A link-local IPv6 address counts
/// as itself with its zone: all hosts of a link share one /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    class: Class,
    network: Network,
}

/// A prefix of one depth, to be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Prefix {
    class: Class,
    depth: Depth,
    network: Network,
}

/// An address without the bits that do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    V4(u32),
    V6(u64),
    LinkLocal { address: u128, zone: u32 },
}

impl Holder {
    /// The holder that this origin is.
    #[must_use]
    pub fn new(origin: &Origin, class: Class) -> Self {
        Self::with_address(origin.address(), class)
    }

    /// Loopback is trusted, everybody else is a stranger.
    #[must_use]
    pub fn of(origin: &Origin) -> Self {
        Self::at(origin.address())
    }

    /// The same, for the address of an origin.
    pub(crate) fn at(address: SocketAddr) -> Self {
        let class = if address.ip().is_loopback() {
            Class::Trusted
        } else {
            Class::Stranger
        };
        Self::with_address(address, class)
    }

    fn with_address(address: SocketAddr, class: Class) -> Self {
        let network = match address {
            SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => Network::LinkLocal {
                address: v6.ip().to_bits(),
                zone: v6.scope_id(),
            },
            address => match address.ip() {
                IpAddr::V4(v4) => Network::V4(v4.to_bits()),
                IpAddr::V6(v6) => match translated(v6) {
                    Some(v4) => Network::V4(v4.to_bits()),
                    None => Network::V6((v6.to_bits() >> 64) as u64),
                },
            },
        };
        Self { class, network }
    }

    /// Its class.
    #[must_use]
    pub fn class(self) -> Class {
        self.class
    }

    /// The holder's prefix of this depth.
    pub(super) fn prefix(self, depth: Depth) -> Prefix {
        let network = match (self.network, depth) {
            (network, Depth::Host) => network,
            (_, Depth::Class) => Network::V4(0),
            (Network::V4(bits), Depth::Site) => Network::V4(bits >> 8),
            (Network::V4(bits), Depth::Region) => Network::V4(bits >> 16),
            (Network::V6(bits), Depth::Site) => Network::V6(bits >> 16),
            (Network::V6(bits), Depth::Region) => Network::V6(bits >> 32),
            // A link is a site.
            (Network::LinkLocal { zone, .. }, Depth::Site) => {
                Network::LinkLocal { address: 0, zone }
            }
            (Network::LinkLocal { .. }, Depth::Region) => Network::LinkLocal {
                address: 0,
                zone: 0,
            },
        };
        Prefix {
            class: self.class,
            depth,
            network,
        }
    }
}

impl Prefix {
    pub(super) fn depth(self) -> Depth {
        self.depth
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::origin::origin;

    fn holder(ip: &str) -> Holder {
        Holder::of(&origin(SocketAddr::new(ip.parse().unwrap(), 9)))
    }

    /// The longest prefix that both have.
    fn shared(one: &str, other: &str) -> Option<Depth> {
        let (one, other) = (holder(one), holder(other));
        [Depth::Host, Depth::Site, Depth::Region]
            .into_iter()
            .find(|depth| one.prefix(*depth) == other.prefix(*depth))
    }

    #[test]
    fn addresses_share_the_prefixes_of_their_family() {
        for (one, other, depth) in [
            ("192.0.2.1", "::ffff:192.0.2.1", Some(Depth::Host)),
            ("192.0.2.1", "192.0.2.2", Some(Depth::Site)),
            ("192.0.2.1", "192.0.3.1", Some(Depth::Region)),
            ("192.0.2.1", "192.1.2.1", None),
            ("2001:db8::1", "2001:db8::2", Some(Depth::Host)),
            ("2001:db8::1", "2001:db8:0:1::1", Some(Depth::Site)),
            ("2001:db8::1", "2001:db8:1::1", Some(Depth::Region)),
            ("2001:db8::1", "2001:db9::1", None),
            // The same number in the other family.
            ("192.0.2.1", "0:0:c000:201::1", None),
        ] {
            assert_eq!(shared(one, other), depth, "{one} {other}");
        }
    }

    #[test]
    fn translated_address_is_its_ipv4_address() {
        for translated in [
            "64:ff9b::192.0.2.1",
            "2002:c000:201::7",
            "2002:c000:201:5::",
        ] {
            assert_eq!(shared(translated, "192.0.2.1"), Some(Depth::Host));
        }
        assert_eq!(shared("64:ff9b:1::192.0.2.1", "192.0.2.1"), None);
    }

    #[test]
    fn link_local_address_counts_with_its_zone() {
        let on = |ip: &str, zone| {
            let address = std::net::SocketAddrV6::new(ip.parse().unwrap(), 9, 0, zone);
            Holder::of(&origin(address.into()))
        };
        let one = on("fe80::1", 1);
        assert_eq!(one, on("fe80::1", 1));
        assert_ne!(one, on("fe80::2", 1));
        assert_ne!(one, on("fe80::1", 2));
        let (other, elsewhere) = (on("fe80::2", 1), on("fe80::1", 2));
        assert_eq!(one.prefix(Depth::Site), other.prefix(Depth::Site));
        assert_ne!(one.prefix(Depth::Site), elsewhere.prefix(Depth::Site));
    }

    #[test]
    fn loopback_is_trusted() {
        assert_eq!(holder("::1").class(), Class::Trusted);
        assert_eq!(holder("192.0.2.1").class(), Class::Stranger);
        let own = origin(SocketAddr::new("127.0.0.1".parse().unwrap(), 9));
        assert_ne!(Holder::of(&own), Holder::new(&own, Class::Stranger));
    }
}
