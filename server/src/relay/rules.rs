//! What a relay decides about a frame: pure, but for the peers and the counts that it shares with the other threads.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hii_protocol::relay::{Answer, Forward, Message, Payload, Prefix, Request, Token};
use hii_protocol::{Code, Endpoint};

use super::access::Access;
use super::budgets::{AnswerBudgets, Carrier, MessageBudgets};
use super::burst::{Account, Burst, Train};
use super::peers::{Heard, Peer, Peers, Registration, Standing, Way};
use super::reach::Reach;
use super::tally::Tally;
use super::tokens::{Key, Tokens};
use crate::allow_exit::AllowExit;
use crate::args::Rate;
use crate::policy::Budget;
use crate::policy::fair_share::Holder;
use crate::policy::local_addrs::LocalAddrs;
use crate::policy::origin::{Origin, SourceRefusal};
use crate::quiet::Quiet;

/// How a relay behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who may be a peer, and who may not be reached.
    pub access: Access,
    /// Messages a second that one peer may send.
    pub rate: Rate,
    /// Errors and answers to greetings of non-peers that one address gets a second.
    pub error_rate: Rate,
    /// Whose `exit server` stops the relay.
    pub allow_exit: AllowExit,
    /// Peers over UDP at most.
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
    table: Mutex<Table>,
    tokens: Mutex<Tokens<Box<dyn FnMut() -> Key + Send>>>,
    answers: Mutex<AnswerBudgets>,
    access: Access,
    allow_exit: AllowExit,
    reach: Reach,
    quiet: Quiet,
    local: LocalAddrs,
}

