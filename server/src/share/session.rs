//! What a receiver may say when, and what is to be done about it, without a socket.

use std::collections::VecDeque;
use std::num::NonZeroU64;

use hii_protocol::share::{Id, Problem, Request, Start, VERSION};

/// Requests that wait at most. Beyond, nothing more is read: the receiver's own buffers fill.
const MOST_WAITING: usize = 128;

/// Capacity that is kept while nothing waits.
const FEW: usize = 8;

/// A conversation with one receiver.
#[derive(Debug, Default)]
pub struct Session {
    phase: Phase,
    waiting: VecDeque<Step>,
    /// Files sent whole that the receiver has not confirmed.
    unconfirmed: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// Its hello has to come.
    #[default]
    Hello,
    /// It may want files.
    Open,
    /// It wants no more.
    Done,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Say what is offered.
    Offer,
    /// Send a file.
    Send {
        /// Which.
        id: Id,
        /// From where.
        start: Start,
    },
    /// Say that it was read that nothing more is wanted, and close.
    Done,
}

/// What a frame changes at once, whatever else waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// There may be a next step.
    Queued,
    /// A file is whole on the other side.
    Confirmed(Id),
    /// The receiver's version is not spoken here.
    Version(NonZeroU64),
    /// It breaks the rules, so.
    Broken(String),
    /// The receiver's user wants no more; the words are the receiver's.
    Cancelled(String),
    /// The receiver gave up; the words are the receiver's.
    GaveUp(Problem, String),
}

impl Session {
    /// Whether another frame can be taken now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting.len() < MOST_WAITING
    }

    /// Whether the receiver has said hello.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase != Phase::Hello
    }

    /// Takes a frame.
    pub fn receive(&mut self, frame: &[u8]) -> Event {
        let request = match Request::decode(frame) {
            Ok(request) => request,
            Err(error) => return Event::Broken(error.to_string()),
        };
        match (self.phase, request) {
            (_, Request::Cancel(text)) => Event::Cancelled(text.as_str().to_owned()),
            (_, Request::Error(problem, text)) => Event::GaveUp(problem, text.as_str().to_owned()),
            (Phase::Hello, Request::Hello(version)) => {
                self.phase = Phase::Open;
                if version != VERSION {
                    return Event::Version(version);
                }
                self.queue(Step::Offer)
            }
            (Phase::Hello, _) => Event::Broken("hello has to come first".to_owned()),
            (_, Request::Hello(_)) => Event::Broken("hello comes once".to_owned()),
            (Phase::Open, Request::Want { id, start }) => self.queue(Step::Send { id, start }),
            (Phase::Open, Request::Done) => {
                self.phase = Phase::Done;
                self.queue(Step::Done)
            }
            (Phase::Done, Request::Want { .. } | Request::Done) => {
                Event::Broken("nothing comes after done".to_owned())
            }
            (_, Request::Got(id)) => match self.unconfirmed.checked_sub(1) {
                Some(left) => {
                    self.unconfirmed = left;
                    Event::Confirmed(id)
                }
                None => Event::Broken("got more files than were sent".to_owned()),
            },
        }
    }

    fn queue(&mut self, step: Step) -> Event {
        self.waiting.push_back(step);
        Event::Queued
    }

    /// What is to be done next, when something is.
    pub fn next(&mut self) -> Option<Step> {
        let step = self.waiting.pop_front();
        if step.is_none() && self.waiting.capacity() > FEW {
            self.waiting = VecDeque::new();
        }
        step
    }

    /// Notes that a file was sent whole.
    pub fn sent(&mut self) {
        self.unconfirmed += 1;
    }
}
