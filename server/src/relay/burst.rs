//! Datagrams come in bursts: what was found of one message holds for the next of the same sender, receiver, kind and
//! moment.

use std::time::Duration;

use hii_protocol::relay::{Forward, Message, Payload, Request};
use hii_protocol::{Endpoint, ParseError};

use super::rules::Source;

/// Frames that one sender sent in a row and that are decided about at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Train {
    /// Who sent them.
    pub from: Source,
    /// When they are decided about.
    pub now: Duration,
    /// No other train of these rules has it.
    number: u64,
}

impl Train {
    /// What comes next from this sender at this moment: the last train goes on if it is of the same.
    pub(super) fn next(last: Option<Self>, from: Source, now: Duration) -> Self {
        match last {
            Some(last) if last.from == from && last.now == now => last,
            _ => Self {
                from,
                now,
                number: last.map_or(0, |last| last.number + 1),
            },
        }
    }
}

/// What was found of the last message that went from peer to peer. It holds as long as its thread looks at no other peer;
/// what other threads change meanwhile is seen after it, and its sender's rate is charged then.
#[derive(Debug)]
pub(super) struct Burst {
    train: Train,
    sender: Endpoint,
    to: Endpoint,
    is_raw: bool,
    /// How many more its sender may send at that moment, at its beginning.
    most: u64,
    /// How many more it has sent.
    spent: u64,
}

impl Burst {
    /// A burst of this message so far, which goes out so, and whose sender may send so many more at that moment.
    pub(super) fn new(train: Train, message: Message<'_>, forward: Forward<'_>, most: u64) -> Self {
        Self {
            train,
            sender: forward.from(),
            to: message.to(),
            is_raw: is_raw(message.payload()),
            most,
            spent: 0,
        }
    }

    /// Whether it is of this train.
    #[inline]
    pub(super) fn is_of(&self, train: &Train) -> bool {
        self.train.number == train.number
    }

    pub(super) fn sender(&self) -> Endpoint {
        self.sender
    }

    /// The payload of its sender's next request, if that is a message of it that may be passed on.
    #[expect(
        clippy::inline_always,
        reason = "in a burst a call costs as much as the decision"
    )]
    #[inline(always)]
    pub(super) fn take<'a>(
        &mut self,
        request: &Result<Request<'a>, ParseError>,
    ) -> Option<Payload<'a>> {
        let Ok(Request::Send(message)) = request else {
            return None;
        };
        let payload = message.payload();
        let is_of_it = self.to == message.to() && self.is_raw == is_raw(payload);
        let goes = self.spent < self.most && Forward::new(self.sender, payload).is_ok();
        if !is_of_it || !goes {
            return None;
        }
        self.spent += 1;
        Some(payload)
    }

    /// Who has sent how many beside the first one, and when.
    pub(super) fn spent(&self) -> Option<(Endpoint, u64, Duration)> {
        (self.spent > 0).then_some((self.sender, self.spent, self.train.now))
    }
}

fn is_raw(payload: Payload<'_>) -> bool {
    matches!(payload, Payload::Raw(_))
}
