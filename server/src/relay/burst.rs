//! Datagrams come in bursts: what was found of one message holds for the next of the same sender, receiver, kind and
//! moment.

use std::time::Duration;

use hii_protocol::Endpoint;
use hii_protocol::relay::{Forward, Payload, Prefix};

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
    /// What its frames begin with.
    prefix: Prefix,
    /// How many more its sender may send at that moment, at its beginning.
    most: u64,
    /// How many more it has sent.
    spent: u64,
}

impl Burst {
    /// A burst of a message so far whose frame begins so, and whose sender may send so many more at that moment.
    pub(super) fn new(train: Train, sender: Endpoint, prefix: Prefix, most: u64) -> Self {
        Self {
            train,
            sender,
            prefix,
            most,
            spent: 0,
        }
    }

    /// The payload of a frame of this train, if it is a message of the burst that may be passed on.
    #[expect(
        clippy::inline_always,
        reason = "in a burst a call costs as much as the decision"
    )]
    #[inline(always)]
    pub(super) fn take<'a>(&mut self, frame: &'a [u8], train: &Train) -> Option<Payload<'a>> {
        if self.train.number != train.number || self.spent == self.most {
            return None;
        }
        let payload = self.prefix.payload(frame)?;
        Forward::new(self.sender, payload).ok()?;
        self.spent += 1;
        Some(payload)
    }

    /// Who has sent how many beside the first one, and when.
    pub(super) fn spent(&self) -> Option<(Endpoint, u64, Duration)> {
        (self.spent > 0).then_some((self.sender, self.spent, self.train.now))
    }
}
