//! What is remembered of runs, for how long, and of whom where the table is full.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hii_protocol::ping::{Probe, ProbeSize, Run, Seq};
use proptest::prelude::*;

use super::runs::{EXPIRY, Runs};
use crate::policy::fair_share::floods::{self, ATTACKS, Attack, SPREAD};
use crate::policy::origin::{Origin, origin};

fn a_probe(run: u32, seq: u64) -> Probe {
    Probe::new(
        Run(run),
        Seq::new(seq).unwrap(),
        ProbeSize::new(64).unwrap(),
    )
    .unwrap()
}

fn from(port: u16) -> Origin {
    origin(([192, 0, 2, 1], port).into())
}

fn at(ip: impl Into<IpAddr>) -> Origin {
    origin(SocketAddr::new(ip.into(), 9))
}

proptest! {
    #[test]
    fn agrees_with_remembering_everything(seqs in prop::collection::vec(
        prop_oneof![1..40_u64, 1..300_u64, Just(u64::MAX), Just(u64::MAX - 3)], 1..200,
    )) {
        let mut runs = Runs::new();
        let mut all = HashSet::new();
        for (index, seq) in seqs.iter().enumerate() {
            all.insert(*seq);
            let top = *all.iter().max().unwrap();
            let standing = runs.record(&from(5000), a_probe(1, *seq), Duration::ZERO);
            prop_assert_eq!(standing.count.get(), index as u64 + 1);
            let window = (0..64).fold(0, |window, k| {
                let was = seq.checked_sub(k).is_some_and(|earlier| all.contains(&earlier));
                window | u64::from(was) << k
            });
            prop_assert_eq!(standing.window, (top - seq <= 64).then_some(window));
        }
    }
}

#[test]
fn senders_and_runs_are_apart() {
    let mut runs = Runs::new();
    let mut count = |from: &Origin, run| {
        let standing = runs.record(from, a_probe(run, 1), Duration::ZERO);
        standing.count.get()
    };
    let all = [
        (from(5000), 1),
        (from(5001), 1),
        (from(5000), 2),
        (at(Ipv4Addr::new(192, 0, 2, 2)), 1),
        (at(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 1),
        // Another host of that /64.
        (at(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2)), 1),
    ];
    for times in 1..=3 {
        for (from, run) in &all {
            assert_eq!(count(from, *run), times, "{from:?}, {run}");
        }
    }
}

#[test]
fn silent_runs_expire_as_new_ones_come() {
    let mut runs = Runs::new();
    for run in 0..1000 {
        runs.record(&from(1), a_probe(run, 1), Duration::ZERO);
    }
    runs.record(&from(1), a_probe(0, 2), EXPIRY / 2);
    for run in 0..200 {
        runs.record(&from(2), a_probe(run, 1), EXPIRY);
    }
    assert_eq!(runs.len(), 1 + 200);
    let standing = runs.record(&from(1), a_probe(0, 3), EXPIRY);
    assert_eq!(standing.count.get(), 3);
}

#[test]
fn a_run_that_was_silent_too_long_begins_again() {
    let mut runs = Runs::new();
    for (at, seq, count, window) in [(0, 1, 1, 1), (1, 2, 2, 0b11), (601, 3, 1, 1)] {
        let now = Duration::from_secs(at);
        // The source itself is active all the time.
        runs.record(&from(2), a_probe(1, seq), now);
        let standing = runs.record(&from(1), a_probe(1, seq), now);
        assert_eq!(
            (standing.count.get(), standing.window),
            (count, Some(window))
        );
    }
}

fn everywhere(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0b00_0000 + number.wrapping_mul(0x9e37_79b1) % 0x7000_0000).into()
}

const PLACES: u32 = 4096;

/// The runs of one address that have a place in a full table in any case.
const SHARE: u32 = PLACES / 256;

/// Counts how often the runs of honest hosts, and of as many behind one NAT as have a share, are forgotten while a flooder
/// begins five tables' worth of runs. Each sends a probe whenever it has begun that number.
fn forgotten(flood: Attack, interval: u32) -> usize {
    let mut honest = vec![(at(Ipv4Addr::LOCALHOST), 0)];
    honest.extend(floods::honest().into_iter().map(at).zip(1..));
    honest.extend((0..SHARE).map(|run| (at(Ipv4Addr::new(192, 88, 98, 1)), run)));
    let mut runs = Runs::with_places(PLACES);
    let mut now = Duration::ZERO;
    let mut forgotten = 0;
    let mut seq = 0;
    for number in 0..5 * PLACES {
        if number % interval == 0 {
            seq += 1;
            for (from, run) in &honest {
                let standing = runs.record(from, a_probe(*run, seq), now);
                let whole = (standing.count.get(), standing.window) == (seq, Some((1 << seq) - 1));
                forgotten += usize::from(!whole);
            }
        }
        now += Duration::from_micros(1);
        runs.record(&at(flood(number)), a_probe(number, 1), now);
    }
    assert_eq!(runs.len(), PLACES as usize);
    forgotten
}

