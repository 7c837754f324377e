//! Who loses what waits in a full queue.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use proptest::prelude::*;

use super::fair_queue::FairQueue;
use crate::policy::fair_share::Holder;
use crate::policy::fair_share::floods::{self, ATTACKS, Attack, SPREAD};

fn holder(ip: impl Into<IpAddr>) -> Holder {
    Holder::at(SocketAddr::new(ip.into(), 9))
}

fn ms(millis: u32) -> Duration {
    Duration::from_millis(millis.into())
}

fn everywhere(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0b00_0000 + number.wrapping_mul(0x9e37_79b1) % 0x7000_0000).into()
}

/// Three addresses in networks of their own.
fn three(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0001 + ((number % 3) << 20)).into()
}

const PLACES: u32 = 4096;

/// How long every item waits.
const DELAY: u32 = 10_000;

#[test]
fn no_flood_displaces_the_few_items_of_others() {
    let attacks = ATTACKS.into_iter().chain([("three", three as Attack)]);
    for (name, flooder) in attacks.filter(|(name, _)| !SPREAD.contains(name)) {
        let mut honest = floods::honest();
        honest.push(Ipv4Addr::LOCALHOST.into());
        let mut queue = FairQueue::new(PLACES);
        let (mut came, mut lost, mut pushed) = (0, 0, 0);
        for now in 0..3 * DELAY {
            while let Some(is_honest) = queue.take_due(ms(now)) {
                came += usize::from(is_honest);
            }
            let mut push = |queue: &mut FairQueue<bool>, holder, is_honest| {
                let displaced = queue.push(holder, ms(now + DELAY), is_honest).displaced;
                lost += usize::from(displaced.is_some_and(|(_, is_honest)| is_honest));
            };
            // Four of each wait at once.
            if now % (DELAY / 4) == 0 {
                for ip in &honest {
                    push(&mut queue, holder(*ip), true);
                    pushed += 1;
                }
            }
            push(&mut queue, holder(flooder(now)), false);
            push(&mut queue, holder(flooder(now)), false);
        }
        assert_eq!(lost, 0, "{name}");
        assert_eq!(came, pushed * 2 / 3, "{name}");
        assert_eq!(queue.len(), PLACES as usize);
    }
}

#[test]
fn a_queue_that_is_always_full_lets_as_many_become_due_as_it_has_places() {
    let others = [("three", three as Attack), ("everywhere", everywhere)];
    for (name, sender) in ATTACKS.into_iter().chain(others) {
        let mut queue = FairQueue::new(PLACES);
        let mut came = 0;
        for now in 0..2 * DELAY {
            while queue.take_due(ms(now)).is_some() {
                came += 1;
            }
            queue.push(holder(sender(now)), ms(now + DELAY), ());
        }
        assert!(came >= PLACES * 9 / 10, "{name}: {came}");
    }
}

#[test]
fn a_flood_from_everywhere_displaces_no_more_of_a_sender_than_of_others() {
    let honest = holder(Ipv4Addr::new(192, 0, 2, 1));
    let mut queue = FairQueue::new(PLACES);
    let (mut came, mut pushed) = (0, 0);
    for now in 0..6 * DELAY {
        while let Some(is_honest) = queue.take_due(ms(now)) {
            came += u32::from(is_honest);
        }
        if now % 1_999 == 0 {
            queue.push(honest, ms(now + DELAY), true);
            pushed += 1;
        }
        // There is room for four of ten.
        queue.push(holder(everywhere(now)), ms(now + DELAY), false);
    }
    assert!(came * 4 >= pushed, "{came} of {pushed}");
}

#[derive(Debug, Clone)]
enum Act {
    Push(u8, u32),
    Remove(u32),
    Take(u32),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (0..6_u8, 0..50_u32).prop_map(|(host, delay)| Act::Push(host, delay)),
        1 => (0..20_u32).prop_map(Act::Remove),
        1 => (0..20_u32).prop_map(Act::Take),
    ];
    prop::collection::vec(act, 0..200)
}

proptest! {
    #[test]
    fn each_item_leaves_once_and_those_that_wait_leave_in_order(places in 1..20_u32, acts in acts()) {
        let mut queue = FairQueue::new(places);
        // Those that wait, in order, with their numbers.
        let mut waiting = Vec::new();
        let mut now = 0;
        for (item, act) in (0_u32..).zip(acts) {
            match act {
                Act::Push(host, delay) => {
                    let holder = holder(Ipv4Addr::new(192, 0, host / 2, host));
                    let inserted = queue.push(holder, ms(now + delay), item);
                    if let Some(id) = inserted.id {
                        waiting.push((now + delay, item, id));
                        waiting.sort_unstable();
                    }
                    if let Some((_, gone)) = inserted.displaced {
                        let others = waiting.len();
                        waiting.retain(|(_, item, _)| *item != gone);
                        let was_other = usize::from(inserted.id.is_some());
                        prop_assert_eq!(others - waiting.len(), was_other);
                        prop_assert_eq!(waiting.len(), places as usize);
                    }
                }
                Act::Remove(nth) => {
                    let nth = (nth as usize).checked_rem(waiting.len());
                    if let Some((_, item, id)) = nth.map(|nth| waiting.remove(nth)) {
                        prop_assert_eq!(queue.remove(id), Some(item));
                        prop_assert_eq!(queue.remove(id), None);
                    }
                }
                Act::Take(passed) => {
                    now += passed;
                    let due = waiting.first().is_some_and(|(due, ..)| *due <= now);
                    let expected = due.then(|| waiting.remove(0).1);
                    prop_assert_eq!(queue.take_due(ms(now)), expected);
                }
            }
            prop_assert_eq!(queue.len(), waiting.len());
            prop_assert_eq!(queue.next_due(), waiting.first().map(|(due, ..)| ms(*due)));
        }
    }
}
