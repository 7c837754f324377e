use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::*;
use crate::policy::origin::origin;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn from(text: &str) -> Origin {
    from_ip(text.parse().unwrap())
}

fn from_ip(ip: IpAddr) -> Origin {
    origin(SocketAddr::new(ip, 9))
}

#[test]
fn ten_failures_bar_a_source_and_nobody_else_and_not_for_ever() {
    let mut failures = Failures::default();
    let source = from("2001:db8::1");
    for _ in 0..10 {
        assert!(!failures.bars(&source, at(5)));
        failures.add(&source, at(5));
    }
    assert!(failures.bars(&source, at(5)));
    assert!(failures.bars(&from("2001:db8::2"), at(5)));
    assert!(!failures.bars(&from("192.0.2.1"), at(5)));
    // One try for each gap.
    assert!(failures.bars(&source, at(10)));
    assert!(!failures.bars(&source, at(11)));
    failures.add(&source, at(11));
    assert!(failures.bars(&source, at(11)));
    assert!(!failures.bars(&source, at(1000)));
}

#[test]
fn this_host_is_never_barred() {
    let mut failures = Failures::default();
    for own in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
        for _ in 0..1000 {
            failures.add(&from(own), at(5));
        }
        assert!(!failures.bars(&from(own), at(5)), "{own}");
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut failures = Failures::default();
    for host in 0..100_000_u32 {
        let ip = Ipv4Addr::from_bits(0x0a00_0000 + host);
        failures.add(&from_ip(ip.into()), at(0));
    }
    assert_eq!(failures.of.len(), SOURCES.get());
}

/// An attacker's addresses: the one of this number, among those that it has.
type Addresses = fn(u16) -> IpAddr;

const ATTACKERS: [(&str, Addresses); 3] = [
    ("a host", |_| Ipv4Addr::new(198, 51, 100, 7).into()),
    ("a /24", |number| {
        let [_, host] = number.to_be_bytes();
        Ipv4Addr::new(198, 51, 100, host).into()
    }),
    ("a /48", |number| {
        Ipv6Addr::new(0x2001, 0xdb8, 0, number, 0, 0, 0, 1).into()
    }),
];

/// Connections that an attacker opens in the time of a round trip of the honest: of 0.3 s, if it opens 2,000 a second.
const ATTACKS: u64 = 600;

/// The attacker's connections, which it keeps as long as it can.
struct Connections {
    places: VecDeque<Place>,
    address: Addresses,
    /// Whether it sends a part of a handshake on each.
    starts: bool,
    opened: u16,
}

impl Connections {
    fn open(&mut self, handshakes: &Handshakes) {
        self.opened = self.opened.wrapping_add(1);
        let origin = from_ip((self.address)(self.opened));
        let mut place = handshakes.begin(&origin);
        if self.starts {
            place = place.and_then(|place| handshakes.start(&origin, place));
        }
        self.places.extend(place);
        while self.places.front().is_some_and(Place::is_displaced) {
            self.places.pop_front();
        }
    }
}

/// Of 25 honest handshakes, those that are finished.
fn finished(honest: &str, address: Addresses, starts: bool) -> usize {
    let handshakes = Handshakes::new(256);
    let mut connections = Connections {
        places: VecDeque::new(),
        address,
        starts,
        opened: 0,
    };
    let mut round_trip = || {
        for _ in 0..ATTACKS {
            connections.open(&handshakes);
        }
    };
    // The attacker has all that it can have by now.
    round_trip();
    let honest = from(honest);
    let mut handshake = || {
        let first = handshakes.begin(&honest)?;
        round_trip();
        if first.is_displaced() {
            return None;
        }
        let started = handshakes.start(&honest, first)?;
        round_trip();
        (!started.is_displaced()).then_some(())
    };
    (0..25).filter_map(|_| handshake()).count()
}

#[test]
fn many_connections_of_one_network_prevent_no_handshake() {
    for (name, attacker) in ATTACKERS {
        for starts in [false, true] {
            let finished = finished("203.0.113.5", attacker, starts);
            assert_eq!(finished, 25, "beside {name}, {starts}");
        }
    }
}

#[test]
fn idle_connections_displace_only_idle_ones() {
    let handshakes = Handshakes::new(4);
    let source = from("192.0.2.1");
    let first = handshakes.begin(&source).unwrap();
    let started = handshakes.start(&source, first).unwrap();
    let idle: Vec<_> = (0..100).map(|_| handshakes.begin(&source)).collect();
    assert!(!started.is_displaced());
    // The oldest go first: an honest handshake is short.
    let stay: Vec<_> = idle.iter().flatten().map(Place::is_displaced).collect();
    assert_eq!(stay[..96], [true; 96]);
    assert_eq!(stay[96..], [false; 4]);
    drop((idle, started));
    assert_eq!(handshakes.idle.taken() + handshakes.started.taken(), 0);
}
