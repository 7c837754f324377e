//! Who may be a peer, by the networks that the operator names.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::policy::embedded_ipv4::with_embedded;
use crate::policy::fair_share::{Class, Holder};
use crate::policy::origin::Origin;

/// The operator's rules about addresses.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Anyone sends to anyone, registered or not.
    pub open: bool,
    /// A greeting from loopback does not register without a token either.
    pub distrusts_loopback: bool,
    /// Networks from which a greeting registers without a token.
    pub trust: Vec<IpNet>,
    /// Networks that nothing comes from and nothing goes to, whatever else is allowed.
    pub deny: Vec<IpNet>,
}

impl Access {
    /// Whether nothing may come from this address or go to it.
    #[must_use]
    pub fn denies(&self, ip: IpAddr) -> bool {
        if self.deny.is_empty() {
            return false;
        }
        match ip.to_canonical() {
            // It embeds no other address, and most are such.
            ip @ IpAddr::V4(_) => contains(&self.deny, ip),
            ip @ IpAddr::V6(_) => with_embedded(ip).any(|ip| contains(&self.deny, ip)),
        }
    }

    /// Whether a greeting from there registers without a token. A sender can forge an address of a network, so this is for
    /// networks where nobody does.
    #[must_use]
    pub fn trusts(&self, origin: &Origin) -> bool {
        origin.is_loopback() && self.trusts_loopback() || contains(&self.trust, origin.ip())
    }

    /// Whose share of the table a peer from there takes.
    #[must_use]
    pub fn holder(&self, origin: &Origin) -> Holder {
        let class = if self.trusts(origin) {
            Class::Trusted
        } else {
            Class::Stranger
        };
        Holder::new(origin, class)
    }

    /// Whether a greeting from this host registers without a token, whatever networks are trusted.
    #[must_use]
    pub fn trusts_loopback(&self) -> bool {
        !self.distrusts_loopback
    }
}

fn contains(networks: &[IpNet], ip: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&ip))
}

/// A network in CIDR form, or a single address.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(ip) => IpNet::from(ip.to_canonical()),
        Err(_) => text
            .parse::<IpNet>()
            .map_err(|_| format!("{text:?} is not a network: use 192.0.2.0/24 or 2001:db8::/32"))?
            .trunc(),
    };
    match network {
        // Addresses are looked at as the IPv4 ones that they are, so such a network would contain none.
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => {
            Err(format!("{text:?} is IPv4: give it as such"))
        }
        network => Ok(network),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::policy::origin::origin;

    fn access() -> Access {
        let networks = |list: &[&str]| list.iter().map(|text| network(text).unwrap()).collect();
        Access {
            trust: networks(&["192.0.2.0/24", "2001:db8::/32"]),
            deny: networks(&["192.0.2.66", "198.51.100.0/24"]),
            ..Access::default()
        }
    }

    fn from(ip: &str) -> Origin {
        origin(SocketAddr::new(ip.parse().unwrap(), 9))
    }

    #[test]
    fn trusts_loopback_and_what_it_is_told() {
        let access = access();
        let trusts = |ip: &str| access.trusts(&from(ip));
        assert!(trusts("127.0.0.1") && trusts("::1") && trusts("::ffff:127.0.0.9"));
        assert!(trusts("192.0.2.7") && trusts("2001:db8:9::1"));
        assert!(!trusts("192.0.3.1") && !trusts("10.0.0.1"));
        let access = Access {
            distrusts_loopback: true,
            ..access
        };
        assert!(!access.trusts(&from("127.0.0.1")));
        assert!(!Access::default().trusts(&from("10.0.0.1")));
    }

    #[test]
    fn denies_in_any_disguise() {
        let access = access();
        for (ip, denied) in [
            ("192.0.2.66", true),
            ("192.0.2.67", false),
            ("::ffff:192.0.2.66", true),
            ("2002:c633:6401::", true),
            ("64:ff9b::198.51.100.9", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(access.denies(ip.parse().unwrap()), denied, "{ip}");
        }
    }

    #[test]
    fn rejects_what_is_no_network() {
        for text in [
            "",
            "x",
            "192.0.2.0/33",
            "::/129",
            "192.0.2",
            "::ffff:192.0.2.0/120",
        ] {
            assert!(network(text).is_err(), "{text}");
        }
        assert_eq!(network("192.0.2.7/24").unwrap().to_string(), "192.0.2.0/24");
        assert_eq!(
            network("::ffff:192.0.2.7").unwrap().to_string(),
            "192.0.2.7/32"
        );
    }
}
