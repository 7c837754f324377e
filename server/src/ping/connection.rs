//! One TCP connection's side of the ping service (`WIRE.md` section 4), without a socket: octets in, octets out.

use std::collections::VecDeque;
use std::time::Duration;

use hii_protocol::stream;
use hii_transport::clock::Now;

use super::delay_queue::DelayQueue;
use super::service::{Decision, PingService, Reply};
use crate::inbox::{Inbox, LIMITS, Next};
use crate::policy::origin::Origin;
use crate::streams::{Conversation, End};

/// Answers that one connection may have waiting. Beyond, nothing more is read from it: the sender's own buffers fill.
const MOST_WAITING: usize = 1024;

/// What a classic server takes at once, and so the most that is one message.
const CLASSIC_READ: usize = 1024;

/// What is read at once from a connection that carries frames.
const FRAMED_READ: usize = 16 * 1024;

/// Octets written at once, where there are several answers.
const WRITE: usize = 16 * 1024;

/// One connection.
#[derive(Debug)]
pub struct Connection {
    from: Origin,
    speaks: Speaks,
    input: Input,
    inbox: Inbox,
    delayed: DelayQueue<Reply>,
    outbox: VecDeque<Reply>,
    writing: Writing,
    idle: Duration,
    /// When something whole last came or went.
    progress: Duration,
    /// When a whole message last came.
    last_message: Option<Duration>,
    /// When more may be read, where its source is over a limit.
    held_until: Option<Duration>,
    /// Whether nothing was read before the next message because of a limit.
    was_held: bool,
}

/// What the first octet told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Unknown,
    Frames,
    Classic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Open,
    /// The other side sends no more; what it sent is still answered.
    Ended,
    /// Whatever still comes is not looked at.
    Refused,
}

/// Answers on their way to the network.
#[derive(Debug, Default)]
struct Writing {
    octets: Vec<u8>,
    written: usize,
    answers: u64,
}

impl Connection {
    /// A connection from there, closed when nothing happens for `idle`.
    #[must_use]
    pub fn new(from: Origin, idle: Duration, now: Duration) -> Self {
        Self {
            from,
            speaks: Speaks::Unknown,
            input: Input::Open,
            inbox: Inbox::default(),
            delayed: DelayQueue::new(),
            outbox: VecDeque::new(),
            writing: Writing::default(),
            idle,
            progress: now,
            last_message: None,
            held_until: None,
            was_held: false,
        }
    }

    /// Whether the next message may be read; otherwise the connection is held until its source is within the limits.
    fn may_read(&mut self, service: &mut PingService, now: Duration) -> bool {
        if self.held_until.is_none() {
            self.held_until = service.hold(&self.from, now);
            self.was_held |= self.held_until.is_some();
        }
        self.held_until.is_none()
    }

    fn release(&mut self, service: &mut PingService) {
        if self.held_until.take().is_some() {
            service.release();
        }
    }

    /// Answers the frames that are there, as far as there is room for answers.
    fn take_frames(&mut self, service: &mut PingService, now: Now) {
        while self.input != Input::Refused
            && !self.is_full()
            && self.inbox.has_next()
            && self.may_read(service, now.monotonic)
            && let Some(next) = self.inbox.next()
        {
            let frame = match next {
                Next::Frame(frame) => Ok(frame),
                Next::Empty => Err(stream::malformed()),
                Next::TooLong => {
                    self.input = Input::Refused;
                    Err(stream::malformed())
                }
            };
            self.progress = now.monotonic;
            self.last_message = Some(now.monotonic);
            let was_held = std::mem::take(&mut self.was_held);
            let decision = service.handle_frame(frame, &self.from, was_held, now);
            self.apply(decision, service);
        }
        if self.input == Input::Refused {
            self.inbox = Inbox::default();
        } else {
            self.inbox.tidy();
        }
    }

    fn apply(&mut self, decision: Decision, service: &mut PingService) {
        match decision {
            Decision::Silence => {}
            Decision::Answer(reply) => self.outbox.push_back(reply),
            Decision::Later(due, reply) => {
                self.delayed.push(due, reply);
            }
            Decision::Exit => {
                self.refuse_more(service);
                self.outbox.push_back(Reply::STOPPING);
            }
        }
    }

    /// The other side has said its last: what is delayed is too late.
    fn refuse_more(&mut self, service: &mut PingService) {
        self.input = Input::Refused;
        self.release(service);
        service.abandoned_on_stream(self.delayed.len() as u64);
        self.delayed = DelayQueue::new();
    }

    /// Octets that it holds: of what came and waits for its answer, and of answers that are being sent.
    #[must_use]
    pub fn held(&self) -> usize {
        self.inbox.len() + self.writing.octets.len()
    }

    /// Answers that wait for their time, or for room.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let writing = usize::try_from(self.writing.answers).unwrap_or(usize::MAX);
        self.delayed.len() + self.outbox.len() + writing
    }

    fn is_full(&self) -> bool {
        self.waiting() >= MOST_WAITING
    }
}

