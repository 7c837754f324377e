//! What is measured: a host and a port, by name or by address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

use hii_server::exit::{Exit, Failure};

/// The port of a ping server.
pub const DEFAULT_PORT: u16 = 8080;

/// A host and a port as the user gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    host: String,
    port: u16,
}

/// Which addresses of a name are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// All, in the order of the resolver.
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl FromStr for Target {
    type Err = String;

    /// `host`, `host:port`, `[ipv6]`, `[ipv6]:port`, or a bare IPv6 address.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return Err("give a host, or host:port; the ping service is measured over UDP".into());
        }
        let (host, port) = if is_ipv6(text) {
            (text, None)
        } else if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest
                .split_once(']')
                .ok_or("a `]` is missing after the IPv6 address")?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(format!("{rest:?} after `]` is not :port")),
            }
        } else {
            match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        if host.is_empty() {
            return Err("the host is missing".into());
        }
        if host.contains(':') && !is_ipv6(host) {
            return Err(format!(
                "{host:?} is not an IPv6 address; give a port after it as [address]:port"
            ));
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) if port.bytes().all(|octet| octet.is_ascii_digit()) => port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or(format!("port {port:?} is not in 1-65535"))?,
            Some(port) => return Err(format!("{port:?} is not a port")),
        };
        let host = host.to_owned();
        Ok(Self { host, port })
    }
}

/// An IPv6 address, perhaps with a zone.
fn is_ipv6(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Target {
    /// The target's addresses; at least one.
    ///
    /// # Errors
    /// The name is unknown, or has no address of that family.
    pub fn resolve(&self, family: Family) -> Result<Vec<SocketAddr>, Failure> {
        let all = (self.host.as_str(), self.port)
            .to_socket_addrs()
            .map_err(|error| {
                Failure::new(
                    Exit::Unreachable,
                    format_args!("cannot find the address of {:?}: {error}", self.host),
                    "check the name, or give the address itself",
                )
            })?;
        let addresses: Vec<_> = all
            .map(hii_transport::udp::canonical)
            .filter(|address| match family {
                Family::Any => true,
                Family::V4 => address.is_ipv4(),
                Family::V6 => address.is_ipv6(),
            })
            .collect();
        if addresses.is_empty() {
            let wanted = if family == Family::V4 { "IPv4" } else { "IPv6" };
            return Err(Failure::new(
                Exit::Unreachable,
                format_args!("{:?} has no {wanted} address", self.host),
                "leave out -4 or -6, or give another name",
            ));
        }
        Ok(addresses)
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        let host = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => ip.to_string(),
        };
        let port = address.port();
        Self { host, port }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_and_addresses_with_and_without_port() {
        for (text, shown) in [
            ("example.net", "example.net:8080"),
            ("example.net:7", "example.net:7"),
            ("192.0.2.1:9", "192.0.2.1:9"),
            ("2001:db8::1", "[2001:db8::1]:8080"),
            ("[2001:db8::1]", "[2001:db8::1]:8080"),
            ("[2001:db8::1]:9", "[2001:db8::1]:9"),
            ("[fe80::1%lo]:9", "[fe80::1%lo]:9"),
            ("fe80::1%lo", "[fe80::1%lo]:8080"),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn rejects_what_is_no_target() {
        for text in [
            "",
            ":80",
            "host:",
            "host:0",
            "host:65536",
            "host:+1",
            "host:x",
            "[::1",
            "[::1]80",
            "[host]:1x",
            "1:2:3",
            "udp://host",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
