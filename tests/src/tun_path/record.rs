//! What became of each packet.

use std::net::SocketAddr;
use std::time::Duration;

use super::packet::Transport;

/// A direction of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    Forward,
    /// From the server to the client.
    Return,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It was delivered, once or more.
    Delivered,
    /// It was delivered, once, with a bit flipped.
    Damaged,
    /// It was lost, as [`Plan::loss`](super::Plan::loss) says.
    Lost,
    /// It was lost in a blackout.
    Blackout,
    /// It was longer than the path takes.
    TooBig,
    /// There was no room in the queue.
    QueueFull,
}

/// A packet's delivery, or that of a copy of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// When it was to leave the path.
    pub due: Duration,
    /// When it left the path. The receiver's kernel got it after that.
    pub left: Duration,
}

/// A packet that entered the path. Times are since the path's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Its direction.
    pub direction: Direction,
    /// Its number within the direction, from 0.
    pub number: u64,
    /// Its transport.
    pub transport: Transport,
    /// Its source; the port is 0 without UDP or TCP.
    pub source: SocketAddr,
    /// Its destination; the port is 0 without UDP or TCP.
    pub destination: SocketAddr,
    /// Its length in bytes, with the IP header.
    pub len: usize,
    /// The payload of a UDP datagram, as it entered the path; empty for all else.
    pub payload: Vec<u8>,
    /// When it entered the path. Its sender sent it before that.
    pub entered: Duration,
    /// What became of it.
    pub fate: Fate,
    /// Its deliveries.
    pub deliveries: Vec<Delivery>,
}

impl Passage {
    /// The time that it was on the path, if it was delivered; of several deliveries the first.
    #[must_use]
    pub fn time_on_path(&self) -> Option<Duration> {
        let first = self.deliveries.first()?;
        Some(first.left.saturating_sub(self.entered))
    }
}

/// What became of all packets. Those for many hosts and for link-local addresses are not on the path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    passages: Vec<Passage>,
    /// Which packet each delivery was of, in the order of the deliveries.
    deliveries: Vec<usize>,
}

impl Record {
    /// All packets of a direction, in the order in which they entered it.
    pub fn passages(&self, direction: Direction) -> impl Iterator<Item = &Passage> {
        let all = self.passages.iter();
        all.filter(move |passage| passage.direction == direction)
    }

    /// The UDP datagrams of a direction, in the order in which they entered it.
    pub fn datagrams(&self, direction: Direction) -> impl Iterator<Item = &Passage> {
        self.passages(direction)
            .filter(|passage| passage.transport == Transport::Udp)
    }

    /// How many UDP datagrams of a direction had this fate.
    #[must_use]
    pub fn count(&self, direction: Direction, fate: Fate) -> usize {
        self.datagrams(direction)
            .filter(|passage| passage.fate == fate)
            .count()
    }

    /// The UDP datagrams that the receiver's kernel accepted, in the order of their deliveries: those delivered twice
    /// are there twice, and damaged ones are not.
    pub fn arrivals(&self, direction: Direction) -> impl Iterator<Item = &Passage> {
        let delivered = self.deliveries.iter().map(|index| &self.passages[*index]);
        delivered.filter(move |passage| {
            passage.direction == direction
                && passage.transport == Transport::Udp
                && passage.fate == Fate::Delivered
        })
    }

    /// How much later than due each delivery of a direction left the path, sorted.
    #[must_use]
    pub fn delay_errors(&self, direction: Direction) -> Vec<Duration> {
        let deliveries = self
            .passages(direction)
            .flat_map(|passage| &passage.deliveries);
        let mut errors: Vec<_> = deliveries
            .map(|delivery| delivery.left.saturating_sub(delivery.due))
            .collect();
        errors.sort_unstable();
        errors
    }

    /// The index of the packet that enters next.
    pub(super) fn next_index(&self) -> usize {
        self.passages.len()
    }

    /// Adds a packet.
    pub(super) fn enter(&mut self, passage: Passage) {
        self.passages.push(passage);
    }

    /// Adds a delivery of a packet.
    pub(super) fn leave(&mut self, index: usize, delivery: Delivery) {
        self.deliveries.push(index);
        self.passages[index].deliveries.push(delivery);
    }
}
