//! IPv4 addresses inside IPv6 addresses, which a translator or a tunnel on the path takes out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address in canonical form, followed by the IPv4 addresses inside it.
pub fn with_embedded(ip: IpAddr) -> impl Iterator<Item = IpAddr> {
    let ip = ip.to_canonical();
    let inner = match ip {
        IpAddr::V4(_) => [None; 2],
        IpAddr::V6(v6) => embedded(v6),
    };
    std::iter::once(ip).chain(inner.into_iter().flatten().map(IpAddr::V4))
}

/// The IPv4 addresses inside an IPv6 address that is not IPv4-mapped.
pub fn embedded(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    match ip.segments() {
        // `::1` is loopback, and `::` is unspecified.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None; 2],
        // IPv4-compatible (RFC 4291), IPv4-translated (RFC 2765), NAT64 with the well-known prefix (RFC 6052),
        // 6to4 (RFC 3056), ISATAP (RFC 5214).
        [0, 0, 0, 0, 0 | 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..]
        | [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => [Some(v4(high, low)), None],
        // NAT64 with the prefix for local use (RFC 8215): in the form of a /48 (RFC 6052), which ends in zeros, or of a /96.
        [0x64, 0xff9b, 1, first, second, third, 0, 0] => {
            let [_, second] = second.to_be_bytes();
            let [third, _] = third.to_be_bytes();
            [Some(v4(first, u16::from_be_bytes([second, third]))), None]
        }
        [0x64, 0xff9b, 1, .., high, low] => [Some(v4(high, low)), None],
        // Teredo (RFC 4380): its server, and its client with every bit inverted.
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            [v4(high, low), v4(!client_high, !client_low)].map(Some)
        }
        _ => [None; 2],
    }
}

/// The IPv4 host that an IPv6 address of NAT64 (RFC 6052, the well-known prefix) or of 6to4 (RFC 3056) stands for.
pub fn translated(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_ipv4_addresses_of_each_transition_mechanism() {
        for (ip, inner) in [
            ("::127.0.0.1", &["127.0.0.1"][..]),
            ("::ffff:0:127.0.0.1", &["127.0.0.1"]),
            ("64:ff9b::192.0.2.9", &["192.0.2.9"]),
            ("2002:c000:209::1", &["192.0.2.9"]),
            ("64:ff9b:1::192.0.2.9", &["192.0.2.9"]),
            ("64:ff9b:1:c000:2:900::", &["192.0.2.9"]),
            ("2001:db8::5efe:192.0.2.9", &["192.0.2.9"]),
            ("2001:db8::200:5efe:192.0.2.9", &["192.0.2.9"]),
            ("2001:0:c000:209::80ff:fffe", &["192.0.2.9", "127.0.0.1"]),
            ("::", &[]),
            ("::1", &[]),
            ("2001:db8::1", &[]),
        ] {
            let found = embedded(ip.parse().unwrap()).into_iter().flatten();
            let found: Vec<_> = found.map(|ip| ip.to_string()).collect();
            assert_eq!(found, inner, "{ip}");
        }
        let all: Vec<_> = with_embedded("::ffff:192.0.2.1".parse().unwrap()).collect();
        assert_eq!(all, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
    }
}