/// The peers, and what messages between them are charged to: one lock for both.
struct Table {
    peers: Peers,
    messages: MessageBudgets,
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
            table: Mutex::new(Table {
                peers: Peers::new(config.peers, config.rate),
                messages: MessageBudgets::new(config.rate),
            }),
            tokens: Mutex::new(Tokens::new(draw)),
            answers: Mutex::new(AnswerBudgets::new(config.rate, config.error_rate)),
            access: config.access.clone(),
            allow_exit: config.allow_exit,
            reach: Reach::new(local.clone()),
            quiet: Quiet::new(local.clone()),
            local,
        }
    }

    /// How many peers there are.
    pub fn peers(&self) -> usize {
        lock(&self.table).peers.len()
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
        if is_over && may_be_message(frame) {
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
            Err(error) if !from.is_connected && frame.len() < shortest_with(error.code()) => {
                self.tally.too_short += 1;
                return Decision::Silence;
            }
            Err(error) => return self.refuse(error.code(), sender, train),
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
            Request::ExitServer => self.refuse(Code::NotARequest, sender, train),
        }
    }

    /// Decides the answer to a sender whose message was passed on, or could not be.
    #[inline]
    pub fn forwarded(&mut self, delivery: Delivery) -> Decision<'static> {
        match delivery {
            Delivery::Sent => return Decision::Reply(self.passed_on(1)),
            Delivery::Failed => self.tally.send_failed += 1,
            Delivery::Full => self.tally.queue_full += 1,
        }
        self.undeliverable()
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
                let train = self.train(from, now);
                self.refuse(Code::NotARequest, sender, &train)
            }
            _ => {
                self.tally.denied += 1;
                Decision::Silence
            }
        }
    }

    /// A datagram with an invalid source.
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

    /// Whose fair share of the connections one from there is counted to: with `--no-trust-loopback`, those of loopback are
    /// strangers' too.
    pub fn holder(&self, origin: &Origin) -> Holder {
        self.shared.access.holder(origin)
    }

    /// Charges a frame of a connection, whatever it is, to the connections of its address.
    pub fn charge_frame(&mut self, from: &Source, now: Duration) {
        if !self.shared.access.trusts(&from.origin) {
            let ip = from.origin.ip();
            self.table().messages.charge_connections(ip, now);
        }
    }

    /// Returns how long a connection has to wait until one more frame of it is within its rates: its own as a peer and that
    /// of its address, or that of a connection that is no peer.
    pub fn stream_wait(&mut self, from: &Source, now: Duration) -> Duration {
        let Ok(sender) = Endpoint::try_from(from.address()) else {
            return Duration::ZERO;
        };
        let is_exempt = self.shared.access.trusts(&from.origin);
        let table = self.table();
        let of_peer = table.peers.wait(sender, now);
        let of_address = if is_exempt {
            Duration::ZERO
        } else {
            table.messages.wait_of_connections(sender.ip(), now)
        };
        drop(table);
        let own = of_peer.unwrap_or_else(|| {
            let answers = lock(&self.shared.answers);
            let wait = answers
                .connections
                .wait(sender.ip(), sender.port(), false, 1, now);
            // No rate of connections lets nothing through.
            wait.unwrap_or_default()
        });
        own.max(of_address)
    }

    /// A connection has ended: what greeted by it is no peer any more.
    pub fn disconnected(&mut self, from: Source) {
        if let Ok(endpoint) = Endpoint::try_from(from.address()) {
            self.table().peers.disconnect(endpoint, from.way.socket);
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
        let shared = &*self.shared;
        let forward = Forward::new(sender, message.payload());
        let may_go_there = !shared.access.denies(to.ip())
            && shared.reach.allows(to.ip(), to.port(), sender.ip()).is_ok();
        let is_raw = matches!(message.payload(), Payload::Raw(_));
        let is_exempt = shared.access.trusts(&from.origin);
        let mut table = table(shared, &mut self.burst);
        let Table { peers, messages } = &mut *table;
        let heard = peers.hear(sender, from.is_connected, now);
        if heard.is_none() && !shared.access.open {
            drop(table);
            return self.refuse(Code::Undeliverable, sender, train);
        }
        let carrier = match (from.is_connected, heard.is_some()) {
            (true, _) => Carrier::Connection,
            (false, true) => Carrier::Datagram,
            (false, false) => Carrier::Stranger,
        };
        let sender_budgets = messages.of_sender(sender, carrier, is_exempt);
        let own_left = heard.map_or(u64::MAX, |heard| heard.left);
        let may_send = own_left.min(messages.left_of_sender(sender_budgets, now));
        if may_send == 0 {
            drop(table);
            self.over = Some(*train);
            self.tally.over_rate += 1;
            return Decision::Silence;
        }
        messages.charge_sender(sender_budgets, 1, now);
        if let Some(heard) = heard {
            peers.charge_sender(heard.place, 1, now);
        }
        let receiver = peers.receiver(to, now);
        let peer = receiver.map(|receiver| receiver.peer);
        let is_served = if let Some(peer) = peer {
            !is_raw || peer.takes_raw()
        } else {
            let may_be_sent = shared.reach.allows_stranger(to.ip(), sender.ip());
            shared.access.open && !is_raw && may_be_sent
        };
        let (Ok(forward), true) = (forward, is_served && may_go_there) else {
            drop(table);
            return self.refuse_message(heard, sender, train);
        };
        let place = receiver.map(|receiver| receiver.place);
        let receiver_budgets = messages.of_receiver(to, place, sender_budgets);
        let own_left = receiver.map_or(u64::MAX, |receiver| receiver.left);
        let may_be_sent = own_left.min(messages.left_of_receiver(receiver_budgets, now));
        if may_be_sent == 0 {
            drop(table);
            self.tally.over_receiver += 1;
            return self.refuse_message(heard, sender, train);
        }
        messages.charge_receiver(receiver_budgets, 1, now);
        if let Some(receiver) = receiver {
            peers.charge_receiver(receiver.place, 1, now);
        }
        drop(table);
        let is_connected = from.is_connected || peer.is_some_and(Peer::is_connected);
        if heard.is_some() && peer.is_some() && !is_connected {
            let account = Account {
                sender,
                receiver: to,
                sender_budgets,
                receiver_budgets,
            };
            let more = may_send.min(may_be_sent).saturating_sub(1);
            self.burst = prefix.map(|prefix| Burst::new(*train, account, prefix, more));
        }
        Decision::Forward {
            to,
            way: peer,
            forward,
        }
    }

    /// The peers and what messages are charged to, for a look or a change, which ends the burst.
    fn table(&mut self) -> MutexGuard<'_, Table> {
        table(&self.shared, &mut self.burst)
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
            return self.answer_stranger(sender, train);
        };
        self.welcome(sender, standing, train)
    }

    fn give_token(&mut self, sender: Endpoint, train: &Train) -> Decision<'static> {
        let Train { from, now, .. } = *train;
        // A peer that proves itself anew has its own rate first.
        let paid = self.table().peers.pay(sender, from.is_connected, now);
        if paid != Some(true) && !self.is_within_budget(|all| &mut all.tokens, sender, train) {
            return Decision::Silence;
        }
        self.tally.tokens += 1;
        let token = lock(&self.shared.tokens).issue(sender, now);
        Decision::Reply(Answer::Token(sender, token))
    }

    fn prove(&mut self, token: Token, sender: Endpoint, train: &Train) -> Decision<'static> {
        if !lock(&self.shared.tokens).proves(token, sender, train.now) {
            return self.refuse(Code::NotARequest, sender, train);
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
        let holder = self.shared.access.holder(&from.origin);
        let way = from.way;
        let mut table = self.table();
        let peer = Peer { standing, way };
        let registration = table.peers.register(sender, peer, holder, now);
        let paid = table.peers.pay(sender, from.is_connected, now);
        drop(table);
        match registration {
            Registration::New => self.tally.registered += 1,
            Registration::Displacing => {
                self.tally.registered += 1;
                self.tally.displaced += 1;
            }
            Registration::Known => {}
            Registration::Taken => self.tally.taken += 1,
            Registration::NoRoom => self.tally.no_room += 1,
        }
        let Some(is_within_rate) = paid else {
            return self.answer_stranger(sender, train);
        };
        if !is_within_rate {
            self.tally.over_rate += 1;
            return Decision::Silence;
        }
        self.tally.addresses += 1;
        Decision::Reply(Answer::Address(sender))
    }

    /// Tells its address to somebody who is no peer.
    fn answer_stranger(&mut self, sender: Endpoint, train: &Train) -> Decision<'static> {
        if !self.is_within_budget(|all| &mut all.errors, sender, train) {
            return Decision::Silence;
        }
        self.tally.addresses += 1;
        Decision::Reply(Answer::Address(sender))
    }

    /// Refuses a message. Where a peer sent it, its rate has been charged for the message, and so for the answer.
    fn refuse_message(
        &mut self,
        heard: Option<Heard>,
        sender: Endpoint,
        train: &Train,
    ) -> Decision<'static> {
        if heard.is_some() {
            return self.undeliverable();
        }
        self.refuse(Code::Undeliverable, sender, train)
    }

    /// Refuses a message that has been charged to its sender.
    fn undeliverable(&mut self) -> Decision<'static> {
        self.tally.refused.add(Code::Undeliverable);
        Decision::Reply(Answer::Refused(Code::Undeliverable))
    }

    /// Refuses what is no message of a peer: from the sender's own rate if its address is proven, so that a forger of
    /// other ports cannot use up its errors; else from the budget for errors.
    fn refuse(&mut self, code: Code, sender: Endpoint, train: &Train) -> Decision<'static> {
        let Train { from, now, .. } = *train;
        let mut table = self.table();
        let paid = if table.peers.is_proven(sender, now) {
            table.peers.pay(sender, from.is_connected, now)
        } else {
            None
        };
        drop(table);
        match paid {
            Some(true) => {}
            Some(false) => {
                self.tally.over_rate += 1;
                return Decision::Silence;
            }
            None if self.is_within_budget(|all| &mut all.errors, sender, train) => {}
            None => return Decision::Silence,
        }
        self.tally.refused.add(code);
        Decision::Reply(Answer::Refused(code))
    }

    /// Whether a sender may have one more answer from this budget, or, where it has a connection, from that one's.
    fn is_within_budget(
        &mut self,
        of: fn(&mut AnswerBudgets) -> &mut Budget,
        sender: Endpoint,
        train: &Train,
    ) -> bool {
        let Train { from, now, .. } = train;
        let (ip, port) = (sender.ip(), sender.port());
        let mut answers = lock(&self.shared.answers);
        let (budget, over) = if from.is_connected {
            (&mut answers.connections, &mut self.tally.over_rate)
        } else {
            (of(&mut answers), &mut self.tally.over_error_rate)
        };
        let is_exempt = from.is_connected || self.shared.access.trusts(&from.origin);
        let is_within = budget.allows(ip, port, is_exempt, 1, *now);
        *over += u64::from(!is_within);
        is_within
    }
}

impl Table {
    /// Charges for messages beside the first one of a burst.
    fn charge(&mut self, account: &Account, messages: u64, at: Duration) {
        let peers = &mut self.peers;
        if let Some(place) = peers.place(account.sender) {
            peers.charge_sender(place, messages, at);
        }
        if let Some(place) = peers.place(account.receiver) {
            peers.charge_receiver(place, messages, at);
        }
        let budgets = &mut self.messages;
        budgets.charge_sender(account.sender_budgets, messages, at);
        budgets.charge_receiver(account.receiver_budgets, messages, at);
    }
}

fn table<'a>(shared: &'a Shared, burst: &mut Option<Burst>) -> MutexGuard<'a, Table> {
    let mut table = lock(&shared.table);
    if let Some((account, messages, at)) = burst.take().and_then(|burst| burst.spent()) {
        table.charge(&account, messages, at);
    }
    table
}

/// The fewest octets of a datagram that is answered with this code. A forged one gets no answer longer than itself, or a
/// 405 of more than twice its size, headers included. No original sends a shorter one.
fn shortest_with(code: Code) -> usize {
    match code {
        Code::Undeliverable => b"to:/1;content:".len(),
        _ => b"400".len(),
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
