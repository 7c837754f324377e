//! Budgets of a relay's senders and receivers, in addition to the rate that each peer has in its slot.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

use hii_protocol::Endpoint;

use crate::args::Rate;
use crate::policy::limits::{
    ERRORS_OF_ENDPOINT, PEERS_OF_ADDRESS, PEERS_OF_RECEIVER, SOURCES_OF_RECEIVER,
    TOKENS_OF_ADDRESS, TOKENS_OF_ENDPOINT,
};
use crate::policy::{Buckets, Budget, Key, Limit};
use crate::source::Source;

/// Budgets for answers to non-peers: none of them can use up another.
#[derive(Debug)]
pub(super) struct AnswerBudgets {
    /// Errors, and answers to greetings that make no peer.
    pub(super) errors: Budget,
    pub(super) tokens: Budget,
    /// All answers to a connection that is no peer. Its address and port cannot be forged, so neither another connection nor
    /// a datagram can use it up.
    pub(super) connections: Budget,
}

impl AnswerBudgets {
    /// For a relay with these rates.
    pub(super) fn new(rate: Rate, error_rate: Rate) -> Self {
        let address = Limit::from(error_rate);
        // No limit for an address means none for a port either.
        let endpoint = match address {
            Limit::Unlimited => Limit::Unlimited,
            Limit::Rate { .. } | Limit::Nothing => ERRORS_OF_ENDPOINT,
        };
        Self {
            errors: Budget::new(endpoint, address),
            tokens: Budget::new(TOKENS_OF_ENDPOINT, TOKENS_OF_ADDRESS),
            connections: Budget::new(rate.into(), Limit::Unlimited),
        }
    }
}

/// The limit for the messages that one receiver is sent.
pub(super) fn of_receiver(rate: Rate) -> Limit {
    Limit::from(rate).scaled(PEERS_OF_RECEIVER, 1)
}

/// Budgets for messages. They are kept with the table of peers, since each message asks for both.
#[derive(Debug)]
pub(super) struct MessageBudgets {
    /// What all peers of an address send in datagrams, all frames of its connections, and what an open relay lets its strangers
    /// send: each in a bucket of its own, since only connections show their own address for sure.
    addresses: Buckets,
    /// What one address sends to one receiver.
    pairs: Buckets,
    /// Messages of non-peers to an open relay.
    strangers: Buckets,
    /// Messages of an open relay to non-peers.
    receivers: Buckets,
    key: Key,
}

/// Which budgets a sender's messages are charged to. A hash is there where the budget limits the sender.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SenderBudgets {
    /// The hash of the address, and what is added for the carrier.
    address: Option<(u32, Carrier)>,
    stranger: Option<u32>,
}

/// What carries a sender's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// A connection. Its frames are charged to its address when they are read.
    Connection,
    /// Datagrams of a peer.
    Datagram,
    /// Datagrams of a non-peer, which an open relay serves.
    Stranger,
}

impl Carrier {
    /// The bucket of an address, for messages that are charged to it one by one.
    fn bucket(self, address: u32) -> Option<u32> {
        match self {
            Self::Connection => None,
            Self::Datagram => Some(address),
            Self::Stranger => Some(!address),
        }
    }
}

/// The bucket of all frames of an address's connections.
fn of_connections(address: u32) -> u32 {
    address.rotate_left(16)
}

/// Which budgets messages from one sender to one receiver are charged to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ReceiverBudgets {
    pair: Option<u32>,
    stranger: Option<u32>,
}

impl SenderBudgets {
    fn bucket(self) -> Option<u32> {
        let (address, carrier) = self.address?;
        carrier.bucket(address)
    }
}

impl MessageBudgets {
    /// For a relay whose peers have this rate.
    pub(super) fn new(rate: Rate) -> Self {
        let limit = Limit::from(rate);
        Self {
            addresses: Buckets::new(limit.scaled(PEERS_OF_ADDRESS, 1)),
            pairs: Buckets::new(limit.scaled(PEERS_OF_RECEIVER, SOURCES_OF_RECEIVER)),
            strangers: Buckets::new(limit),
            receivers: Buckets::new(of_receiver(rate)),
            key: Key::default(),
        }
    }

