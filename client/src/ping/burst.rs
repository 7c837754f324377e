//! Measuring at high rates: one thread sends and receives many probes in one system call, where the kernel can, and
//! tells of them many at a time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver as Inbox, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hii_protocol::ping::ProbeSize;
use hii_transport::arrivals::{Arrivals, BUFFERS};
use hii_transport::burst::{BurstSocket, MOST_SEGMENTS};
use hii_transport::clock::{Clock, SPIN, sleep_exactly};
use hii_transport::elsewhere::{Elsewhere, Strays};

use super::batch::{BURSTS_GLANCE, Teller};
use super::events::Event;
use super::ledger::{LEAST_PATIENCE, Sent};
use super::link::{Link, unheard};
use super::method::Method;
use super::pacing::Pacing;
use super::refusal::Refusal;
use super::schedule::Schedule;
use super::vigil::Vigil;
use super::window::Host;

/// What happened is told after so long at the latest: sooner would wake the judge for little.
const TELL_WITHIN: Duration = Duration::from_millis(2);

/// A flood with nothing to do looks again for so long before it sleeps, while that is worth it: to be woken takes as long
/// as most answers do.
const AWAKE: Duration = Duration::from_micros(50);

/// System calls in a row that take answers, where each brings as many as it can: more than those to the probes that go out
/// at a time, were all to come one by one. Fewer would let answers wait until this host has no room for them.
const LOOKS: usize = 2 * MOST_SEGMENTS / BUFFERS;

/// This socket does not tell which probe was refused.
const REFUSED: Event = Event::Refused {
    seq: None,
    why: Refusal::PortUnreachable,
};

/// A socket for high rates, and what goes over it.
#[derive(Debug)]
pub struct BurstLine {
    /// Connected to the target.
    pub socket: BurstSocket,
    /// How probes and answers are told apart: numbered.
    pub method: Method,
    /// The length of each probe.
    pub size: ProbeSize,
    /// The clock of all times.
    pub clock: Clock,
    /// Whether to stay awake for slots.
    pub precise: bool,
}

/// A line and the thread on it.
#[derive(Debug)]
pub struct BurstLink {
    line: Arc<BurstLine>,
    elsewhere: Option<Elsewhere>,
    stage: Arc<Stage>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    thread: JoinHandle<()>,
    /// Told, or dropped, when nothing more is sent.
    all_sent: Inbox<()>,
}

/// What the thread is to do.
#[derive(Debug, Default)]
struct Stage(AtomicU8);

impl Stage {
    const SENDING: u8 = 0;
    const RECEIVING: u8 = 1;
    const OVER: u8 = 2;

    fn set(&self, stage: u8) {
        self.0.store(stage, Ordering::Release);
    }

    fn is(&self, stage: u8) -> bool {
        self.0.load(Ordering::Acquire) == stage
    }
}

impl BurstLink {
    /// The line; the thread is started later.
    #[must_use]
    pub fn new(line: BurstLine) -> Self {
        let elsewhere = line.socket.hear_elsewhere();
        Self {
            elsewhere: elsewhere.inspect_err(unheard).ok(),
            line: Arc::new(line),
            stage: Arc::default(),
            running: None,
        }
    }
}

