//! What the threads of a run tell the one that judges.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use hii_protocol::ping::LimitedNotice;
use hii_transport::clock::Clock;
use hii_transport::probe::Stamp;
use serde::Serialize;

use super::batch::Batch;
use super::ledger::{Arrival, Sent};
use super::local_drops::Dropped;
use super::method::Heard;
use super::refusal::Refusal;

/// How often a wait looks whether the user wants to stop.
pub const GLANCE: Duration = Duration::from_millis(100);

/// For so long, a further wish to stop is the same keystroke.
const SAME_KEYSTROKE: Duration = Duration::from_secs(1);

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// Many things happened, in this order.
    Batch(Batch),
    /// The next probe was sent, or could not be.
    Sent(Sent),
    /// An answer came.
    Arrived(Arrival),
    /// A notice of the server that it does not answer a probe because of a limit.
    Limited {
        /// The notice.
        notice: LimitedNotice,
        /// When it came.
        at: Duration,
    },
    /// An answer came that is not as long as its probe.
    WrongLength,
    /// An answer came that could be to either of two probes.
    Ambiguous,
    /// A datagram came that answers nothing.
    Foreign,
    /// The kernel tells when it sent a probe.
    Transmitted {
        /// The probe's number.
        seq: u64,
        /// When.
        stamp: Stamp,
    },
    /// A probe was sent back (ICMP).
    Refused {
        /// The probe's number, where the message tells.
        seq: Option<u64>,
        /// Why.
        why: Refusal,
    },
    /// A probe was not sent, since it must not be cut and the path takes no longer packets than this.
    TooLong {
        /// Octets, headers included.
        path_mtu: u32,
    },
    /// This host threw answers away.
    Dropped(Dropped),
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
    /// Since the user asked for it.
    asked: OnceLock<Clock>,
    /// Who waits for events, and is to look up.
    waiting: Mutex<Vec<Sender<Event>>>,
}

impl Event {
    /// What came at this time, and what the kernel noted of it.
    #[must_use]
    pub fn heard(heard: Heard, at: Duration, stamp: Option<Stamp>) -> Self {
        match heard {
            Heard::Answer { seq, report } => Self::Arrived(Arrival {
                seq,
                at,
                report,
                stamp,
            }),
            Heard::Limited(notice) => Self::Limited { notice, at },
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
            Self::Limited { at, .. } => Some(*at),
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

    /// The user asks for it; returns whether that is not for the first time. What comes at once after the first is the
    /// same keystroke: `timeout` signals the program and its group, and a key may be held.
    pub fn ask(&self) -> bool {
        let since = self.0.asked.get_or_init(Clock::start).elapsed();
        self.raise() && since > SAME_KEYSTROKE
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
