//! What the ping service decides, without sockets or clocks.

use std::io;
use std::time::Duration;

use hii_protocol::ParseError;
use hii_protocol::ping::{Answer, Probe, Report, Request};
use hii_transport::clock::Now;
use hii_transport::datagrams::{Effect, Peer, Receipt, Service};
use hii_transport::packet_info::PacketInfo;
use hii_transport::traffic::Traffic;

use super::budgets::{Budgets, Kind, Limits};
use super::connection::Connection;
use super::departures::{Departure, Departures, Outgoing};
use super::impairment::{Dice, Fate, Impairments};
use super::metrics::{Seat, Snapshot};
use super::runs::{Runs, Standing};
use super::tally::{Connections, Tally};
use super::total_octets::SharedTotal;
use crate::admission::Refusal;
use crate::allow_exit::AllowExit;
use crate::logs::Shown;
use crate::policy::local_addrs::LocalAddrs;
use crate::policy::origin::{Origin, SourceRefusal, Transport};
use crate::policy::source_validation::SourceValidator;
use crate::quiet::Quiet;
use crate::streams::{Held, StreamService};
use crate::threads::Tallied;

/// How long all probes of a remembered run are over a limit before it is sent a notice.
const NOTICE_AFTER: Duration = Duration::from_secs(1);

/// How a ping service behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// Loss, delay, duplication and reordering on purpose.
    pub impairments: Impairments,
    /// What they are drawn from.
    pub seed: u64,
    /// Whose `exit` stops the server.
    pub allow_exit: AllowExit,
    /// What each source is answered.
    pub limits: Limits,
    /// What all sources together are answered.
    pub total: SharedTotal,
}

/// The ping service.
#[derive(Debug)]
pub struct PingService {
    sources: SourceValidator,
    quiet: Quiet,
    budgets: Budgets,
    allow_exit: AllowExit,
    dice: Dice,
    runs: Runs,
    stream_runs: Runs,
    departures: Departures,
    /// Answers that wait in TCP connections, for their time or for room.
    in_connections: u64,
    /// What the datagrams came to.
    tally: Tally,
    /// What the messages over TCP came to.
    streams: Tally,
    seat: Option<Seat>,
    stream_seat: Option<Seat>,
    held: Held,
}

/// Datagrams of one source that came in a row.
#[derive(Debug, Clone, Copy)]
pub struct Train {
    pub(super) origin: Result<Origin, SourceRefusal>,
    pub(super) now: Now,
}

