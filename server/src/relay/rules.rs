//! What a relay decides about a frame: pure, but for the peers and the counts that it shares with the other threads.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hii_protocol::relay::{Answer, Forward, Message, Payload, Prefix, Request, Token};
use hii_protocol::{Code, Endpoint};

use super::access::Access;
use super::burst::{Burst, Train};
use super::peers::{Peer, Peers, Registration, Standing, Way};
use super::reach::Reach;
use super::tally::Tally;
use super::tokens::{Key, Tokens};
use crate::allow_exit::AllowExit;
use crate::args::Rate;
use crate::policy::local_addrs::LocalAddrs;
use crate::policy::origin::{Origin, SourceRefusal};
use crate::quiet::Quiet;
use crate::rate::RateLimiter;

/// How a relay behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who may be a peer, and who may not be reached.
    pub access: Access,
    /// Messages a second that one peer may send.
    pub rate: Rate,
    /// Answers a second that one source gets to greetings and errors.
    pub error_rate: Rate,
    /// Whose `exit server` stops the relay.
    pub allow_exit: AllowExit,
    /// Peers at most.
    pub peers: u32,
}

/// Where a frame came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Who sent it.
    pub origin: Origin,
    /// How it is answered.
    pub way: Way,
    /// Whether it came over a connection: then its address is no forgery.
    pub is_connected: bool,
}

impl Source {
    /// The sender's address; never an IPv4-mapped one.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.origin.address()
    }
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision<'a> {
    /// No answer.
    Silence,
    /// This answer to the sender.
    Reply(Answer<'static>),
    /// This message to a peer; its result decides the answer to the sender: [`Rules::forwarded`].
    Forward {
        /// Where to.
        to: Endpoint,
        /// How that is reached; none is a stranger, to whom an open relay sends all the same.
        way: Option<Peer>,
        /// The message.
        forward: Forward<'a>,
    },
    /// The relay stops.
    Stop,
}

/// What became of a message that was to be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It is on its way.
    Sent,
    /// The network would not take it, or the connection has ended.
    Failed,
    /// The receiver's connection has as much waiting as it may.
    Full,
}

/// The peers, the tokens and the budgets, which all threads of a relay share.
pub struct Shared {
    peers: Mutex<Peers>,
    tokens: Mutex<Tokens<Box<dyn FnMut() -> Key + Send>>>,
    errors: Mutex<RateLimiter>,
    /// Apart from the errors: whoever provokes these in another's name keeps nobody from a token.
    token_requests: Mutex<RateLimiter>,
    /// What an open relay lets those send who are no peers.
    strangers: Mutex<RateLimiter>,
    access: Access,
    allow_exit: AllowExit,
    reach: Reach,
    quiet: Quiet,
    local: LocalAddrs,
}

/// The rules, and one thread's counts.
pub struct Rules {
    shared: Arc<Shared>,
    tally: Tally,
    /// How many trains there were.
    trains: u64,
    /// What the next message most often is part of.
    burst: Option<Burst>,
    /// Whose sender was over its rate: its other messages need no look. A flood comes in large batches.
    over: Option<Train>,
}

impl Shared {
    /// What a relay has that behaves so, at these addresses, and draws keys so.
    pub fn new(config: &Config, local: LocalAddrs, draw: Box<dyn FnMut() -> Key + Send>) -> Self {
        Self {
            peers: Mutex::new(Peers::new(config.peers, config.rate)),
            tokens: Mutex::new(Tokens::new(draw)),
            errors: Mutex::new(RateLimiter::new(config.error_rate)),
            token_requests: Mutex::new(RateLimiter::new(config.error_rate)),
            strangers: Mutex::new(RateLimiter::new(config.rate)),
            access: config.access.clone(),
            allow_exit: config.allow_exit,
            reach: Reach::new(local.clone()),
            quiet: Quiet::new(local.clone()),
            local,
        }
    }

    /// How many peers there are.
    pub fn peers(&self) -> usize {
        lock(&self.peers).len()
    }
}

