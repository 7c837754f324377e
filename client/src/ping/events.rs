//! What the threads of a run tell the one that judges.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::batch::Batch;
use super::ledger::{Arrival, Sent};
use super::method::Heard;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// Many things happened, in this order.
    Batch(Batch),
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

/// Whether the user wants to stop; shared by all that has to know.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    raised: AtomicBool,
    /// Who waits for events, and is to look up.
    waiting: Mutex<Vec<Sender<Event>>>,
}

impl Event {
    /// What came at this time.
    #[must_use]
    pub fn heard(heard: Heard, at: Duration) -> Self {
        match heard {
            Heard::Answer { seq, report } => Self::Arrived(Arrival { seq, at, report }),
            Heard::WrongLength => Self::WrongLength,
            Heard::Ambiguous => Self::Ambiguous,
            Heard::Foreign => Self::Foreign,
        }
    }

    /// When it happened, where that is part of it.
    pub fn at(&self) -> Option<Duration> {
        match self {
            Self::Sent(sent) => Some(sent.at),
            Self::Arrived(arrival) => Some(arrival.at),
            Self::Batch(batch) => batch.at(),
            _ => None,
        }
    }
}

impl Interrupt {
    /// Whoever takes these events is told of it as one of them.
    pub fn wakes(&self, events: Sender<Event>) {
        self.waiting().push(events);
    }

    /// Notes it; returns whether it was noted before.
    pub fn raise(&self) -> bool {
        let before = self.0.raised.swap(true, Ordering::SeqCst);
        for events in self.waiting().iter() {
            // A run that is over needs no telling.
            let _ = events.send(Event::Interrupted);
        }
        before
    }

    /// Whether the user wants to stop.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.raised.load(Ordering::SeqCst)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Sender<Event>>> {
        // The list is whole between calls, whatever thread ended early.
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
