//! A session with its link: finds a relay, and tells what happens one after the other.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use hii_protocol::Endpoint;
use hii_server::exit::{Exit, Failure};
use hii_transport::clock::Clock;

use super::args::RelayArgs;
use super::link::{Incoming, Link};
use super::reach::{connect, datagrams, stranger};
use super::session::{Patience, Session, Way};
use super::told::{Event, Relay};
use crate::ping::tcp::race;
use crate::target::Transport;

/// What may wait to be looked at. More stays in the kernel's buffers, or with whoever writes.
const BACKLOG: usize = 256;

/// What may be behind a connection on which nothing comes.
const TOOK_NO_MORE: &str =
    "it took the connection but did not answer: is it a relay, does it deny this network?";

/// Something from one of the threads.
#[derive(Debug)]
pub enum Happening {
    /// It came by this link, of those that were tried.
    Came(usize, Incoming),
    /// A line of input.
    Line(Vec<u8>),
    /// The input is at its end.
    InputEnded,
    /// The input cannot be read.
    InputFailed(io::Error),
    /// Nobody reads the output any more.
    OutputClosed,
    /// The user wants to stop.
    Interrupted,
}

/// What a conversation goes on with.
#[derive(Debug)]
pub enum Next {
    /// The session has something to tell.
    Told(Event),
    /// A line of input.
    Line(Vec<u8>),
    /// The input is at its end.
    InputEnded,
    /// The input cannot be read.
    InputFailed(io::Error),
    /// Nobody reads the output any more.
    OutputClosed,
    /// The user wants to stop.
    Interrupted,
}

/// Where happenings are put in.
pub type Inbox = SyncSender<Happening>;

/// What has happened and was not looked at yet.
#[derive(Debug)]
pub struct Mail {
    inbox: Inbox,
    happenings: Receiver<Happening>,
}

/// A relay that has been found.
#[derive(Debug)]
pub struct Conversation {
    link: Link,
    number: usize,
    session: Session,
    clock: Clock,
    mail: Mail,
    relay: SocketAddr,
    was_refused: bool,
    is_registered: bool,
    /// Messages that came before the relay said that it knows us.
    early: VecDeque<Event>,
}

/// How looking for a relay ended.
#[derive(Debug)]
pub enum Opened {
    /// It knows us, by this address.
    Open(Box<Conversation>, Endpoint, Relay),
    /// The user wants to stop.
    Interrupted,
}

impl Mail {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let (inbox, happenings) = sync_channel(BACKLOG);
        Self { inbox, happenings }
    }

    /// Where to put things in.
    #[must_use]
    pub fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }
}

impl Default for Mail {
    fn default() -> Self {
        Self::new()
    }
}

impl Conversation {
    /// Registers with the first of the relay's addresses that answers.
    ///
    /// # Errors
    /// None does, or what answers is no relay.
    pub fn open(args: &RelayArgs, retries: u32, mut mail: Mail) -> Result<Opened, Failure> {
        let target = &args.relay;
        let addresses = target.resolve(args.family())?;
        let patience = Patience {
            answer: args.timeout,
            retries,
        };
        let (links, mut failure) = match target.transport() {
            Transport::Tcp => (vec![connect(target, &addresses)?], None),
            Transport::Udp => datagrams(&race::in_turn(&addresses)),
        };
        for (number, (relay, link)) in links.into_iter().enumerate() {
            let mut conversation = Self {
                session: Session::new(link.way(), patience),
                link,
                number,
                clock: Clock::start(),
                mail,
                relay,
                was_refused: false,
                is_registered: false,
                early: VecDeque::new(),
            };
            conversation.listen()?;
            match conversation.register(args.timeout)? {
                Tried::Registered(address, kind) => {
                    return Ok(Opened::Open(Box::new(conversation), address, kind));
                }
                Tried::Interrupted => return Ok(Opened::Interrupted),
                Tried::Failed(why) => failure = failure.or(Some(why)),
            }
            mail = conversation.mail;
        }
        Err(failure.unwrap_or_else(|| {
            let what = format!("{target} has no address");
            Failure::new(Exit::Unreachable, what, "give another relay")
        }))
    }

    /// The relay's own address.
    #[must_use]
    pub fn relay(&self) -> SocketAddr {
        self.relay
    }

    /// The session, to ask it for something.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Where to put things in.
    #[must_use]
    pub fn inbox(&self) -> Inbox {
        self.mail.inbox()
    }

