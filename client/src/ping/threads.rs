//! The two threads of a run: one sends on the schedule and does nothing else, one receives.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use hii_protocol::ping::ProbeSize;
use hii_transport::clock::Clock;
use hii_transport::udp::BUFFER_LEN;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

use super::events::Event;
use super::ledger::{Arrival, Sent};
use super::method::{Assignment, Heard, Method};
use super::schedule::Schedule;

/// What a run sends by, and on which clock; shared by its threads.
#[derive(Debug)]
pub struct Line {
    /// Connected to the target, one for each port of the method.
    pub sockets: Vec<UdpSocket>,
    /// How probes and answers are told apart.
    pub method: Method,
    /// The length of each probe.
    pub size: ProbeSize,
    /// The clock of all times.
    pub clock: Clock,
}

impl Line {
    /// Sends probe `seq`; `buffer` holds it. Tells whether the kernel took it.
    fn send(&self, port: usize, datagram: &[u8], events: &Sender<Event>) -> bool {
        let Some(socket) = self.sockets.get(port) else {
            return false;
        };
        let Err(error) = socket.send(datagram) else {
            return true;
        };
        if error.kind() == io::ErrorKind::ConnectionRefused {
            let _ = events.send(Event::Refused);
        }
        tracing::debug!(%error, "send");
        // An ICMP error is about an earlier probe, and has kept this one from being sent.
        error.kind() != io::ErrorKind::WouldBlock && socket.send(datagram).is_ok()
    }

    /// Sends an uncounted probe, from the first socket.
    pub fn send_uncounted(&self, seq: u64, events: &Sender<Event>) {
        let mut buffer = vec![0; BUFFER_LEN];
        let len = self.method.write_probe(seq, self.size, &mut buffer);
        self.send(0, buffer.get(..len).unwrap_or_default(), events);
    }
}

/// The thread that sends.
#[derive(Debug)]
pub struct SendingThread {
    /// Dropped to stop it.
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

/// The last of a wait is slept to an absolute time, the rest so that it can be ended.
const FINE_WAIT: Duration = Duration::from_millis(5);

impl SendingThread {
    /// Starts it. It waits for absolute times, catches up after a stall, and skips no slot.
    ///
    /// # Errors
    /// There is no memory for a thread.
    pub fn start(line: Arc<Line>, schedule: Schedule, events: Sender<Event>) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let send = move || {
            let mut buffer = vec![0; BUFFER_LEN];
            let start = line.clock.elapsed();
            for seq in 1..=schedule.last() {
                // Everything that takes time comes before the slot.
                let len = line.method.write_probe(seq, line.size, &mut buffer);
                let datagram = buffer.get(..len).unwrap_or_default();
                let due = start.saturating_add(schedule.slot(seq));
                if !wait_until(&line.clock, due, &stopped) {
                    return;
                }
                let Assignment { port, clash } = line.method.assign(seq, line.clock.elapsed());
                let at = line.clock.elapsed();
                let went_out = line.send(port, datagram, &events);
                let sent = Sent {
                    due,
                    deadline: schedule.deadline_of(seq),
                    at,
                    went_out,
                    clash,
                };
                // The judging thread learns of it afterwards: telling it may take a while.
                if events.send(Event::Sent(sent)).is_err() {
                    return;
                }
            }
            let _ = events.send(Event::AllSent);
        };
        let thread = std::thread::Builder::new()
            .name("sender".into())
            .spawn(send)?;
        Ok(Self { stop, thread })
    }

    /// Ends the thread; all it has sent has been told.
    pub fn stop(self) {
        drop(self.stop);
        // A thread that ended early has told all it had.
        let _ = self.thread.join();
    }
}

/// Waits for a slot; false when the thread is to end.
fn wait_until(clock: &Clock, due: Duration, stopped: &Inbox<()>) -> bool {
    let left = due.saturating_sub(clock.elapsed());
    let coarse = stopped.recv_timeout(left.saturating_sub(FINE_WAIT));
    if coarse != Err(RecvTimeoutError::Timeout) {
        return false;
    }
    clock.sleep_until(due);
    true
}

/// The thread that receives.
#[derive(Debug)]
pub struct Receiver {
    waker: Waker,
    /// Looked at between datagrams, in case they never end.
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// The token that ends the receiver; sockets have their index.
const STOP: Token = Token(usize::MAX);

/// What watches the sockets of a line.
#[derive(Debug)]
pub struct Watch {
    poll: Poll,
    waker: Waker,
}

impl Watch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// The platform gives no more descriptors.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), STOP)?;
        Ok(Self { poll, waker })
    }

    /// Watches the sockets, before they are shared.
    ///
    /// # Errors
    /// The platform refuses.
    pub fn register(&self, sockets: &mut [UdpSocket]) -> io::Result<()> {
        let register = |(index, socket): (usize, &mut UdpSocket)| {
            self.poll
                .registry()
                .register(socket, Token(index), Interest::READABLE)
        };
        sockets.iter_mut().enumerate().try_for_each(register)
    }
}

impl Receiver {
    /// Starts the thread that receives on all sockets of the line.
    ///
    /// # Errors
    /// There is no memory for a thread, or no descriptor.
    pub fn start(line: Arc<Line>, watch: Watch, events: Sender<Event>) -> io::Result<Self> {
        let Watch { mut poll, waker } = watch;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let receive = move || {
            let mut ready = Events::with_capacity(256);
            let mut buffer = vec![0; BUFFER_LEN];
            loop {
                if let Err(error) = poll.poll(&mut ready, None)
                    && error.kind() != io::ErrorKind::Interrupted
                {
                    tracing::debug!(%error, "receive");
                    return;
                }
                for event in &ready {
                    if event.token() == STOP {
                        return;
                    }
                    drain(&line, event.token().0, &mut buffer, &events, &stopped);
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("receiver".into())
            .spawn(receive)?;
        Ok(Self {
            waker,
            stop,
            thread,
        })
    }

    /// Ends the thread.
    pub fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        if self.waker.wake().is_ok() {
            // A thread that ended early has told all it had.
            let _ = self.thread.join();
        }
    }
}

/// Takes all that a socket has.
fn drain(line: &Line, port: usize, buffer: &mut [u8], events: &Sender<Event>, stop: &AtomicBool) {
    let Some(socket) = line.sockets.get(port) else {
        return;
    };
    while !stop.load(Ordering::Relaxed) {
        let received = socket.recv(buffer);
        let at = line.clock.elapsed();
        let event = match received {
            Ok(len) => heard(line, port, buffer.get(..len).unwrap_or_default(), at),
            Err(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => Event::Refused,
                io::ErrorKind::Interrupted => continue,
                io::ErrorKind::WouldBlock => return,
                _ => {
                    // Another ICMP error, such as an unreachable host: the probe's fate says the rest.
                    tracing::debug!(%error, "receive");
                    continue;
                }
            },
        };
        if events.send(event).is_err() {
            return;
        }
    }
}

fn heard(line: &Line, port: usize, datagram: &[u8], at: Duration) -> Event {
    match line.method.hear(port, line.size, datagram) {
        Heard::Answer { seq, report } => Event::Arrived(Arrival { seq, at, report }),
        Heard::WrongLength => Event::WrongLength,
        Heard::Ambiguous => Event::Ambiguous,
        Heard::Foreign => Event::Foreign,
    }
}
