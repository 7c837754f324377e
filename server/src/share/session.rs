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
    pub fn next_step(&mut self) -> Option<Step> {
        let step = self.waiting.pop_front();
        if step.is_none() && self.waiting.capacity() > FEW {
            self.waiting = VecDeque::new();
        }
        step
    }

    /// Files sent whole that the receiver has not confirmed.
    #[must_use]
    pub fn unconfirmed(&self) -> u64 {
        self.unconfirmed
    }

    /// Notes that a file was sent whole.
    pub fn sent(&mut self) {
        self.unconfirmed += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Session {
        let mut session = Session::default();
        assert_eq!(session.receive(b"hello 1"), Event::Queued);
        assert_eq!(session.next_step(), Some(Step::Offer));
        session
    }

    fn id(number: u64) -> Id {
        Id::new(number).unwrap()
    }

    #[test]
    fn wants_are_served_in_their_order_and_done_comes_after_them() {
        let mut session = open();
        for frame in [&b"want 3"[..], b"want 1", b"want 3", b"done"] {
            assert_eq!(session.receive(frame), Event::Queued);
        }
        let start = Start::Beginning;
        for number in [3, 1, 3] {
            let step = Step::Send {
                id: id(number),
                start,
            };
            assert_eq!(session.next_step(), Some(step));
        }
        assert_eq!(session.next_step(), Some(Step::Done));
        assert_eq!(session.next_step(), None);
    }

    #[test]
    fn nothing_comes_before_hello_but_a_farewell() {
        for frame in [&b"want 1"[..], b"got 1", b"done"] {
            let mut session = Session::default();
            assert!(matches!(session.receive(frame), Event::Broken(_)));
            assert_eq!(session.next_step(), None);
        }
        let cancelled = Event::Cancelled("why".into());
        assert_eq!(Session::default().receive(b"cancel why"), cancelled);
        let gave_up = Event::GaveUp(Problem::Storage, "full".into());
        assert_eq!(Session::default().receive(b"error storage full"), gave_up);
    }

    #[test]
    fn another_version_is_named_and_offered_nothing() {
        let mut session = Session::default();
        let version = NonZeroU64::new(2).unwrap();
        assert_eq!(session.receive(b"hello 2"), Event::Version(version));
        assert_eq!(session.next_step(), None);
    }

    #[test]
    fn rejects_what_is_out_of_turn_and_what_is_no_request() {
        let mut session = open();
        for frame in [
            &b"hello 1"[..],
            b"got 1",
            b"want 0",
            b"page 1",
            b"",
            b"\xff",
        ] {
            assert!(matches!(session.receive(frame), Event::Broken(_)));
        }
        session.receive(b"done");
        for frame in [&b"want 1"[..], b"done", b"hello 1"] {
            assert!(matches!(session.receive(frame), Event::Broken(_)));
        }
    }

    #[test]
    fn each_file_that_was_sent_is_confirmed_once() {
        let mut session = open();
        session.sent();
        session.sent();
        assert_eq!(session.unconfirmed(), 2);
        assert_eq!(session.receive(b"got 2"), Event::Confirmed(id(2)));
        assert_eq!(session.unconfirmed(), 1);
        session.receive(b"done");
        assert_eq!(session.receive(b"got 1"), Event::Confirmed(id(1)));
        assert!(matches!(session.receive(b"got 1"), Event::Broken(_)));
    }

    #[test]
    fn so_many_wants_wait_and_none_are_held_when_all_are_served() {
        let mut session = open();
        let mut taken = 0;
        while session.has_room() {
            session.receive(b"want 1");
            taken += 1;
        }
        assert_eq!(taken, MOST_WAITING);
        while session.next_step().is_some() {}
        assert!(session.has_room());
        assert!(session.waiting.capacity() <= FEW);
    }
}
