//! A client's dealings with a relay, without socket and clock: what to send when, and what came of it.
//!
//! The wire has no numbers: an answer belongs to the one request that is open. So one request is open at a time, and a
//! forward is a message whatever is open. After a message without an answer the relay is greeted before anything else is
//! asked: what still comes before that greeting's answer belongs to the message.

use std::collections::VecDeque;
use std::time::Duration;

use hii_protocol::relay::{Answer, Request, Token};
use hii_protocol::{Code, Endpoint};

use super::compose::{Form, compose};
use super::open::{Open, Question};
use super::told::{Event, Outcome, Relay, Stop, Ticket};

/// How long a greeting holds: much less than the 300 s after which a relay forgets, and less than what routers keep a
/// mapping for that nothing passes through.
pub const RENEW: Duration = Duration::from_secs(25);

/// How long a relay that did not answer is left alone.
pub const PAUSE: Duration = Duration::from_secs(5);

/// How long a relay has to say that it will not stop.
const STOPPING: Duration = Duration::from_secs(1);

/// How often a relay may refuse the token that it has just given. Once happens where a router gave us another address.
const MOST_REJECTIONS: u32 = 3;

/// How often a greeting is sent within the time that the answer has: after 1/7 and 3/7 of it once more.
const GREETINGS: u32 = 3;

/// What frames travel in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Datagrams, which may be lost.
    Datagrams,
    /// A connection, which only a relay of ours takes.
    Connection,
}

/// How patient a session is.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long an answer may take.
    pub answer: Duration,
    /// How often a message without an answer is sent once more. It may arrive twice.
    pub retries: u32,
}

/// A session with a relay.
#[derive(Debug)]
pub struct Session {
    way: Way,
    patience: Patience,
    relay: Option<Relay>,
    address: Option<Endpoint>,
    standing: Standing,
    open: Option<Open>,
    /// A message without an answer, until the relay has answered a greeting.
    doubt: Option<(Ticket, Form, Duration)>,
    /// Asked to stop; the next greeting shows whether it did.
    may_have_stopped: bool,
    /// The next greeting's answer is told even if it is no news.
    is_asked_for: bool,
    rejections: u32,
    jobs: VecDeque<Job>,
    events: VecDeque<Event>,
    tickets: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Not known to the relay yet.
    New,
    /// Known until then, at least.
    Registered(Duration),
    /// The relay does not answer; it is asked again then.
    Silent(Duration),
}

#[derive(Debug)]
enum Job {
    Send(Ticket, Endpoint, Vec<u8>),
    Stop,
}

impl Session {
    /// A session that begins by greeting the relay.
    #[must_use]
    pub fn new(way: Way, patience: Patience) -> Self {
        Self {
            way,
            patience,
            relay: None,
            address: None,
            standing: Standing::New,
            open: None,
            doubt: None,
            may_have_stopped: false,
            is_asked_for: false,
            rejections: 0,
            jobs: VecDeque::new(),
            events: VecDeque::new(),
            tickets: 0,
        }
    }

