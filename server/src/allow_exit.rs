//! Who may stop a server from afar.

use clap::ValueEnum;

use crate::policy::origin::Origin;

/// Whose `exit` stops the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AllowExit {
    /// Anyone's, as with the originals
    Any,
    /// Loopback's: programs of this host that send to a loopback address
    Loopback,
    /// Nobody's
    Never,
}

impl AllowExit {
    /// Whether an `exit` from there is honoured.
    #[must_use]
    pub fn honours(self, from: &Origin) -> bool {
        match self {
            Self::Any => true,
            Self::Loopback => from.is_loopback(),
            Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::policy::origin::origin;

    #[test]
    fn this_host_is_loopback_in_any_form() {
        let honours = |who: AllowExit, ip: &str| {
            let source = SocketAddr::new(ip.parse().unwrap(), 9);
            who.honours(&origin(source))
        };
        for ip in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(honours(AllowExit::Loopback, ip), "{ip}");
            assert!(!honours(AllowExit::Never, ip), "{ip}");
        }
        for ip in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
            assert!(!honours(AllowExit::Loopback, ip), "{ip}");
            assert!(honours(AllowExit::Any, ip), "{ip}");
        }
    }
}
