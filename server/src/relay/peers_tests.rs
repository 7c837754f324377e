//! The table of peers, against what it promises and against a plain list.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hii_protocol::Endpoint;
use proptest::prelude::*;

use super::peers::{Peer, Peers, Registration, Standing, Way};
use super::slot::Slot;
use crate::args::rate;
use crate::policy::fair_share::floods::{ATTACKS, Attack, honest};
use crate::policy::fair_share::{Class, Holder, LONE_ENTRY};
use crate::policy::origin::origin;

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

fn holder(endpoint: Endpoint, class: Class) -> Holder {
    Holder::new(&origin(endpoint.into()), class)
}

/// Registers a stranger, or, where a plain greeting is enough, a trusted peer.
fn register(
    peers: &mut Peers,
    endpoint: Endpoint,
    standing: Standing,
    now: Duration,
) -> Registration {
    let class = match standing {
        Standing::Greeted => Class::Trusted,
        Standing::Proven | Standing::Connected => Class::Stranger,
    };
    peers.register(endpoint, peer(standing), holder(endpoint, class), now)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn a_proof_expires_and_a_greeting_does_not() {
    let mut peers = peers(10);
    let (proven, greeted) = (at("192.0.2.1/1"), at("192.0.2.2/1"));
    assert_eq!(
        register(&mut peers, proven, Standing::Proven, secs(0)),
        Registration::New
    );
    register(&mut peers, greeted, Standing::Greeted, secs(0));
    assert!(peers.find(proven, secs(299)).is_some());
    // To be heard of is no proof.
    assert!(peers.hear(proven, false, secs(299)).is_some());
    assert!(peers.find(proven, secs(300)).is_none());
    assert!(peers.hear(proven, false, secs(300)).is_none());
    assert!(peers.find(greeted, secs(1_000_000)).is_some());
    // What has expired is put out in passing.
    register(&mut peers, at("192.0.2.3/1"), Standing::Proven, secs(301));
    assert_eq!(peers.len(), 2);
}

#[test]
fn a_proof_refreshes_and_a_greeting_takes_nothing_from_it() {
    let mut peers = peers(10);
    let endpoint = at("192.0.2.1/1");
    register(&mut peers, endpoint, Standing::Proven, secs(0));
    let elsewhere = Peer {
        standing: Standing::Greeted,
        way: Way { socket: 7, ..WAY },
    };
    assert_eq!(
        peers.register(
            endpoint,
            elsewhere,
            holder(endpoint, Class::Trusted),
            secs(200)
        ),
        Registration::Known
    );
    assert_eq!(
        peers.find(endpoint, secs(299)),
        Some(peer(Standing::Proven))
    );
    assert_eq!(peers.find(endpoint, secs(300)), None);
    register(&mut peers, endpoint, Standing::Proven, secs(300));
    register(&mut peers, endpoint, Standing::Proven, secs(500));
    assert!(peers.find(endpoint, secs(799)).is_some());
    // A peer that only greeted may prove itself.
    let other = at("192.0.2.2/1");
    register(&mut peers, other, Standing::Greeted, secs(0));
    register(&mut peers, other, Standing::Proven, secs(1));
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
    register(&mut peers, endpoint, Standing::Proven, secs(0));
    let taken = peers.register(
        endpoint,
        connected(5),
        holder(endpoint, Class::Stranger),
        secs(1),
    );
    assert_eq!(taken, Registration::Taken);
    // Once it has expired it is free.
    let new = peers.register(
        endpoint,
        connected(5),
        holder(endpoint, Class::Stranger),
        secs(300),
    );
    assert_eq!(new, Registration::New);
    let taken = register(&mut peers, endpoint, Standing::Proven, secs(301));
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
        register(&mut peers, nth(n), Standing::Greeted, secs(0));
    }
    peers.hear(nth(0), false, secs(1));
    let displacing = register(&mut peers, nth(3), Standing::Greeted, secs(2));
    assert_eq!(displacing, Registration::Displacing);
    let there: Vec<_> = (0..4)
        .filter(|n| peers.find(nth(*n), secs(3)).is_some())
        .collect();
    assert_eq!(there, [0, 2, 3]);
}

/// What an attacker does after each registration: the peer is active, or it is not.
#[derive(Debug, Clone, Copy)]
enum Flood {
    Registrations,
    Renewals,
}

#[test]
fn no_flood_displaces_an_honest_peer() {
    for (name, attack) in ATTACKS {
        for flood in [Flood::Registrations, Flood::Renewals] {
            for honest_first in [true, false] {
                let lost = lost(attack, flood, honest_first);
                assert_eq!(lost, [], "{name}, {flood:?}, honest first: {honest_first}");
            }
        }
    }
}

