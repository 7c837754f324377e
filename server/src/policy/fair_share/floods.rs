//! Who floods a pool, and who is honest, in tests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address of an attacker's nth entry.
pub(crate) type Attack = fn(u32) -> IpAddr;

pub(super) fn v6(region: u32, site: u16, host: u16, interface: u16) -> IpAddr {
    let [a, b, c, d] = region.to_be_bytes();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    Ipv6Addr::new(high, low, site, host, 0, 0, 0, interface).into()
}

fn low(number: u32) -> u16 {
    (number & 0xffff) as u16
}

const REGION: u32 = 0x2a00_0001;

/// The region that the honest holders of these tests have too.
const HONEST_REGION: u32 = 0x2001_0db8;

pub(crate) const ATTACKS: [(&str, Attack); 11] = [
    ("one address", |_| Ipv4Addr::new(198, 51, 100, 1).into()),
    ("a /64", |number| v6(REGION, 0, 0, low(number))),
    ("a /48 of many /64s", |number| v6(REGION, 0, low(number), 1)),
    ("a /41 in 128 /48s", |number| {
        v6(REGION, low(number % 128), 0, 1)
    }),
    ("a /41 in 128 /48s of many /64s", |number| {
        v6(REGION, low(number % 128), low(number / 128), 1)
    }),
    ("20 /32s", |number| {
        v6(REGION + number % 20, low(number / 20), 0, 1)
    }),
    ("an IPv4 /24", |number| {
        Ipv4Addr::from_bits(0xc633_6400 + number % 256).into()
    }),
    ("an IPv4 /16", |number| {
        Ipv4Addr::from_bits(0xc633_0000 + number % 65_536).into()
    }),
    ("300 IPv4 hosts", |number| {
        Ipv4Addr::from_bits(0x2d00_0001 + ((number % 300) << 16)).into()
    }),
    ("a /48 in the honest one's /32", |number| {
        v6(HONEST_REGION, 0xffff, low(number), 1)
    }),
    ("a /64 in the honest one's /32", |number| {
        v6(HONEST_REGION, 0xffff, 0, low(number))
    }),
];

/// The attacks in which no prefix is overloaded.
pub(crate) const SPREAD: [&str; 2] = ["20 /32s", "300 IPv4 hosts"];

/// Addresses of holders whose prefixes have half of what they are allowed at most.
pub(crate) fn honest() -> Vec<IpAddr> {
    let mut ips = Vec::new();
    for number in 0..16_u16 {
        let [.., octet] = number.to_be_bytes();
        ips.extend([
            v6(HONEST_REGION, number, 0, 1),
            v6(0x2600_0000 + u32::from(number), 0, 0, 1),
            Ipv4Addr::new(203, octet, 113, 7).into(),
            Ipv4Addr::new(192, 0, 2 + octet / 8, octet + 1).into(),
        ]);
    }
    ips.extend([IpAddr::from([203, 200, 113, 7]); 2]);
    ips
}