    /// Sends a text when its turn comes.
    pub fn send(&mut self, to: Endpoint, text: &[u8]) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        if matches!(self.standing, Standing::Silent(_)) {
            self.events
                .push_back(Event::Settled(ticket, Outcome::NoRelay));
        } else {
            self.jobs.push_back(Job::Send(ticket, to, text.to_vec()));
        }
        ticket
    }

    /// Greets the relay anew, and tells what it says.
    pub fn greet(&mut self) {
        self.is_asked_for = true;
        if matches!(self.standing, Standing::Silent(_)) {
            self.standing = Standing::New;
        }
    }

    /// Asks the relay to stop, if it is there.
    pub fn stop_relay(&mut self) {
        if matches!(self.standing, Standing::Silent(_)) {
            self.events.push_back(Event::Silent);
        } else {
            self.jobs.push_back(Job::Stop);
        }
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What is to be sent now.
    pub fn poll_transmit(&mut self, now: Duration) -> Option<Vec<u8>> {
        loop {
            let Some(open) = &mut self.open else {
                self.open = Some(self.next_question(now)?);
                continue;
            };
            if now < open.next {
                return None;
            }
            if open.sends_left == 0 {
                self.give_up(now);
                continue;
            }
            open.sends_left -= 1;
            open.sent.get_or_insert(now);
            open.next = now.saturating_add(open.gap);
            if matches!(
                open.question,
                Question::Token | Question::Proof | Question::Greeting
            ) {
                open.gap = open.gap.saturating_mul(2);
            }
            return Some(open.frame.clone());
        }
    }

    /// When there will be something to send, unless something happens before.
    #[must_use]
    pub fn next_due(&self) -> Duration {
        match (&self.open, self.standing) {
            (Some(open), _) => open.next,
            (None, Standing::Silent(again)) => again,
            (None, Standing::Registered(until)) if !self.has_to_greet() && self.jobs.is_empty() => {
                until
            }
            (None, _) => Duration::ZERO,
        }
    }

    /// Takes a frame from the relay.
    pub fn receive(&mut self, frame: &[u8], now: Duration) {
        match Answer::decode(frame) {
            Ok(Answer::Forward(forward)) => {
                let message = Event::Message(forward.from(), forward.payload().into());
                self.events.push_back(message);
            }
            Ok(answer) => self.take_answer(answer, now),
            Err(error) => self.events.push_back(Event::Foreign(frame.to_vec(), error)),
        }
    }

    /// Learns that nobody listens at the relay's port, or that the network takes nothing for it.
    pub fn refused(&mut self, now: Duration) {
        match self.open.take().map(|open| open.question) {
            Some(Question::Send(ticket, _)) => {
                let outcome = Event::Settled(ticket, Outcome::NoRelay);
                self.events.push_back(outcome);
            }
            Some(Question::Stop) => self.may_have_stopped = true,
            _ => {}
        }
        self.fall_silent(now);
    }

    fn take_answer(&mut self, answer: Answer<'_>, now: Duration) {
        let Some(open) = &self.open else { return };
        match (open.question, answer) {
            (Question::Send(ticket, form), Answer::Sent | Answer::Refused(_)) => {
                let took = now.saturating_sub(open.sent.unwrap_or(now));
                self.open = None;
                let outcome = outcome(answer, form, took);
                self.events.push_back(Event::Settled(ticket, outcome));
            }
            (Question::Stop, Answer::Refused(_)) => {
                self.open = None;
                self.events.push_back(Event::Stop(Stop::Refused));
            }
            // A known relay does not answer a greeting so: it is the answer that is missing.
            (Question::Token | Question::Greeting, Answer::Sent | Answer::Refused(_))
                if self.doubt.is_some() =>
            {
                if let Some((ticket, form, sent)) = self.doubt.take() {
                    let outcome = outcome(answer, form, now.saturating_sub(sent));
                    self.events.push_back(Event::SettledLate(ticket, outcome));
                }
            }
            (Question::Token, Answer::Token(_, token)) => {
                self.relay = Some(Relay::Hii);
                self.doubt = None;
                self.open = Some(self.proof(token, now));
            }
            (Question::Token, Answer::Refused(Code::NotARequest)) => {
                self.relay = Some(Relay::Original);
                self.open = Some(self.greeting(now));
            }
            (Question::Proof, Answer::Refused(Code::NotARequest)) => self.reject(now),
            (Question::Proof | Question::Greeting, Answer::Address(address)) => {
                self.register(address, now);
            }
            // A second copy of what has been answered.
            _ => {}
        }
    }

    fn register(&mut self, address: Endpoint, now: Duration) {
        let relay = self.relay.unwrap_or(Relay::Hii);
        let is_news = self.address != Some(address) || self.is_new();
        if is_news || self.is_asked_for {
            self.events.push_back(Event::Registered(address, relay));
        }
        if self.may_have_stopped {
            self.events.push_back(Event::Stop(Stop::StillRuns));
        }
        self.open = None;
        self.relay = Some(relay);
        self.address = Some(address);
        self.standing = Standing::Registered(now.saturating_add(RENEW));
        self.doubt = None;
        self.may_have_stopped = false;
        self.is_asked_for = false;
        self.rejections = 0;
    }

    /// A token was refused. Another one is asked for, for a while.
    fn reject(&mut self, now: Duration) {
        self.open = None;
        self.rejections += 1;
        if self.rejections < MOST_REJECTIONS {
            self.open = Some(self.next_greeting(now));
            return;
        }
        self.rejections = 0;
        self.events.push_back(Event::Rejected);
        self.fall_silent(now);
    }

    /// What to ask next, when nothing is open.
    fn next_question(&mut self, now: Duration) -> Option<Open> {
        let is_due = match self.standing {
            Standing::Silent(again) if now < again => return None,
            Standing::Silent(_) | Standing::New => true,
            Standing::Registered(until) => until <= now,
        };
        if is_due || self.has_to_greet() {
            return Some(self.next_greeting(now));
        }
        while let Some(job) = self.jobs.pop_front() {
            let (ticket, to, text) = match job {
                Job::Stop => {
                    let gap = self.patience.answer.min(STOPPING);
                    return Some(Open::new(Question::Stop, Request::ExitServer, 1, gap, now));
                }
                Job::Send(ticket, to, text) => (ticket, to, text),
            };
            let (relay, own) = (self.relay?, self.address?);
            match compose(&text, to, own, relay) {
                Ok((frame, form)) => {
                    return Some(Open {
                        question: Question::Send(ticket, form),
                        frame,
                        sent: None,
                        sends_left: self.sendings(),
                        gap: self.patience.answer,
                        next: now,
                    });
                }
                Err(cannot) => {
                    let outcome = Event::Settled(ticket, Outcome::Cannot(cannot));
                    self.events.push_back(outcome);
                }
            }
        }
        None
    }

    /// How often a message is sent, at most. A connection sends again what is lost by itself.
    fn sendings(&self) -> u32 {
        match self.way {
            Way::Datagrams => self.patience.retries.saturating_add(1),
            Way::Connection => 1,
        }
    }

    fn has_to_greet(&self) -> bool {
        self.doubt.is_some() || self.may_have_stopped || self.is_asked_for
    }

    fn is_new(&self) -> bool {
        !matches!(self.standing, Standing::Registered(_))
    }

    fn next_greeting(&self, now: Duration) -> Open {
        match (self.way, self.relay) {
            (Way::Connection, _) | (_, Some(Relay::Original)) => self.greeting(now),
            _ => self.register_by(Question::Token, Request::TokenRequest, now),
        }
    }

    fn greeting(&self, now: Duration) -> Open {
        self.register_by(Question::Greeting, Request::Greeting, now)
    }

    fn proof(&self, token: Token, now: Duration) -> Open {
        self.register_by(Question::Proof, Request::TokenGreeting(token), now)
    }

    fn register_by(&self, question: Question, request: Request<'_>, now: Duration) -> Open {
        match self.way {
            // 1, 2 and 4 sevenths.
            Way::Datagrams => {
                let gap = self.patience.answer / ((1 << GREETINGS) - 1);
                Open::new(question, request, GREETINGS, gap, now)
            }
            Way::Connection => Open::new(question, request, 1, self.patience.answer, now),
        }
    }

    /// What is open has had all its time.
    fn give_up(&mut self, now: Duration) {
        let Some(open) = self.open.take() else { return };
        match open.question {
            Question::Send(ticket, form) => {
                let sent = open.sent.unwrap_or(now);
                self.doubt = Some((ticket, form, sent));
                let outcome = Outcome::Unanswered(form, now.saturating_sub(sent));
                self.events.push_back(Event::Settled(ticket, outcome));
            }
            Question::Stop => self.may_have_stopped = true,
            Question::Token | Question::Proof | Question::Greeting => self.fall_silent(now),
        }
    }

    fn fall_silent(&mut self, now: Duration) {
        if self.may_have_stopped {
            self.events.push_back(Event::Stop(Stop::Stopped));
        } else if !matches!(self.standing, Standing::Silent(_)) || self.is_asked_for {
            self.events.push_back(Event::Silent);
        }
        for job in self.jobs.drain(..) {
            if let Job::Send(ticket, ..) = job {
                let outcome = Event::Settled(ticket, Outcome::NoRelay);
                self.events.push_back(outcome);
            }
        }
        self.open = None;
        // What answers next may be another relay.
        self.relay = None;
        self.doubt = None;
        self.may_have_stopped = false;
        self.is_asked_for = false;
        self.standing = Standing::Silent(now.saturating_add(PAUSE));
    }
}

fn outcome(answer: Answer<'_>, form: Form, took: Duration) -> Outcome {
    match answer {
        Answer::Refused(code) => Outcome::Refused(form, code),
        _ => Outcome::Sent(form, took),
    }
}
