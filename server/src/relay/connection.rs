//! One TCP connection's side of the relay (`WIRE.md` section 4), without a socket: octets in, octets out.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hii_protocol::relay::Answer;
use hii_protocol::stream;
use hii_transport::clock::Now;

use super::mailbox::Mailbox;
use super::rules::Source;
use super::service::{RelayService, Verdict};
use crate::inbox::{Inbox, LIMITS, Next};
use crate::streams::{Conversation, End};

/// What is read at once.
const READ: usize = 16 * 1024;

/// Octets of answers that may wait. Beyond, nothing more is read from the connection: the sender's own buffers fill.
const MOST_ANSWERS: usize = 16 * 1024;

/// How long the first frame may take to come, and what is sent to be taken.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection.
#[derive(Debug)]
pub struct Connection {
    source: Source,
    mailbox: Arc<Mailbox>,
    input: Input,
    inbox: Inbox,
    /// Answers in their frames, and how many.
    answers: Vec<u8>,
    answered: u64,
    writing: Writing,
    idle: Duration,
    /// When a whole frame last came.
    last_frame: Option<Duration>,
    /// When something whole last came or went.
    progress: Duration,
    /// When more is read, where its source is over a rate.
    held_until: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Open,
    /// The other side sends no more; what it sent is still answered.
    Ended,
    /// Whatever still comes is not looked at.
    Refused,
    /// It stops the relay.
    Stops,
}

/// What is on its way to the network.
#[derive(Debug, Default)]
struct Writing {
    octets: Vec<u8>,
    written: usize,
    answers: u64,
    forwards: u64,
    since: Duration,
}

impl Connection {
    /// A connection of this peer, whose messages wait in this mailbox, closed when nothing happens for `idle`.
    #[must_use]
    pub fn new(source: Source, mailbox: Arc<Mailbox>, idle: Duration, now: Duration) -> Self {
        Self {
            source,
            mailbox,
            input: Input::Open,
            inbox: Inbox::default(),
            answers: Vec::new(),
            answered: 0,
            writing: Writing::default(),
            idle,
            last_frame: None,
            progress: now,
            held_until: None,
        }
    }

    /// Whether the next frame may be read; otherwise the connection is held until its source is within the rates.
    fn may_read(&mut self, service: &mut RelayService, now: Duration) -> bool {
        if self.held_until.is_none() {
            self.held_until = service.hold(&self.source, now);
        }
        self.held_until.is_none()
    }

    fn release(&mut self, service: &mut RelayService) {
        if self.held_until.take().is_some() {
            service.release();
        }
    }

    /// Decides about the frames that are there, as far as there is room for answers.
    fn take_frames(&mut self, service: &mut RelayService, now: Duration) {
        while matches!(self.input, Input::Open | Input::Ended)
            && self.answers.len() < MOST_ANSWERS
            && self.inbox.has_next()
            && self.may_read(service, now)
            && let Some(next) = self.inbox.next()
        {
            let verdict = match next {
                Next::Frame(frame) => service.handle_frame(frame, self.source, now),
                Next::Empty => service.handle_malformed(self.source, now),
                Next::TooLong => {
                    self.input = Input::Refused;
                    service.handle_malformed(self.source, now)
                }
            };
            self.progress = now;
            self.last_frame = Some(now);
            match verdict {
                Verdict::Silence => {}
                Verdict::Answer(answer) => self.answer(&answer),
                Verdict::Stop => self.input = Input::Stops,
            }
        }
        if matches!(self.input, Input::Open | Input::Ended) {
            self.inbox.tidy();
        } else {
            self.inbox = Inbox::default();
            self.mailbox.shut();
        }
    }

    fn answer(&mut self, answer: &Answer<'_>) {
        let len = answer.encoded_len();
        let Ok(header) = stream::header(len, &LIMITS) else {
            return;
        };
        self.answers.extend_from_slice(&header);
        let start = self.answers.len();
        self.answers.resize(start + len, 0);
        // The room is just what the answer needs.
        let room = self.answers.get_mut(start..).unwrap_or_default();
        let _ = answer.encode_into(room);
        self.answered += 1;
    }

