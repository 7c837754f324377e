//! What the ping service decides, without sockets or clocks.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use clap::ValueEnum;
use hii_protocol::ping::{Answer, Probe, Report, Request};
use hii_transport::clock::Now;
use hii_transport::datagrams::{Effect, Peer, Service};

use super::departures::{Departure, Departures, Outgoing};
use super::impairment::{Dice, Fate, Impairments};
use super::metrics::{Seat, Snapshot};
use super::runs::{Runs, Standing};
use super::tally::Tally;
use crate::args::Rate;
use crate::logs::Shown;
use crate::quiet::Quiet;
use crate::rate::RateLimiter;

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
    departures: Departures,
    tally: Tally,
    seat: Option<Seat>,
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
            departures: Departures::new(),
            tally: Tally::default(),
            seat: None,
        }
    }

    /// The same, telling there how it stands; none is nowhere.
    #[must_use]
    pub fn with_metrics(self, seat: Option<Seat>) -> Self {
        Self { seat, ..self }
    }

    /// What the service did so far; answers that still wait are counted as abandoned.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            abandoned: self.departures.len() as u64,
            reordered: self.departures.reordered(),
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
            return match self.departures.leave(departure, now) {
                Some(answer) => Effect::Answer(answer),
                None => Effect::Nothing,
            };
        }
        if !self.departures.wait(departure, now + delay) {
            self.tally.queue_full += 1;
        }
        Effect::Nothing
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
        let fixed = |answer| Outgoing {
            reply: Reply::Fixed(answer),
            copy: false,
        };
        let at_once = |answer| Effect::Answer(fixed(answer));
        match (request, standing) {
            (Err(error), _) => at_once(Answer::Refused(error.code())),
            (Ok(Request::Calibrate(_)), _) => at_once(Answer::Calibrated),
            (Ok(Request::Exit), _) if self.allow_exit.honours(from.address.ip()) => {
                Effect::AnswerAndStop(fixed(Answer::Stopping))
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
        self.departures.next_due()
    }

    fn take_due(&mut self, now: Duration) -> Option<(Peer, Outgoing)> {
        self.departures.take_due(now)
    }

    fn write(&mut self, answer: &Outgoing, now: Duration, buffer: &mut [u8]) -> usize {
        // The loop's buffer holds any datagram.
        let answer = answer.reply.at(now);
        answer.encode_into(buffer).unwrap_or_default()
    }

    fn sent(&mut self, answer: &Outgoing, result: &io::Result<()>) {
        match (answer.copy, result) {
            (false, Ok(())) => self.tally.answered += 1,
            (false, Err(_)) => self.tally.send_failed += 1,
            (true, Ok(())) => self.tally.duplicated += 1,
            // Its datagram is counted by the first copy.
            (true, Err(_)) => {}
        }
    }

    fn round_done(&mut self) {
        if let Some(seat) = &self.seat {
            seat.publish(Snapshot {
                tally: self.tally(),
                runs: self.runs.len() as u64,
            });
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