    /// The budgets of a sender: one that is no peer has no slot, and one that is exempt has none for its address.
    pub(super) fn of_sender(
        &self,
        sender: Endpoint,
        carrier: Carrier,
        is_exempt: bool,
    ) -> SenderBudgets {
        let is_limited = self.addresses.is_limited();
        let is_stranger = carrier == Carrier::Stranger;
        SenderBudgets {
            address: (is_limited && !is_exempt).then(|| (self.of_address(sender.ip()), carrier)),
            stranger: (is_limited && is_stranger).then(|| self.of_endpoint(sender)),
        }
    }

    /// The budgets of a receiver for a sender with those budgets. A receiver that is a peer is told by its place.
    pub(super) fn of_receiver(
        &self,
        receiver: Endpoint,
        place: Option<u32>,
        sender: SenderBudgets,
    ) -> ReceiverBudgets {
        if !self.addresses.is_limited() {
            return ReceiverBudgets::default();
        }
        let stranger = place.is_none().then(|| self.of_endpoint(receiver));
        let receiver = stranger.unwrap_or_else(|| spread(place.unwrap_or_default()));
        ReceiverBudgets {
            // A keyed hash with anything that does not depend on it is as good as a keyed hash.
            pair: sender.address.map(|(address, _)| address ^ receiver),
            stranger,
        }
    }

    /// Returns how many messages more this sender may send now.
    pub(super) fn left_of_sender(&self, sender: SenderBudgets, now: Duration) -> u64 {
        let SenderBudgets { stranger, .. } = sender;
        left(&self.addresses, sender.bucket(), now).min(left(&self.strangers, stranger, now))
    }

    /// Returns how long the connections of an address have to wait until one more frame of them is read.
    pub(super) fn wait_of_connections(&self, ip: IpAddr, now: Duration) -> Duration {
        if !self.addresses.is_limited() {
            return Duration::ZERO;
        }
        let bucket = of_connections(self.of_address(ip));
        // No rate of messages lets nothing through.
        let wait = self.addresses.wait(bucket.into(), 1, now);
        wait.unwrap_or_default()
    }

    /// Charges the connections of an address for a frame that was read at `now`.
    pub(super) fn charge_connections(&mut self, ip: IpAddr, now: Duration) {
        if self.addresses.is_limited() {
            let bucket = of_connections(self.of_address(ip));
            self.addresses.charge(bucket.into(), 1, now);
        }
    }

    /// Returns how many messages more this receiver may be sent now by that sender.
    pub(super) fn left_of_receiver(&self, receiver: ReceiverBudgets, now: Duration) -> u64 {
        let ReceiverBudgets { pair, stranger } = receiver;
        left(&self.pairs, pair, now).min(left(&self.receivers, stranger, now))
    }

    /// Charges a sender for messages that it sent at `now`.
    pub(super) fn charge_sender(&mut self, sender: SenderBudgets, messages: u64, now: Duration) {
        let SenderBudgets { stranger, .. } = sender;
        charge(&mut self.addresses, sender.bucket(), messages, now);
        charge(&mut self.strangers, stranger, messages, now);
    }

    /// Charges a receiver for messages that it was sent at `now`.
    pub(super) fn charge_receiver(
        &mut self,
        receiver: ReceiverBudgets,
        messages: u64,
        now: Duration,
    ) {
        let ReceiverBudgets { pair, stranger } = receiver;
        charge(&mut self.pairs, pair, messages, now);
        charge(&mut self.receivers, stranger, messages, now);
    }

    fn of_address(&self, ip: IpAddr) -> u32 {
        half(self.key.hash_one(Source::of(ip)))
    }

    fn of_endpoint(&self, endpoint: Endpoint) -> u32 {
        half(self.key.hash_one((endpoint.ip(), endpoint.port())))
    }
}

fn left(buckets: &Buckets, hash: Option<u32>, now: Duration) -> u64 {
    hash.map_or(u64::MAX, |hash| buckets.left(hash.into(), now))
}

fn charge(buckets: &mut Buckets, hash: Option<u32>, messages: u64, now: Duration) {
    if let Some(hash) = hash {
        buckets.charge(hash.into(), messages, now);
    }
}

/// The half of a hash that is kept with a burst: more bits than there are buckets.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the rest of a hash is left out"
)]
fn half(hash: u64) -> u32 {
    hash as u32
}

/// Spreads neighbouring places over all buckets (the multiplier is 2^64 divided by the golden ratio).
fn spread(place: u32) -> u32 {
    half(u64::from(place).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32)
}