impl Rules {
    /// The rules of a relay, for one of its threads.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            tally: Tally::default(),
            trains: 0,
            burst: None,
            over: None,
        }
    }

    /// What was decided so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Begins a train from this sender, which is decided about at this moment.
    pub fn train(&mut self, from: Source, now: Duration) -> Train {
        self.trains += 1;
        Train::new(from, now, self.trains)
    }

    /// The payload of a datagram that goes where the last datagram's message went and begins as that did; else
    /// [`decide`](Self::decide) tells what becomes of it.
    #[expect(
        clippy::inline_always,
        reason = "in a burst a call costs as much as the decision"
    )]
    #[inline(always)]
    pub fn alike<'a>(&mut self, frame: &'a [u8], train: &Train) -> Option<Payload<'a>> {
        let payload = self.burst.as_mut()?.take(frame, train)?;
        self.tally.received += 1;
        Some(payload)
    }

    /// Decides about a datagram, or about a frame of a connection.
    pub fn decide<'a>(&mut self, frame: &'a [u8], train: &Train) -> Decision<'a> {
        self.tally.received += 1;
        let from = train.from;
        let is_over = self.over.is_some_and(|over| over.is_like(train));
        if is_over && may_be_message(frame) && !from.is_connected {
            self.tally.over_rate += 1;
            return Decision::Silence;
        }
        if self.shared.access.denies(from.origin.ip()) {
            self.tally.denied += 1;
            return Decision::Silence;
        }
        // Over a connection nobody is made to answer anybody else.
        let is_quiet = !from.is_connected && self.shared.quiet.applies(frame, &from.origin);
        let sender = Endpoint::try_from(from.address());
        let (Ok(sender), false) = (sender, is_quiet) else {
            self.tally.ignored += 1;
            return Decision::Silence;
        };
        let (request, prefix) = match Prefix::decode(frame) {
            Ok(decoded) => decoded,
            Err(error) => return self.refuse(error.code(), sender, train.now),
        };
        match request {
            Request::Send(message) => self.send(message, prefix, sender, train),
            Request::Greeting => self.greet(sender, train),
            Request::TokenRequest => self.give_token(sender, train),
            Request::TokenGreeting(token) => self.prove(token, sender, train),
            Request::ExitServer if self.shared.allow_exit.honours(&from.origin) => {
                self.tally.exits += 1;
                Decision::Stop
            }
            Request::ExitServer => self.refuse(Code::NotARequest, sender, train.now),
        }
    }

    /// Decides the answer to a sender whose message was passed on, or could not be.
    #[inline]
    pub fn forwarded(
        &mut self,
        delivery: Delivery,
        sender: SocketAddr,
        now: Duration,
    ) -> Decision<'static> {
        match delivery {
            Delivery::Sent => return Decision::Reply(self.passed_on(1)),
            Delivery::Failed => self.tally.send_failed += 1,
            Delivery::Full => self.tally.queue_full += 1,
        }
        let Ok(sender) = Endpoint::try_from(sender) else {
            return Decision::Silence;
        };
        self.refuse(Code::Undeliverable, sender, now)
    }

    /// Learns that so many messages were passed on, which is told to their sender.
    pub fn passed_on(&mut self, messages: usize) -> Answer<'static> {
        self.tally.forwarded += messages as u64;
        Answer::Sent
    }

    /// Learns that the network would not take so many answers.
    pub fn answers_failed(&mut self, answers: usize) {
        self.tally.answer_failed += answers as u64;
    }

    /// A frame of a connection that is malformed, or too long.
    pub fn malformed(&mut self, from: Source, now: Duration) -> Decision<'static> {
        self.tally.received += 1;
        match Endpoint::try_from(from.address()) {
            Ok(sender) if !self.shared.access.denies(sender.ip()) => {
                self.refuse(Code::NotARequest, sender, now)
            }
            _ => {
                self.tally.denied += 1;
                Decision::Silence
            }
        }
    }

    /// A datagram whose source is not believed.
    pub fn refuse_source(&mut self, reason: SourceRefusal) {
        self.tally.received += 1;
        self.tally.refused_sources.add(reason);
    }

    /// This host's addresses.
    #[must_use]
    pub fn local(&self) -> LocalAddrs {
        self.shared.local.clone()
    }

    /// How many peers there are, for all threads together.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.shared.peers()
    }

    /// The counts, for what is decided elsewhere.
    pub fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// Whether a connection from there is taken.
    pub fn admits(&mut self, origin: &Origin) -> bool {
        let is_denied = self.shared.access.denies(origin.ip());
        self.tally.tcp.denied += u64::from(is_denied);
        !is_denied
    }

    /// A connection has ended: what greeted by it is no peer any more.
    pub fn disconnected(&mut self, from: Source) {
        if let Ok(endpoint) = Endpoint::try_from(from.address()) {
            self.table().disconnect(endpoint, from.way.socket);
        }
    }

    /// Decides about a message, whose frame begins so.
    fn send<'a>(
        &mut self,
        message: Message<'a>,
        prefix: Option<Prefix>,
        sender: Endpoint,
        train: &Train,
    ) -> Decision<'a> {
        let Train { from, now, .. } = *train;
        let to = message.to();
        let mut peers = self.table();
        let heard = peers.hear(sender, from.is_connected, now);
        let receiver = peers.find(to, now);
        drop(peers);
        let shared = &*self.shared;
        let is_within_rate = match heard {
            Some(heard) => heard.is_within_rate,
            None if shared.access.open => lock(&shared.strangers).allows(sender.ip(), now),
            None => return self.refuse(Code::Undeliverable, sender, now),
        };
        if !is_within_rate {
            self.over = Some(*train);
            self.tally.over_rate += 1;
            return Decision::Silence;
        }
        let is_peer = receiver.is_some()
            || shared.access.open && shared.reach.allows_stranger(to.ip(), sender.ip());
        let is_raw = matches!(message.payload(), Payload::Raw(_));
        let may_go = is_peer
            && (!is_raw || receiver.is_some_and(Peer::takes_raw))
            && !shared.access.denies(to.ip())
            && shared.reach.allows(to.ip(), to.port(), sender.ip()).is_ok();
        let (Ok(forward), true) = (Forward::new(sender, message.payload()), may_go) else {
            return self.refuse(Code::Undeliverable, sender, now);
        };
        let is_connected = from.is_connected || receiver.is_some_and(Peer::is_connected);
        if let (Some(heard), false) = (heard.filter(|_| receiver.is_some()), is_connected) {
            self.burst = prefix.map(|prefix| Burst::new(*train, sender, prefix, heard.left));
        }
        Decision::Forward {
            to,
            way: receiver,
            forward,
        }
    }

    /// The peers, for a look or a change, which ends the burst.
    fn table(&mut self) -> MutexGuard<'_, Peers> {
        let mut peers = lock(&self.shared.peers);
        if let Some((sender, messages, at)) = self.burst.take().and_then(|burst| burst.spent()) {
            peers.hear_more(sender, messages, at);
        }
        peers
    }

    /// Learns that what was there at one moment has been decided: the burst is over.
    pub fn round_done(&mut self) {
        match &self.burst {
            Some(burst) if burst.spent().is_some() => drop(self.table()),
            _ => self.burst = None,
        }
    }

    /// Answers a greeting; from where that is enough, it makes a peer.
    fn greet(&mut self, sender: Endpoint, train: &Train) -> Decision<'static> {
        let standing = if train.from.is_connected {
            Standing::Connected
        } else if self.shared.access.trusts(&train.from.origin) {
            Standing::Greeted
        } else {
            return self.answer_stranger(sender, train.now);
        };
        self.welcome(sender, standing, train)
    }

    fn give_token(&mut self, sender: Endpoint, train: &Train) -> Decision<'static> {
        let Train { from, now, .. } = *train;
        let heard = self.table().hear(sender, from.is_connected, now);
        // A peer that proves itself anew has its own rate first. A connection is no reason for more: it needs no token.
        let is_within = heard.is_some_and(|heard| heard.is_within_rate);
        if !is_within && !lock(&self.shared.token_requests).allows(sender.ip(), now) {
            self.tally.over_error_rate += 1;
            return Decision::Silence;
        }
        self.tally.tokens += 1;
        let token = lock(&self.shared.tokens).issue(sender, now);
        Decision::Reply(Answer::Token(sender, token))
    }

    fn prove(&mut self, token: Token, sender: Endpoint, train: &Train) -> Decision<'static> {
        let now = train.now;
        if !lock(&self.shared.tokens).proves(token, sender, now) {
            return self.refuse(Code::NotARequest, sender, now);
        }
        let standing = if train.from.is_connected {
            Standing::Connected
        } else {
            Standing::Proven
        };
        self.welcome(sender, standing, train)
    }

    /// Makes the sender a peer where there is room, and tells it its address.
    fn welcome(
        &mut self,
        sender: Endpoint,
        standing: Standing,
        train: &Train,
    ) -> Decision<'static> {
        let Train { from, now, .. } = *train;
        let is_trusted = self.shared.access.trusts(&train.from.origin);
        let way = from.way;
        let mut peers = self.table();
        let registration = peers.register(sender, Peer { standing, way }, is_trusted, now);
        let heard = peers.hear(sender, from.is_connected, now);
        drop(peers);
        match registration {
            Registration::New => self.tally.registered += 1,
            Registration::Known => {}
            Registration::Taken => self.tally.taken += 1,
            Registration::NoRoom => self.tally.no_room += 1,
        }
        let Some(heard) = heard else {
            return self.answer_stranger(sender, now);
        };
        if !heard.is_within_rate {
            self.tally.over_rate += 1;
            return Decision::Silence;
        }
        self.tally.addresses += 1;
        Decision::Reply(Answer::Address(sender))
    }

    /// Tells its address to somebody who is no peer.
    fn answer_stranger(&mut self, sender: Endpoint, now: Duration) -> Decision<'static> {
        if !self.is_within_budget(sender, now) {
            return Decision::Silence;
        }
        self.tally.addresses += 1;
        Decision::Reply(Answer::Address(sender))
    }

    fn refuse(&mut self, code: Code, sender: Endpoint, now: Duration) -> Decision<'static> {
        if !self.is_within_budget(sender, now) {
            return Decision::Silence;
        }
        self.tally.refused.add(code);
        Decision::Reply(Answer::Refused(code))
    }

    /// Whether this source may have one more answer to what anyone may send.
    fn is_within_budget(&mut self, sender: Endpoint, now: Duration) -> bool {
        let within = lock(&self.shared.errors).allows(sender.ip(), now);
        self.tally.over_error_rate += u64::from(!within);
        within
    }
}

/// Whether it is no answer, greeting or `exit server`, by its first octet.
fn may_be_message(frame: &[u8]) -> bool {
    matches!(frame.first(), Some(b't' | b'T'))
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each call leaves it whole, whatever thread ended early.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
