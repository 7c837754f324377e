//! What the threads of a run tell the one that judges.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::ledger::{Arrival, Sent};

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The next probe was sent, or could not be.
    Sent(Sent),
    /// An answer came.
    Arrived(Arrival),
    /// An answer came that is not as long as its probe.
    WrongLength,
    /// An answer came that could be to either of two probes.
    Ambiguous,
    /// A datagram came that answers nothing.
    Foreign,
    /// The target's host refuses: nothing listens there (ICMP).
    Refused,
    /// The schedule is through.
    AllSent,
    /// The user wants to stop.
    Interrupted,
}

/// Whether the user wants to stop.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Event {
    /// When it happened, where that is part of it.
    pub fn at(&self) -> Option<Duration> {
        match self {
            Self::Sent(sent) => Some(sent.at),
            Self::Arrived(arrival) => Some(arrival.at),
            _ => None,
        }
    }
}

impl Interrupt {
    /// Notes it; returns whether it was noted before.
    pub fn raise(&self) -> bool {
        self.0.swap(true, Ordering::SeqCst)
    }

    /// Whether the user wants to stop.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
