//! When a service says nothing, so that two services cannot keep each other busy (`WIRE.md` section 1.2).

use std::net::{IpAddr, SocketAddr};

use hii_protocol::is_answer;

use crate::own::Own;

/// Ports below this are services of their own (DNS, TFTP, chargen), which answer anything.
const FIRST_CLIENT_PORT: u16 = 1024;

/// Knows which datagrams are never answered.
#[derive(Debug, Clone, Default)]
pub struct Quiet {
    own: Own,
}

impl Quiet {
    /// The rules for a service on these sockets of a host with these addresses.
    #[must_use]
    pub fn new(sockets: &[SocketAddr], host: impl IntoIterator<Item = IpAddr>) -> Self {
        Self {
            own: Own::new(sockets, host),
        }
    }

    /// Whether this datagram is never answered.
    #[must_use]
    pub fn applies(&self, datagram: &[u8], from: SocketAddr) -> bool {
        is_answer(datagram) || from.port() < FIRST_CLIENT_PORT || self.is_own(from)
    }

    fn is_own(&self, from: SocketAddr) -> bool {
        self.own.is_service(from.ip().to_canonical(), from.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_low_ports_and_the_service_itself_are_never_answered() {
        let quiet = Quiet::new(
            &["[::]:8080".parse().unwrap()],
            ["192.0.2.1".parse().unwrap()],
        );
        let silent = |datagram: &[u8], from: &str| quiet.applies(datagram, from.parse().unwrap());
        assert!(silent(b"Packet Acknowledged", "192.0.2.9:5000"));
        assert!(silent(b"hello", "192.0.2.9:1023"));
        assert!(!silent(b"hello", "192.0.2.9:1024"));
        assert!(silent(b"hello", "192.0.2.1:8080"));
        assert!(silent(b"hello", "[::ffff:192.0.2.1]:8080"));
        assert!(silent(b"hello", "127.0.0.9:8080"));
        assert!(!silent(b"hello", "192.0.2.1:8081"));
        assert!(!silent(b"hello", "192.0.2.9:8080"));
    }
}
