//! What a run over UDP sends by, and the thread that does it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver as Inbox, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use hii_protocol::ping::ProbeSize;
use hii_transport::clock::Clock;
use hii_transport::elsewhere::Elsewhere;
use hii_transport::probe::{ProbeSocket, StampClock};
use hii_transport::udp::BUFFER_LEN;

use super::ear::SharedEar;
use super::events::Event;
use super::ledger::Sent;
use super::link::unheard;
use super::method::{Assignment, Method};
use super::schedule::Schedule;
use super::sent_notes::SentNotes;
use super::threads::{wait_for_slot, wait_until};
use super::vigil::{self, Vigil};

/// A probe is told of with its answer, or so long after it went out. To tell wakes a thread, and to read the kernel's
/// notes takes a moment: on a small machine both would be in the way of the answer.
const QUIET: Duration = Duration::from_millis(2);

/// Probes that follow each other sooner are told of at once.
const LEAST_GAP: Duration = Duration::from_micros(500);

/// What a run sends by, and on which clock; shared by its threads.
#[derive(Debug)]
pub struct Line {
    /// Towards the target, one for each port of the method.
    pub sockets: Vec<ProbeSocket>,
    /// How probes and answers are told apart.
    pub method: Method,
    /// The length of each probe.
    pub size: ProbeSize,
    /// The clock of all times.
    pub clock: Clock,
    /// Tells the kernel's times by that clock.
    pub stamps: StampClock,
    /// Whether the thread that sends stays awake for the last of each wait.
    pub precise: bool,
    /// The highest number that was sent, or is being sent.
    highest: AtomicU64,
    /// Probes that nobody has been told of, in their order.
    unsaid: Mutex<Vec<Sent>>,
    notes: Mutex<SentNotes>,
}

impl Line {
    /// A line on these sockets.
    #[must_use]
    pub fn new(sockets: Vec<ProbeSocket>, method: Method, size: ProbeSize, precise: bool) -> Self {
        let clock = Clock::start();
        let stamps = StampClock::start(clock);
        let notes = Mutex::new(SentNotes::new(sockets.len(), stamps));
        Self {
            sockets,
            method,
            size,
            clock,
            stamps,
            precise,
            highest: AtomicU64::new(0),
            unsaid: Mutex::default(),
            notes,
        }
    }

    /// Sends at absolute times, catches up after a stall, and skips no slot. What comes soon after a probe is taken here too,
    /// by the same ear as the other thread's.
    pub(super) fn send_all(
        &self,
        schedule: Schedule,
        ear: &SharedEar,
        events: &Sender<Event>,
        stopped: &Inbox<()>,
    ) {
        let mut vigil = Vigil::default();
        let mut buffer = vec![0; BUFFER_LEN];
        let start = self.clock.elapsed();
        let slot = |seq| start.saturating_add(schedule.slot(seq));
        for seq in 1..=schedule.last() {
            // Everything that takes time comes before the slot.
            let len = self.method.write_probe(seq, self.size, &mut buffer);
            let datagram = buffer.get(..len).unwrap_or_default();
            let due = slot(seq);
            if !wait_for_slot(&self.clock, due, self.precise, stopped) {
                return;
            }
            let Assignment { port, clash } = self.method.assign(seq, self.clock.elapsed());
            lock(&self.notes).reuse(self, port, events);
            self.highest.store(seq, Ordering::Release);
            let at = self.clock.elapsed();
            let went_out = self.send(port, datagram);
            lock(&self.unsaid).push(Sent {
                due,
                deadline: schedule.deadline_of(seq),
                at,
                went_out,
                clash,
            });
            let next = slot(seq.saturating_add(1));
            if let Some(most) = vigil.begin(vigil::part_of(next.saturating_sub(at)))
                && let Some(answered) = self.stay_awake(ear, port, at.saturating_add(most))
            {
                vigil.end(answered);
            }
            let quiet = quiet_until(at, next);
            let goes_on = quiet <= at || wait_until(&self.clock, quiet, stopped);
            self.tell_sent(events);
            let mut notes = lock(&self.notes);
            notes.sent(port, seq);
            // What keeps the next one waiting can wait itself.
            if self.clock.elapsed() < next {
                notes.read_some(self, port, events);
            }
            drop(notes);
            if !goes_on {
                return;
            }
        }
        let _ = events.send(Event::AllSent);
    }

