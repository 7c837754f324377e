use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::*;
use crate::policy::origin::origin;

fn admission(all: usize, each: Option<usize>) -> Admission {
    Admission::new(ConnectionLimits { all, each })
}

fn enter_from(admission: &Admission, ip: IpAddr) -> Result<Place, Refusal> {
    let origin = origin(SocketAddr::new(ip, 9));
    admission.enter(&origin, Holder::of(&origin))
}

fn enter(admission: &Admission, address: &str) -> Result<Place, Refusal> {
    enter_from(admission, address.parse().unwrap())
}

/// Up to this many connections, and why there are no more.
fn enter_many(admission: &Admission, address: &str, most: usize) -> (Vec<Place>, Option<Refusal>) {
    let mut places = Vec::new();
    while places.len() < most {
        match enter(admission, address) {
            Ok(place) => places.push(place),
            Err(refusal) => return (places, Some(refusal)),
        }
    }
    (places, None)
}

fn displaced(places: &[Place]) -> usize {
    let is_displaced = |place: &&Place| place.fair.is_displaced();
    places.iter().filter(is_displaced).count()
}

fn addresses_of_a_24() -> Vec<IpAddr> {
    let address = |host| Ipv4Addr::new(198, 51, 100, host).into();
    (1..=8).map(address).collect()
}

fn networks_of_a_61() -> Vec<IpAddr> {
    let address = |net| Ipv6Addr::new(0x2001, 0xdb8, 0, net, 0, 0, 0, 1).into();
    (0..8).map(address).collect()
}

#[test]
fn source_that_gets_one_place_back_has_one_more() {
    let admission = admission(80, Some(3));
    let (mut places, refusal) = enter_many(&admission, "192.0.2.1", 9);
    assert_eq!((places.len(), refusal), (3, Some(Refusal::Source)));
    drop(places.pop());
    let (again, refusal) = enter_many(&admission, "192.0.2.1", 9);
    assert_eq!((again.len(), refusal), (1, Some(Refusal::Source)));
    drop((places, again));
    assert!(lock(&admission.of).is_empty());
}

#[test]
fn eight_sources_of_one_network_leave_places_to_others() {
    for all in [1024, 64, 16] {
        for sources in [addresses_of_a_24(), networks_of_a_61()] {
            let admission = admission(all, None);
            let established = enter(&admission, "192.0.2.1").unwrap();
            established.note_progress();
            let attack = || {
                let enter_all = |source| {
                    let enter = |_| enter_from(&admission, source).ok();
                    (0..all / 8).filter_map(enter).collect::<Vec<_>>()
                };
                sources.iter().copied().flat_map(enter_all)
            };
            // They take all that there are, and send as the honest do.
            let mut attackers: Vec<_> = attack().collect();
            attackers.iter().for_each(Place::note_progress);
            assert_eq!(admission.places.taken() as usize, all);
            let mut honest = vec![established];
            for newcomer in ["192.0.2.1", "192.0.2.2", "203.0.113.1", "2001:db8:1::1"] {
                let before = displaced(&attackers);
                honest.push(enter(&admission, newcomer).unwrap());
                assert_eq!(displaced(&attackers), before + 1);
                // None of the honest goes for more of the attacker's, which come as often as they may.
                attackers.retain(|place| !place.fair.is_displaced());
                attackers.extend(attack());
                assert_eq!(displaced(&honest), 0);
            }
        }
    }
}

#[test]
fn connection_without_a_message_gives_way_before_others_of_its_host() {
    let admission = admission(4, Some(4));
    let (places, _) = enter_many(&admission, "192.0.2.1", 4);
    for index in [0, 1, 3] {
        places[index].note_progress();
    }
    let newcomer = enter(&admission, "192.0.2.2").unwrap();
    let gone = |places: &[Place]| -> Vec<_> {
        let is_displaced = places.iter().map(|place| place.fair.is_displaced());
        is_displaced.collect()
    };
    assert_eq!(gone(&places), [false, false, true, false]);
    // Of those that have sent messages it is the one that was silent for longest.
    places[0].note_progress();
    let other = enter(&admission, "192.0.2.3").unwrap();
    assert_eq!(gone(&places), [false, true, true, false]);
    assert!(!newcomer.fair.is_displaced() && !other.fair.is_displaced());
}

#[test]
fn host_with_all_places_has_no_other_if_each_has_sent_a_message() {
    let admission = admission(4, Some(9));
    let (places, _) = enter_many(&admission, "192.0.2.1", 4);
    places.iter().for_each(Place::note_progress);
    assert_eq!(enter(&admission, "192.0.2.1").err(), Some(Refusal::All));
    assert_eq!(displaced(&places), 0);
}

#[test]
fn source_at_its_limit_has_no_other_and_gets_its_own_back() {
    let admission = admission(80, None);
    let (mut places, refusal) = enter_many(&admission, "2001:db8::1", 80);
    assert_eq!((places.len(), refusal), (10, Some(Refusal::Source)));
    let same = enter(&admission, "2001:db8::ffff");
    assert_eq!(same.err(), Some(Refusal::Source));
    assert!(enter(&admission, "192.0.2.1").is_ok());
    drop(places.pop());
    let again = enter(&admission, "2001:db8::2").unwrap();
    assert_eq!(displaced(&places), 0);
    drop((places, again));
    assert_eq!(admission.places.taken(), 0);
    assert!(lock(&admission.of).is_empty());
}

#[test]
fn limit_of_a_source_does_not_hold_for_loopback_unless_it_is_given() {
    let unlimited = admission(80, None);
    let (places, refusal) = enter_many(&unlimited, "127.0.0.1", 80);
    assert_eq!((places.len(), refusal), (80, None));
    // With all places taken, one of its own gives way.
    let newcomer = enter(&unlimited, "127.0.0.1").unwrap();
    assert!(places[0].fair.is_displaced() && !newcomer.fair.is_displaced());
    let (places, refusal) = enter_many(&admission(80, Some(3)), "::ffff:127.0.0.1", 80);
    assert_eq!((places.len(), refusal), (3, Some(Refusal::Source)));
}

#[test]
fn loopback_and_strangers_have_a_half_each() {
    let admission = admission(8, Some(8));
    let (own, _) = enter_many(&admission, "127.0.0.1", 8);
    own.iter().for_each(Place::note_progress);
    let hosts = |network| (1..=8).map(move |host| format!("{network}.{host}"));
    let strangers: Vec<_> = hosts("192.0.2")
        .map(|host| enter(&admission, &host).unwrap())
        .collect();
    assert_eq!((displaced(&own), displaced(&strangers)), (4, 4));
    let more: Vec<_> = hosts("127.0.1")
        .map(|host| enter(&admission, &host).unwrap())
        .collect();
    assert_eq!(displaced(&strangers), 4);
    assert_eq!(displaced(&own) + displaced(&more), 4 + 8);
}

#[test]
fn admission_without_places_or_with_one() {
    let none = admission(0, Some(9));
    assert_eq!(enter(&none, "::1").err(), Some(Refusal::All));
    assert_eq!(enter(&none, "192.0.2.1").err(), Some(Refusal::All));
    let of_none = admission(9, Some(0));
    assert_eq!(enter(&of_none, "::1").err(), Some(Refusal::Source));
    let one = admission(1, None);
    let first = enter(&one, "192.0.2.1").unwrap();
    let second = enter(&one, "192.0.2.2").unwrap();
    assert!(first.fair.is_displaced() && !second.fair.is_displaced());
    drop((first, second));
    assert!(enter(&one, "192.0.2.1").is_ok());
}