#[test]
fn no_flood_of_runs_makes_the_server_forget_a_run() {
    for (name, flood) in ATTACKS {
        // Where no network is overloaded, a table's worth of newer runs would hide any.
        let interval = if SPREAD.contains(&name) {
            PLACES / 4
        } else {
            2 * PLACES
        };
        assert_eq!(forgotten(flood, interval), 0, "{name}");
    }
    assert_eq!(forgotten(everywhere, PLACES / 4), 0);
}

#[test]
fn a_thousand_runs_behind_one_address_are_remembered() {
    let mut runs = Runs::new();
    for seq in 1..=3 {
        for run in 0..1000 {
            let standing = runs.record(&from(5000), a_probe(run, seq), Duration::ZERO);
            assert_eq!(standing.count.get(), seq);
        }
    }
}

#[test]
fn forged_runs_of_an_address_displace_its_own_only_in_a_full_table() {
    let victim = from(5000);
    let mut runs = Runs::with_places(PLACES);
    let mut now = Duration::ZERO;
    let mut number = 0;
    let mut forge = |runs: &mut Runs, count: u32, from: &dyn Fn(u32) -> Origin| {
        for _ in 0..count {
            now += Duration::from_micros(1);
            number += 1;
            runs.record(&from(number), a_probe(number, 1), now);
        }
        now
    };
    let as_victim = |_| from(6000);
    let count = |runs: &mut Runs, seq, now| runs.record(&victim, a_probe(0, seq), now).count.get();
    assert_eq!(count(&mut runs, 1, Duration::ZERO), 1);
    let now = forge(&mut runs, PLACES / 2, &as_victim);
    assert_eq!(count(&mut runs, 2, now), 2);
    let now = forge(&mut runs, PLACES, &|number| at(everywhere(number)));
    assert_eq!(runs.len(), PLACES as usize);
    count(&mut runs, 3, now);
    let now = forge(&mut runs, SHARE - 1, &as_victim);
    let before = count(&mut runs, 4, now);
    let now = forge(&mut runs, SHARE - 1, &as_victim);
    assert_eq!(count(&mut runs, 5, now), before + 1);
    let now = forge(&mut runs, SHARE, &as_victim);
    assert_eq!(count(&mut runs, 6, now), 1);
}

#[test]
fn probe_over_a_limit_is_recorded_only_in_a_known_run() {
    let mut runs = Runs::new();
    let now = Duration::ZERO;
    assert_eq!(runs.record_limited(&from(1), a_probe(1, 1), now), None);
    assert!(runs.is_empty());
    runs.record(&from(1), a_probe(1, 2), now);
    let later = Duration::from_secs(1);
    let (standing, within) = runs.record_limited(&from(1), a_probe(1, 3), later).unwrap();
    assert_eq!((standing.count.get(), standing.window), (2, Some(0b11)));
    assert_eq!((standing.limited, within), (1, now));
    let standing = runs.record(&from(1), a_probe(1, 4), later);
    assert_eq!((standing.count.get(), standing.window), (3, Some(0b111)));
    assert_eq!(standing.limited, 1);
    let (standing, within) = runs.record_limited(&from(1), a_probe(1, 5), later).unwrap();
    assert_eq!((standing.limited, within), (2, later));
}

#[test]
fn duplicate_is_counted_but_not_as_limited() {
    let mut runs = Runs::new();
    let now = Duration::ZERO;
    runs.record(&from(1), a_probe(1, 200), now);
    // The first is a duplicate of an answered probe, the last too far behind to tell.
    for (seq, limited, is_first) in [
        (200, 0, false),
        (201, 1, true),
        (201, 1, false),
        (9, 1, false),
    ] {
        let (standing, _) = runs.record_limited(&from(1), a_probe(1, seq), now).unwrap();
        assert_eq!((standing.limited, standing.is_first), (limited, is_first));
    }
    assert_eq!(runs.record(&from(1), a_probe(1, 202), now).count.get(), 6);
}
