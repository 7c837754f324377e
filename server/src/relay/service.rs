//! The relay as a service for datagrams and connections: its rules' decisions as what is sent.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use hii_protocol::Endpoint;
use hii_protocol::relay::{Answer, Forward};
use hii_transport::clock::Now;
use hii_transport::datagrams::{Effect, Peer, Receipt, Sender, Service};
use hii_transport::packet_info::PacketInfo;
use hii_transport::traffic::Traffic;

use super::burst::Train;
use super::connection::Connection;
use super::frame_log;
use super::heads::{self, Heads};
use super::mailbox::Mailboxes;
use super::metrics::Seat;
use super::peers::{self, Way};
use super::rules::{Decision, Delivery, Rules, Source};
use super::tally::Tally;
use crate::admission::Refusal;
use crate::policy::fair_share::Holder;
use crate::policy::origin::{Origin, SourceRefusal, Transport};
use crate::policy::source_validation::SourceValidator;
use crate::streams::{End, Held, StreamService};
use crate::threads::Tallied;

/// What the loop sends for the relay.
#[derive(Debug, Clone)]
pub enum Outgoing {
    /// An answer to a sender.
    Reply(Answer<'static>),
    /// The beginning of a message on its way, before the payload, which stays where it came.
    Forward {
        /// Who sent it, and is told what became of it.
        sender: Peer,
        /// Whether the payload is raw.
        is_raw: bool,
    },
}

/// What becomes of a connection's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No answer.
    Silence,
    /// This answer.
    Answer(Answer<'static>),
    /// The relay stops.
    Stop,
}

/// The relay on one thread.
pub struct RelayService {
    sources: SourceValidator,
    rules: Rules,
    mailboxes: Mailboxes,
    /// How messages of connections go to peers that have none.
    sender: Option<Sender>,
    heads: Heads,
    now: Duration,
    seat: Option<Seat>,
    held: Held,
    /// What the loop moved, and what went out beside it.
    traffic: Traffic,
    beside: Traffic,
}

impl RelayService {
    /// A relay with these rules, whose connections have these mailboxes.
    #[must_use]
    pub fn new(rules: Rules, mailboxes: Mailboxes) -> Self {
        Self {
            sources: SourceValidator::new(rules.local()),
            rules,
            mailboxes,
            sender: None,
            heads: Heads::default(),
            now: Duration::ZERO,
            seat: None,
            held: Held::default(),
            traffic: Traffic::default(),
            beside: Traffic::default(),
        }
    }

    /// The same, sending the messages of its connections so.
    #[must_use]
    pub fn with_sender(self, sender: Sender) -> Self {
        let sender = Some(sender);
        Self { sender, ..self }
    }

    /// The same, telling there how it stands; none is nowhere.
    #[must_use]
    pub fn with_metrics(self, seat: Option<Seat>) -> Self {
        Self { seat, ..self }
    }

    /// Decides about a frame of a connection.
    pub fn handle_frame(&mut self, frame: &[u8], from: Source, now: Duration) -> Verdict {
        self.rules.tally_mut().tcp.frames += 1;
        self.rules.charge_frame(&from, now);
        let train = self.rules.train(from, now);
        let decision = self.rules.decide(frame, &train);
        frame_log::decided(frame, from.address(), &decision, now);
        let decision = match decision {
            Decision::Forward { to, way, forward } => {
                let delivery = match way {
                    Some(peer) if peer.is_connected() => {
                        self.leave(peer, &Answer::Forward(forward))
                    }
                    _ => self.send(to, way, forward),
                };
                self.rules.forwarded(delivery)
            }
            Decision::Silence => Decision::Silence,
            Decision::Reply(answer) => Decision::Reply(answer),
            Decision::Stop => {
                tell_stop(from.address());
                Decision::Stop
            }
        };
        verdict(&decision)
    }

    /// Decides about a frame of a connection that is none.
    pub fn handle_malformed(&mut self, from: Source, now: Duration) -> Verdict {
        self.rules.tally_mut().tcp.frames += 1;
        self.rules.charge_frame(&from, now);
        verdict(&self.rules.malformed(from, now))
    }

    /// Holds a connection whose source is over its rates, and returns until when; `None` if it may be read now.
    pub(super) fn hold(&mut self, from: &Source, now: Duration) -> Option<Duration> {
        let wait = self.rules.stream_wait(from, now);
        let until = (!wait.is_zero()).then(|| self.held.hold(wait, now));
        self.rules.tally_mut().tcp.held = self.held.times();
        until
    }

    /// A connection is not held any more.
    pub(super) fn release(&mut self) {
        self.held.release();
    }

