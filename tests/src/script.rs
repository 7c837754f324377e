//! A ping server for tests that answers as it is told: truly, falsely, or not at all.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hii_protocol::ping::{Probe, Report, Request};
use hii_server::ping::Runs;

use crate::origin::origin;

/// How long it waits before it looks whether it is to end. Only a backstop: who ends it sends it a datagram too.
const IDLE: Duration = Duration::from_secs(5);

/// The size of the probes that ask what a server is; those of a run are to have another one.
const QUESTION: usize = 64;

/// A probe that was received, and what a true answer would tell.
#[derive(Debug, Clone, Copy)]
pub struct Received {
    /// The probe.
    pub probe: Probe,
    /// Where it came from.
    pub from: SocketAddr,
    /// The truth.
    pub report: Report,
}

impl Received {
    /// The probe's number.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.probe.seq().get()
    }

    /// The true answer.
    #[must_use]
    pub fn truth(&self) -> Vec<u8> {
        self.says(self.report)
    }

    /// An answer that tells this.
    #[must_use]
    pub fn says(&self, report: Report) -> Vec<u8> {
        self.probe.answer(&report).to_vec()
    }
}

/// What a server keeps of the probes that it received.
#[derive(Debug)]
pub struct Memory {
    runs: Runs,
    start: Instant,
}

impl Memory {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            runs: Runs::new(),
            start: Instant::now(),
        }
    }

    /// Notes a probe; none when it is something else.
    ///
    /// # Panics
    /// This machine's clock is not set.
    pub fn receive(&mut self, datagram: &[u8], from: SocketAddr) -> Option<Received> {
        let Ok(Request::Probe(probe)) = Request::decode(datagram) else {
            return None;
        };
        let standing = self.runs.record(&origin(from), probe, self.start.elapsed());
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let since = since.expect("the clock is set").as_nanos();
        let report = Report {
            count: standing.count,
            window: standing.window.expect("tests do not reorder that far"),
            held: 0,
            received: u64::try_from(since).expect("it is not 2554 yet"),
            limited: 0,
        };
        Some(Received {
            probe,
            from,
            report,
        })
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// A server over UDP. It answers truly what asks it what it is, and ends when it is dropped.
#[derive(Debug)]
pub struct Script {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Script {
    /// A server that answers the probes of a run with these datagrams, in this order.
    ///
    /// # Panics
    /// There is no free port.
    pub fn start(mut answers: impl FnMut(Received) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let mut memory = Memory::new();
        Self::start_raw(move |datagram, from| {
            let Some(received) = memory.receive(datagram, from) else {
                return Vec::new();
            };
            if datagram.len() == QUESTION {
                return vec![received.truth()];
            }
            answers(received)
        })
    }

    /// A server that answers every datagram with these, whatever it is.
    ///
    /// # Panics
    /// There is no free port.
    pub fn start_raw(
        mut answers: impl FnMut(&[u8], SocketAddr) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("its address");
        socket.set_read_timeout(Some(IDLE)).expect("a time-out");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let serve = move || {
            let mut buffer = vec![0; 65_536];
            while !stopped.load(Ordering::Acquire) {
                // A port that a client has closed meanwhile shows as an error.
                let Ok((len, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                // The datagram that only wakes.
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                for answer in answers(&buffer[..len], from) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        };
        Self {
            address,
            stop,
            thread: Some(thread::spawn(serve)),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // If this fails, the thread sees it when its wait is over.
        if let Ok(socket) = UdpSocket::bind("127.0.0.1:0") {
            let _ = socket.send_to(&[], self.address);
        }
        let panicked = self.thread.take().map(JoinHandle::join);
        if let Some(Err(cause)) = panicked
            && !thread::panicking()
        {
            std::panic::resume_unwind(cause);
        }
    }
}
