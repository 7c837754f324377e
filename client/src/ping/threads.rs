//! The two threads of a run: one sends on the schedule and does nothing else, one receives.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use hii_protocol::ping::ProbeSize;
use hii_transport::clock::Clock;
use hii_transport::udp::MAX_DATAGRAM;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

use super::events::{Event, Interrupt};
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
        match socket.send(datagram) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                // The news is about an earlier probe, and has kept this one from being sent.
                let _ = events.send(Event::Refused);
                socket.send(datagram).is_ok()
            }
            Err(error) => {
                tracing::debug!(%error, "probe not sent");
                false
            }
            Ok(_) => true,
        }
    }

    /// Sends an uncounted probe, from the first socket.
    pub fn send_uncounted(&self, seq: u64, events: &Sender<Event>) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let len = self.method.write_probe(seq, self.size, &mut buffer);
        self.send(0, buffer.get(..len).unwrap_or_default(), events);
    }
}

/// Starts the thread that sends. It waits for absolute times, catches up after a stall, and skips no slot.
///
/// # Errors
/// There is no memory for a thread.
pub fn start_sender(
    line: Arc<Line>,
    schedule: Schedule,
    interrupt: Interrupt,
    events: Sender<Event>,
) -> io::Result<()> {
    let send = move || {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let start = line.clock.elapsed();
        for seq in 1..=schedule.last() {
            // Everything that takes time comes before the slot.
            let len = line.method.write_probe(seq, line.size, &mut buffer);
            let datagram = buffer.get(..len).unwrap_or_default();
            let due = start.saturating_add(schedule.slot(seq));
            line.clock.sleep_until(due);
            if interrupt.is_raised() {
                return;
            }
            let Assignment { port, clash } = line.method.assign(seq, line.clock.elapsed());
            let at = line.clock.elapsed();
            let went_out = line.send(port, datagram, &events);
            // The judging thread learns of it afterwards: telling it may take a while.
            let sent = Sent {
                due,
                deadline: schedule.interval_after(seq),
                at,
                went_out,
                clash,
            };
            if events.send(Event::Sent(sent)).is_err() {
                return;
            }
        }
        let _ = events.send(Event::AllSent);
    };
    std::thread::Builder::new()
        .name("sender".into())
        .spawn(send)
        .map(drop)
}

/// The thread that receives.
#[derive(Debug)]
pub struct Receiver {
    waker: Waker,
    thread: JoinHandle<()>,
}

/// The token that ends the receiver; sockets have their index.
const STOP: Token = Token(usize::MAX);

/// Registers the sockets of a line before it is shared.
///
/// # Errors
/// The platform gives no more descriptors.
pub fn register(sockets: &mut [UdpSocket]) -> io::Result<Poll> {
    let poll = Poll::new()?;
    for (index, socket) in sockets.iter_mut().enumerate() {
        poll.registry()
            .register(socket, Token(index), Interest::READABLE)?;
    }
    Ok(poll)
}

impl Receiver {
    /// Starts the thread that receives on all sockets of the line.
    ///
    /// # Errors
    /// There is no memory for a thread, or no descriptor.
    pub fn start(line: Arc<Line>, mut poll: Poll, events: Sender<Event>) -> io::Result<Self> {
        let waker = Waker::new(poll.registry(), STOP)?;
        let receive = move || {
            let mut ready = Events::with_capacity(256);
            let mut buffer = vec![0; MAX_DATAGRAM];
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
                    drain(&line, event.token().0, &mut buffer, &events);
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("receiver".into())
            .spawn(receive)?;
        Ok(Self { waker, thread })
    }

    /// Ends the thread.
    pub fn stop(self) {
        if self.waker.wake().is_ok() {
            // A thread that ended early has told all it had.
            let _ = self.thread.join();
        }
    }
}

/// Takes all that a socket has.
fn drain(line: &Line, port: usize, buffer: &mut [u8], events: &Sender<Event>) {
    let Some(socket) = line.sockets.get(port) else {
        return;
    };
    loop {
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
    match line.method.hear(port, datagram) {
        Heard::Answer { seq, report } => Event::Arrived(Arrival { seq, at, report }),
        Heard::Foreign => Event::Foreign,
    }
}
