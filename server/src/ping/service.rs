//! What the ping service decides, without sockets or clocks.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use clap::ValueEnum;
use hii_protocol::Escaped;
use hii_protocol::ping::{Answer, Probe, Report, Request};
use hii_transport::clock::Now;
use hii_transport::datagrams::{Effect, Peer, Service};

use super::delay_queue::DelayQueue;
use super::impairment::{Dice, Fate, Impairments};
use super::runs::{Runs, Standing};
use super::tally::Tally;
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
    tally: Tally,
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
            tally: Tally::default(),
        }
    }

    /// What the service did so far; answers that still wait are counted as abandoned.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            abandoned: self.waiting.len() as u64,
            ..self.tally
        }
    }

    /// Loses or delays an answer as it was asked to.
    fn impair(&mut self, to: Peer, reply: Reply, now: Duration) -> Effect<Reply> {
        match self.dice.roll() {
            Fate::Lost => {
                self.tally.dropped += 1;
                Effect::Nothing
            }
            Fate::Delayed(Duration::ZERO) => Effect::Answer(reply),
            Fate::Delayed(delay) => {
                if self.waiting.push(now + delay, (to, reply)).is_err() {
                    self.tally.queue_full += 1;
                }
                Effect::Nothing
            }
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
        let request = Request::decode(datagram);
        // What is received is received, whether or not it is within the rate: the run's window says so.
        let standing = match request {
            Ok(Request::Probe(probe)) => Some(self.runs.record(from.address, probe, now.monotonic)),
            _ => None,
        };
        if !self.limiter.allows(from.address.ip(), now.monotonic) {
            self.tally.over_rate += 1;
            return Effect::Nothing;
        }
        let at_once = |answer| Effect::Answer(Reply::Fixed(answer));
        match (request, standing) {
            (Err(error), _) => at_once(Answer::Refused(error.code())),
            (Ok(Request::Calibrate(_)), _) => at_once(Answer::Calibrated),
            (Ok(Request::Exit), _) if self.allow_exit.honours(from.address.ip()) => {
                Effect::AnswerAndStop(Reply::Fixed(Answer::Stopping))
            }
            (Ok(Request::Exit), _) => at_once(Answer::PacketAcknowledged),
            (Ok(Request::Probe(probe)), Some(standing)) => {
                let reply = Reply::ToProbe {
                    probe,
                    standing,
                    received: now,
                };
                self.impair(from, reply, now.monotonic)
            }
            (Ok(Request::Message(_) | Request::Probe(_)), _) => {
                let reply = Reply::Fixed(Answer::PacketAcknowledged);
                self.impair(from, reply, now.monotonic)
            }
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