/// The honest peers that were lost at any time of a flood, in a table of 1,024 places.
fn lost(attack: Attack, flood: Flood, honest_first: bool) -> Vec<Endpoint> {
    let strangers = honest().into_iter().zip(9000..);
    let strangers = strangers.map(|(ip, port)| (ip, port, Standing::Proven));
    // These greet once, and do nothing more.
    let trusted = (0..16).map(|n| ([10, 20, n, 1].into(), 9000, Standing::Greeted));
    let honest: Vec<_> = strangers
        .chain(trusted)
        .map(|(ip, port, standing)| (Endpoint::new(ip, port).unwrap(), standing))
        .collect();
    let mut peers = peers(1024);
    let mut lost = Vec::new();
    let register_honest = |peers: &mut Peers, now| {
        for (endpoint, standing) in &honest {
            // Strangers prove their address again in time.
            let is_known = peers.find(*endpoint, now).is_some();
            if *standing == Standing::Proven || !is_known {
                register(peers, *endpoint, *standing, now);
            }
        }
    };
    for number in 0..6000_u32 {
        let now = Duration::from_millis(1_000_000 + u64::from(number) * 100);
        if number % 2000 == 0 && (honest_first || number > 0) {
            register_honest(&mut peers, now);
        }
        let [.., high, low] = number.to_be_bytes();
        let port = u16::from_be_bytes([high, low]).max(1);
        let endpoint = Endpoint::new(attack(number), port).unwrap();
        register(&mut peers, endpoint, Standing::Proven, now);
        if let Flood::Renewals = flood {
            register(&mut peers, endpoint, Standing::Proven, now);
            peers.hear(endpoint, false, now);
        }
        if number % 200 == 199 && (honest_first || number > 2000) {
            let is_lost = |endpoint: &Endpoint| peers.find(*endpoint, now).is_none();
            lost.extend(honest.iter().map(|(endpoint, _)| *endpoint).filter(is_lost));
        }
    }
    assert_eq!(peers.len(), 1024);
    lost
}

#[test]
fn trusted_peers_and_strangers_have_one_half_of_the_table_each() {
    let sides = [(Standing::Greeted, 0), (Standing::Proven, 1000)];
    for [flooding, other] in [sides, [sides[1], sides[0]]] {
        let mut peers = peers(100);
        for ((standing, first), count) in [(other, 50), (flooding, 500)] {
            for n in first..first + count {
                register(&mut peers, nth(n), standing, secs(1));
            }
        }
        let there = |(_, first): (_, u32)| {
            let ns = first..first + 500;
            ns.filter(|n| peers.find(nth(*n), secs(2)).is_some())
                .count()
        };
        assert_eq!([there(other), there(flooding)], [50, 50], "{flooding:?}");
    }
}

/// A trusted address with these peers, of which each has a port: in a table that has no more places.
fn trusted_address<const N: usize>(standings: [Standing; N]) -> Peers {
    let mut peers = peers(u32::try_from(N).unwrap());
    for (standing, port) in standings.into_iter().zip(1..) {
        assert_eq!(
            register_trusted(&mut peers, port, standing),
            Registration::New
        );
    }
    peers
}

fn of_trusted_address(port: u16) -> Endpoint {
    Endpoint::new([10, 0, 0, 1].into(), port).unwrap()
}

fn register_trusted(peers: &mut Peers, port: u16, standing: Standing) -> Registration {
    let endpoint = of_trusted_address(port);
    let holder = holder(endpoint, Class::Trusted);
    peers.register(endpoint, peer(standing), holder, secs(1))
}

#[test]
fn a_peer_that_greeted_makes_room_after_the_proven_ones_of_its_address() {
    use Standing::{Greeted, Proven};

    let mut peers = trusted_address([Greeted, Proven, Greeted, Proven]);
    let there = |peers: &Peers| -> Vec<_> {
        let is_there = |port: &u16| peers.find(of_trusted_address(*port), secs(1)).is_some();
        (1..=9).filter(is_there).collect()
    };
    peers.hear(of_trusted_address(2), false, secs(1));
    peers.hear(of_trusted_address(4), false, secs(1));
    let displacing = register_trusted(&mut peers, 5, Greeted);
    assert_eq!(displacing, Registration::Displacing);
    assert_eq!(there(&peers), [1, 3, 4, 5]);
    // One that proves itself has no claim to a greeted one's place any more, nor has one that begins with a proof.
    assert_eq!(register_trusted(&mut peers, 1, Proven), Registration::Known);
    register_trusted(&mut peers, 6, Greeted);
    assert_eq!(there(&peers), [1, 3, 5, 6]);
    register_trusted(&mut peers, 7, Greeted);
    assert_eq!(there(&peers), [3, 5, 6, 7]);
    assert_eq!(
        register_trusted(&mut peers, 8, Proven),
        Registration::NoRoom
    );
    assert_eq!(there(&peers), [3, 5, 6, 7]);
    assert_eq!(peers.len(), 4);
}

