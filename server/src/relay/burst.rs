//! Messages come in bursts: what was found of one holds for the next of the same sender, receiver and moment.

use std::time::Duration;

use hii_protocol::Endpoint;
use hii_protocol::relay::{Message, Payload};

use super::peers::Peer;
use super::rules::Source;

/// What was found of the last message that went from peer to peer. It holds as long as its thread looks at no other peer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Burst {
    from: Source,
    at: Duration,
    to: Endpoint,
    receiver: Peer,
    /// How many more its sender may send at that moment.
    left: u64,
    /// How many more it has sent.
    spent: u64,
}

impl Burst {
    /// A burst of one message so far, whose sender may send so many more at that moment.
    pub(super) fn new(from: Source, at: Duration, to: Endpoint, receiver: Peer, left: u64) -> Self {
        Self {
            from,
            at,
            to,
            receiver,
            left,
            spent: 0,
        }
    }

    /// Whether this sender is its sender still.
    pub(super) fn is_from(&self, from: Source, now: Duration) -> bool {
        self.at == now && self.from == from
    }

    /// Whether this message, of its sender, is one of it.
    pub(super) fn has(&self, message: Message<'_>) -> bool {
        let is_raw = matches!(message.payload(), Payload::Raw(_));
        self.to == message.to() && (!is_raw || self.receiver.takes_raw())
    }

    /// Another message goes to its receiver, unless that is over its sender's rate.
    pub(super) fn take(&mut self) -> Option<Peer> {
        if self.spent >= self.left {
            return None;
        }
        self.spent += 1;
        Some(self.receiver)
    }

    /// Who has sent how many beside the first one, and when.
    pub(super) fn spent(&self) -> Option<(Endpoint, u64, Duration)> {
        let sender = Endpoint::try_from(self.from.address).ok()?;
        (self.spent > 0).then_some((sender, self.spent, self.at))
    }
}
