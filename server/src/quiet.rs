//! When a service says nothing, so that two services cannot keep each other busy (`WIRE.md` section 1.2).

use hii_protocol::is_answer;

use crate::policy::local_addrs::LocalAddrs;
use crate::policy::origin::Origin;

/// Ports below this are services of their own (DNS, TFTP, chargen), which answer anything.
const FIRST_CLIENT_PORT: u16 = 1024;

/// Knows which datagrams are never answered.
#[derive(Debug, Clone, Default)]
pub struct Quiet {
    local: LocalAddrs,
}

impl Quiet {
    /// The rules for a service at these addresses.
    #[must_use]
    pub fn new(local: LocalAddrs) -> Self {
        Self { local }
    }

    /// Whether this datagram is never answered.
    #[must_use]
    pub fn applies(&self, datagram: &[u8], origin: &Origin) -> bool {
        let port = origin.address().port();
        is_answer(datagram) || port < FIRST_CLIENT_PORT || self.local.is_service(origin.ip(), port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::origin::origin;

    #[test]
    fn answers_low_ports_and_the_service_itself_are_never_answered() {
        let bound = [
            "[::]:8080".parse().unwrap(),
            "192.0.2.1:8080".parse().unwrap(),
        ];
        let quiet = Quiet::new(LocalAddrs::fixed(&bound, Vec::new()));
        let silent = |datagram: &[u8], from: &str| {
            let origin = origin(from.parse().unwrap());
            quiet.applies(datagram, &origin)
        };
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