    /// A connection has ended, so many answers and messages to it with it.
    pub fn disconnected(&mut self, from: Source, end: Option<End>, answers: u64, forwards: u64) {
        self.mailboxes.remove(from.way.socket);
        self.rules.disconnected(from);
        let tally = self.rules.tally_mut();
        tally.answer_failed += answers;
        tally.abandoned += forwards;
        tally.tcp.ended += 1;
        match end {
            Some(End::Idle) => tally.tcp.idle += 1,
            Some(End::Unread) => tally.tcp.unread += 1,
            Some(End::Displaced) => tally.tcp.displaced += 1,
            Some(End::Done | End::Stops) | None => {}
        }
    }

    /// Leaves a message with a peer's connection, whatever thread has that.
    fn leave(&mut self, peer: peers::Peer, message: &Answer<'_>) -> Delivery {
        let delivery = self.mailboxes.put(peer.way.socket, message);
        self.rules.tally_mut().tcp.forwarded += u64::from(delivery == Delivery::Sent);
        delivery
    }

    /// Leaves a datagram's message with a peer's connection, and tells its sender.
    #[inline(never)]
    fn leave_and_tell(&mut self, peer: peers::Peer, forward: Forward<'_>) -> Effect<Outgoing> {
        let delivery = self.leave(peer, &Answer::Forward(forward));
        match self.rules.forwarded(delivery) {
            Decision::Reply(answer) => Effect::Answer(Outgoing::Reply(answer)),
            _ => Effect::Nothing,
        }
    }

    /// Sends a connection's message to a peer that has none.
    fn send(&mut self, to: Endpoint, way: Option<peers::Peer>, forward: Forward<'_>) -> Delivery {
        let address = SocketAddr::from(to);
        let peer = way.map_or_else(
            || {
                let sender = self.sender.as_ref();
                let socket = sender.and_then(|sender| sender.socket_for(address));
                Peer {
                    address,
                    socket: socket.unwrap_or(usize::MAX),
                    asked: None,
                }
            },
            |peer| peer_at(address, peer.way),
        );
        let frame = Answer::Forward(forward).to_vec();
        let sent = self.sender.as_ref().map(|by| by.send(peer, &frame));
        match sent {
            Some(Ok(())) => {
                self.beside.sent.count(1, address);
                self.beside.sent.called(1);
                Delivery::Sent
            }
            Some(Err(_)) | None => Delivery::Failed,
        }
    }

    /// What the loop does for a decision.
    fn effect(
        &mut self,
        decision: Decision<'_>,
        datagram: &[u8],
        train: &Train,
    ) -> Effect<Outgoing> {
        let from = train.from.address();
        match decision {
            Decision::Silence => Effect::Nothing,
            Decision::Stop => {
                tell_stop(from);
                Effect::Stop
            }
            Decision::Reply(answer) => Effect::Answer(Outgoing::Reply(answer)),
            Decision::Forward {
                way: Some(peer),
                forward,
                ..
            } if peer.is_connected() => self.leave_and_tell(peer, forward),
            Decision::Forward { to, way, forward } => {
                // Somebody who never greeted is reached by the socket that the message came to, from whatever address
                // the route gives.
                let unknown = Way {
                    asked: None,
                    ..train.from.way
                };
                let peer = peer_at(to.into(), way.map_or(unknown, |peer| peer.way));
                let sender = peer_at(from, train.from.way);
                let (is_raw, payload) = heads::parts(forward.payload());
                match heads::place(payload, datagram) {
                    Some(place) => {
                        Effect::Forward(peer, Outgoing::Forward { sender, is_raw }, place)
                    }
                    // A payload is always part of its datagram.
                    None => Effect::Nothing,
                }
            }
        }
    }

    fn publish(&mut self) {
        if let Some(seat) = &self.seat {
            let mut traffic = self.traffic;
            traffic += self.beside;
            seat.publish(self.rules.tally(), traffic);
        }
    }
}

fn tell_stop(from: SocketAddr) {
    tracing::info!(reason = "exit server", %from, "stopping");
}

fn verdict(decision: &Decision<'_>) -> Verdict {
    match decision {
        Decision::Reply(answer) => Verdict::Answer(*answer),
        Decision::Stop => Verdict::Stop,
        Decision::Silence | Decision::Forward { .. } => Verdict::Silence,
    }
}

impl Service for RelayService {
    type Answer = Outgoing;
    type Train = Result<Train, SourceRefusal>;

