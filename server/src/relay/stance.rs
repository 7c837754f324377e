//! What the operator has to know about who can use the relay.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::access::Access;
use crate::exit::note;
use crate::logs::LogFormat;

/// Says it, after all else that is said at the start.
pub(super) fn tell(access: &Access, log: LogFormat) {
    if log == LogFormat::Text {
        note(format_args!("  {}", who_takes_part(access)));
    }
    if access.open {
        tracing::warn!(
            "--open: anyone sends to anyone through this relay, under any address; keep it from the Internet"
        );
    }
}

/// From where clients can take part that cannot send a token back.
fn who_takes_part(access: &Access) -> String {
    let denied = |network: &IpNet| access.deny.iter().any(|deny| deny.contains(network));
    let (from, advice) = if access.open {
        ("anywhere".to_owned(), "")
    } else {
        let own = [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::from(Ipv6Addr::LOCALHOST),
        ];
        let is_here = own
            .iter()
            .any(|ip| access.trusts_loopback() && !access.denies(*ip));
        let here = is_here.then(|| "loopback".to_owned());
        let trusted = access.trust.iter().filter(|network| !denied(network));
        let from: Vec<_> = here
            .into_iter()
            .chain(trusted.map(ToString::to_string))
            .collect();
        match from.as_slice() {
            [] => ("nowhere".to_owned(), " (--trust CIDR for more)"),
            some => (some.join(", "), " (--trust CIDR for more)"),
        }
    };
    // What is denied of that.
    let holes = access.deny.iter().filter(|deny| {
        access.open
            || access
                .trust
                .iter()
                .any(|network| network.contains(*deny) && !denied(network))
    });
    let holes: Vec<_> = holes.map(ToString::to_string).collect();
    let but = if holes.is_empty() {
        String::new()
    } else {
        format!(" but not from {}", holes.join(", "))
    };
    format!("original clients can take part from {from}{but}{advice}")
}

#[cfg(test)]
mod tests {
    use super::super::access::network;
    use super::*;

    fn stance(open: bool, trust: &[&str], deny: &[&str]) -> String {
        let networks = |list: &[&str]| list.iter().map(|text| network(text).unwrap()).collect();
        let told = who_takes_part(&Access {
            open,
            distrusts_loopback: false,
            trust: networks(trust),
            deny: networks(deny),
        });
        let rest = told.strip_prefix("original clients can take part from ");
        rest.unwrap().to_owned()
    }

    #[test]
    fn who_is_trusted_is_named_and_who_is_denied_is_not() {
        let more = "(--trust CIDR for more)";
        assert_eq!(stance(false, &[], &[]), format!("loopback {more}"));
        assert_eq!(
            stance(
                false,
                &["192.0.2.0/24", "198.51.100.0/24"],
                &["198.51.100.0/23"]
            ),
            format!("loopback, 192.0.2.0/24 {more}")
        );
        assert_eq!(
            stance(false, &["192.0.2.0/24"], &["192.0.2.66", "203.0.113.0/24"]),
            format!("loopback, 192.0.2.0/24 but not from 192.0.2.66/32 {more}")
        );
        assert_eq!(
            stance(false, &[], &["127.0.0.0/8", "::1"]),
            format!("nowhere {more}")
        );
    }

    #[test]
    fn an_open_relay_is_used_from_anywhere() {
        assert_eq!(stance(true, &["192.0.2.0/24"], &[]), "anywhere");
        assert_eq!(
            stance(true, &[], &["192.0.2.0/24"]),
            "anywhere but not from 192.0.2.0/24"
        );
    }
}