    /// Octets that it holds: what came and waits for its answer, and what goes out.
    #[must_use]
    pub fn held(&self) -> usize {
        self.inbox.len() + self.answers.len() + self.writing.octets.len()
    }

    fn is_done(&self) -> bool {
        !self.has_output() && self.mailbox.is_empty() && self.held_until.is_none()
    }
}

impl Conversation for Connection {
    type Service = RelayService;

    fn wants(&self) -> Option<usize> {
        let has_room = self.answers.len() < MOST_ANSWERS;
        (self.input == Input::Open && has_room && self.held_until.is_none()).then_some(READ)
    }

    fn receive(&mut self, octets: &[u8], service: &mut RelayService, now: Now) {
        if self.input != Input::Open {
            return;
        }
        if octets.is_empty() {
            self.input = Input::Ended;
            // Who says no more is gone, as far as others are concerned.
            self.mailbox.shut();
            return;
        }
        self.inbox.push(octets);
        self.take_frames(service, now.monotonic);
    }

    fn news(&self) -> impl Future<Output = ()> {
        self.mailbox.filled()
    }

    fn resumes_at(&self) -> Option<Duration> {
        self.held_until
    }

    fn resume(&mut self, service: &mut RelayService, now: Now) {
        self.release(service);
        self.take_frames(service, now.monotonic);
    }

    fn last_message(&self) -> Option<Duration> {
        self.last_frame
    }

    fn closes_at(&self) -> Option<Duration> {
        if self.held_until.is_some() && self.writing.octets.is_empty() {
            // Nothing is read from it by this side.
            return None;
        }
        let (since, limit) = if !self.writing.octets.is_empty() {
            (self.writing.since, self.idle.min(PATIENCE))
        } else if self.last_frame.is_some() {
            (self.progress, self.idle)
        } else {
            (self.progress, self.idle.min(PATIENCE))
        };
        Some(since.saturating_add(limit))
    }

    fn end(&self, now: Duration) -> Option<End> {
        if self.input == Input::Stops {
            Some(End::Stops)
        } else if self.input != Input::Open && self.is_done() {
            Some(End::Done)
        } else if self.closes_at().is_some_and(|at| at <= now) {
            Some(if self.writing.octets.is_empty() {
                End::Idle
            } else {
                End::Unread
            })
        } else {
            None
        }
    }

    fn to_send(&mut self, now: Duration) -> &[u8] {
        if self.writing.octets.is_empty() {
            let waiting = self.mailbox.take();
            let mut octets = std::mem::take(&mut self.answers);
            octets.extend_from_slice(&waiting.octets);
            self.writing = Writing {
                octets,
                written: 0,
                answers: std::mem::take(&mut self.answered),
                forwards: waiting.frames,
                since: now,
            };
        }
        let Writing {
            octets, written, ..
        } = &self.writing;
        octets.get(*written..).unwrap_or_default()
    }

    fn sent(&mut self, octets: usize, service: &mut RelayService, now: Now) {
        self.writing.written += octets;
        if self.writing.written < self.writing.octets.len() {
            return;
        }
        self.progress = now.monotonic;
        // Dropping the buffer too: an idle connection holds nothing.
        self.writing = Writing::default();
        self.take_frames(service, now.monotonic);
    }

    fn has_output(&self) -> bool {
        !self.writing.octets.is_empty() || !self.answers.is_empty()
    }

    fn hang_up(&mut self, service: &mut RelayService) {
        self.input = Input::Refused;
        self.release(service);
        self.inbox = Inbox::default();
        self.mailbox.shut();
    }

    fn close(mut self, end: Option<End>, service: &mut RelayService) {
        self.release(service);
        self.mailbox.shut();
        let answers = self.answered + self.writing.answers;
        let forwards = self.mailbox.take().frames + self.writing.forwards;
        service.disconnected(self.source, end, answers, forwards);
    }
}
