//! What the threads of a run tell the one that judges.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::ledger::Arrival;

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The next probe was sent, or could not be.
    Sent {
        /// Just before the call that sent it.
        at: Duration,
        /// Whether the kernel took it.
        went_out: bool,
        /// The earlier probe that shares its port.
        clash: Option<u64>,
    },
    /// An answer came.
    Arrived(Arrival),
    /// A datagram came that answers nothing.
    Foreign,
    /// The target's host refuses: nothing listens there (ICMP).
    Refused,
    /// The schedule is through.
    AllSent,
    /// The connection is over: nothing more can be sent or answered.
    Ended(Ending),
    /// The user wants to stop.
    Interrupted,
}

/// How a connection ended before the run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The server closed it.
    Closed,
    /// It broke: the server reset it, or the network gave it up.
    Broken,
    /// The server takes nothing more, or leaves the one message that may be under way unanswered.
    Stalled,
    /// The server sent what is no frame, or no answer.
    Garbage,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the server closed it",
            Self::Broken => "it was reset, or the network gave it up",
            Self::Stalled => "the server stopped answering",
            Self::Garbage => "the server sent what is no answer",
        })
    }
}

/// Whether the user wants to stop.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

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
