//! The table of peers, against what it promises and against a plain list.

use std::net::IpAddr;
use std::time::Duration;

use hii_protocol::Endpoint;
use proptest::prelude::*;

use super::peers::{Peer, Peers, Registration, Standing, Way};
use super::slot::Slot;
use crate::args::rate;

const WAY: Way = Way {
    socket: 0,
    asked: None,
};

fn peers(most: u32) -> Peers {
    Peers::new(most, rate("10/s").unwrap())
}

fn peer(standing: Standing) -> Peer {
    Peer { standing, way: WAY }
}

fn at(text: &str) -> Endpoint {
    text.parse().unwrap()
}

/// The n-th of many peers, each in a network of its own.
fn nth(n: u32) -> Endpoint {
    let [_, a, b, c] = n.to_be_bytes();
    Endpoint::new([10 + a, b, c, 1].into(), 9000).unwrap()
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn a_proof_expires_and_a_greeting_does_not() {
    let mut peers = peers(10);
    let (proven, greeted) = (at("192.0.2.1/1"), at("192.0.2.2/1"));
    assert_eq!(
        peers.register(proven, peer(Standing::Proven), false, secs(0)),
        Registration::New
    );
    peers.register(greeted, peer(Standing::Greeted), true, secs(0));
    assert!(peers.find(proven, secs(299)).is_some());
    // To be heard of is no proof.
    assert!(peers.hear(proven, false, secs(299)).is_some());
    assert!(peers.find(proven, secs(300)).is_none());
    assert!(peers.hear(proven, false, secs(300)).is_none());
    assert!(peers.find(greeted, secs(1_000_000)).is_some());
    // What has expired is put out in passing.
    peers.register(at("192.0.2.3/1"), peer(Standing::Proven), false, secs(301));
    assert_eq!(peers.len(), 2);
}

#[test]
fn a_proof_refreshes_and_a_greeting_takes_nothing_from_it() {
    let mut peers = peers(10);
    let endpoint = at("192.0.2.1/1");
    peers.register(endpoint, peer(Standing::Proven), false, secs(0));
    let elsewhere = Peer {
        standing: Standing::Greeted,
        way: Way { socket: 7, ..WAY },
    };
    assert_eq!(
        peers.register(endpoint, elsewhere, true, secs(200)),
        Registration::Known
    );
    assert_eq!(
        peers.find(endpoint, secs(299)),
        Some(peer(Standing::Proven))
    );
    assert_eq!(peers.find(endpoint, secs(300)), None);
    peers.register(endpoint, peer(Standing::Proven), false, secs(300));
    peers.register(endpoint, peer(Standing::Proven), false, secs(500));
    assert!(peers.find(endpoint, secs(799)).is_some());
    // A peer that only greeted may prove itself.
    let other = at("192.0.2.2/1");
    peers.register(other, peer(Standing::Greeted), true, secs(0));
    peers.register(other, peer(Standing::Proven), false, secs(1));
    assert_eq!(peers.find(other, secs(2)), Some(peer(Standing::Proven)));
}

#[test]
fn the_first_live_registration_keeps_an_address() {
    let mut peers = peers(10);
    let endpoint = at("192.0.2.1/1");
    let connected = |socket| Peer {
        standing: Standing::Connected,
        way: Way { socket, ..WAY },
    };
    peers.register(endpoint, peer(Standing::Proven), false, secs(0));
    let taken = peers.register(endpoint, connected(5), false, secs(1));
    assert_eq!(taken, Registration::Taken);
    // Once it has expired it is free.
    let new = peers.register(endpoint, connected(5), false, secs(300));
    assert_eq!(new, Registration::New);
    let taken = peers.register(endpoint, peer(Standing::Proven), false, secs(301));
    assert_eq!(taken, Registration::Taken);
    peers.disconnect(endpoint, 6);
    assert_eq!(peers.find(endpoint, secs(9999)), Some(connected(5)));
    peers.disconnect(endpoint, 5);
    assert_eq!(peers.find(endpoint, secs(302)), None);
    assert!(peers.is_empty());
}

#[test]
fn a_full_table_forgets_who_was_not_heard_of_for_longest() {
    let mut peers = peers(3);
    for n in 0..3 {
        peers.register(nth(n), peer(Standing::Greeted), true, secs(0));
    }
    peers.hear(nth(0), false, secs(1));
    peers.register(nth(3), peer(Standing::Greeted), true, secs(2));
    let there: Vec<_> = (0..4)
        .filter(|n| peers.find(nth(*n), secs(3)).is_some())
        .collect();
    assert_eq!(there, [0, 2, 3]);
}

#[test]
fn connections_are_not_put_out_and_leave_half_the_table_to_others() {
    let mut peers = peers(4);
    let mut register = |n, standing| peers.register(nth(n), peer(standing), false, secs(0));
    let connected = Standing::Connected;
    assert_eq!(register(0, connected), Registration::New);
    assert_eq!(register(1, connected), Registration::New);
    assert_eq!(register(2, connected), Registration::NoRoom);
    for n in 3..9 {
        assert_eq!(register(n, Standing::Proven), Registration::New);
    }
    assert_eq!(peers.len(), 4);
    assert!(peers.find(nth(0), secs(1)).is_some() && peers.find(nth(1), secs(1)).is_some());
    // The place of one that has ended is another's.
    peers.disconnect(nth(0), peer(connected).way.socket);
    let next = peers.register(nth(9), peer(connected), false, secs(1));
    assert_eq!(next, Registration::New);
}

#[test]
fn connections_that_have_ended_leave_their_half_to_others() {
    let mut peers = peers(4);
    for n in 0..100 {
        let registration = peers.register(nth(n), peer(Standing::Connected), false, secs(0));
        assert_eq!(registration, Registration::New);
        peers.disconnect(nth(n), WAY.socket);
    }
    assert!(peers.is_empty());
}

#[test]
fn connections_take_no_room_from_their_network() {
    let mut peers = peers(1000);
    let of_one = |port| Endpoint::new([192, 0, 2, 1].into(), port).unwrap();
    let register = |peers: &mut Peers, port, standing| {
        peers.register(of_one(port), peer(standing), false, secs(0))
    };
    for port in 1..=200 {
        let registration = register(&mut peers, port, Standing::Connected);
        assert_eq!(registration, Registration::New);
    }
    assert_eq!(
        register(&mut peers, 201, Standing::Proven),
        Registration::New
    );
}

#[test]
fn strangers_of_its_network_keep_no_trusted_peer_out() {
    let mut peers = peers(1000);
    let of_network = |host| Endpoint::new([192, 0, 2, host].into(), 9000).unwrap();
    let proven = peer(Standing::Proven);
    let register = |peers: &mut Peers, host, is_trusted| {
        peers.register(of_network(host), proven, is_trusted, secs(0))
    };
    let new = (0..100).filter(|host| register(&mut peers, *host, false) == Registration::New);
    assert_eq!(new.count(), 64);
    assert_eq!(register(&mut peers, 200, false), Registration::NoRoom);
    assert_eq!(register(&mut peers, 200, true), Registration::New);
}

#[test]
fn peers_that_have_expired_keep_nobody_out() {
    let mut peers = peers(100_000);
    let proven = peer(Standing::Proven);
    // Others before them, so that the search begins far away.
    for n in 0..700 {
        peers.register(nth(n), proven, true, secs(0));
    }
    let of_one = |port| Endpoint::new([192, 0, 2, 1].into(), port).unwrap();
    let mut port = 1;
    while peers.register(of_one(port), proven, false, secs(0)) == Registration::New {
        port += 1;
    }
    assert_eq!(u32::from(port - 1), 100_000 / 256);
    let late = super::peers::EXPIRY + secs(1);
    let tries = (0..4).map(|_| peers.register(of_one(60_000), proven, false, late));
    assert!(tries.collect::<Vec<_>>().contains(&Registration::New));
}

#[test]
fn one_network_does_not_take_the_table() {
    let mut peers = peers(100_000);
    let most = |peers: &mut Peers, ip: fn(u16) -> IpAddr, trusted| {
        let endpoints = (0..2000).map(|n| Endpoint::new(ip(n), 1 + n).unwrap());
        let new = |endpoint| {
            let peer = peer(Standing::Proven);
            peers.register(endpoint, peer, trusted, secs(0)) == Registration::New
        };
        endpoints.map(new).filter(|new| *new).count()
    };
    assert_eq!(
        most(&mut peers, |_| [192, 0, 2, 1].into(), false),
        100_000 / 256
    );
    // A host has a part of what its /24 has.
    let one_24 = |n: u16| [198, 51, 100, n.to_be_bytes()[1]].into();
    assert_eq!(most(&mut peers, one_24, false), 100_000 / 64);
    let one_48 = |n| [0x2001, 0xdb8, 0, n, 0, 0, 0, 1].into();
    assert_eq!(most(&mut peers, one_48, false), 100_000 / 64);
    // Others have room all the same, but for those few that share a place with one of the above; and the operator's own
    // have what they need.
    let others = |n: u16| {
        let [high, low] = n.to_be_bytes();
        [10, high, low, 1].into()
    };
    assert!(most(&mut peers, others, false) > 1900);
    assert_eq!(most(&mut peers, |_| [127, 0, 0, 1].into(), true), 2000);
}

#[test]
fn a_peer_has_a_second_s_burst_and_then_its_rate() {
    let mut peers = peers(10);
    peers.register(nth(0), peer(Standing::Greeted), true, secs(0));
    let mut within = |at, tries| {
        let paid = (0..tries).map(|_| peers.pay(nth(0), false, at).unwrap());
        paid.filter(|within| *within).count()
    };
    assert_eq!(within(secs(5), 100), 10);
    assert_eq!(within(secs(5) + Duration::from_millis(500), 100), 5);
    assert_eq!(within(secs(60), 100), 10);
}

#[test]
fn a_peer_takes_at_most_128_octets() {
    // Its place in the hash table is a number and an octet, and the table is at least half full after it has grown; so is
    // the list of slots.
    assert_eq!(size_of::<Slot>(), 80);
}

#[derive(Debug, Clone)]
enum Act {
    Register(u32, Standing),
    Hear(u32),
    Disconnect(u32),
    Wait(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let who = 0..20_u32;
    let standing = prop_oneof![
        Just(Standing::Greeted),
        Just(Standing::Proven),
        Just(Standing::Connected)
    ];
    let act = prop_oneof![
        4 => (who.clone(), standing).prop_map(|(who, standing)| Act::Register(who, standing)),
        2 => who.clone().prop_map(Act::Hear),
        1 => who.prop_map(Act::Disconnect),
        1 => (0..400_u64).prop_map(Act::Wait),
    ];
    prop::collection::vec(act, 0..200)
}

proptest! {
    #[test]
    fn does_what_a_plain_list_does(acts in acts(), most in 1..12_u32) {
        let mut peers = Peers::new(most, rate("0").unwrap());
        // Who, how, and when it proved itself; the one heard of last stands last.
        let mut list: Vec<(u32, Standing, u64)> = Vec::new();
        let mut now = 0;
        for act in acts {
            let expired = |now: u64, (_, standing, proven): &(u32, Standing, u64)| {
                *standing == Standing::Proven && now - proven >= 300
            };
            match act {
                Act::Wait(wait) => now += wait,
                Act::Hear(who) => {
                    let is_connected = list.iter().any(|one| one.0 == who && one.1 == Standing::Connected);
                    prop_assert!(peers.hear(nth(who), !is_connected, secs(now)).is_none());
                    let heard = peers.hear(nth(who), is_connected, secs(now));
                    let index = list.iter().position(|one| one.0 == who && !expired(now, one));
                    prop_assert_eq!(heard.is_some(), index.is_some());
                    if let Some(index) = index {
                        let one = list.remove(index);
                        list.push(one);
                    }
                }
                Act::Disconnect(who) => {
                    peers.disconnect(nth(who), 0);
                    list.retain(|one| one.0 != who || one.1 != Standing::Connected);
                }
                Act::Register(who, standing) => {
                    let got = peers.register(nth(who), peer(standing), true, secs(now));
                    // When exactly what has expired is put out is the table's own business.
                    list.retain(|one| !expired(now, one) || peers.index(nth(one.0)).is_some());
                    let there = list.iter().position(|one| one.0 == who && !expired(now, one));
                    if let Some(index) = there {
                        let (_, before, proven) = list[index];
                        let other = (before == Standing::Connected) != (standing == Standing::Connected);
                        prop_assert_eq!(got == Registration::Taken, other);
                        if !other {
                            list.remove(index);
                            let proven = if standing == Standing::Greeted { proven } else { now };
                            let standing = if standing == Standing::Greeted { before } else { standing };
                            list.push((who, standing, proven));
                        }
                    } else if got == Registration::New {
                        list.retain(|one| one.0 != who);
                        list.push((who, standing, now));
                        if list.len() > most as usize {
                            let first = list.iter().position(|one| one.1 != Standing::Connected);
                            list.remove(first.unwrap());
                        }
                    } else {
                        list.retain(|one| one.0 != who);
                        prop_assert_eq!(got, Registration::NoRoom);
                        let connections = list.iter().filter(|one| one.1 == Standing::Connected).count();
                        let half = standing == Standing::Connected && connections >= (most as usize / 2).max(1);
                        prop_assert!(half || connections == list.len());
                    }
                }
            }
            prop_assert!(peers.len() <= most as usize);
            prop_assert_eq!(peers.len(), list.len());
            for who in 0..20 {
                let there = list.iter().find(|one| one.0 == who && !expired(now, one));
                let found = peers.find(nth(who), secs(now));
                prop_assert_eq!(found.map(|found| found.standing), there.map(|one| one.1));
            }
        }
    }
}
