//! Probes in frames: one thread sends them on the schedule, one receives the answers.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hii_protocol::ping::ProbeSize;
use hii_transport::clock::Clock;
use hii_transport::udp::MAX_DATAGRAM;

use super::PATIENCE;
use super::frames::{Frames, write_frame};
use super::hello::is_pause;
use crate::ping::events::{Ending, Event, Interrupt};
use crate::ping::ledger::Arrival;
use crate::ping::link::Link;
use crate::ping::method::{Heard, Method};
use crate::ping::schedule::Schedule;

/// How long the server may take nothing before the connection counts as over.
const STALL: Duration = Duration::from_secs(30);

/// A connection and the threads on it.
#[derive(Debug)]
pub struct FramedLink(Arc<Line>);

#[derive(Debug)]
struct Line {
    stream: TcpStream,
    method: Method,
    size: ProbeSize,
    clock: Clock,
    /// Held from before a probe is sent until that has been told, so that the connection's end is told after it.
    sending: Mutex<()>,
}

impl FramedLink {
    /// A link on this connection, with probes of this size.
    #[must_use]
    pub fn new(stream: TcpStream, method: Method, size: ProbeSize) -> Self {
        Self(Arc::new(Line {
            stream,
            method,
            size,
            clock: Clock::start(),
            sending: Mutex::new(()),
        }))
    }
}

impl Link for FramedLink {
    fn clock(&self) -> Clock {
        self.0.clock
    }

    fn tells_direction(&self) -> bool {
        self.0.method.tells_direction()
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
        self.0.stream.set_read_timeout(None)?;
        self.0.stream.set_write_timeout(Some(STALL))?;
        let (line, to) = (Arc::clone(&self.0), events.clone());
        spawn("receiver", move || line.receive(&to))?;
        let (line, to, interrupt) = (Arc::clone(&self.0), events.clone(), interrupt.clone());
        spawn("sender", move || line.send_all(schedule, &interrupt, &to))
    }

    fn send_uncounted(&self, seq: u64, events: &Sender<Event>) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let len = self.0.write_probe(seq, &mut buffer);
        let sent = self.0.send(buffer.get(..len).unwrap_or_default());
        if let Err(error) = sent {
            let _ = events.send(Event::Ended(ending(&error)));
        }
    }

    fn stop(&mut self) {
        // The threads may be waiting in a call; this ends it.
        let _ = self.0.stream.shutdown(Shutdown::Both);
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map(drop)
}

impl Line {
    fn write_probe(&self, seq: u64, buffer: &mut [u8]) -> usize {
        write_frame(buffer, |room| self.method.write_probe(seq, self.size, room))
    }

    fn send(&self, frame: &[u8]) -> io::Result<()> {
        (&self.stream).write_all(frame)
    }

    /// Sends at absolute times. A probe that the connection does not take in time goes out late, and none is skipped.
    fn send_all(&self, schedule: Schedule, interrupt: &Interrupt, events: &Sender<Event>) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let start = self.clock.elapsed();
        for seq in 1..=schedule.count {
            let len = self.write_probe(seq, &mut buffer);
            let frame = buffer.get(..len).unwrap_or_default();
            let slot = start.saturating_add(schedule.slot(seq));
            self.clock.sleep_until(slot);
            if interrupt.is_raised() {
                return;
            }
            let sending = self.sending();
            let at = self.clock.elapsed();
            let event = match self.send(frame) {
                Ok(()) => Event::Sent {
                    at,
                    went_out: true,
                    clash: None,
                },
                Err(error) => Event::Ended(ending(&error)),
            };
            let over = matches!(event, Event::Ended(_));
            if events.send(event).is_err() || over {
                return;
            }
            drop(sending);
        }
        let _ = events.send(Event::AllSent);
    }

    fn sending(&self) -> MutexGuard<'_, ()> {
        // It guards an order of events, and no data that could be half done.
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receive(&self, events: &Sender<Event>) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut frames = Frames::default();
        let ending = loop {
            let received = (&self.stream).read(&mut buffer);
            let at = self.clock.elapsed();
            match received {
                Ok(0) => break Ending::Closed,
                Ok(len) => frames.push(buffer.get(..len).unwrap_or_default()),
                Err(error) if is_pause(&error) => continue,
                Err(error) => break ending(&error),
            }
            let ended = loop {
                let event = match frames.next_frame() {
                    Ok(None) => break None,
                    Ok(Some(payload)) => match self.method.hear(0, payload) {
                        Heard::Answer { seq, report } => {
                            Event::Arrived(Arrival { seq, at, report })
                        }
                        Heard::Foreign => Event::Foreign,
                    },
                    Err(_) => break Some(Ending::Garbage),
                };
                if events.send(event).is_err() {
                    return;
                }
            };
            if let Some(ending) = ended {
                break ending;
            }
        };
        // A probe that is being sent may wait for room that there will not be.
        let _ = self.stream.shutdown(Shutdown::Both);
        drop(self.sending());
        let _ = events.send(Event::Ended(ending));
    }
}

/// What an error of the connection means for the run.
pub(super) fn ending(error: &io::Error) -> Ending {
    tracing::debug!(%error, "connection");
    if is_pause(error) {
        Ending::Stalled
    } else {
        Ending::Broken
    }
}