    fn train(&mut self, from: &PacketInfo, now: Now) -> Self::Train {
        self.now = now.monotonic;
        let origin = self.sources.validate(from, Transport::Udp, self.now)?;
        Ok(self.rules.train(source(origin), self.now))
    }

    #[inline]
    fn alike(&mut self, datagram: &[u8], train: &Self::Train) -> Option<Range<usize>> {
        let train = train.as_ref().ok()?;
        let payload = self.rules.alike(datagram, train)?;
        frame_log::alike(datagram, train.from.address(), train.now);
        let (_, octets) = heads::parts(payload);
        let place = heads::place(octets, datagram);
        debug_assert!(place.is_some(), "a payload is part of its datagram");
        place
    }

    fn handle(&mut self, datagram: &[u8], train: &Self::Train) -> Effect<Outgoing> {
        let train = match train {
            Ok(train) => train,
            Err(reason) => {
                self.rules.refuse_source(*reason);
                return Effect::Nothing;
            }
        };
        let decision = self.rules.decide(datagram, train);
        frame_log::decided(datagram, train.from.address(), &decision, train.now);
        self.effect(decision, datagram, train)
    }

    fn next_due(&self) -> Option<Duration> {
        None
    }

    fn take_due(&mut self, _: Duration) -> Option<(Peer, Outgoing)> {
        None
    }

    #[inline]
    fn write(&mut self, outgoing: &Outgoing, _: Duration, buffer: &mut [u8]) -> usize {
        match outgoing {
            Outgoing::Reply(answer) => answer.encode_into(buffer).unwrap_or_default(),
            Outgoing::Forward { sender, is_raw } => {
                self.heads.write(sender.address, *is_raw, buffer)
            }
        }
    }

    fn sent(
        &mut self,
        outgoing: &Outgoing,
        result: &io::Result<()>,
        times: usize,
    ) -> Option<Receipt<Outgoing>> {
        let Outgoing::Forward { sender, .. } = outgoing else {
            if result.is_err() {
                self.rules.answers_failed(times);
            }
            return None;
        };
        let to = *sender;
        let reply = |answer, times| Receipt {
            to,
            answer: Outgoing::Reply(answer),
            times,
        };
        if result.is_ok() {
            return Some(reply(self.rules.passed_on(times), times));
        }
        let failed = (0..times).map(|_| self.rules.forwarded(Delivery::Failed));
        match failed.last() {
            Some(Decision::Reply(answer)) => Some(reply(answer, times)),
            _ => None,
        }
    }

    fn round_done(&mut self, traffic: &Traffic) {
        self.rules.round_done();
        if self.seat.is_some() {
            self.traffic = *traffic;
            self.publish();
        }
    }
}

impl StreamService for RelayService {
    type Conversation = Connection;

    fn connect(&mut self, from: Origin, idle: Duration, now: Duration) -> Connection {
        self.rules.tally_mut().tcp.connections += 1;
        let (number, mailbox) = self.mailboxes.open();
        let source = Source {
            origin: from,
            way: Way {
                socket: number,
                asked: None,
            },
            is_connected: true,
        };
        Connection::new(source, mailbox, idle, now)
    }

    fn admit(&mut self, from: &PacketInfo, now: Duration) -> Option<Origin> {
        match self.sources.validate(from, Transport::Tcp, now) {
            Ok(origin) => self.rules.admits(&origin).then_some(origin),
            Err(reason) => {
                let counts = &mut self.rules.tally_mut().tcp;
                counts.refused_sources.add(reason);
                None
            }
        }
    }

    fn holder(&self, origin: &Origin) -> Holder {
        self.rules.holder(origin)
    }

    fn refused(&mut self, refusal: Refusal) {
        let counts = &mut self.rules.tally_mut().tcp;
        match refusal {
            Refusal::All => counts.refused += 1,
            Refusal::Source => counts.over_source += 1,
        }
    }

    fn stream_round_done(&mut self) {
        self.rules.round_done();
        self.publish();
    }
}

impl Tallied for RelayService {
    type Tally = Tally;

    fn tally(&self) -> Tally {
        self.rules.tally()
    }
}

fn source(origin: Origin) -> Source {
    let from = origin.reply_to();
    Source {
        origin,
        way: Way {
            socket: u32::try_from(from.socket).unwrap_or(u32::MAX),
            asked: from.asked,
        },
        is_connected: false,
    }
}

/// Whoever is there and reached so: by the socket and from the address that it greeted, since what is between may let
/// nothing else through.
fn peer_at(address: SocketAddr, way: Way) -> Peer {
    Peer {
        address,
        socket: usize::try_from(way.socket).unwrap_or(usize::MAX),
        asked: way.asked,
    }
}
