//! What the ledger holds of a probe.

use std::time::Duration;

use super::Reported;
use crate::ping::kernel_times::KernelTimes;
use crate::ping::refusal::Refusal;
use crate::ping::verdict::Verdict;

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
    /// The server had not received it when it answered a later one.
    pub(super) missing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Answered(Verdict),
    Refused(Refusal),
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
            State::Waiting | State::Refused(_) => Self::Forgotten,
        }
    }
}

impl Record {
    /// Which way it was lost, if it was: a set bit anywhere outweighs clear ones, since a probe may be overtaken.
    pub(super) fn lost(&self) -> Verdict {
        match (self.received, self.missing) {
            (true, _) => Verdict::LostBack,
            (false, true) => Verdict::LostThere,
            (false, false) => Verdict::LostUnknown,
        }
    }
}