#[test]
fn silent_peers_that_greeted_keep_no_proven_one_out() {
    use Standing::{Greeted, Proven};

    let mut peers = trusted_address([Greeted; 4]);
    let endpoint = of_trusted_address(9);
    let holder = holder(endpoint, Class::Trusted);
    let mut register = |at| peers.register(endpoint, peer(Proven), holder, secs(at));
    assert_eq!(register(300), Registration::NoRoom);
    assert_eq!(register(301), Registration::Displacing);
    // One that is active again is the last to go.
    assert!(
        peers
            .hear(of_trusted_address(4), false, secs(302))
            .is_some()
    );
    for port in 10..20 {
        let endpoint = of_trusted_address(port);
        peers.register(endpoint, peer(Proven), holder, secs(302));
    }
    assert!(peers.find(of_trusted_address(4), secs(302)).is_some());
    assert_eq!(peers.len(), 4);
}

#[test]
fn connections_take_no_place_of_others() {
    let mut peers = peers(4);
    let connected = Standing::Connected;
    for n in 0..100 {
        let registration = register(&mut peers, nth(n), connected, secs(0));
        assert_eq!(registration, Registration::New);
    }
    for n in 100..104 {
        let registration = register(&mut peers, nth(n), Standing::Proven, secs(0));
        assert_eq!(registration, Registration::New);
    }
    register(&mut peers, nth(104), Standing::Proven, secs(0));
    assert_eq!(peers.len(), 104);
    for n in 0..100 {
        let found = peers.find(nth(n), secs(1));
        assert_eq!(found, Some(peer(connected)));
        peers.disconnect(nth(n), WAY.socket);
    }
    assert_eq!(peers.len(), 4);
}

#[test]
fn connections_that_have_ended_leave_nothing() {
    let mut peers = peers(4);
    for n in 0..100 {
        let registration = register(&mut peers, nth(n), Standing::Connected, secs(0));
        assert_eq!(registration, Registration::New);
        peers.disconnect(nth(n), WAY.socket);
        assert!(peers.is_empty());
        assert_eq!(peers.taken(), 0);
    }
}

#[test]
fn peers_that_have_expired_keep_nobody_out() {
    let mut peers = peers(1000);
    for n in 0..1000 {
        // The first ones expire later.
        let now = secs(if n < 900 { 100 } else { 1 });
        register(&mut peers, nth(n), Standing::Proven, now);
    }
    for n in 1000..1100 {
        let registration = register(&mut peers, nth(n), Standing::Proven, secs(301));
        assert_eq!(registration, Registration::New, "{n}");
    }
    let displacing = register(&mut peers, nth(1100), Standing::Proven, secs(301));
    assert_eq!(displacing, Registration::Displacing);
    assert_eq!(peers.len(), 1000);
}

#[test]
fn a_peer_is_reached_from_the_address_that_it_greeted_last() {
    let greeted = |n: u32| Peer {
        standing: Standing::Proven,
        way: Way {
            socket: n,
            asked: Some(Ipv4Addr::from_bits(0xcb00_7100 + n).into()),
        },
    };
    let mut peers = peers(4);
    let endpoint = at("192.0.2.1/1");
    let holder = holder(endpoint, Class::Stranger);
    for n in 0..9 {
        peers.register(endpoint, greeted(n), holder, secs(1));
        assert_eq!(peers.find(endpoint, secs(1)), Some(greeted(n)));
    }
    assert_eq!(peers.greeted_addrs(), 1);
    // Those of peers that are gone are kept no longer.
    for n in 0..100 {
        peers.register(nth(n), greeted(n), holder, secs(2));
    }
    assert_eq!((peers.len(), peers.greeted_addrs()), (4, 4));
    for n in 200..203 {
        peers.register(nth(n), peer(Standing::Proven), holder, secs(400));
    }
    assert_eq!((peers.len(), peers.greeted_addrs()), (3, 0));
}

