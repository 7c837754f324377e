//! A request that waits for its answer.

use std::time::Duration;

use hii_protocol::relay::Request;

use super::compose::Form;
use super::told::Ticket;

/// The request that is open.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) question: Question,
    pub(super) frame: Vec<u8>,
    pub(super) sent: Option<Duration>,
    pub(super) sends_left: u32,
    /// From one sending to the next, or to giving up.
    pub(super) gap: Duration,
    /// When that is.
    pub(super) next: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Token,
    Proof,
    Greeting,
    Send(Ticket, Form),
    Stop,
}

impl Open {
    pub(super) fn new(
        question: Question,
        request: Request<'_>,
        sends_left: u32,
        gap: Duration,
        now: Duration,
    ) -> Self {
        Self {
            question,
            frame: request.to_vec(),
            sent: None,
            sends_left,
            gap,
            next: now,
        }
    }
}
