//! Messages come in bursts: what was found of one holds for the next of the same sender, receiver, kind and
//! moment.

use std::time::Duration;

use hii_protocol::Endpoint;
use hii_protocol::relay::{Forward, Message, Payload};

use super::peers::Peer;
use super::rules::Source;

/// What was found of the last message that went from peer to peer. It holds as long as its thread looks at no other peer.
#[derive(Debug)]
pub(super) struct Burst {
    from: Source,
    sender: Endpoint,
    at: Duration,
    is_raw: bool,
    to: Endpoint,
    receiver: Peer,
    /// How many more its sender may send at that moment.
    left: u64,
    /// How many more it has sent.
    spent: u64,
}

impl Burst {
    /// A burst of this message so far, whose sender may send so many more at that moment.
    pub(super) fn new(
        from: Source,
        at: Duration,
        forward: Forward<'_>,
        to: Endpoint,
        receiver: Peer,
        left: u64,
    ) -> Self {
        Self {
            from,
            sender: forward.from(),
            at,
            is_raw: is_raw(forward.payload()),
            to,
            receiver,
            left,
            spent: 0,
        }
    }

    /// Whether this sender is its sender, and now its moment still.
    #[inline]
    pub(super) fn is_from(&self, from: Source, now: Duration) -> bool {
        self.at == now && self.from == from
    }

    pub(super) fn sender(&self) -> Endpoint {
        self.sender
    }

    /// Whether this message, of its sender, is one of it.
    #[inline]
    pub(super) fn has(&self, message: Message<'_>) -> bool {
        self.to == message.to() && self.is_raw == is_raw(message.payload())
    }

    /// Another message goes to its receiver, unless that is over its sender's rate.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Peer> {
        if self.spent >= self.left {
            return None;
        }
        self.spent += 1;
        Some(self.receiver)
    }

    /// Who has sent how many beside the first one, and when.
    pub(super) fn spent(&self) -> Option<(Endpoint, u64, Duration)> {
        (self.spent > 0).then_some((self.sender, self.spent, self.at))
    }
}

fn is_raw(payload: Payload<'_>) -> bool {
    matches!(payload, Payload::Raw(_))
}
