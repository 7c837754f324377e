//! Probes in frames: one thread sends them on the schedule, one receives the answers.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver as Inbox, Sender, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hii_protocol::ping::ProbeSize;
use hii_transport::clock::Clock;
use hii_transport::udp::BUFFER_LEN;

use super::PATIENCE;
use super::frames::{Frames, write_frame};
use super::hello::is_pause;
use crate::ping::events::{Ending, Event, GLANCE};
use crate::ping::ledger::Sent;
use crate::ping::link::Link;
use crate::ping::method::Method;
use crate::ping::schedule::Schedule;
use crate::ping::threads::{SendingThread, wait_for_slot};

/// How long the server may take nothing before the connection counts as over.
const STALL: Duration = Duration::from_secs(30);

/// A connection and the threads on it.
#[derive(Debug)]
pub struct FramedLink {
    line: Arc<Line>,
    sender: Option<SendingThread>,
    receiver: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Line {
    stream: TcpStream,
    method: Method,
    size: ProbeSize,
    clock: Clock,
    precise: bool,
    /// Held from before a probe is sent until that has been told, so that the connection's end is told after it.
    sending: Mutex<()>,
}

impl FramedLink {
    /// A link on this connection, with probes of this size; a precise one stays awake for its slots.
    #[must_use]
    pub fn new(stream: TcpStream, method: Method, size: ProbeSize, precise: bool) -> Self {
        let line = Line {
            stream,
            method,
            size,
            clock: Clock::start(),
            precise,
            sending: Mutex::new(()),
        };
        Self {
            line: Arc::new(line),
            sender: None,
            receiver: None,
        }
    }
}

impl Link for FramedLink {
    fn clock(&self) -> Clock {
        self.line.clock
    }

    fn tells_direction(&self) -> bool {
        self.line.method.tells_direction()
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn start(&mut self, schedule: Schedule, events: &Sender<Event>) -> io::Result<()> {
        self.line.stream.set_read_timeout(None)?;
        self.line.stream.set_write_timeout(Some(GLANCE))?;
        let (line, to) = (Arc::clone(&self.line), events.clone());
        let receiver = std::thread::Builder::new()
            .name("receiver".into())
            .spawn(move || line.receive(&to))?;
        self.receiver = Some(receiver);
        let (line, to) = (Arc::clone(&self.line), events.clone());
        let send = move |stopped: &Inbox<()>| line.send_all(schedule, &to, stopped);
        self.sender = Some(SendingThread::start(send)?);
        Ok(())
    }

    fn stop_sending(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.stop();
        }
    }

    fn send_uncounted(&self, seq: u64, events: &Sender<Event>) {
        let mut buffer = vec![0; BUFFER_LEN];
        let len = self.line.write_probe(seq, &mut buffer);
        let frame = buffer.get(..len).unwrap_or_default();
        if let Err(error) = self.line.send(frame, PATIENCE, || false) {
            let _ = events.send(Event::Ended(ending(&error)));
        }
    }

    fn stop_receiving(&mut self) {
        // The thread is waiting in a call; this ends it, when what has come is read.
        let _ = self.line.stream.shutdown(Shutdown::Both);
        if let Some(receiver) = self.receiver.take() {
            // A thread that ended early has told all it had.
            let _ = receiver.join();
        }
    }
}

impl Line {
    fn write_probe(&self, seq: u64, buffer: &mut [u8]) -> usize {
        write_frame(buffer, |room| self.method.write_probe(seq, self.size, room))
    }

    /// Sends a frame, as far as the connection takes it in time; false when it is stopped.
    fn send(
        &self,
        frame: &[u8],
        patience: Duration,
        is_stopped: impl Fn() -> bool,
    ) -> io::Result<bool> {
        let mut rest = frame;
        let mut give_up = self.clock.elapsed().saturating_add(patience);
        while !rest.is_empty() {
            match (&self.stream).write(rest) {
                Ok(taken) => {
                    rest = rest.get(taken..).unwrap_or_default();
                    give_up = self.clock.elapsed().saturating_add(patience);
                }
                Err(error) if is_pause(&error) && self.clock.elapsed() < give_up => {
                    if is_stopped() {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Sends at absolute times. A probe that the connection does not take in time goes out late, and none is skipped.
    fn send_all(&self, schedule: Schedule, events: &Sender<Event>, stopped: &Inbox<()>) {
        let mut buffer = vec![0; BUFFER_LEN];
        let start = self.clock.elapsed();
        for seq in 1..=schedule.last() {
            let len = self.write_probe(seq, &mut buffer);
            let frame = buffer.get(..len).unwrap_or_default();
            let due = start.saturating_add(schedule.slot(seq));
            if !wait_for_slot(&self.clock, due, self.precise, stopped) {
                return;
            }
            let sending = self.sending();
            let at = self.clock.elapsed();
            let is_stopped = || stopped.try_recv() != Err(TryRecvError::Empty);
            let event = match self.send(frame, STALL, is_stopped) {
                Ok(true) => Event::Sent(Sent {
                    due,
                    deadline: schedule.deadline_of(seq),
                    at,
                    went_out: true,
                    clash: None,
                }),
                Ok(false) => return,
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
        let mut buffer = vec![0; BUFFER_LEN];
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
                    Ok(Some(payload)) => {
                        Event::heard(self.method.hear(0, self.size, payload), at, None)
                    }
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
