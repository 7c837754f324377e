//! The thread that receives: answers, and what the network sends back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use hii_transport::probe::{Buffer, Note, ProbeSocket, Received, StampClock};
use mio::{Events, Poll, Token, Waker};

use super::events::Event;
use super::line::Line;
use super::local_drops::DropCount;
use super::method::Heard;
use super::refusal::Refusal;

/// Datagrams that are taken after the run is over, in case they never end.
const MOST_LAST: usize = 1 << 16;

/// Errors in a row before the thread takes a rest.
const MOST_FAILURES: u32 = 100;

/// The token that ends the thread; sockets have their index.
const STOP: Token = Token(usize::MAX);

/// The thread that receives.
#[derive(Debug)]
pub struct Receiver {
    stop: Arc<AtomicBool>,
    wake: Wake,
    thread: JoinHandle<()>,
}

/// How the thread is told to look up.
#[derive(Debug)]
enum Wake {
    /// It waits for one socket.
    Socket(Arc<Line>),
    /// It waits for several.
    Waker(Waker),
}

impl Receiver {
    /// Starts the thread that receives on these sockets, which are not shared yet.
    ///
    /// # Errors
    /// There is no memory for a thread, or no descriptor.
    pub fn start(line: &Arc<Line>, watch: Watch, events: Sender<Event>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let ear = Ear {
            line: Arc::clone(line),
            events,
            stop: Arc::clone(&stop),
            datagram: Buffer::for_datagrams(),
            note: Buffer::for_notes(),
            stamps: line.stamps,
            drops: line.sockets.iter().map(|_| DropCount::default()).collect(),
        };
        let builder = std::thread::Builder::new().name("receiver".into());
        let (wake, thread) = match watch {
            Watch::One => {
                let wake = Wake::Socket(Arc::clone(line));
                (wake, builder.spawn(move || ear.listen())?)
            }
            Watch::Several { poll, waker } => {
                let thread = builder.spawn(move || ear.listen_to_several(poll))?;
                (Wake::Waker(waker), thread)
            }
        };
        Ok(Self { stop, wake, thread })
    }

    /// Ends the thread. All that came has been told then.
    pub fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        match &self.wake {
            Wake::Socket(line) => line.sockets.iter().for_each(ProbeSocket::stop_waiting),
            Wake::Waker(waker) => {
                if waker.wake().is_err() {
                    return;
                }
            }
        }
        // A thread that ended early has told all it had.
        let _ = self.thread.join();
    }
}

/// What watches the sockets of a line.
#[derive(Debug)]
pub enum Watch {
    /// The call that takes a datagram waits for it: nothing else is as quick.
    One,
    /// The operating system tells which sockets have something.
    Several {
        /// Watches the sockets.
        poll: Poll,
        /// Ends the wait.
        waker: Waker,
    },
}

impl Watch {
    /// Watches these sockets.
    ///
    /// # Errors
    /// There is no descriptor for it.
    pub fn new(sockets: &mut [ProbeSocket]) -> io::Result<Self> {
        if sockets.len() == 1 && ProbeSocket::CAN_WAIT {
            return Ok(Self::One);
        }
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), STOP)?;
        for (index, socket) in sockets.iter_mut().enumerate() {
            socket.register(poll.registry(), Token(index))?;
        }
        Ok(Self::Several { poll, waker })
    }
}

/// Hears what comes.
struct Ear {
    line: Arc<Line>,
    events: Sender<Event>,
    /// Looked at between datagrams, in case they never end.
    stop: Arc<AtomicBool>,
    datagram: Buffer,
    note: Buffer,
    stamps: StampClock,
    /// What each socket threw away.
    drops: Vec<DropCount>,
}

/// What a socket had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// A datagram, or a note.
    Something,
    /// Nothing.
    Nothing,
    /// Only an error: its note was read before, or there is none.
    Failure,
}

/// Nobody takes the events any more.
struct Deaf;

