//! What a server says at its start: by which addresses others reach it, and what to type there.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hii_transport::addresses::{host_name, interface_addresses};

use crate::exit::note;
use crate::logs::LogFormat;

/// A server's own words at its start.
#[derive(Debug, Clone)]
pub struct Announcement {
    service: &'static str,
    transports: &'static str,
    sockets: Vec<SocketAddr>,
    host: Option<String>,
    reachable: Vec<SocketAddr>,
    command: &'static str,
}

impl Announcement {
    /// For a service on these sockets of this host, by these transports; `command` is what to type on the other side,
    /// before the address.
    #[must_use]
    pub fn new(
        service: &'static str,
        transports: &'static str,
        sockets: &[SocketAddr],
        command: &'static str,
    ) -> Self {
        Self {
            service,
            transports,
            sockets: sockets.to_vec(),
            host: host_name(),
            reachable: reachable(sockets, &host_addresses()),
            command,
        }
    }

    /// Says it on stderr in the form of the logs.
    pub fn tell(&self, log: LogFormat) {
        match log {
            LogFormat::Text => note(self),
            LogFormat::Json => {
                for socket in &self.sockets {
                    tracing::info!(service = self.service, address = %socket, "listening");
                }
            }
        }
    }
}

fn host_addresses() -> Vec<IpAddr> {
    let addresses = interface_addresses().unwrap_or_default().into_iter();
    addresses.map(|address| address.ip).collect()
}

/// The addresses by which others reach the sockets: the bound one, or each non-loopback one of the host.
fn reachable(sockets: &[SocketAddr], host: &[IpAddr]) -> Vec<SocketAddr> {
    let mut reachable = Vec::new();
    for socket in sockets {
        if !socket.ip().is_unspecified() {
            reachable.extend((!socket.ip().to_canonical().is_loopback()).then_some(*socket));
            continue;
        }
        let of_family = |ip: &&IpAddr| socket.is_ipv6() || ip.is_ipv4();
        for ip in host.iter().filter(of_family) {
            // A link-local address means nothing without the other side's interface.
            let link_local = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
            if !ip.is_loopback() && !link_local {
                reachable.push(SocketAddr::new(*ip, socket.port()));
            }
        }
    }
    reachable
}

impl fmt::Display for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for socket in &self.sockets {
            writeln!(
                f,
                "{} listens on {socket} ({})",
                self.service, self.transports
            )?;
        }
        let mut list = String::new();
        for address in &self.reachable {
            write!(list, "{}{address}", if list.is_empty() { "" } else { ", " })?;
        }
        let host = self.host.as_deref().unwrap_or("this host");
        if list.is_empty() {
            writeln!(f, "  only programs on {host} reach it")?;
        } else {
            writeln!(f, "  others reach {host} at {list}")?;
        }
        let port = self.sockets.first().map_or(0, SocketAddr::port);
        let example = self
            .reachable
            .first()
            .copied()
            .or(self
                .sockets
                .first()
                .copied()
                .filter(|socket| !socket.ip().is_unspecified()))
            .unwrap_or(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
        write!(f, "  to use it type: {} {example}", self.command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_each_address_that_others_can_use() {
        let host = ["127.0.0.1", "192.0.2.1", "::1", "2001:db8::1", "fe80::1"]
            .map(|ip| ip.parse().unwrap());
        let tell = |socket: &str| {
            let list = reachable(&[socket.parse().unwrap()], &host);
            list.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(tell("[::]:80"), ["192.0.2.1:80", "[2001:db8::1]:80"]);
        assert_eq!(tell("0.0.0.0:80"), ["192.0.2.1:80"]);
        assert_eq!(tell("192.0.2.9:80"), ["192.0.2.9:80"]);
        assert!(tell("127.0.0.1:80").is_empty());
    }
}
