//! What one direction of a path does to packets: plain values, and the choice of the packets.

use std::ops::Range;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus;

/// Whether a payload is one of those.
pub type Predicate = dyn FnMut(&[u8]) -> bool + Send;

/// Which packets of a direction something is done to.
#[derive(Default)]
pub enum Pick {
    /// None.
    #[default]
    Never,
    /// A share of them at random, from 0 to 1.
    Share(f64),
    /// The last of every N, all packets counted.
    Every(u64),
    /// Those with these numbers, all packets counted from 0.
    Numbers(Range<u64>),
    /// Those UDP datagrams whose payload satisfies this. It is asked once for each of them, in order.
    Where(Box<Predicate>),
}

impl Pick {
    /// Picks the UDP datagrams whose payload satisfies this.
    #[must_use]
    pub fn matching(predicate: impl FnMut(&[u8]) -> bool + Send + 'static) -> Self {
        Self::Where(Box::new(predicate))
    }

    /// Whether it picks the packet with this number, and this payload if it is a datagram.
    pub(super) fn picks(
        &mut self,
        number: u64,
        datagram: Option<&[u8]>,
        random: &mut Xoshiro256PlusPlus,
    ) -> bool {
        match self {
            Self::Never => false,
            Self::Share(share) => random.random_bool(*share),
            Self::Every(many) => (number + 1).is_multiple_of(*many),
            Self::Numbers(numbers) => numbers.contains(&number),
            Self::Where(predicate) => datagram.is_some_and(predicate),
        }
    }
}

/// How a packet is moved against the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reordering {
    /// It goes without delay, and so overtakes those before it.
    WithoutDelay,
    /// This many later packets of its direction overtake it; fewer if they do not come within [`OVERTAKEN_WITHIN`].
    Overtaken(usize),
}

/// How long a packet waits at most, beyond its delay, for those that are to overtake it.
pub const OVERTAKEN_WITHIN: Duration = Duration::from_secs(1);

/// Where a bit is flipped. The receiver's checksum fails in both cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// In the payload of UDP or TCP; in the checksum if it is empty.
    Payload,
    /// In the checksum of UDP or TCP.
    Checksum,
}

/// What happens to a packet that is longer than the path takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooBig {
    /// It is dropped without a word, as behind a firewall that drops ICMP.
    Silent,
    /// The sender gets "fragmentation needed" or "packet too big", unless routers may cut the packet: then, as the path
    /// does not, it is dropped.
    Reported,
}

/// The room of the queue before a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// In bytes of IP packets.
    Bytes(usize),
    /// In packets.
    Packets(usize),
}

/// A link of limited rate, with its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) bits_per_second: u64,
    pub(super) room: Room,
}

/// What one direction of a path does. The default passes each packet on at once.
///
/// A packet meets, in this order: the MTU, a blackout, loss, the queue of the link, and then at most one of damage and
/// duplication, and the delay.
#[derive(Default)]
pub struct Plan {
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    pub(super) keeps_order: bool,
    pub(super) loss: Pick,
    pub(super) reordering: Option<(Pick, Reordering)>,
    pub(super) duplication: Pick,
    pub(super) damage: Option<(Pick, Damage)>,
    pub(super) mtu: Option<(u16, TooBig)>,
    pub(super) blackouts: Vec<Range<Duration>>,
    pub(super) rate: Option<Rate>,
}

impl Plan {
    /// Delays each packet by this time.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Adds to the delay of each packet a time from 0 to this one, all equally likely. Packets may overtake each other.
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// The same, but no packet leaves before one that came earlier.
    #[must_use]
    pub fn jitter_in_order(mut self, jitter: Duration) -> Self {
        self.keeps_order = true;
        self.jitter(jitter)
    }

    /// Loses these.
    #[must_use]
    pub fn loss(mut self, which: Pick) -> Self {
        self.loss = which;
        self
    }

    /// Moves these against the order.
    #[must_use]
    pub fn reordering(mut self, which: Pick, how: Reordering) -> Self {
        self.reordering = Some((which, how));
        self
    }

    /// Delivers these twice. The copy has a jitter of its own.
    #[must_use]
    pub fn duplication(mut self, which: Pick) -> Self {
        self.duplication = which;
        self
    }

    /// Flips a bit in these.
    #[must_use]
    pub fn damage(mut self, which: Pick, how: Damage) -> Self {
        self.damage = Some((which, how));
        self
    }

    /// Drops IP packets longer than this.
    #[must_use]
    pub fn mtu(mut self, mtu: u16, too_big: TooBig) -> Self {
        self.mtu = Some((mtu, too_big));
        self
    }

    /// Loses all that comes in this time since the path's start. There may be several.
    #[must_use]
    pub fn blackout(mut self, when: Range<Duration>) -> Self {
        self.blackouts.push(when);
        self
    }

    /// Passes packets over a link of this rate, before which they wait in a queue. The one on the link takes no room.
    #[must_use]
    pub fn rate(mut self, bits_per_second: u64, room: Room) -> Self {
        self.rate = Some(Rate {
            bits_per_second,
            room,
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn picked(mut pick: Pick, packets: u64) -> Vec<u64> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let datagram = |number: u64| format!("{number}").into_bytes();
        (0..packets)
            .filter(|number| pick.picks(*number, Some(&datagram(*number)), &mut random))
            .collect()
    }

    #[test]
    fn picks_of_each_kind() {
        assert_eq!(picked(Pick::Never, 10), [0_u64; 0]);
        assert_eq!(picked(Pick::Every(4), 10), [3, 7]);
        assert_eq!(picked(Pick::Numbers(2..5), 10), [2, 3, 4]);
        assert_eq!(
            picked(Pick::matching(|text| text.starts_with(b"1")), 12),
            [1, 10, 11]
        );
        assert_eq!(picked(Pick::Share(1.0), 3), [0, 1, 2]);
        assert_eq!(picked(Pick::Share(0.0), 3), [0_u64; 0]);
        let share = picked(Pick::Share(0.1), 10_000).len();
        assert!((900..1100).contains(&share), "{share}");
    }

    #[test]
    fn predicate_is_not_asked_about_other_packets() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut pick = Pick::matching(|_| panic!("no datagram"));
        assert!(!pick.picks(0, None, &mut random));
    }
}
