//! The original ping server, with a script where the original rolls dice.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::panic;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const CALIBRATED: &[u8] = b"Buffer Size Calibrated at Server.";
const STOPPING: &[u8] = b"Stopping the Server.";
const ACKNOWLEDGED: &[u8] = b"Packet Acknowledged";

/// How long the server waits for a datagram before it looks whether it is to end. Only a backstop:
/// who ends it sends it a datagram too.
const IDLE: Duration = Duration::from_secs(1);

/// What the server does about one ordinary message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Answers at once.
    Answer,
    /// Does not answer.
    Drop,
    /// Answers after this time, or a little later.
    AnswerAfter(Duration),
    /// Answers at once, twice.
    AnswerTwice,
    /// Answers right after the next message has had its answer, or has been left without one. A
    /// `C` or an `exit` is a next message too.
    HoldUntilNext,
    /// Answers at once, with this text.
    Text(Vec<u8>),
}

/// Says what to do about an ordinary message, one that is neither `C...` nor `exit`: its index,
/// counted from 0 over all senders, its octets and its sender. A panic in here ends the server and
/// comes up again where the server is stopped.
pub type Script = Box<dyn FnMut(u64, &[u8], SocketAddr) -> Act + Send>;

/// How the server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The address to bind.
    pub bind: SocketAddr,
    /// Whether one delay delays everything else, as in the original.
    pub blocking: bool,
    /// Whether `C` is answered.
    pub calibrates: bool,
}

impl Default for Options {
    /// As the original, on any free port of the loopback interface.
    fn default() -> Self {
        Self {
            bind: (Ipv4Addr::LOCALHOST, 0).into(),
            blocking: true,
            calibrates: true,
        }
    }
}

/// A datagram that reached the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its sender.
    pub from: SocketAddr,
    /// All of it.
    pub octets: Vec<u8>,
}

type Log = Arc<Mutex<Vec<Received>>>;

/// A running server. It stops when it is told to, is sent `exit` or is dropped.
#[derive(Debug)]
pub struct PingServer {
    addr: SocketAddr,
    log: Log,
    /// Dropped to stop the server.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl PingServer {
    /// Starts a server.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound.
    pub fn start(options: Options, script: Script) -> io::Result<Self> {
        let socket = UdpSocket::bind(options.bind)?;
        let mut addr = socket.local_addr()?;
        if addr.ip().is_unspecified() {
            addr.set_ip(match addr {
                SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        let log = Log::default();
        let (stop, stopped) = mpsc::channel();
        let service = Service {
            socket,
            options,
            script,
            stopped,
            log: Arc::clone(&log),
            ordinary: 0,
            held: Vec::new(),
            delayed: BTreeMap::new(),
            delays: 0,
        };
        let thread = thread::Builder::new().spawn(|| service.run())?;
        Ok(Self {
            addr,
            log,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The address that the server can be reached at.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Every datagram so far, oldest first. An answered one is in it before its answer goes out.
    #[must_use]
    pub fn log(&self) -> Vec<Received> {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Stops the server if it still runs. Answers that are not yet due are not sent.
    ///
    /// # Panics
    ///
    /// If the script panicked.
    pub fn stop(&mut self) {
        self.stop = None;
        let Some(thread) = self.thread.take() else {
            return;
        };
        if !thread.is_finished() {
            let ip = self.addr.ip();
            // If this fails, the server sees it when its wait is over.
            let _ = UdpSocket::bind((ip, 0)).and_then(|socket| socket.send_to(&[], self.addr));
        }
        if let Err(cause) = thread.join()
            && !thread::panicking()
        {
            panic::resume_unwind(cause);
        }
    }
}

impl Drop for PingServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An answer and where it goes.
type Parcel = (SocketAddr, Vec<u8>);

struct Service {
    socket: UdpSocket,
    options: Options,
    script: Script,
    stopped: Receiver<()>,
    log: Log,
    /// Ordinary messages so far.
    ordinary: u64,
    /// Sent after the next message's answer, in this order.
    held: Vec<Parcel>,
    /// By the time they are due, and those of one time by their number.
    delayed: BTreeMap<(Instant, u64), Vec<Parcel>>,
    delays: u64,
}

impl Service {
    fn run(mut self) {
        let mut buffer = vec![0; 65_536];
        loop {
            let wait = self.send_due();
            if self.is_stopped() || self.socket.set_read_timeout(Some(wait)).is_err() {
                return;
            }
            match self.socket.recv_from(&mut buffer) {
                Ok((length, from)) => {
                    // Looked at again, since this may be the datagram that only wakes.
                    if self.is_stopped() || !self.take(&buffer[..length], from) {
                        return;
                    }
                }
                Err(error) if is_pause(&error) => {}
                Err(_) => return,
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Handles one message; false when the server is to end.
    fn take(&mut self, message: &[u8], from: SocketAddr) -> bool {
        let received = Received {
            from,
            octets: message.to_vec(),
        };
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(received);

        let is_exit = message == b"exit";
        let mut delay = Duration::ZERO;
        let mut hold = false;
        let texts = if is_exit {
            vec![STOPPING.to_vec()]
        } else if message.starts_with(b"C") {
            if self.options.calibrates {
                vec![CALIBRATED.to_vec()]
            } else {
                Vec::new()
            }
        } else {
            let act = (self.script)(self.ordinary, message, from);
            self.ordinary += 1;
            match act {
                Act::Answer => vec![ACKNOWLEDGED.to_vec()],
                Act::Drop => Vec::new(),
                Act::AnswerAfter(time) => {
                    delay = time;
                    vec![ACKNOWLEDGED.to_vec()]
                }
                Act::AnswerTwice => vec![ACKNOWLEDGED.to_vec(); 2],
                Act::HoldUntilNext => {
                    hold = true;
                    vec![ACKNOWLEDGED.to_vec()]
                }
                Act::Text(text) => vec![text],
            }
        };

        // What was held follows this message's answer, whenever that one goes out.
        let mut parcels: Vec<Parcel> = texts.into_iter().map(|text| (from, text)).collect();
        parcels.append(&mut self.held);
        if hold {
            self.held = parcels;
        } else if delay.is_zero() {
            self.send(&parcels);
        } else if self.options.blocking {
            if self.stopped.recv_timeout(delay) == Err(RecvTimeoutError::Disconnected) {
                return false;
            }
            self.send(&parcels);
        } else if let Some(due) = Instant::now().checked_add(delay) {
            self.delays += 1;
            self.delayed.insert((due, self.delays), parcels);
        }
        !is_exit
    }

    /// Sends every delayed answer that is due, and says how long there is to the next.
    fn send_due(&mut self) -> Duration {
        while let Some(entry) = self.delayed.first_entry() {
            let wait = entry.key().0.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                return wait.min(IDLE);
            }
            let parcels = entry.remove();
            self.send(&parcels);
        }
        IDLE
    }

    fn send(&self, parcels: &[Parcel]) {
        for (to, octets) in parcels {
            // An answer that cannot be sent is a lost one.
            let _ = self.socket.send_to(octets, to);
        }
    }
}

fn is_pause(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionReset, Interrupted, TimedOut, WouldBlock};
    // Some systems report a client that went away as a reset.
    matches!(
        error.kind(),
        ConnectionReset | Interrupted | TimedOut | WouldBlock
    )
}

#[cfg(test)]
#[path = "ping_server_tests.rs"]
mod tests;