impl Link for BurstLink {
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
        Some("not of probes in bursts")
    }

    fn tells_refusals(&self) -> bool {
        false
    }

    fn look_elsewhere(&mut self) -> Option<Strays> {
        self.elsewhere.as_mut().map(Elsewhere::look)
    }

    fn start(&mut self, schedule: Schedule, events: &Sender<Event>) -> io::Result<()> {
        let (line, stage) = (Arc::clone(&self.line), Arc::clone(&self.stage));
        let teller = Teller::new(events.clone());
        let (done, all_sent) = channel();
        let thread = thread::Builder::new()
            .name("bursts".into())
            .spawn(move || Bursts::new(&line, schedule, teller, &stage).run(&done))?;
        self.running = Some(Running { thread, all_sent });
        Ok(())
    }

    fn stop_sending(&mut self) {
        self.stage.set(Stage::RECEIVING);
        if let Some(running) = &self.running {
            // An error is the end of the thread, which sends nothing more either.
            let _ = running.all_sent.recv();
        }
    }

    fn send_uncounted(&self, seq: u64, _: &Sender<Event>) {
        let BurstLine {
            socket,
            method,
            size,
            ..
        } = &*self.line;
        let mut buffer = vec![0; size.get()];
        method.write_probe(seq, *size, &mut buffer);
        if let Err(error) = socket.send(&buffer, size.get()) {
            tracing::debug!(%error, "send");
        }
    }

    fn stop_receiving(&mut self) {
        self.stage.set(Stage::OVER);
        if let Some(running) = self.running.take() {
            // A thread that ended early has told all it had.
            let _ = running.thread.join();
        }
    }
}

/// The thread's work.
struct Bursts<'a> {
    line: &'a BurstLine,
    schedule: Schedule,
    pacing: Pacing,
    teller: Teller,
    stage: &'a Stage,
    arrivals: Arrivals,
    /// Room for a burst.
    probes: Vec<u8>,
    /// Whether it is worth it for a flood to stay awake.
    vigil: Vigil,
    /// Until when one that is idle does.
    awake_until: Option<Duration>,
}

impl<'a> Bursts<'a> {
    fn new(line: &'a BurstLine, schedule: Schedule, teller: Teller, stage: &'a Stage) -> Self {
        let size = line.size.get();
        let host = match line.method {
            Method::Numbered(_) => Host::Hii,
            Method::Echoed(_) | Method::Ports { .. } => Host::Other,
        };
        let pacing = Pacing::new(schedule, size, host, line.clock.elapsed());
        Self {
            line,
            schedule,
            probes: vec![0; pacing.burst() * size],
            pacing,
            teller,
            stage,
            arrivals: Arrivals::new(),
            vigil: Vigil::default(),
            awake_until: None,
        }
    }

    /// Sends and receives, by turns, so that neither keeps the other waiting for long.
    fn run(mut self, all_sent: &Sender<()>) {
        sleep_exactly();
        let mut sending = true;
        while !self.stage.is(Stage::OVER) {
            let received = self.receive_all();
            let mut sent = false;
            if sending {
                sent = self.send();
                let through = self.pacing.is_through(self.line.clock.elapsed());
                if through {
                    self.teller.gather(Event::AllSent);
                }
                if through || !self.stage.is(Stage::SENDING) {
                    sending = false;
                    if !self.tell() || all_sent.send(()).is_err() {
                        return;
                    }
                }
            }
            let is_idle = !received && !sent;
            if !self.tell_in_time() {
                return;
            }
            if !self.stays_awake(is_idle) && is_idle {
                self.wait(sending);
            }
        }
        self.tell();
    }

    /// Takes what has come, if it ends. False when there was nothing.
    fn receive_all(&mut self) -> bool {
        let mut looks = 0;
        while looks < LOOKS && self.receive() {
            looks += 1;
            if self.arrivals.filled() < BUFFERS {
                break;
            }
        }
        looks > 0
    }