    /// The wall clock, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn wall(&self) -> u64 {
        self.clock.now().wall
    }

    /// Goes on until something is to be told.
    ///
    /// # Errors
    /// The connection is over.
    pub fn wait(&mut self) -> Result<Next, Failure> {
        match self.early.pop_front() {
            Some(message) => Ok(Next::Told(message)),
            None => self.advance(),
        }
    }

    fn advance(&mut self) -> Result<Next, Failure> {
        loop {
            self.transmit()?;
            if let Some(event) = self.session.poll_event() {
                return Ok(Next::Told(event));
            }
            let wait = self.session.next_due().saturating_sub(self.clock.elapsed());
            let happening = match self.mail.happenings.recv_timeout(wait) {
                Ok(happening) => happening,
                // This end of the channel has the other as well.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => continue,
            };
            match happening {
                Happening::Came(number, incoming) if number == self.number => {
                    self.take(incoming)?;
                }
                Happening::Came(..) => {}
                Happening::Line(line) => return Ok(Next::Line(line)),
                Happening::InputEnded => return Ok(Next::InputEnded),
                Happening::InputFailed(error) => return Ok(Next::InputFailed(error)),
                Happening::OutputClosed => return Ok(Next::OutputClosed),
                Happening::Interrupted => return Ok(Next::Interrupted),
            }
        }
    }

    fn listen(&self) -> Result<(), Failure> {
        let (number, inbox) = (self.number, self.mail.inbox());
        let take = move |incoming| inbox.send(Happening::Came(number, incoming)).is_ok();
        self.link.listen(take).map_err(|error| {
            Failure::new(
                Exit::Unreachable,
                format_args!("cannot receive: {error}"),
                "this host is short of memory or threads: end other programs",
            )
        })
    }

    fn take(&mut self, incoming: Incoming) -> Result<(), Failure> {
        let now = self.clock.elapsed();
        match incoming {
            Incoming::Frame(frame) => self.session.receive(&frame, now),
            Incoming::Refused => {
                self.was_refused = true;
                self.session.refused(now);
            }
            Incoming::Ended(why) => return Err(self.ended(&why)),
        }
        Ok(())
    }

    fn transmit(&mut self) -> Result<(), Failure> {
        while let Some(frame) = self.session.poll_transmit(self.clock.elapsed()) {
            match (self.link.send(&frame), self.link.way()) {
                (Ok(()), _) => {}
                (Err(error), Way::Connection) => {
                    return Err(self.ended(&error.to_string()));
                }
                (Err(error), Way::Datagrams) => {
                    tracing::debug!(%error, "send");
                    self.was_refused |= error.kind() == io::ErrorKind::ConnectionRefused;
                    self.session.refused(self.clock.elapsed());
                }
            }
        }
        Ok(())
    }

    fn register(&mut self, patience: Duration) -> Result<Tried, Failure> {
        let relay = self.relay;
        loop {
            let failure = match self.advance()? {
                Next::Told(Event::Registered(address, kind)) => {
                    self.is_registered = true;
                    return Ok(Tried::Registered(address, kind));
                }
                Next::Interrupted => return Ok(Tried::Interrupted),
                Next::Told(Event::Silent) if self.was_refused => Failure::new(
                    Exit::Unreachable,
                    format_args!("nothing listens at {relay} (refused by ICMP)"),
                    "start a relay there (hii-server relay), or give another port as host:port",
                ),
                Next::Told(Event::Silent) if self.link.way() == Way::Connection => Failure::new(
                    Exit::Unreachable,
                    format_args!("no answer from {relay} within {patience:?}"),
                    TOOK_NO_MORE,
                ),
                Next::Told(Event::Silent) => Failure::new(
                    Exit::Unreachable,
                    format_args!("no answer from {relay} within {patience:?}"),
                    format_args!(
                        "check that a relay runs there and that firewalls let UDP port {} through, or try tcp://",
                        relay.port()
                    ),
                ),
                Next::Told(Event::Rejected) => Failure::new(
                    Exit::Protocol,
                    format_args!("{relay} refuses the tokens that it gives"),
                    "a router may give this host another address for each datagram; try tcp://",
                ),
                Next::Told(Event::Foreign(said, _)) => return Err(stranger(relay, &said)),
                Next::Told(message @ Event::Message(..)) => {
                    self.early.push_back(message);
                    continue;
                }
                _ => continue,
            };
            return Ok(Tried::Failed(failure));
        }
    }

    fn ended(&self, why: &str) -> Failure {
        let advice = if self.is_registered {
            "check that the relay still runs, and connect again"
        } else {
            TOOK_NO_MORE
        };
        Failure::new(
            Exit::Unreachable,
            format_args!("the connection to {} has ended: {why}", self.relay),
            advice,
        )
    }
}

enum Tried {
    Registered(Endpoint, Relay),
    Interrupted,
    Failed(Failure),
}