    /// Looks for an answer until then, and returns whether one came in that time, whoever took it; none where the other
    /// thread is taking something, or wants to.
    fn stay_awake(&self, ear: &SharedEar, port: usize, until: Duration) -> Option<bool> {
        let mut before = None;
        loop {
            let mut ear = ear.try_lock()?;
            let before = *before.get_or_insert(ear.taken());
            let result = ear.take(port);
            let came = ear.taken() > before;
            // Whoever gets the core now may keep it for long. The other thread must not wait for that.
            drop(ear);
            let in_time = self.clock.elapsed() < until;
            match result {
                Ok(_) if came => return Some(in_time),
                Ok(_) if in_time => thread::yield_now(),
                _ => return Some(false),
            }
        }
    }

    /// Sends an uncounted probe, from the first socket.
    pub fn send_uncounted(&self, seq: u64) {
        let mut buffer = vec![0; BUFFER_LEN];
        let len = self.method.write_probe(seq, self.size, &mut buffer);
        self.highest.store(seq, Ordering::Release);
        self.send(0, buffer.get(..len).unwrap_or_default());
    }

    /// Whether a probe of this number may have been sent by now.
    pub fn may_have_sent(&self, seq: u64) -> bool {
        seq <= self.highest.load(Ordering::Acquire)
    }

    /// Tells of all probes that went out; whatever is told of their answers comes after it.
    pub fn tell_sent(&self, events: &Sender<Event>) {
        for sent in lock(&self.unsaid).drain(..) {
            // Nobody may listen any more.
            let _ = events.send(Event::Sent(sent));
        }
    }

    /// Tells what the kernel noted of probes since they were told of.
    pub fn tell_late_notes(&self, events: &Sender<Event>) {
        lock(&self.notes).read_all(self, events);
    }

    /// Why the kernel tells no times, where it does not.
    #[must_use]
    pub fn lacks_stamps(&self) -> Option<&str> {
        self.sockets.iter().find_map(ProbeSocket::lacks_stamps)
    }

    /// Hears what comes from elsewhere, where a single port carries all probes: beside each of many it would take half as
    /// many descriptors again.
    #[must_use]
    pub fn hear_elsewhere(&self) -> Option<Elsewhere> {
        let socket = self.sockets.first().filter(|_| self.method.is_numbered())?;
        socket.hear_elsewhere().inspect_err(unheard).ok()
    }

    /// Whether the kernel took it.
    fn send(&self, port: usize, datagram: &[u8]) -> bool {
        let Some(socket) = self.sockets.get(port) else {
            return false;
        };
        socket
            .send(datagram)
            .inspect_err(|error| tracing::debug!(%error, "send"))
            .is_ok()
    }
}

