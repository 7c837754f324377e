//! Datagrams come in bursts: what was found of one message holds for the next of the same sender, receiver, kind and
//! moment.

use std::time::Duration;

use hii_protocol::Endpoint;
use hii_protocol::relay::{Forward, Payload, Prefix};

use super::budgets::{ReceiverBudgets, SenderBudgets};
use super::rules::Source;

/// Frames that one sender sent in a row and that are decided about at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Train {
    /// Who sent them.
    pub from: Source,
    /// When they are decided about.
    pub now: Duration,
    /// No other train of these rules has it.
    number: u64,
}

impl Train {
    pub(super) fn new(from: Source, now: Duration, number: u64) -> Self {
        Self { from, now, number }
    }

    /// Whether another is of the same sender at the same moment.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.from == other.from && self.now == other.now
    }
}

/// What was found of the last message that went from peer to peer. It holds as long as its thread looks at no other peer;
/// what other threads change meanwhile is seen after it, and its sender's rate is charged then.
#[derive(Debug)]
pub(super) struct Burst {
    train: Train,
    account: Account,
    /// What its frames begin with.
    prefix: Prefix,
    /// How many more may go at that moment, at its beginning.
    most: u64,
    /// How many more have gone.
    spent: u64,
}

/// Who is charged for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    /// Who sends them.
    pub(super) sender: Endpoint,
    /// Who is sent them.
    pub(super) receiver: Endpoint,
    pub(super) sender_budgets: SenderBudgets,
    pub(super) receiver_budgets: ReceiverBudgets,
}

impl Burst {
    /// A burst of a message so far whose frame begins so, and after which so many more may go at that moment.
    pub(super) fn new(train: Train, account: Account, prefix: Prefix, most: u64) -> Self {
        Self {
            train,
            account,
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
        Forward::new(self.account.sender, payload).ok()?;
        self.spent += 1;
        Some(payload)
    }

    /// How many beside the first one have gone, whom they are charged to, and when that was.
    pub(super) fn spent(&self) -> Option<(Account, u64, Duration)> {
        (self.spent > 0).then_some((self.account, self.spent, self.train.now))
    }
}
