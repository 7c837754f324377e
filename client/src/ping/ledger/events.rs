//! What goes into the ledger, and what comes out.

use std::time::Duration;

use hii_protocol::ping::ProbeAnswer;
use hii_transport::probe::Stamp;

use crate::ping::kernel_times::KernelTrip;
use crate::ping::refusal::Refusal;
use crate::ping::verdict::Verdict;

/// An answer that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The number of the probe that it answers.
    pub seq: u64,
    /// When it arrived.
    pub at: Duration,
    /// What a Hii server told with it.
    pub report: Option<ProbeAnswer>,
    /// What the kernel noted of its arrival.
    pub stamp: Option<Stamp>,
}

/// A probe whose verdict is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The probe's number.
    pub seq: u64,
    /// When it was due.
    pub due: Duration,
    /// When it was sent.
    pub sent: Duration,
    /// What became of it.
    pub verdict: Verdict,
    /// What a Hii server told with its answer.
    pub reported: Reported,
    /// The round trip between the kernel's notes, where there are some that can be true.
    pub kernel: Option<KernelTrip>,
    /// Whether [`overdue`](super::Ledger::overdue) or [`refused`](super::Ledger::refused) has told of it before.
    pub told: bool,
}

#[cfg(test)]
impl Settled {
    /// A probe sent when it was due, of which nothing else is known.
    pub(crate) fn of(seq: u64, sent: Duration, verdict: Verdict) -> Self {
        Self {
            seq,
            due: sent,
            sent,
            verdict,
            reported: Reported::default(),
            kernel: None,
            told: false,
        }
    }
}

/// What a Hii server told of a probe with its answer, as far as that was long enough for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reported {
    /// How long it held the probe, in nanoseconds.
    pub held: Option<u64>,
    /// Its wall clock at the receipt, in nanoseconds since the Unix epoch.
    pub received: Option<u64>,
    /// Over TCP: the server stopped reading before it, because of a limit.
    pub has_waited: bool,
}

/// What an arrival or a refusal meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The first answer to a probe.
    Answered(Answered),
    /// A probe was refused.
    Refused(u64, Refusal),
    /// Counted, and nothing to show.
    Counted,
}

/// The first answer to a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// The probe's number.
    pub seq: u64,
    /// In time or late.
    pub verdict: Verdict,
    /// When the probe was sent.
    pub sent: Duration,
    /// From its sending to its answer.
    pub rtt: Duration,
    /// From when it was due to its answer: what a client sees that had to wait for its turn.
    pub from_due: Duration,
    /// What a Hii server told with it.
    pub report: Option<ProbeAnswer>,
}

/// A probe that was sent, or could not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// When it was due.
    pub due: Duration,
    /// How long its answer may take and still be in time.
    pub deadline: Duration,
    /// When it was sent: just before the call.
    pub at: Duration,
    /// Whether the kernel took it.
    pub went_out: bool,
    /// An earlier probe whose answer cannot be told from this one's.
    pub clash: Option<u64>,
}

impl From<ProbeAnswer> for Reported {
    fn from(answer: ProbeAnswer) -> Self {
        Self {
            held: answer.held(),
            received: answer.received(),
            has_waited: false,
        }
    }
}
