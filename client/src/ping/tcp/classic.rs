//! The original echo server: one message at a time, since its answers carry no number and its reads no border.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Inbox, Sender, TryRecvError};
use std::time::Duration;

use hii_transport::clock::Clock;

use super::PATIENCE;
use super::framed::ending;
use super::hello::is_pause;
use crate::ping::events::{Ending, Event, GLANCE};
use crate::ping::ledger::{Arrival, Sent};
use crate::ping::link::Link;
use crate::ping::schedule::Schedule;
use crate::ping::threads::{SendingThread, wait_for_slot};

/// What the original client sends.
pub const MESSAGE: &[u8] = b"Hii Server";

/// What the original server answers.
pub const ANSWER: &[u8] = b"Acknowledgement";

/// Ends a connection.
const EXIT: &[u8] = b"exit";

/// A connection and the thread on it.
#[derive(Debug)]
pub struct ClassicLink {
    line: Arc<Line>,
    thread: Option<SendingThread>,
}

#[derive(Debug)]
struct Line {
    stream: TcpStream,
    clock: Clock,
    precise: bool,
}

impl ClassicLink {
    /// A link on this connection; a precise one stays awake for its slots.
    #[must_use]
    pub fn new(stream: TcpStream, precise: bool) -> Self {
        let clock = Clock::start();
        Self {
            line: Arc::new(Line {
                stream,
                clock,
                precise,
            }),
            thread: None,
        }
    }
}

impl Link for ClassicLink {
    fn clock(&self) -> Clock {
        self.line.clock
    }

    fn tells_direction(&self) -> bool {
        false
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn start(&mut self, schedule: Schedule, events: &Sender<Event>) -> io::Result<()> {
        self.line.stream.set_read_timeout(Some(GLANCE))?;
        self.line.stream.set_write_timeout(Some(PATIENCE))?;
        let (line, events) = (Arc::clone(&self.line), events.clone());
        let converse = move |stopped: &Inbox<()>| line.converse(schedule, &events, stopped);
        self.thread = Some(SendingThread::start(converse)?);
        Ok(())
    }

    fn stop_sending(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.stop();
        }
    }

    fn send_uncounted(&self, _: u64, _: &Sender<Event>) {}

    fn stop_receiving(&mut self) {
        // An original serves nobody else before this connection has ended.
        let _ = (&self.line.stream).write_all(EXIT);
        let _ = self.line.stream.shutdown(Shutdown::Write);
    }
}

impl Line {
    /// Sends each message at its time, or as soon as the one before has been answered.
    fn converse(&self, schedule: Schedule, events: &Sender<Event>, stopped: &Inbox<()>) {
        let start = self.clock.elapsed();
        for seq in 1..=schedule.last() {
            let due = start.saturating_add(schedule.slot(seq));
            if !wait_for_slot(&self.clock, due, self.precise, stopped) {
                return;
            }
            let deadline = schedule.deadline_of(seq);
            let at = self.clock.elapsed();
            if let Err(error) = (&self.stream).write_all(MESSAGE) {
                let _ = events.send(Event::Ended(ending(&error)));
                return;
            }
            let _ = events.send(Event::Sent(Sent {
                due,
                deadline,
                at,
                went_out: true,
                clash: None,
            }));
            let give_up = at.saturating_add(deadline.max(PATIENCE));
            let event = match self.receive(give_up, stopped) {
                Ok(Some(at)) => Event::Arrived(Arrival {
                    seq,
                    at,
                    report: None,
                    stamp: None,
                }),
                Ok(None) => return,
                Err(ending) => Event::Ended(ending),
            };
            let over = matches!(event, Event::Ended(_));
            if events.send(event).is_err() || over {
                return;
            }
        }
        let _ = events.send(Event::AllSent);
    }

    /// When the whole answer was there; none when the thread is to end.
    fn receive(&self, give_up: Duration, stopped: &Inbox<()>) -> Result<Option<Duration>, Ending> {
        let mut buffer = [0; ANSWER.len()];
        let mut held = 0;
        while stopped.try_recv() == Err(TryRecvError::Empty) {
            let room = buffer.get_mut(held..).unwrap_or_default();
            let received = (&self.stream).read(room);
            let at = self.clock.elapsed();
            match received {
                Ok(0) => return Err(Ending::Closed),
                Ok(len) => held += len,
                Err(error) if is_pause(&error) && at < give_up => {}
                Err(error) => return Err(ending(&error)),
            }
            let so_far = buffer.get(..held).unwrap_or_default();
            if !ANSWER.starts_with(so_far) {
                return Err(Ending::Garbage);
            }
            if held == ANSWER.len() {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}
