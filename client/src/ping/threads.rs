//! The two threads of a run over UDP, and how a thread waits for its slots.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use hii_transport::clock::{self, Clock};
use hii_transport::elsewhere::{Elsewhere, Strays};

use super::ear::{Ear, SharedEar};
use super::events::Event;
use super::ledger::LEAST_PATIENCE;
use super::line::Line;
use super::link::Link;
use super::receiver::{Receiver, Watch};
use super::schedule::Schedule;

/// A line and the threads on it: one sends on the schedule, and takes answers that come at once; one receives.
#[derive(Debug)]
pub struct UdpLink {
    line: Arc<Line>,
    /// Until the threads are started.
    watch: Option<Watch>,
    elsewhere: Option<Elsewhere>,
    sender: Option<SendingThread>,
    receiver: Option<Receiver>,
    /// Where the threads tell what happens.
    events: Option<Sender<Event>>,
}

impl UdpLink {
    /// The line, and what watches its sockets.
    #[must_use]
    pub fn new(line: Line, watch: Watch) -> Self {
        Self {
            elsewhere: line.hear_elsewhere(),
            line: Arc::new(line),
            watch: Some(watch),
            sender: None,
            receiver: None,
            events: None,
        }
    }
}

impl Link for UdpLink {
    fn clock(&self) -> Clock {
        self.line.clock
    }

    fn tells_direction(&self) -> bool {
        self.line.method.tells_direction()
    }

    fn patience(&self) -> Duration {
        LEAST_PATIENCE
    }

    fn lacks_stamps(&self) -> Option<&str> {
        self.line.lacks_stamps()
    }

    fn look_elsewhere(&mut self) -> Option<Strays> {
        self.elsewhere.as_mut().map(Elsewhere::look)
    }

    fn start(&mut self, schedule: Schedule, events: &Sender<Event>) -> io::Result<()> {
        self.events = Some(events.clone());
        let ear = Arc::new(SharedEar::new(Ear::new(&self.line, events.clone())));
        if let Some(watch) = self.watch.take() {
            self.receiver = Some(Receiver::start(Arc::clone(&ear), watch)?);
        }
        let (line, events) = (Arc::clone(&self.line), events.clone());
        let send = move |stopped: &Inbox<()>| line.send_all(schedule, &ear, &events, stopped);
        self.sender = Some(SendingThread::start(send)?);
        Ok(())
    }

    fn stop_sending(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.stop();
        }
    }

    fn send_uncounted(&self, seq: u64, _: &Sender<Event>) {
        self.line.send_uncounted(seq);
    }

    fn stop_receiving(&mut self) {
        if let Some(receiver) = self.receiver.take() {
            receiver.stop();
        }
        if let Some(events) = self.events.take() {
            self.line.tell_late_notes(&events);
        }
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
    /// Starts it with what it does until that is through, or the other side of the channel is dropped.
    ///
    /// # Errors
    /// There is no memory for a thread.
    pub fn start(send: impl FnOnce(&Inbox<()>) + Send + 'static) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let send = move || {
            clock::sleep_exactly();
            send(&stopped);
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

/// Waits for a point in time; false when the thread is to end.
#[must_use]
pub fn wait_until(clock: &Clock, due: Duration, stopped: &Inbox<()>) -> bool {
    wait_for_slot(clock, due, false, stopped)
}

/// The same for a slot, which a precise thread stays awake for.
#[must_use]
pub fn wait_for_slot(clock: &Clock, due: Duration, precise: bool, stopped: &Inbox<()>) -> bool {
    let left = due.saturating_sub(clock.elapsed());
    let coarse = stopped.recv_timeout(left.saturating_sub(FINE_WAIT));
    if coarse != Err(RecvTimeoutError::Timeout) {
        return false;
    }
    if precise {
        clock.spin_until(due);
    } else {
        clock.sleep_until(due);
    }
    true
}
