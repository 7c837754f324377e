//! Takes what comes to the sockets of a run, and tells what it is: answers, and what the network sends back.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard};

use hii_transport::probe::{Buffer, Note, Received, StampClock};

use super::events::Event;
use super::line::{Line, lock};
use super::local_drops::DropCount;
use super::method::Heard;
use super::refusal::Refusal;

/// Datagrams that are taken in a row, so that another thread has its turn.
const MOST_IN_A_ROW: usize = 1 << 10;

/// Rows that are taken from each socket when the run is over, in case they never end.
const MOST_LAST_ROWS: usize = 64;

/// Hears what comes. Each thread that has it tells what it took before another takes something, so that all is told in the
/// order in which it came.
#[derive(Debug)]
pub struct Ear {
    line: Arc<Line>,
    events: Sender<Event>,
    datagram: Buffer,
    note: Buffer,
    stamps: StampClock,
    /// What each socket threw away.
    drops: Vec<DropCount>,
    /// What was taken so far.
    taken: u64,
}

/// The ear, shared by the threads of a run.
#[derive(Debug)]
pub struct SharedEar {
    ear: Mutex<Ear>,
    /// A mutex is not fair: who asks for it again and again would keep away who waits.
    is_wanted: AtomicBool,
}

impl SharedEar {
    /// Shares an ear.
    #[must_use]
    pub fn new(ear: Ear) -> Self {
        Self {
            ear: Mutex::new(ear),
            is_wanted: AtomicBool::new(false),
        }
    }

    /// Waits for the ear. One thread may.
    pub fn lock(&self) -> MutexGuard<'_, Ear> {
        self.is_wanted.store(true, Ordering::SeqCst);
        let ear = lock(&self.ear);
        self.is_wanted.store(false, Ordering::SeqCst);
        ear
    }

    /// The ear, if nobody has it or waits for it.
    #[must_use]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, Ear>> {
        let is_free = !self.is_wanted.load(Ordering::SeqCst);
        is_free.then(|| self.ear.try_lock().ok()).flatten()
    }
}

/// What a socket had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// A datagram, or a note.
    Something,
    /// Nothing.
    Nothing,
    /// Only an error: its note was read before, or there is none.
    Failure,
}

/// Nobody takes the events any more.
#[derive(Debug)]
pub struct Deaf;

impl Ear {
    /// For the sockets of this line; what comes is told there.
    #[must_use]
    pub fn new(line: &Arc<Line>, events: Sender<Event>) -> Self {
        Self {
            line: Arc::clone(line),
            events,
            datagram: Buffer::for_datagrams(),
            note: Buffer::for_notes(),
            stamps: line.stamps,
            drops: line.sockets.iter().map(|_| DropCount::default()).collect(),
            taken: 0,
        }
    }

    /// How many datagrams and notes were taken so far, by whichever thread.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes all that each socket has.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn drain_all(&mut self) -> Result<(), Deaf> {
        for port in 0..self.line.sockets.len() {
            for _ in 0..MOST_LAST_ROWS {
                if self.drain(port)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Takes a row of what a socket has, and returns whether that was all.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn drain(&mut self, port: usize) -> Result<bool, Deaf> {
        for _ in 0..MOST_IN_A_ROW {
            if self.take(port)? == Taken::Nothing {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes what a socket has next, and tells what it is.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn take(&mut self, port: usize) -> Result<Taken, Deaf> {
        let taken = self.take_next(port)?;
        self.taken += u64::from(taken == Taken::Something);
        Ok(taken)
    }

    fn take_next(&mut self, port: usize) -> Result<Taken, Deaf> {
        let Some(socket) = self.line.sockets.get(port) else {
            return Ok(Taken::Nothing);
        };
        match socket.receive(&mut self.datagram, &self.line.clock) {
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
}
