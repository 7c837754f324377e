//! The thread that receives what nobody stays awake for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use hii_transport::probe::ProbeSocket;
use mio::event::Event;
use mio::{Events, Poll, Token, Waker};

use super::ear::{Deaf, SharedEar};

/// The token that ends the thread; sockets have their index.
const STOP: Token = Token(usize::MAX);

/// What is taken from the operating system at once: sockets that have something.
const MOST_READY: usize = 256;

/// The thread that receives.
#[derive(Debug)]
pub struct Receiver {
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: JoinHandle<()>,
}

/// What watches the sockets of a line.
#[derive(Debug)]
pub struct Watch {
    poll: Poll,
    /// Ends the wait.
    waker: Waker,
}

impl Watch {
    /// How many descriptors one takes.
    pub const DESCRIPTORS: usize = 2;

    /// Watches these sockets.
    ///
    /// # Errors
    /// There is no descriptor for it.
    pub fn new(sockets: &mut [ProbeSocket]) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), STOP)?;
        for (index, socket) in sockets.iter_mut().enumerate() {
            socket.register(poll.registry(), Token(index))?;
        }
        Ok(Self { poll, waker })
    }
}

impl Receiver {
    /// Starts the thread that has the ear take whatever comes to the sockets that are watched.
    ///
    /// # Errors
    /// There is no memory for a thread.
    pub fn start(ear: Arc<SharedEar>, watch: Watch) -> io::Result<Self> {
        let Watch { poll, waker } = watch;
        let stop = Arc::new(AtomicBool::new(false));
        let is_stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("receiver".into())
            .spawn(move || listen(&ear, poll, &is_stopped))?;
        Ok(Self {
            stop,
            waker,
            thread,
        })
    }

    /// Ends the thread. All that came has been told then.
    pub fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        if self.waker.wake().is_err() {
            return;
        }
        // A thread that ended early has told all it had.
        let _ = self.thread.join();
    }
}

fn listen(ear: &SharedEar, mut poll: Poll, is_stopped: &AtomicBool) {
    let mut ready = Events::with_capacity(MOST_READY);
    while !is_stopped.load(Ordering::SeqCst) {
        if let Err(error) = poll.poll(&mut ready, None)
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::debug!(%error, "receive");
            return;
        }
        let ports = ready.iter().map(Event::token);
        for Token(port) in ports.filter(|token| *token != STOP) {
            // What is left would not be told again.
            while !is_stopped.load(Ordering::SeqCst) {
                match ear.lock().drain(port) {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(Deaf) => return,
                }
            }
        }
    }
    // Nobody listening is no matter any more.
    let _ = ear.lock().drain_all();
}