#[test]
fn a_peer_has_a_second_s_burst_and_then_its_rate() {
    let mut peers = peers(10);
    register(&mut peers, nth(0), Standing::Greeted, secs(0));
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
    assert_eq!(size_of::<Option<Slot>>(), 48);
    // An entry in each of two hash tables is a number and an octet. At least 7 of 16 places of a table are used once it has
    // grown. What a list reserves is no memory before it is used.
    let hashed = (2 * (4 + 1) * 16_usize).div_ceil(7);
    assert_eq!(size_of::<Option<Slot>>() + LONE_ENTRY + hashed, 127);
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

/// The n-th peer of one host.
fn of_one(n: u32) -> Endpoint {
    Endpoint::new(
        IpAddr::from([127, 0, 0, 1]),
        9000 + u16::try_from(n).unwrap(),
    )
    .unwrap()
}

/// Which of a host's peers makes room in a table of this many places: the first that is proven, or else the first.
fn surplus(list: &[(u32, Standing, u64)], most: u32) -> Option<usize> {
    let datagrams = list.iter().filter(|one| one.1 != Standing::Connected);
    if datagrams.count() <= most as usize {
        return None;
    }
    let first = |standing| list.iter().position(|one| one.1 == standing);
    first(Standing::Proven).or_else(|| first(Standing::Greeted))
}

proptest! {
    #[test]
    fn does_what_a_plain_list_does(acts in acts(), most in 1..12_u32) {
        let mut peers = Peers::new(most, rate("0").unwrap());
        let host = holder(of_one(0), Class::Trusted);
        // Who, how, and when it proved itself or, having greeted, was active; the one heard of last stands last.
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
                    prop_assert!(peers.hear(of_one(who), !is_connected, secs(now)).is_none());
                    let heard = peers.hear(of_one(who), is_connected, secs(now));
                    let index = list.iter().position(|one| one.0 == who && !expired(now, one));
                    prop_assert_eq!(heard.is_some(), index.is_some());
                    if let Some(index) = index {
                        let (who, standing, since) = list.remove(index);
                        let is_greeted = standing == Standing::Greeted;
                        list.push((who, standing, if is_greeted { now } else { since }));
                    }
                }
                Act::Disconnect(who) => {
                    peers.disconnect(of_one(who), 0);
                    list.retain(|one| one.0 != who || one.1 != Standing::Connected);
                }
                Act::Register(who, standing) => {
                    let got = peers.register(of_one(who), peer(standing), host, secs(now));
                    // When exactly what has expired is removed is the table's own business.
                    list.retain(|one| !expired(now, one) || peers.place(of_one(one.0)).is_some());
                    let there = list.iter().position(|one| one.0 == who && !expired(now, one));
                    if let Some(index) = there {
                        let (_, before, proven) = list[index];
                        let other = (before == Standing::Connected) != (standing == Standing::Connected);
                        let expected = if other { Registration::Taken } else { Registration::Known };
                        prop_assert_eq!(got, expected);
                        if !other {
                            list.remove(index);
                            let is_weaker = standing == Standing::Greeted && before != standing;
                            let proven = if is_weaker { proven } else { now };
                            let standing = if standing == Standing::Greeted { before } else { standing };
                            list.push((who, standing, proven));
                        }
                    } else {
                        list.retain(|one| one.0 != who);
                        list.push((who, standing, now));
                        let is_silent = |one: &(u32, Standing, u64)| one.1 == Standing::Greeted && now - one.2 >= 300;
                        let mut surplus = surplus(&list, most);
                        if let Some(first) = surplus && list.iter().any(is_silent) {
                            // Which of the silent ones goes, and when a proven one, depends on when they were looked at.
                            let gone = list.iter().position(|one| peers.place(of_one(one.0)).is_none());
                            let gone = gone.unwrap();
                            prop_assert!(is_silent(&list[gone]) || gone == first && list[gone].1 == Standing::Proven);
                            surplus = Some(gone);
                        }
                        let displaced = surplus.map(|index| list.remove(index).0);
                        let expected = match displaced {
                            None => Registration::New,
                            Some(other) if other == who => Registration::NoRoom,
                            Some(_) => Registration::Displacing,
                        };
                        prop_assert_eq!(got, expected);
                    }
                }
            }
            prop_assert_eq!(peers.len(), list.len());
            for who in 0..20 {
                let there = list.iter().find(|one| one.0 == who && !expired(now, one));
                let found = peers.find(of_one(who), secs(now));
                prop_assert_eq!(found.map(|found| found.standing), there.map(|one| one.1));
            }
        }
    }
}