/// What becomes of one message of a TCP connection.
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
    /// A service that behaves so, at these addresses.
    #[must_use]
    pub fn new(config: &Config, local: LocalAddrs) -> Self {
        Self {
            sources: SourceValidator::new(local.clone()),
            quiet: Quiet::new(local),
            budgets: Budgets::new(&config.limits, config.total.clone()),
            allow_exit: config.allow_exit,
            dice: Dice::new(config.impairments, config.seed),
            runs: Runs::new(),
            stream_runs: Runs::new(),
            departures: Departures::new(),
            in_connections: 0,
            tally: Tally::default(),
            streams: Tally::default(),
            seat: None,
            stream_seat: None,
            held: Held::default(),
        }
    }

    /// The same, telling there how it stands; none is nowhere.
    #[must_use]
    pub fn with_metrics(self, seat: Option<Seat>) -> Self {
        Self { seat, ..self }
    }

    /// The same, telling there how it stands with TCP.
    #[must_use]
    pub fn with_stream_metrics(self, stream_seat: Option<Seat>) -> Self {
        Self {
            stream_seat,
            ..self
        }
    }

    /// What the service did so far; answers that still wait are counted as abandoned.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut sum = self.datagrams();
        sum += self.streams();
        sum
    }

    /// Whether no connection is held.
    #[cfg(test)]
    pub(super) fn holds_none(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether there is no run that it remembers.
    #[cfg(test)]
    pub(super) fn remembers_nothing(&self) -> bool {
        self.runs.is_empty()
    }

    fn datagrams(&self) -> Tally {
        Tally {
            abandoned: self.departures.len() as u64,
            reordered: self.departures.reordered(),
            ..self.tally
        }
    }

    fn streams(&self) -> Tally {
        Tally {
            abandoned: self.streams.abandoned + self.in_connections,
            tcp: Connections {
                held: self.held.times(),
                ..self.streams.tcp
            },
            ..self.streams
        }
    }

    /// Decides about a frame of a TCP connection, or what is wrong with it. `was_held`: before it, nothing was read because of
    /// a limit. The caller reports later what became of the answer:
    /// [`answered_on_stream`](Self::answered_on_stream) or [`abandoned_on_stream`](Self::abandoned_on_stream).
    pub fn handle_frame(
        &mut self,
        frame: Result<&[u8], ParseError>,
        from: &Origin,
        was_held: bool,
        now: Now,
    ) -> Decision {
        self.read_from_stream(from, now);
        let request = frame.and_then(Request::decode);
        let standing = match &request {
            Ok(Request::Probe(probe)) => {
                let runs = &mut self.stream_runs;
                Some(runs.record_on_stream(from, *probe, was_held, now.monotonic))
            }
            _ => None,
        };
        let decision = match response(&request, standing, now) {
            Response::AtOnce(answer) => Decision::Answer(Reply::Fixed(answer)),
            Response::Exit => Decision::Exit,
            // A stream has one order and no copies: the rest of the fate means nothing there.
            Response::Impaired(reply) => match self.dice.roll() {
                Fate::Lost => {
                    self.streams.dropped += 1;
                    Decision::Silence
                }
                Fate::Answered { delay, .. } => Decision::after(delay, reply, now.monotonic),
            },
        };
        if let Decision::Answer(reply) | Decision::Later(_, reply) = &decision {
            let octets = reply.encoded_len();
            self.budgets
                .charge_stream_octets(from, octets, now.monotonic);
        }
        self.in_connections += u64::from(decision != Decision::Silence);
        decision
    }

    /// Decides about a message of a classic TCP connection. Its answer may be delayed on purpose, but is not dropped:
    /// the originals send nothing more until it has come.
    pub fn handle_classic(&mut self, from: &Origin, now: Now) -> Decision {
        self.read_from_stream(from, now);
        self.streams.tcp.classic_messages += 1;
        self.in_connections += 1;
        let reply = Reply::Fixed(Answer::Acknowledgement);
        self.budgets
            .charge_stream_octets(from, reply.encoded_len(), now.monotonic);
        Decision::after(self.dice.roll_delay(), reply, now.monotonic)
    }

    fn read_from_stream(&mut self, from: &Origin, now: Now) {
        self.streams.received += 1;
        self.streams.tcp.messages += 1;
        self.budgets.charge_stream(from, now.monotonic);
    }

    /// Holds a connection whose source is over its limits, and returns until when; `None` if it may be read now.
    pub(super) fn hold(&mut self, from: &Origin, now: Duration) -> Option<Duration> {
        let wait = self.budgets.stream_wait(from, now);
        (!wait.is_zero()).then(|| self.held.hold(wait, now))
    }

    /// A connection is not held any more.
    pub(super) fn release(&mut self) {
        self.held.release();
    }

    /// Answers have been handed to the network by a TCP connection.
    pub fn answered_on_stream(&mut self, answers: u64) {
        self.in_connections = self.in_connections.saturating_sub(answers);
        self.streams.answered += answers;
    }

    /// A TCP connection has ended with answers still waiting.
    pub fn abandoned_on_stream(&mut self, answers: u64) {
        self.in_connections = self.in_connections.saturating_sub(answers);
        self.streams.abandoned += answers;
    }

    /// The counts of TCP connections.
    pub fn connections(&mut self) -> &mut Connections {
        &mut self.streams.tcp
    }

    /// Loses, delays, doubles or reorders an answer as it was asked to.
    fn impair(&mut self, to: Peer, reply: Reply, now: Duration) -> Effect<Outgoing> {
        if self.dice.is_unimpaired() {
            return Effect::Answer(Outgoing { reply, copy: false });
        }
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
        if self.departures.wait(departure, now + delay) {
            self.tally.queue_full += 1;
        }
        Effect::Nothing
    }

    /// Decides about a probe that came in a datagram. Its run is remembered from the first probe that is within the limits;
    /// from then on all of its probes are recorded, so that a client can tell those over a limit from lost ones.
    fn probe(&mut self, probe: Probe, from: &Origin, now: Now) -> Effect<Outgoing> {
        let at = now.monotonic;
        let octets = probe.size().get();
        let Err(over) = self.budgets.take(Kind::Probe, from, octets, at) else {
            let reply = Reply::ToProbe {
                probe,
                standing: self.runs.record(from, probe, at),
                received: now,
            };
            return self.impair(from.reply_to(), reply, at);
        };
        tracing::trace!(?over, "unanswered");
        self.tally.count_over(over);
        let known = self.runs.record_limited(from, probe, at);
        // The original of a duplicate may have been answered.
        let is_answered = known.is_some_and(|(standing, within_limits_at)| {
            !standing.is_first || at.saturating_sub(within_limits_at) < NOTICE_AFTER
        });
        if is_answered || !self.budgets.take_notice(from, at) {
            return Effect::Nothing;
        }
        let count = known.map(|(standing, _)| standing.count);
        let limited = known.map_or(0, |(standing, _)| standing.limited);
        let notice = probe.limited_notice(count, limited);
        Effect::Answer(at_once(Answer::LimitedNotice(notice)))
    }
}

