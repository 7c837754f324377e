//! What the relay's clients have in common on their command lines.

use std::net::SocketAddr;
use std::time::Duration;

use hii_protocol::Endpoint;
use hii_server::args::duration;

use crate::target::{Family, Target};

/// The relay, and how it is reached.
#[derive(Debug, clap::Args)]
pub struct RelayArgs {
    /// The relay, as host, host:port or [ipv6]:port (port 8081 unless told otherwise), over TCP as tcp://host:port
    #[arg(value_name = "RELAY", value_parser = Target::relay)]
    pub(super) relay: Target,

    /// How long the relay may take to answer, in seconds or as 500ms
    #[arg(short = 'W', long, value_name = "TIME", default_value = "3", value_parser = patience)]
    pub(super) timeout: Duration,

    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,
}

impl RelayArgs {
    pub(super) fn family(&self) -> Family {
        match (self.ipv4, self.ipv6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        }
    }
}

/// An address of the relay's kind: `ip/port` or `[ipv6]/port`.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn endpoint(text: &str) -> Result<Endpoint, String> {
    if let Ok(meant) = text.parse::<SocketAddr>()
        && let Ok(meant) = Endpoint::try_from(meant)
    {
        return Err(format!("write {meant}, with a / before the port"));
    }
    text.parse().map_err(|error| {
        format!("{error}; give it as the other side shows it: 192.0.2.7/9000 or [2001:db8::7]/9000")
    })
}

fn patience(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("the time has to be longer than 0".into()),
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn an_address_as_others_write_it_is_told_as_it_is_written_here() {
        for (text, advice) in [
            ("127.0.0.1:9", "write 127.0.0.1/9, with a / before the port"),
            ("[::1]:9", "write [::1]/9, with a / before the port"),
        ] {
            assert_eq!(endpoint(text), Err(advice.into()));
        }
        assert!(endpoint("127.0.0.1:0").is_err());
        assert!(endpoint("127.0.0.1/9").is_ok());
    }
}
