//! Budgets, against what they promise and against a plain list.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::budget::{BUCKETS, Buckets, Budget, index};
use super::pace::{Limit, Pace};

/// A few sources: two ports of each of three addresses, the last two of one /64.
const PLACES: [(&str, u16); 8] = [
    ("192.0.2.1", 1000),
    ("192.0.2.1", 2000),
    ("192.0.2.2", 1000),
    ("2001:db8::1", 1000),
    ("2001:db8::1", 2000),
    ("2001:db8::2", 3000),
    ("2001:db8:0:1::1", 1000),
    ("192.0.2.2", 3000),
];

fn place(n: usize) -> (IpAddr, u16) {
    let (ip, port) = PLACES[n];
    (ip.parse().unwrap(), port)
}

/// The address, or the /64, of each place.
const ADDRESSES: [usize; 8] = [0, 0, 1, 2, 2, 2, 3, 1];

/// A budget, in which no two of the places share a bucket.
fn apart(endpoint: Limit, address: Limit) -> Budget {
    let budget = Budget::new(endpoint, address);
    let (mut endpoints, mut addresses) = (HashMap::new(), HashMap::new());
    for (n, address) in ADDRESSES.into_iter().enumerate() {
        let (ip, port) = place(n);
        let holders = budget.holders(ip, port, false);
        if budget.endpoints.is_limited() {
            assert_eq!(*endpoints.entry(index(holders.endpoint)).or_insert(n), n);
        }
        if budget.addresses.is_limited() {
            assert_eq!(
                *addresses.entry(index(holders.address)).or_insert(address),
                address
            );
        }
    }
    budget
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn allowed(budget: &mut Budget, n: usize, is_exempt: bool, tries: usize, now: Duration) -> usize {
    let (ip, port) = place(n);
    (0..tries)
        .filter(|_| budget.allows(ip, port, is_exempt, 1, now))
        .count()
}

#[test]
fn other_ports_of_an_address_use_up_its_limit_and_not_an_endpoint_s() {
    let mut budget = apart(Limit::with_burst(1, 20), Limit::per_second(50));
    assert_eq!(allowed(&mut budget, 0, false, 1000, secs(1)), 20);
    assert_eq!(allowed(&mut budget, 1, false, 1000, secs(1)), 20);
    // Any other port of the address: a forger does not know which ones are in use.
    let ip = place(0).0;
    let others = (3000..4000).filter(|port| budget.allows(ip, *port, false, 1, secs(1)));
    let others = others.count();
    assert!((1..=10).contains(&others), "{others}");
    // The address has its rate again sooner than a port has.
    let now = secs(2);
    assert_eq!(allowed(&mut budget, 0, false, 1000, now), 1);
    assert_eq!(allowed(&mut budget, 1, false, 1000, now), 1);
    // Another address has lost nothing.
    assert_eq!(allowed(&mut budget, 2, false, 1000, now), 20);
}

#[test]
fn what_one_limit_refuses_is_not_charged_to_the_other() {
    // An endpoint that is over its limit leaves its address to others.
    let mut budget = apart(Limit::with_burst(1, 5), Limit::with_burst(1, 10));
    assert_eq!(allowed(&mut budget, 0, false, 1000, secs(1)), 5);
    assert_eq!(allowed(&mut budget, 1, false, 1000, secs(1)), 5);
    assert_eq!(budget.left(place(0).0, 4000, false, secs(1)), 0);
    // An address that is over its limit leaves each endpoint what it has.
    let mut budget = apart(Limit::with_burst(1, 5), Limit::with_burst(1, 3));
    assert_eq!(allowed(&mut budget, 0, false, 1000, secs(1)), 3);
    assert_eq!(allowed(&mut budget, 1, false, 1000, secs(1)), 0);
    assert_eq!(allowed(&mut budget, 1, true, 1000, secs(1)), 5);
    assert_eq!(allowed(&mut budget, 0, true, 1000, secs(1)), 2);
}

#[test]
fn exempt_sources_neither_have_nor_use_the_limit_of_an_address() {
    let mut budget = apart(Limit::Unlimited, Limit::with_burst(1, 10));
    assert_eq!(allowed(&mut budget, 0, true, 1000, secs(1)), 1000);
    assert_eq!(allowed(&mut budget, 0, false, 1000, secs(1)), 10);
    assert_eq!(budget.left(place(0).0, 1, true, secs(1)), u64::MAX);
}

#[test]
fn a_slash_64_is_one_address() {
    let mut budget = apart(Limit::Unlimited, Limit::per_second(100));
    assert_eq!(allowed(&mut budget, 3, false, 1000, secs(1)), 100);
    assert_eq!(allowed(&mut budget, 5, false, 1000, secs(1)), 0);
    assert_eq!(allowed(&mut budget, 6, false, 1000, secs(1)), 100);
}

#[test]
fn nothing_is_allowed_where_a_limit_is_nothing() {
    for (endpoint, address) in [
        (Limit::Nothing, Limit::Unlimited),
        (Limit::Unlimited, Limit::per_second(0)),
    ] {
        let mut budget = Budget::new(endpoint, address);
        assert_eq!(allowed(&mut budget, 0, false, 100, secs(1)), 0);
    }
    let mut budget = Budget::new(Limit::Unlimited, Limit::Unlimited);
    assert_eq!(allowed(&mut budget, 0, false, 100_000, secs(1)), 100_000);
}

#[test]
fn memory_is_the_same_however_many_there_are() {
    let mut buckets = Buckets::new(Limit::per_second(1));
    for hash in 0..1_000_000 {
        buckets.charge(hash, 1, secs(1));
    }
    assert_eq!(buckets.cells.len(), BUCKETS);
    // No buckets where there is no limit.
    assert!(Buckets::new(Limit::Unlimited).cells.is_empty());
    assert!(Buckets::new(Limit::Nothing).cells.is_empty());
}

fn limit() -> impl Strategy<Value = Limit> {
    prop_oneof![
        6 => (prop::sample::select(vec![1, 10, 50, 1000]), 1..60_u64)
            .prop_map(|(rate, burst)| Limit::with_burst(rate, burst)),
        1 => Just(Limit::Unlimited),
        1 => Just(Limit::Nothing),
    ]
}

proptest! {
    #[test]
    fn decides_as_one_list_for_each_level_does(
        endpoint in limit(),
        address in limit(),
        steps in prop::collection::vec((0..8_usize, any::<bool>(), 0..20_u64, 0..300_000_000_u64), 1..300),
    ) {
        let mut budget = apart(endpoint, address);
        let mut endpoints: HashMap<usize, u64> = HashMap::new();
        let mut addresses: HashMap<usize, u64> = HashMap::new();
        let [endpoint, address] = [endpoint, address].map(Pace::new);
        let mut at = 0;
        for (n, is_exempt, cost, wait) in steps {
            at += wait;
            let now = Duration::from_nanos(at);
            let (ip, port) = place(n);
            let cells = (
                endpoints.entry(n).or_default(),
                addresses.entry(ADDRESSES[n]).or_default(),
            );
            let within = endpoint.has_room(*cells.0, cost, now)
                && (is_exempt || address.has_room(*cells.1, cost, now));
            if within {
                endpoint.charge(cells.0, cost, now);
                if !is_exempt {
                    address.charge(cells.1, cost, now);
                }
            }
            prop_assert_eq!(budget.allows(ip, port, is_exempt, cost, now), within);
            let left = endpoint.left(*cells.0, now);
            let left = if is_exempt { left } else { left.min(address.left(*cells.1, now)) };
            prop_assert_eq!(budget.left(ip, port, is_exempt, now), left);
        }
    }

    #[test]
    fn a_flood_of_other_ports_cannot_empty_an_endpoint(
        flood in prop::collection::vec((3..8_u16, 1..40_u64), 0..50),
        wait in 0..5_000_000_000_u64,
    ) {
        let mut budget = apart(Limit::with_burst(1, 20), Limit::Unlimited);
        let (ip, port) = place(0);
        let mut now = secs(1);
        for (other, cost) in flood {
            now += Duration::from_nanos(wait / 50);
            let (_, taken) = place(1);
            let _ = budget.allows(ip, taken, false, cost, now);
            // A port that shares the endpoint's bucket is no other holder.
            let other = 5000 + other;
            if index(budget.holders(ip, other, false).endpoint) != index(budget.holders(ip, port, false).endpoint) {
                let _ = budget.allows(ip, other, false, cost, now);
            }
        }
        prop_assert_eq!(budget.left(ip, port, false, now), 20);
        prop_assert_eq!(allowed(&mut budget, 0, false, 100, now), 20);
    }
}