impl Conversation for Connection {
    type Service = PingService;

    fn wants(&self) -> Option<usize> {
        if self.input != Input::Open || self.is_full() || self.held_until.is_some() {
            return None;
        }
        Some(match self.speaks {
            // Until it is known to be another, a read may be a classic message.
            Speaks::Unknown | Speaks::Classic => CLASSIC_READ,
            Speaks::Frames => FRAMED_READ,
        })
    }

    fn receive(&mut self, octets: &[u8], service: &mut PingService, now: Now) {
        let Some(first) = octets.first() else {
            self.input = Input::Ended;
            return;
        };
        if self.input != Input::Open {
            return;
        }
        if self.speaks == Speaks::Unknown {
            if stream::is_framed(*first) {
                self.speaks = Speaks::Frames;
            } else {
                self.speaks = Speaks::Classic;
                service.connections().classic_connections += 1;
            }
        }
        if self.speaks == Speaks::Classic {
            self.progress = now.monotonic;
            self.last_message = Some(now.monotonic);
            if octets == b"exit" {
                self.refuse_more(service);
            } else {
                self.was_held = false;
                let decision = service.handle_classic(&self.from, now);
                self.apply(decision, service);
                self.may_read(service, now.monotonic);
            }
        } else {
            self.inbox.push(octets);
            self.take_frames(service, now);
        }
    }

    fn next_due(&self) -> Option<Duration> {
        self.delayed.next_due()
    }

    fn resumes_at(&self) -> Option<Duration> {
        self.held_until
    }

    fn resume(&mut self, service: &mut PingService, now: Now) {
        self.release(service);
        match self.speaks {
            Speaks::Frames => self.take_frames(service, now),
            Speaks::Unknown | Speaks::Classic => {
                self.may_read(service, now.monotonic);
            }
        }
    }

    fn last_message(&self) -> Option<Duration> {
        self.last_message
    }

    fn closes_at(&self) -> Option<Duration> {
        // Its answers are delayed, or nothing is read from it, by this side.
        (self.delayed.is_empty() && self.held_until.is_none())
            .then(|| self.progress.saturating_add(self.idle))
    }

    fn end(&self, now: Duration) -> Option<End> {
        if self.waiting() == 0 && self.input != Input::Open && self.held_until.is_none() {
            Some(End::Done)
        } else if self.closes_at().is_some_and(|at| at <= now) {
            Some(if self.waiting() > 0 {
                End::Unread
            } else {
                End::Idle
            })
        } else {
            None
        }
    }

    fn to_send(&mut self, now: Duration) -> &[u8] {
        while let Some(reply) = self.delayed.take_due(now) {
            self.progress = now;
            self.outbox.push_back(reply);
        }
        while self.writing.octets.len() < WRITE
            && self.writing.written == 0
            && let Some(reply) = self.outbox.pop_front()
        {
            self.writing
                .append(&reply, self.speaks == Speaks::Frames, now);
        }
        split(&self.writing.octets, self.writing.written).1
    }

    fn sent(&mut self, octets: usize, service: &mut PingService, now: Now) {
        self.writing.written += octets;
        if self.writing.written < self.writing.octets.len() {
            return;
        }
        self.progress = now.monotonic;
        service.answered_on_stream(self.writing.answers);
        // Dropping the buffer too: an idle connection holds nothing.
        self.writing = Writing::default();
        self.take_frames(service, now);
    }

    fn has_output(&self) -> bool {
        !self.writing.octets.is_empty() || !self.outbox.is_empty()
    }

    /// What is delayed is too late.
    fn hang_up(&mut self, service: &mut PingService) {
        self.refuse_more(service);
    }

    fn close(mut self, end: Option<End>, service: &mut PingService) {
        self.release(service);
        let counts = service.connections();
        match end {
            Some(End::Idle) => counts.idle += 1,
            Some(End::Unread) => counts.unread += 1,
            Some(End::Displaced) => counts.displaced += 1,
            Some(End::Done | End::Stops) | None => {}
        }
        service.abandoned_on_stream(self.waiting() as u64);
    }
}

impl Writing {
    fn append(&mut self, reply: &Reply, framed: bool, now: Duration) {
        let answer = reply.at(now);
        let len = answer.encoded_len();
        if framed && let Ok(header) = stream::header(len, &LIMITS) {
            self.octets.extend_from_slice(&header);
        }
        let start = self.octets.len();
        self.octets.resize(start + len, 0);
        // The room is just what the answer needs.
        let room = self.octets.get_mut(start..).unwrap_or_default();
        let _ = answer.encode_into(room);
        self.answers += 1;
    }
}

/// Like `split_at`, and all in the first part when there is less.
fn split(octets: &[u8], at: usize) -> (&[u8], &[u8]) {
    octets.split_at_checked(at).unwrap_or((octets, &[]))
}
