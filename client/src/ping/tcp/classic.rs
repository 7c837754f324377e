//! The original echo server: one message at a time, since its answers carry no number and its reads no border.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use hii_transport::clock::Clock;

use super::PATIENCE;
use super::framed::ending;
use super::hello::is_pause;
use crate::ping::events::{Ending, Event, Interrupt};
use crate::ping::ledger::Arrival;
use crate::ping::link::Link;
use crate::ping::schedule::Schedule;

/// What the original client sends.
pub const MESSAGE: &[u8] = b"Hii Server";

/// What the original server answers.
pub const ANSWER: &[u8] = b"Acknowledgement";

/// Ends a connection.
const EXIT: &[u8] = b"exit";

/// How often a wait looks whether the user wants to stop.
const GLANCE: Duration = Duration::from_millis(100);

/// A connection and the thread on it.
#[derive(Debug)]
pub struct ClassicLink(Arc<Line>);

#[derive(Debug)]
struct Line {
    stream: TcpStream,
    clock: Clock,
}

impl ClassicLink {
    /// A link on this connection.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        let clock = Clock::start();
        Self(Arc::new(Line { stream, clock }))
    }
}

impl Link for ClassicLink {
    fn clock(&self) -> Clock {
        self.0.clock
    }

    fn tells_direction(&self) -> bool {
        false
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn start(
        &mut self,
        schedule: Schedule,
        interrupt: &Interrupt,
        events: &Sender<Event>,
    ) -> io::Result<()> {
        self.0.stream.set_read_timeout(Some(GLANCE))?;
        self.0.stream.set_write_timeout(Some(PATIENCE))?;
        let (line, events, interrupt) = (Arc::clone(&self.0), events.clone(), interrupt.clone());
        std::thread::Builder::new()
            .name("sender".into())
            .spawn(move || line.converse(schedule, &interrupt, &events))
            .map(drop)
    }

    fn send_uncounted(&self, _: u64, _: &Sender<Event>) {}

    fn stop(&mut self) {
        // An original serves nobody else before this connection has ended.
        let _ = (&self.0.stream).write_all(EXIT);
        let _ = self.0.stream.shutdown(Shutdown::Write);
    }
}

impl Line {
    /// Sends each message at its time, or as soon as the one before has been answered.
    fn converse(&self, schedule: Schedule, interrupt: &Interrupt, events: &Sender<Event>) {
        let start = self.clock.elapsed();
        for seq in 1..=schedule.count {
            let slot = start.saturating_add(schedule.slot(seq));
            self.clock.sleep_until(slot);
            if interrupt.is_raised() {
                return;
            }
            let at = self.clock.elapsed();
            if let Err(error) = (&self.stream).write_all(MESSAGE) {
                let _ = events.send(Event::Ended(ending(&error)));
                return;
            }
            let _ = events.send(Event::Sent {
                at,
                went_out: true,
                clash: None,
            });
            let event = match self.receive(at, schedule.interval, interrupt) {
                Ok(Some(at)) => Event::Arrived(Arrival {
                    seq,
                    at,
                    report: None,
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

    /// When the whole answer was there; none when the user wants to stop.
    fn receive(
        &self,
        sent: Duration,
        interval: Duration,
        interrupt: &Interrupt,
    ) -> Result<Option<Duration>, Ending> {
        let mut buffer = [0; ANSWER.len()];
        let mut held = 0;
        let give_up = sent.saturating_add(interval.max(PATIENCE));
        while !interrupt.is_raised() {
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
