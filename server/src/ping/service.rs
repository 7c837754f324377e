//! What the ping service decides, without sockets or clocks.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use clap::ValueEnum;
use hii_protocol::ping::{Answer, Probe, Report, Request};
use hii_transport::clock::Now;
use hii_transport::datagrams::{Effect, Peer, Service};

use super::delay_queue::DelayQueue;
use super::impairment::{Dice, Fate, Impairments};
use super::reorder::Held;
use super::runs::{Runs, Standing};
use super::tally::Tally;
use crate::args::Rate;
use crate::logs::Shown;
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
    /// Loss, delay, duplication and reordering on purpose.
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
    waiting: DelayQueue<Departure>,
    held: Held<Departure>,
    /// What goes right after the answer that went last: its copy, and what it overtook.
    following: VecDeque<(Peer, Outgoing)>,
    tally: Tally,
}

/// An answer to an impaired message, before it goes.
#[derive(Debug, Clone, Copy)]
struct Departure {
    to: Peer,
    reply: Reply,
    twice: bool,
    /// Whether it lets the next one to the same sender go first.
    yields: bool,
}

/// An answer that is to go out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing {
    /// The answer.
    pub reply: Reply,
    /// Whether it is the second copy of one that was counted.
    pub copy: bool,
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
            held: Held::new(),
            following: VecDeque::new(),
            tally: Tally::default(),
        }
    }

    /// What the service did so far; answers that still wait are counted as abandoned.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let following = self.following.iter().filter(|(_, answer)| !answer.copy);
        Tally {
            abandoned: (self.waiting.len() + self.held.len() + following.count()) as u64,
            ..self.tally
        }
    }

    /// Loses, delays, doubles or reorders an answer as it was asked to.
    fn impair(&mut self, to: Peer, reply: Reply, now: Duration) -> Effect<Outgoing> {
        let Fate::Answered {
            delay,
            twice,
            yields,
        } = self.dice.roll()
        else {
            self.tally.dropped += 1;
            return Effect::Nothing;
        };
        let departure = Departure {
            to,
            reply,
            twice,
            yields,
        };
        if delay.is_zero() {
            return self
                .depart(departure, now)
                .map_or(Effect::Nothing, Effect::Answer);
        }
        if self.waiting.push(now + delay, departure).is_err() {
            self.tally.queue_full += 1;
        }
        Effect::Nothing
    }

    /// Sends an answer whose delay is over, unless it lets another go first. One that finds another held for the same
    /// sender is the one that overtakes, so no two wait for each other.
    fn depart(&mut self, departure: Departure, now: Duration) -> Option<Outgoing> {
        let to = departure.to;
        let departure = if departure.yields {
            self.held.hold(to, departure, now).err()?
        } else {
            departure
        };
        let first = self.send(departure);
        if let Some(overtaken) = self.held.release(to) {
            self.tally.reordered += 1;
            let answer = Outgoing {
                reply: overtaken.reply,
                copy: false,
            };
            self.following.push_back((to, answer));
            self.send(overtaken);
        }
        Some(first)
    }

    /// The answer itself; its copy, when it has one, follows.
    fn send(&mut self, departure: Departure) -> Outgoing {
        let Departure { to, reply, .. } = departure;
        if departure.twice {
            self.following
                .push_back((to, Outgoing { reply, copy: true }));
        }
        Outgoing { reply, copy: false }
    }
}

impl Service for PingService {
    type Answer = Outgoing;

    fn handle(&mut self, datagram: &[u8], from: Peer, now: Now) -> Effect<Outgoing> {
        self.tally.received += 1;
        tracing::trace!(from = %from.address, datagram = %Shown(datagram), "received");
        if self.quiet.applies(datagram, from.address) {
            self.tally.ignored += 1;
            return Effect::Nothing;
        }
        if !self.limiter.allows(from.address.ip(), now.monotonic) {
            self.tally.over_rate += 1;
            return Effect::Nothing;
        }
        let fixed = |answer| Outgoing {
            reply: Reply::Fixed(answer),
            copy: false,
        };
        let at_once = |answer| Effect::Answer(fixed(answer));
        match Request::decode(datagram) {
            Err(error) => at_once(Answer::Refused(error.code())),
            Ok(Request::Calibrate(_)) => at_once(Answer::Calibrated),
            Ok(Request::Exit) if self.allow_exit.honours(from.address.ip()) => {
                Effect::AnswerAndStop(fixed(Answer::Stopping))
            }
            Ok(Request::Exit) => at_once(Answer::PacketAcknowledged),
            Ok(Request::Message(_)) => {
                let reply = Reply::Fixed(Answer::PacketAcknowledged);
                self.impair(from, reply, now.monotonic)
            }
            Ok(Request::Probe(probe)) => {
                let standing = self.runs.record(from.address, probe, now.monotonic);
                let reply = Reply::ToProbe {
                    probe,
                    standing,
                    received: now,
                };
                self.impair(from, reply, now.monotonic)
            }
        }
    }

    fn next_due(&self) -> Option<Duration> {
        if !self.following.is_empty() {
            return Some(Duration::ZERO);
        }
        let queues = [self.waiting.next_due(), self.held.next_due()];
        queues.into_iter().flatten().min()
    }

    fn take_due(&mut self, now: Duration) -> Option<(Peer, Outgoing)> {
        if let Some(next) = self.following.pop_front() {
            return Some(next);
        }
        if let Some((to, departure)) = self.held.take_due(now) {
            return Some((to, self.send(departure)));
        }
        while let Some(departure) = self.waiting.take_due(now) {
            if let Some(answer) = self.depart(departure, now) {
                return Some((departure.to, answer));
            }
        }
        None
    }

    fn write(&mut self, answer: &Outgoing, now: Duration, buffer: &mut [u8]) -> usize {
        // The loop's buffer holds any datagram.
        let answer = answer.reply.at(now);
        answer.encode_into(buffer).unwrap_or_default()
    }

    fn sent(&mut self, answer: &Outgoing, result: &io::Result<usize>) {
        match (answer.copy, result) {
            (false, Ok(_)) => self.tally.answered += 1,
            (false, Err(_)) => self.tally.send_failed += 1,
            (true, Ok(_)) => self.tally.duplicated += 1,
            // Its datagram is counted by the first copy.
            (true, Err(_)) => {}
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
