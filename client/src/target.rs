//! What is talked to: a host and a port, by name or by address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

use hii_server::exit::{Exit, Failure};

/// The port of a ping server.
pub const PING_PORT: u16 = 8080;

/// The port of a relay.
pub const RELAY_PORT: u16 = 8081;

/// The port of a sender of files.
pub const SHARE_PORT: u16 = 8082;

/// A host and a port as the user gave them, and how they are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    transport: Transport,
    host: String,
    port: u16,
}

/// What carries the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A connection.
    Tcp,
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

    /// A ping server, as in [`with_port`](Self::with_port).
    fn from_str(text: &str) -> Result<Self, String> {
        Self::with_port(text, PING_PORT)
    }
}

impl Target {
    /// A relay, as in [`with_port`](Self::with_port).
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    pub fn relay(text: &str) -> Result<Self, String> {
        Self::with_port(text, RELAY_PORT)
    }

    /// A sender of files, which is always reached over TCP.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    pub fn share(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return Err("give host or host:port".into());
        }
        Self::with_port(text, SHARE_PORT)
    }

    /// `host`, `host:port`, `[ipv6]`, `[ipv6]:port`, or a bare IPv6 address; over TCP with `tcp://` before it. Without a
    /// port it is this one.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    pub fn with_port(text: &str, default_port: u16) -> Result<Self, String> {
        let (transport, text) = match text.strip_prefix("tcp://") {
            Some(text) => (Transport::Tcp, text),
            None => (Transport::Udp, text),
        };
        if text.contains("://") {
            return Err("give host or host:port for UDP, tcp://host:port for TCP".into());
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
        if host.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(format!(
                "{host:?} is a number, not a host; a port goes with its host, as in host:8080"
            ));
        }
        if host.contains(':') && !is_ipv6(host) {
            return Err(format!(
                "{host:?} is not an IPv6 address; give a port after it as [address]:port"
            ));
        }
        let port = match port {
            None => default_port,
            Some(port) if port.bytes().all(|octet| octet.is_ascii_digit()) => port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or(format!("port {port:?} is not in 1-65535"))?,
            Some(port) => return Err(format!("{port:?} is not a port")),
        };
        let host = host.to_owned();
        Ok(Self {
            transport,
            host,
            port,
        })
    }
}

/// An IPv6 address, perhaps with a zone.
fn is_ipv6(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.transport == Transport::Tcp {
            write!(f, "tcp://")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Target {
    /// What carries the frames.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Whether there is a name to look up.
    #[must_use]
    pub fn is_name(&self) -> bool {
        let ip = self.host.split('%').next().unwrap_or_default();
        ip.parse::<IpAddr>().is_err()
    }

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
            let advice = if self.is_name() {
                "leave out -4 or -6, or give another name"
            } else {
                "leave out -4 or -6"
            };
            return Err(Failure::new(
                Exit::Unreachable,
                format_args!("{:?} has no {wanted} address", self.host),
                advice,
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
        Self {
            transport: Transport::Udp,
            host,
            port: address.port(),
        }
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
            ("tcp://example.net", "tcp://example.net:8080"),
            ("tcp://[2001:db8::1]:9", "tcp://[2001:db8::1]:9"),
            ("tcp://::1", "tcp://[::1]:8080"),
            ("fe80::1%lo", "[fe80::1%lo]:8080"),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn tells_names_from_addresses() {
        for (text, name) in [
            ("example.net", true),
            ("192.0.2.1", false),
            ("tcp://[fe80::1%lo]", false),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().is_name(), name);
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
            "tcp://",
            "tcp://tcp://host",
            "TCP://host",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