impl StreamService for PingService {
    type Conversation = Connection;

    fn admit(&mut self, from: &PacketInfo, now: Duration) -> Option<Origin> {
        let validated = self.sources.validate(from, Transport::Tcp, now);
        validated
            .inspect_err(|reason| self.connections().refused_sources.add(*reason))
            .ok()
    }

    fn connect(&mut self, from: Origin, idle: Duration, now: Duration) -> Connection {
        self.connections().connections += 1;
        Connection::new(from, idle, now)
    }

    fn refused(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::All => self.connections().refused += 1,
            Refusal::Source => self.connections().over_source += 1,
        }
    }

    fn stream_round_done(&mut self) {
        if let Some(seat) = &self.stream_seat {
            seat.publish(Snapshot {
                tally: self.streams(),
                waiting: self.in_connections,
                runs: self.stream_runs.len() as u64,
                traffic: Traffic::default(),
            });
        }
    }
}

impl Tallied for PingService {
    type Tally = Tally;

    fn tally(&self) -> Tally {
        PingService::tally(self)
    }
}

impl Service for PingService {
    type Answer = Outgoing;
    type Train = Train;

    /// A probe's answer tells how long it was held.
    const TELLS_TIME: bool = true;

    fn train(&mut self, from: &PacketInfo, now: Now) -> Train {
        let origin = self.sources.validate(from, Transport::Udp, now.monotonic);
        Train { origin, now }
    }

