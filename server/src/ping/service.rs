//! What the ping service decides, without sockets or clocks.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::ValueEnum;
use hii_protocol::ping::{Answer, Probe, Report, Request};
use hii_protocol::{Escaped, ParseError};
use hii_transport::clock::Now;
use hii_transport::datagrams::{Effect, Peer, Service};

use super::delay_queue::DelayQueue;
use super::impairment::{Dice, Fate, Impairments};
use super::runs::{Runs, Standing};
use super::tally::{Connections, Tally};
use crate::args::Rate;
use crate::quiet::Quiet;
use crate::rate::RateLimiter;

/// Answers that may wait at once; each is a few dozen octets.
const QUEUE_CAPACITY: usize = 1 << 17;

/// Whose `exit` stops the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AllowExit {
    /// Anyone's, as with the originals
    Any,
    /// This host's
    Loopback,
    /// Nobody's
    Never,
}

impl AllowExit {
    /// Whether an `exit` from this address is honoured.
    #[must_use]
    pub fn honours(self, from: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Loopback => from.to_canonical().is_loopback(),
            Self::Never => false,
        }
    }
}

/// How a ping service behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// Loss and delay on purpose.
    pub impairments: Impairments,
    /// What they are drawn from.
    pub seed: u64,
    /// Whose `exit` stops the server.
    pub allow_exit: AllowExit,
    /// Datagrams a second that one source may send.
    pub rate: Rate,
}

/// The ping service.
#[derive(Debug)]
pub struct PingService {
    quiet: Quiet,
    limiter: RateLimiter,
    allow_exit: AllowExit,
    dice: Dice,
    runs: Runs,
    waiting: DelayQueue<(Peer, Reply)>,
    /// Answers that wait in TCP connections, for their time or for room.
    in_connections: u64,
    tally: Tally,
}

/// What becomes of one message, whatever carried it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// No answer.
    Silence,
    /// An answer at once.
    Answer(Reply),
    /// An answer when it is due.
    Later(Duration, Reply),
    /// The sender asks to stop. What that stops, and the answer, is the transport's rule.
    Exit,
}

/// An answer whose `held` is known when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The same whenever it is written.
    Fixed(Answer),
    /// To a probe.
    ToProbe {
        /// The probe.
        probe: Probe,
        /// How its run stood at its receipt.
        standing: Standing,
        /// Its receipt.
        received: Now,
    },
}

impl PingService {
    /// A service that behaves so.
    #[must_use]
    pub fn new(config: &Config, quiet: Quiet) -> Self {
        Self {
            quiet,
            limiter: RateLimiter::new(config.rate),
            allow_exit: config.allow_exit,
            dice: Dice::new(config.impairments, config.seed),
            runs: Runs::new(),
            waiting: DelayQueue::new(QUEUE_CAPACITY),
            in_connections: 0,
            tally: Tally::default(),
        }
    }

