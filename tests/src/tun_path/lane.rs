//! One direction of a path: decides what becomes of a packet, and keeps those that are under way. It has neither a clock
//! nor a device.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use super::packet::{Headers, Transport};
use super::plan::{OVERTAKEN_WITHIN, Pick, Plan, Rate, Reordering, Room};
use super::record::Fate;

/// When a packet is due, and a number that tells those due at one time apart.
type Place = (Duration, u64);

/// A packet under way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parcel {
    /// The packet's index in the record.
    pub(super) index: usize,
    pub(super) packet: Vec<u8>,
}

/// One direction of a path.
pub(super) struct Lane {
    plan: Plan,
    /// Chooses packets. Nothing else draws from it, so the choice depends on the seed and not on the time.
    choice: Xoshiro256PlusPlus,
    /// Chooses jitter and bits.
    spread: Xoshiro256PlusPlus,
    /// Packets that came so far.
    number: u64,
    link: Link,
    under_way: BTreeMap<Place, Parcel>,
    /// Packets put under way so far.
    placed: u64,
    /// When the last packet that keeps the order is due.
    last_due: Duration,
    /// Packets that are to be overtaken, and by how many still.
    overtaken: Vec<(Place, usize)>,
}

impl Lane {
    pub(super) fn new(plan: Plan, seed: u64) -> Self {
        Self {
            plan,
            choice: Xoshiro256PlusPlus::seed_from_u64(seed),
            spread: Xoshiro256PlusPlus::seed_from_u64(!seed),
            number: 0,
            link: Link::default(),
            under_way: BTreeMap::new(),
            placed: 0,
            last_due: Duration::ZERO,
            overtaken: Vec::new(),
        }
    }

    /// The plan of this direction.
    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The number of the next packet.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Takes a packet that enters the path now, and decides what becomes of it.
    pub(super) fn take(&mut self, now: Duration, headers: &Headers, parcel: Parcel) -> Fate {
        let number = self.number;
        self.number += 1;
        let datagram =
            (headers.transport == Transport::Udp).then(|| &parcel.packet[headers.payload.clone()]);
        let choice = &mut self.choice;
        let mut picks = |pick: &mut Pick| pick.picks(number, datagram, choice);
        let is_lost = picks(&mut self.plan.loss);
        let is_twice = picks(&mut self.plan.duplication);
        let damage = self.plan.damage.as_mut();
        let damage = damage.and_then(|(pick, damage)| picks(pick).then_some(*damage));
        let reordering = self.plan.reordering.as_mut();
        let reordering = reordering.and_then(|(pick, how)| picks(pick).then_some(*how));

        let len = parcel.packet.len();
        if self.plan.mtu.is_some_and(|(mtu, _)| len > mtu.into()) {
            return Fate::TooBig;
        }
        if self.plan.blackouts.iter().any(|when| when.contains(&now)) {
            return Fate::Blackout;
        }
        if is_lost {
            return Fate::Lost;
        }
        let Some(passed) = self.link.pass(self.plan.rate, now, len) else {
            return Fate::QueueFull;
        };
        if let Some(damage) = damage {
            let Parcel { index, mut packet } = parcel;
            headers.damage(&mut packet, damage, self.spread.random_range(0..1 << 20));
            self.send(passed, Parcel { index, packet }, reordering);
            return Fate::Damaged;
        }
        if is_twice {
            let copy = Parcel {
                index: parcel.index,
                packet: parcel.packet.clone(),
            };
            self.send(passed, parcel, reordering);
            self.send(passed, copy, None);
        } else {
            self.send(passed, parcel, reordering);
        }
        Fate::Delivered
    }

    /// Puts a packet under way that has passed the link at this time.
    fn send(&mut self, passed: Duration, parcel: Parcel, reordering: Option<Reordering>) {
        let jitter = self.spread.random_range(Duration::ZERO..=self.plan.jitter);
        let due = passed + self.plan.delay + jitter;
        match reordering {
            None if self.plan.keeps_order => {
                self.last_due = self.last_due.max(due);
                self.place(self.last_due, parcel);
            }
            None => {
                self.place(due, parcel);
            }
            Some(Reordering::WithoutDelay) => {
                self.place(passed, parcel);
            }
            Some(Reordering::Overtaken(by)) => {
                let place = self.place(due + OVERTAKEN_WITHIN, parcel);
                self.overtaken.push((place, by));
            }
        }
    }

    fn place(&mut self, due: Duration, parcel: Parcel) -> Place {
        let place = (due, self.placed);
        self.placed += 1;
        self.under_way.insert(place, parcel);
        place
    }

    /// When the next packet is due; `None` if none is under way.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let (place, _) = self.under_way.first_key_value()?;
        Some(place.0)
    }

    /// Removes the next packet that is due by now, and returns it and when it was due.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<(Duration, Parcel)> {
        let next = self.under_way.first_entry()?;
        if next.key().0 > now {
            return None;
        }
        let (place, parcel) = next.remove_entry();
        let waits = self.overtaken.len();
        self.overtaken.retain(|(waiting, _)| *waiting != place);
        // One overtaken packet does not overtake another.
        if self.overtaken.len() == waits {
            self.overtake(place);
        }
        Some((place.0, parcel))
    }

    /// Counts a packet that leaves against the earlier ones that are to be overtaken.
    fn overtake(&mut self, (due, number): Place) {
        for (place, by) in &mut self.overtaken {
            if place.1 < number {
                *by = by.saturating_sub(1);
            }
        }
        for (place, _) in self.overtaken.extract_if(.., |(_, by)| *by == 0) {
            if let Some(parcel) = self.under_way.remove(&place) {
                // The same number, so that it is next.
                self.under_way.insert((due, place.1), parcel);
            }
        }
    }
}

/// The link, and the queue before it.
#[derive(Debug, Default)]
struct Link {
    /// When the link has sent all that it took.
    idle_at: Duration,
    /// Packets that wait: when the link begins to send each, and its length.
    queue: VecDeque<(Duration, usize)>,
}

impl Link {
    /// When a packet of this length that comes now has passed the link, or `None` if the queue has no room.
    fn pass(&mut self, rate: Option<Rate>, now: Duration, len: usize) -> Option<Duration> {
        let Some(Rate {
            bits_per_second,
            room,
        }) = rate
        else {
            return Some(now);
        };
        while self.queue.front().is_some_and(|(begins, _)| *begins <= now) {
            self.queue.pop_front();
        }
        let begins = self.idle_at.max(now);
        if begins > now {
            let is_full = match room {
                Room::Packets(packets) => self.queue.len() >= packets,
                Room::Bytes(bytes) => {
                    let waiting: usize = self.queue.iter().map(|(_, len)| len).sum();
                    waiting + len > bytes
                }
            };
            if is_full {
                return None;
            }
            self.queue.push_back((begins, len));
        }
        let bits = 8 * u64::try_from(len).expect("packets are short");
        self.idle_at = begins + Duration::from_nanos(bits * 1_000_000_000 / bits_per_second);
        Some(self.idle_at)
    }
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