    fn handle(&mut self, datagram: &[u8], train: &Train) -> Effect<Outgoing> {
        self.tally.received += 1;
        let Train { origin, now } = train;
        let from = match origin {
            Ok(origin) => origin,
            Err(reason) => {
                self.tally.refused_sources.add(*reason);
                tracing::trace!(?reason, "unanswered");
                return Effect::Nothing;
            }
        };
        tracing::trace!(from = %from.address(), datagram = %Shown(datagram), "received");
        if self.quiet.applies(datagram, from) {
            tracing::trace!(reason = "never answered", "unanswered");
            self.tally.ignored += 1;
            return Effect::Nothing;
        }
        let request = Request::decode(datagram);
        if let Ok(Request::Probe(probe)) = request {
            return self.probe(probe, from, *now);
        }
        let kind = Kind::of(&request);
        let response = response(&request, None, *now);
        let octets = response.encoded_len();
        // A message that no original sends gets no answer longer than itself: its source may be forged.
        if kind == Kind::Text && !from.is_loopback() && octets > datagram.len() {
            tracing::trace!(reason = "shorter than its answer", "unanswered");
            self.tally.too_short += 1;
            return Effect::Nothing;
        }
        if let Err(over) = self.budgets.take(kind, from, octets, now.monotonic) {
            tracing::trace!(?over, "unanswered");
            self.tally.count_over(over);
            return Effect::Nothing;
        }
        match response {
            Response::AtOnce(answer) => Effect::Answer(at_once(answer)),
            Response::Exit if self.allow_exit.honours(from) => {
                tracing::info!(reason = "exit", from = %from.address(), "stopping");
                Effect::AnswerAndStop(at_once(Answer::Stopping))
            }
            Response::Exit => Effect::Answer(at_once(Answer::PacketAcknowledged)),
            Response::Impaired(reply) => self.impair(from.reply_to(), reply, now.monotonic),
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

    fn sent(
        &mut self,
        answer: &Outgoing,
        result: &io::Result<()>,
        times: usize,
    ) -> Option<Receipt<Outgoing>> {
        let times = times as u64;
        if let Reply::Fixed(Answer::LimitedNotice(_)) = answer.reply {
            // Its datagram is counted as over a limit.
            self.tally.notices += if result.is_ok() { times } else { 0 };
            return None;
        }
        match (answer.copy, result) {
            (false, Ok(())) => self.tally.answered += times,
            (false, Err(_)) => self.tally.send_failed += times,
            (true, Ok(())) => self.tally.duplicated += times,
            // Its datagram is counted by the first copy.
            (true, Err(_)) => {}
        }
        None
    }

    fn round_done(&mut self, traffic: &Traffic) {
        if let Some(seat) = &self.seat {
            seat.publish(Snapshot {
                tally: self.datagrams(),
                waiting: self.departures.len() as u64,
                runs: self.runs.len() as u64,
                traffic: *traffic,
            });
        }
    }
}

/// What a message calls for, before anything is faked.
enum Response {
    AtOnce(Answer),
    /// An answer that may be lost or delayed on purpose.
    Impaired(Reply),
    Exit,
}

/// What a message calls for, whatever carried it. `standing`: how the run of a probe stands.
fn response(
    request: &Result<Request<'_>, ParseError>,
    standing: Option<Standing>,
    now: Now,
) -> Response {
    match (request, standing) {
        (Err(error), _) => Response::AtOnce(Answer::Refused(error.code())),
        (Ok(Request::Calibrate(_)), _) => Response::AtOnce(Answer::Calibrated),
        (Ok(Request::Exit), _) => Response::Exit,
        (Ok(Request::Probe(probe)), Some(standing)) => Response::Impaired(Reply::ToProbe {
            probe: *probe,
            standing,
            received: now,
        }),
        (Ok(Request::Message(_) | Request::Probe(_)), _) => {
            Response::Impaired(Reply::Fixed(Answer::PacketAcknowledged))
        }
    }
}

impl Response {
    /// Octets of the longest answer that it may become.
    fn encoded_len(&self) -> usize {
        match self {
            Self::AtOnce(answer) => answer.encoded_len(),
            Self::Impaired(reply) => reply.encoded_len(),
            Self::Exit => Answer::Stopping.encoded_len(),
        }
    }
}

fn at_once(answer: Answer) -> Outgoing {
    Outgoing {
        reply: Reply::Fixed(answer),
        copy: false,
    }
}

impl Decision {
    fn after(delay: Duration, reply: Reply, now: Duration) -> Self {
        match delay {
            Duration::ZERO => Self::Answer(reply),
            delay => Self::Later(now + delay, reply),
        }
    }
}

impl Reply {
    /// To an `exit` that is honoured.
    pub const STOPPING: Self = Self::Fixed(Answer::Stopping);

    /// Octets of the answer.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Fixed(answer) => answer.encoded_len(),
            // Exactly as long as the probe.
            Self::ToProbe { probe, .. } => probe.size().get(),
        }
    }

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
                        limited: standing.limited,
                    })
                }
            }),
        }
    }
}