/// What is locked is whole between calls, whatever thread ended early.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When a probe that was sent at `at` is told of, where the next is sent at `next`.
fn quiet_until(at: Duration, next: Duration) -> Duration {
    let gap = next.saturating_sub(at);
    if gap < LEAST_GAP {
        at
    } else {
        at.saturating_add(QUIET.min(gap / 2))
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    use hii_protocol::ping::Run;
    use hii_transport::options::SocketOptions;

    use super::*;
    use crate::ping::ear::Ear;

    /// Guards against a test that hangs; none depends on how long it is.
    const WATCHDOG: Duration = Duration::from_secs(60);

    fn target() -> UdpSocket {
        let target = UdpSocket::bind("127.0.0.1:0").unwrap();
        target.set_read_timeout(Some(WATCHDOG)).unwrap();
        target
    }

    /// A line of so many ports towards what sends back what it gets, its ear, and what that tells.
    fn echoed(target: &UdpSocket, ports: usize) -> (Arc<Line>, SharedEar, Inbox<Event>) {
        let target = target.local_addr().unwrap();
        let connect = |_| ProbeSocket::connect(target, &SocketOptions::default()).unwrap();
        let sockets = (0..ports).map(connect).collect();
        let size = ProbeSize::new(64).unwrap();
        let line = Arc::new(Line::new(sockets, Method::Echoed(Run(1)), size, false));
        let (events, told) = channel();
        let ear = SharedEar::new(Ear::new(&line, events));
        (line, ear, told)
    }

    /// Sends back what comes to it, until that is empty.
    fn send_back(target: &UdpSocket) {
        let mut probe = [0; 64];
        loop {
            let (len, from) = target.recv_from(&mut probe).unwrap();
            if len == 0 {
                return;
            }
            target.send_to(&probe[..len], from).unwrap();
        }
    }

    fn is_answer(event: &Event) -> bool {
        matches!(event, Event::Arrived(_))
    }

    #[test]
    fn an_answer_is_waited_for_and_taken_once() {
        let target = target();
        let (line, ear, told) = echoed(&target, 1);
        assert_eq!(line.stay_awake(&ear, 0, Duration::ZERO), Some(false));
        thread::scope(|scope| {
            line.send_uncounted(1);
            scope.spawn(|| send_back(&target));
            assert_eq!(line.stay_awake(&ear, 0, WATCHDOG), Some(true));
            line.sockets[0].send(b"").unwrap();
        });
        assert!(told.try_recv().is_ok_and(|event| is_answer(&event)));
        assert_eq!(line.stay_awake(&ear, 0, Duration::ZERO), Some(false));
        ear.lock().drain_all().unwrap();
        assert!(told.try_recv().is_err());
        let _held = ear.lock();
        assert_eq!(line.stay_awake(&ear, 0, WATCHDOG), None);
    }

    #[test]
    fn an_answer_that_is_taken_too_late_is_told_but_did_not_come_in_time() {
        let target = target();
        let (line, ear, told) = echoed(&target, 1);
        line.send_uncounted(1);
        line.sockets[0].send(b"").unwrap();
        send_back(&target);
        // It may take a moment until it is there.
        let event = loop {
            assert_eq!(line.stay_awake(&ear, 0, Duration::ZERO), Some(false));
            if let Ok(event) = told.try_recv() {
                break event;
            }
            assert!(line.clock.elapsed() < WATCHDOG);
        };
        assert!(is_answer(&event));
    }

    #[test]
    fn who_stays_awake_keeps_nobody_from_taking_what_comes() {
        let target = target();
        let (line, ear, told) = echoed(&target, 2);
        thread::scope(|scope| {
            let vigil = scope.spawn(|| line.stay_awake(&ear, 0, WATCHDOG));
            line.sockets[1].send(b"").unwrap();
            let (_, from) = target.recv_from(&mut [0; 64]).unwrap();
            // It may not have begun when the first of these is taken.
            while !vigil.is_finished() {
                target.send_to(b"something", from).unwrap();
                ear.lock().drain(1).unwrap();
            }
            assert_ne!(vigil.join().unwrap(), Some(false));
        });
        assert!(told.try_recv().is_ok());
    }

    #[test]
    fn what_comes_soon_needs_no_other_thread() {
        let target = target();
        let (line, ear, told) = echoed(&target, 1);
        thread::scope(|scope| {
            scope.spawn(|| send_back(&target));
            let (_stop, stopped) = channel();
            let (events, _sent) = channel();
            // However seldom it still looks for answers: those to earlier probes are there.
            let schedule = Schedule::fixed(Some(300), Duration::from_millis(1));
            line.send_all(schedule, &ear, &events, &stopped);
            line.sockets[0].send(b"").unwrap();
        });
        assert!(told.try_iter().any(|event| is_answer(&event)));
    }

    #[test]
    fn probes_are_told_of_before_the_next_is_sent() {
        let ms = Duration::from_millis;
        assert_eq!(quiet_until(ms(10), ms(1_010)), ms(12));
        assert_eq!(quiet_until(ms(10), ms(11)), Duration::from_micros(10_500));
        // At once when they follow each other fast, or the next is due already.
        let soon = ms(10) + Duration::from_micros(100);
        assert_eq!(quiet_until(ms(10), soon), ms(10));
        assert_eq!(quiet_until(ms(10), ms(5)), ms(10));
        assert_eq!(quiet_until(ms(10), Duration::MAX), ms(12));
    }
}