impl Ear {
    /// Takes all that comes to the only socket.
    fn listen(mut self) {
        let mut left = MOST_LAST;
        let mut failures = 0;
        while left > 0 {
            left -= usize::from(self.is_stopped());
            match self.take(0, true) {
                Ok(Taken::Something) => failures = 0,
                Ok(Taken::Nothing) if self.is_stopped() => return,
                Ok(Taken::Nothing | Taken::Failure) => failures += 1,
                Err(Deaf) => return,
            }
            if failures > MOST_FAILURES {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Takes all that comes to any of several sockets.
    fn listen_to_several(mut self, mut poll: Poll) {
        let mut ready = Events::with_capacity(256);
        while !self.is_stopped() {
            if let Err(error) = poll.poll(&mut ready, None)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::debug!(%error, "receive");
                return;
            }
            let ports = ready
                .iter()
                .map(mio::event::Event::token)
                .filter(|token| *token != STOP);
            for Token(port) in ports {
                if self.drain(port).is_err() {
                    return;
                }
            }
        }
        for port in 0..self.line.sockets.len() {
            if self.drain(port).is_err() {
                return;
            }
        }
    }

    /// Takes all that a socket has.
    fn drain(&mut self, port: usize) -> Result<(), Deaf> {
        for _ in 0..MOST_LAST {
            if self.take(port, false)? == Taken::Nothing {
                break;
            }
        }
        Ok(())
    }

    /// Takes what a socket has next, and tells what it is.
    fn take(&mut self, port: usize, wait: bool) -> Result<Taken, Deaf> {
        let Some(socket) = self.line.sockets.get(port) else {
            return Ok(Taken::Nothing);
        };
        match socket.receive(&mut self.datagram, wait, &self.line.clock) {
            // The wait was ended, and all that came before is taken.
            Ok(received) if received.len == 0 && self.is_stopped() => Ok(Taken::Nothing),
            Ok(received) => self.hear(port, &received).map(|()| Taken::Something),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => Ok(Taken::Something),
                io::ErrorKind::WouldBlock => Ok(Taken::Nothing),
                _ => {
                    tracing::debug!(%error, "receive");
                    self.read_notes(port)
                }
            },
        }
    }

    fn hear(&mut self, port: usize, received: &Received) -> Result<(), Deaf> {
        let Line { method, size, .. } = &*self.line;
        let stamp = received.stamp.map(|stamp| self.stamps.stamp(stamp));
        let heard = method.hear(port, *size, self.datagram.octets(received));
        self.line.tell_sent(&self.events);
        // A false answer to a later probe would say that those before it were thrown away, or not.
        if let Heard::Answer { seq, .. } = heard
            && self.line.may_have_sent(seq)
            && let Some(count) = self.drops.get_mut(port)
            && let Some(mut dropped) = count.take(seq, received.drops)
        {
            // Between two answers to one of many ports there are mostly those to the others.
            dropped.between = dropped.between.filter(|_| method.is_numbered());
            self.tell(Event::Dropped(dropped))?;
        }
        self.tell(Event::heard(heard, received.at, stamp))
    }

    /// Tells what the network sent back.
    fn read_notes(&mut self, port: usize) -> Result<Taken, Deaf> {
        let Self {
            line, note, events, ..
        } = self;
        let Some(socket) = line.sockets.get(port) else {
            return Ok(Taken::Nothing);
        };
        let mut taken = Taken::Failure;
        line.tell_sent(events);
        while let Some(note) = socket.note_of_receiving(note) {
            taken = Taken::Something;
            if let Note::Refused { icmp, quoted } = note {
                let seq = line.method.refused(port, line.size, quoted);
                let why = Refusal::from(icmp);
                let event = Event::Refused { seq, why };
                events.send(event).map_err(|_| Deaf)?;
            }
        }
        Ok(taken)
    }

    fn tell(&self, event: Event) -> Result<(), Deaf> {
        self.events.send(event).map_err(|_| Deaf)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}