    /// Takes what one system call gives. False when there was nothing.
    fn receive(&mut self) -> bool {
        let BurstLine {
            socket,
            method,
            size,
            clock,
            ..
        } = self.line;
        let received = socket.receive(&mut self.arrivals);
        let at = clock.elapsed();
        match received {
            Ok(()) => {}
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return false,
                io::ErrorKind::ConnectionRefused => self.teller.gather(REFUSED),
                // Another ICMP error, such as an unreachable host: the probe's fate says the rest.
                _ => tracing::debug!(%error, "receive"),
            },
        }
        for datagrams in self.arrivals.by_buffer() {
            let mut answers = 0;
            for datagram in datagrams {
                let event = Event::heard(method.hear(0, *size, datagram), at, None);
                if let Event::Arrived(arrival) = &event {
                    answers += 1;
                    self.pacing.answered(arrival.seq, at);
                }
                self.teller.gather(event);
            }
            self.pacing.came(answers);
        }
        true
    }

    /// Sends the probes that are to go now, together where the kernel takes them so. False when there were none, no room
    /// for them, or one that this host would not take in a flood, which tries the next a moment later.
    fn send(&mut self) -> bool {
        let BurstLine {
            socket,
            method,
            size,
            clock,
            ..
        } = self.line;
        let len = size.get();
        let ready = self.pacing.ready(clock.elapsed());
        for (seq, room) in (self.pacing.next()..).zip(self.probes.chunks_mut(len).take(ready)) {
            method.write_probe(seq, *size, room);
        }
        let mut rest = self.probes.get(..ready * len).unwrap_or_default();
        let mut sent_any = false;
        let mut was_refused = false;
        while !rest.is_empty() {
            let at = clock.elapsed();
            let (gone, went_out) = match socket.send(rest, len) {
                Ok(gone) => (gone, true),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && !was_refused => {
                    // About an earlier probe; it has kept these from being sent.
                    self.teller.gather(REFUSED);
                    was_refused = true;
                    continue;
                }
                // A flood sends when there is room; a slot is sent in, or not.
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock && !self.schedule.has_slots() =>
                {
                    return sent_any;
                }
                Err(error) => {
                    tracing::debug!(%error, "send");
                    (1, false)
                }
            };
            was_refused = false;
            sent_any = true;
            rest = rest.get(gone * len..).unwrap_or_default();
            for _ in 0..gone {
                self.teller.gather(Event::Sent(Sent {
                    due: self.pacing.due(at),
                    deadline: self.schedule.deadline_of(self.pacing.next()),
                    at,
                    went_out,
                    clash: None,
                }));
                self.pacing.sent(at, went_out);
            }
            // One that was not sent takes no place in the window: a flood of such would never pause.
            if !went_out && !self.schedule.has_slots() {
                return false;
            }
        }
        sent_any
    }

    /// Whether a flood that is idle looks again at once, having let others have the core.
    fn stays_awake(&mut self, is_idle: bool) -> bool {
        if self.schedule.has_slots() {
            return false;
        }
        let now = self.line.clock.elapsed();
        match self.awake_until {
            None if is_idle => {
                let most = self.vigil.begin(AWAKE);
                self.awake_until = most.map(|most| now + most);
            }
            Some(until) if !is_idle || now >= until => {
                self.vigil.end(now < until);
                self.awake_until = None;
            }
            _ => {}
        }
        let stays = self.awake_until.is_some();
        if stays {
            thread::yield_now();
        }
        stays
    }

    /// Waits for an answer, or for the next slot, place, or telling.
    fn wait(&self, sending: bool) {
        let now = self.line.clock.elapsed();
        let mut until = now + BURSTS_GLANCE;
        if sending && let Some(look) = self.pacing.next_look(now) {
            let awake = if self.line.precise {
                SPIN
            } else {
                Duration::ZERO
            };
            until = until.min(look.saturating_sub(awake));
        }
        if let Some(since) = self.teller.since() {
            until = until.min(since + TELL_WITHIN);
        }
        // Without a wait the slot is looked for between answers, again and again.
        let wait = until.saturating_sub(now);
        if !wait.is_zero() {
            self.line.socket.wait(wait);
        }
    }

    /// Tells what has waited to be told. False when nobody listens any more.
    fn tell_in_time(&mut self) -> bool {
        let is_due = || {
            let since = self.teller.since()?;
            Some(since + TELL_WITHIN <= self.line.clock.elapsed())
        };
        !(self.teller.is_full() || is_due().unwrap_or_default()) || self.tell()
    }

    fn tell(&mut self) -> bool {
        let stage = self.stage;
        // Who ends the run takes nothing until this thread has told what it sent.
        self.teller.tell(|| !stage.is(Stage::SENDING))
    }
}

#[cfg(test)]
#[path = "burst_tests.rs"]
mod tests;