    /// What the service did so far; answers that still wait are counted as abandoned.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            abandoned: self.tally.abandoned + self.in_connections + self.waiting.len() as u64,
            ..self.tally
        }
    }

    /// Decides about a frame of a TCP connection, or what is wrong with it. Whoever is told to answer says later what
    /// became of the answer: [`answered_on_stream`](Self::answered_on_stream) or
    /// [`abandoned_on_stream`](Self::abandoned_on_stream).
    pub fn handle_frame(
        &mut self,
        frame: Result<&[u8], ParseError>,
        from: SocketAddr,
        now: Now,
    ) -> Decision {
        self.tally.received += 1;
        self.tally.tcp.messages += 1;
        let decision = self.decide(frame.and_then(Request::decode), from, now);
        self.in_connections += u64::from(decision != Decision::Silence);
        decision
    }

    /// Decides about a message of a classic TCP connection. Its answer may be delayed on purpose, but is not dropped:
    /// the originals send nothing more until it has come.
    pub fn handle_classic(&mut self, from: SocketAddr, now: Now) -> Decision {
        self.tally.received += 1;
        self.tally.tcp.messages += 1;
        self.tally.tcp.classic_messages += 1;
        if !self.limiter.allows(from.ip(), now.monotonic) {
            self.tally.over_rate += 1;
            return Decision::Silence;
        }
        self.in_connections += 1;
        let reply = Reply::Fixed(Answer::Acknowledgement);
        match self.dice.roll_delay() {
            Duration::ZERO => Decision::Answer(reply),
            delay => Decision::Later(now.monotonic + delay, reply),
        }
    }

    /// Answers have been handed to the network by a TCP connection.
    pub fn answered_on_stream(&mut self, answers: u64) {
        self.in_connections = self.in_connections.saturating_sub(answers);
        self.tally.answered += answers;
    }

    /// A TCP connection has ended with answers still waiting.
    pub fn abandoned_on_stream(&mut self, answers: u64) {
        self.in_connections = self.in_connections.saturating_sub(answers);
        self.tally.abandoned += answers;
    }

    /// The counts of TCP connections.
    pub fn connections(&mut self) -> &mut Connections {
        &mut self.tally.tcp
    }

    /// The rules that hold for every message.
    fn decide(
        &mut self,
        request: Result<Request<'_>, ParseError>,
        from: SocketAddr,
        now: Now,
    ) -> Decision {
        // What is received is received, whether or not it is within the rate: the run's window says so.
        let standing = match request {
            Ok(Request::Probe(probe)) => Some(self.runs.record(from, probe, now.monotonic)),
            _ => None,
        };
        if !self.limiter.allows(from.ip(), now.monotonic) {
            self.tally.over_rate += 1;
            return Decision::Silence;
        }
        let at_once = |answer| Decision::Answer(Reply::Fixed(answer));
        match (request, standing) {
            (Err(error), _) => at_once(Answer::Refused(error.code())),
            (Ok(Request::Calibrate(_)), _) => at_once(Answer::Calibrated),
            (Ok(Request::Exit), _) => Decision::Exit,
            (Ok(Request::Probe(probe)), Some(standing)) => {
                let reply = Reply::ToProbe {
                    probe,
                    standing,
                    received: now,
                };
                self.impair(reply, now.monotonic)
            }
            (Ok(Request::Message(_) | Request::Probe(_)), _) => {
                self.impair(Reply::Fixed(Answer::PacketAcknowledged), now.monotonic)
            }
        }
    }

    /// Loses or delays an answer as it was asked to.
    fn impair(&mut self, reply: Reply, now: Duration) -> Decision {
        match self.dice.roll() {
            Fate::Lost => {
                self.tally.dropped += 1;
                Decision::Silence
            }
            Fate::Delayed(Duration::ZERO) => Decision::Answer(reply),
            Fate::Delayed(delay) => Decision::Later(now + delay, reply),
        }
    }
}

impl Service for PingService {
    type Answer = Reply;

    fn handle(&mut self, datagram: &[u8], from: Peer, now: Now) -> Effect<Reply> {
        self.tally.received += 1;
        tracing::trace!(from = %from.address, datagram = %Escaped(datagram), "received");
        if self.quiet.applies(datagram, from.address) {
            self.tally.ignored += 1;
            return Effect::Nothing;
        }
        match self.decide(Request::decode(datagram), from.address, now) {
            Decision::Silence => Effect::Nothing,
            Decision::Answer(reply) => Effect::Answer(reply),
            Decision::Later(due, reply) => {
                if self.waiting.push(due, (from, reply)).is_err() {
                    self.tally.queue_full += 1;
                }
                Effect::Nothing
            }
            Decision::Exit if self.allow_exit.honours(from.address.ip()) => {
                Effect::AnswerAndStop(Reply::STOPPING)
            }
            Decision::Exit => Effect::Answer(Reply::Fixed(Answer::PacketAcknowledged)),
        }
    }

    fn next_due(&self) -> Option<Duration> {
        self.waiting.next_due()
    }

    fn take_due(&mut self, now: Duration) -> Option<(Peer, Reply)> {
        self.waiting.take_due(now)
    }

    fn write(&mut self, reply: &Reply, now: Duration, buffer: &mut [u8]) -> usize {
        // The loop's buffer holds any datagram.
        reply.at(now).encode_into(buffer).unwrap_or_default()
    }

    fn sent(&mut self, result: &io::Result<usize>) {
        match result {
            Ok(_) => self.tally.answered += 1,
            Err(_) => self.tally.send_failed += 1,
        }
    }
}

impl Reply {
    /// To an `exit` that is honoured.
    pub const STOPPING: Self = Self::Fixed(Answer::Stopping);

    /// The answer as it is at this moment.
    #[must_use]
    pub fn at(&self, now: Duration) -> Answer {
        match *self {
            Self::Fixed(answer) => answer,
            Self::ToProbe {
                probe,
                standing,
                received,
            } => Answer::Probe(match standing.window {
                None => probe.answer_with_count(standing.count),
                Some(window) => {
                    let held = now.saturating_sub(received.monotonic);
                    probe.answer(&Report {
                        count: standing.count,
                        window,
                        held: u64::try_from(held.as_nanos()).unwrap_or(u64::MAX),
                        received: received.wall,
                    })
                }
            }),
        }
    }
}
