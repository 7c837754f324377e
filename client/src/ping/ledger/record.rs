//! What the ledger holds of a probe.

use std::time::Duration;

use super::Reported;
use crate::ping::kernel_times::KernelTimes;
use crate::ping::limits::{Limiting, Limits, Place};
use crate::ping::refusal::Refusal;
use crate::ping::verdict::Verdict;

/// What is known of a whole run.
#[derive(Debug, Default)]
pub(super) struct KnownRun {
    pub(super) limits: Limits,
    /// The lowest number that the server is known to have received.
    pub(super) lowest: Option<u64>,
    /// When the first answer came since the server forgot the run last: since then it records all that it receives.
    pub(super) since: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    /// When it was due.
    pub(super) due: Duration,
    pub(super) deadline: Duration,
    pub(super) sent: Duration,
    pub(super) state: State,
    pub(super) reported: Reported,
    pub(super) kernel: KernelTimes,
    pub(super) told: bool,
    /// The server had received it.
    pub(super) received: bool,
    /// It was received after this.
    pub(super) after: Place,
    /// It was received by then.
    pub(super) seen: Option<Place>,
    /// The server had not received it when it answered a later one.
    pub(super) missing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Answered(Verdict),
    Refused(Refusal),
    /// It was over a limit of the server.
    Limited,
    Unknown,
    NotSent,
}

/// What an answer is that comes to a probe whose verdict is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Further {
    Duplicate,
    Foreign,
    /// It came too late to count.
    Forgotten,
}

impl Further {
    pub(super) fn after(state: State) -> Self {
        match state {
            State::Answered(_) => Self::Duplicate,
            State::Unknown | State::NotSent => Self::Foreign,
            State::Waiting | State::Refused(_) | State::Limited => Self::Forgotten,
        }
    }
}

impl Record {
    /// What became of it, if it is not answered any more: a set bit anywhere outweighs clear ones, since a probe may be
    /// overtaken.
    pub(super) fn unanswered(&self, seq: u64, known: &KnownRun) -> Verdict {
        let KnownRun {
            limits,
            lowest,
            since,
        } = known;
        // Before the first probe that it recorded, a server may have received others that were over its limit.
        let is_recorded = lowest.is_some_and(|lowest| lowest < seq)
            && (!limits.is_limited() || since.is_some_and(|since| since <= self.sent));
        if !self.received && self.missing && is_recorded {
            return Verdict::LostThere;
        }
        let seen = self.seen.filter(|_| self.received);
        match limits.of_probe(self.after, seen) {
            Limiting::Proven => Verdict::RateLimited,
            Limiting::Possible => Verdict::LimitedOrLost,
            Limiting::Excluded if self.received => Verdict::LostBack,
            Limiting::Excluded => Verdict::LostUnknown,
        }
    }
}
