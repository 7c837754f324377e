//! One run: the threads' events go to the ledger, its verdicts to the output.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError, Sender};
use std::time::Duration;

use mio::Poll;

use super::events::{Event, Interrupt};
use super::figures::RoundTrips;
use super::ledger::{Ledger, Outcome, Settled, Verdict};
use super::output::Output;
use super::plot::data::Collector;
use super::schedule::Schedule;
use super::summary::{Summary, Uncounted};
use super::threads::{self, Line, Receiver};

/// Uncounted probes that may settle the end of a run.
pub const CLOSING_PROBES: u64 = 3;

/// How long a closing probe is waited for.
const CLOSING_WAIT: Duration = Duration::from_secs(1);

/// A run under way.
pub struct Measurement<W> {
    line: Arc<Line>,
    poll: Option<Poll>,
    schedule: Schedule,
    output: Output<W>,
    /// What a picture will show, if one is wanted.
    collector: Option<Collector>,
    interrupt: Interrupt,
    ledger: Ledger,
    trips: RoundTrips,
    refused: u64,
    last_sent: Duration,
    all_sent: bool,
    user_stopped: bool,
    /// The highest number of a closing probe that was answered.
    closed: u64,
    closing: Uncounted,
}

impl<W: Write> Measurement<W> {
    /// A run on this line.
    pub fn new(
        (line, poll): (Line, Poll),
        schedule: Schedule,
        output: Output<W>,
        interrupt: Interrupt,
    ) -> Self {
        let ledger = Ledger::new(
            schedule.count,
            CLOSING_PROBES,
            schedule.interval,
            line.method.tells_direction(),
        );
        Self {
            line: Arc::new(line),
            poll: Some(poll),
            schedule,
            output,
            collector: None,
            interrupt,
            ledger,
            trips: RoundTrips::new(),
            refused: 0,
            last_sent: Duration::ZERO,
            all_sent: false,
            user_stopped: false,
            closed: 0,
            closing: Uncounted::default(),
        }
    }

    /// Gathers what a picture shows as well.
    #[must_use]
    pub fn with_collector(mut self) -> Self {
        self.collector = Some(Collector::default());
        self
    }

    /// What was gathered for a picture, once.
    pub fn take_collector(&mut self) -> Option<Collector> {
        self.collector.take()
    }

    /// Measures, until every probe is answered or given up, or the user stops it.
    ///
    /// # Errors
    /// The output cannot be written, or the threads cannot be started.
    pub fn run(&mut self, events: &Sender<Event>, inbox: &Inbox<Event>) -> io::Result<()> {
        let Some(poll) = self.poll.take() else {
            return Ok(());
        };
        let receiver = Receiver::start(Arc::clone(&self.line), poll, events.clone())?;
        threads::start_sender(
            Arc::clone(&self.line),
            self.schedule,
            self.interrupt.clone(),
            events.clone(),
        )?;
        let result = self.judge(inbox).and_then(|()| self.close(events, inbox));
        self.user_stopped = self.interrupt.is_raised();
        // The sender may be waiting for its next slot; it ends with the program.
        self.interrupt.raise();
        receiver.stop();
        result
    }

    /// Takes events until nothing is waited for any more.
    fn judge(&mut self, inbox: &Inbox<Event>) -> io::Result<()> {
        while !self.interrupt.is_raised() {
            let now = self.line.clock.elapsed();
            self.tell(now)?;
            let end = self.last_sent + self.ledger.patience();
            if self.all_sent && (self.ledger.nothing_waits() || now >= end) {
                return Ok(());
            }
            let next = self.ledger.next_overdue().unwrap_or(now + CLOSING_WAIT);
            let next = if self.all_sent { next.min(end) } else { next };
            self.take_events(inbox, next.saturating_sub(now))?;
        }
        Ok(())
    }

    /// Settles which way the last probes were lost.
    fn close(&mut self, events: &Sender<Event>, inbox: &Inbox<Event>) -> io::Result<()> {
        for number in 1..=CLOSING_PROBES {
            if !self.ledger.direction_is_open() || self.interrupt.is_raised() {
                break;
            }
            let seq = self.schedule.count + number;
            self.line.send_uncounted(seq, events);
            self.closing.sent += 1;
            let end = self.line.clock.elapsed() + CLOSING_WAIT;
            while self.closed < seq && !self.interrupt.is_raised() {
                let left = end.saturating_sub(self.line.clock.elapsed());
                if left.is_zero() {
                    break;
                }
                self.take_events(inbox, left)?;
            }
            self.closing.unanswered += u64::from(self.closed < seq);
        }
        let now = self.line.clock.elapsed();
        let interrupted = self.interrupt.is_raised();
        while let Some(settled) = self.ledger.close(now, interrupted) {
            self.settled(&settled)?;
        }
        Ok(())
    }

    /// Takes the events that are there, waiting for the first.
    fn take_events(&mut self, inbox: &Inbox<Event>, wait: Duration) -> io::Result<()> {
        match inbox.recv_timeout(wait) {
            Ok(event) => self.take(event)?,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(()),
        }
        // A bound, so that verdicts are told in between however fast events come.
        for event in inbox.try_iter().take(1024) {
            self.take(event)?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event) -> io::Result<()> {
        let outcome = match event {
            Event::Sent {
                at,
                went_out,
                clash,
            } => {
                self.last_sent = at;
                self.ledger.sent(at, went_out, clash)
            }
            Event::Arrived(arrival) => {
                if arrival.seq > self.schedule.count {
                    self.closed = self.closed.max(arrival.seq);
                }
                Some(self.ledger.arrived(arrival))
            }
            Event::Foreign => {
                self.ledger.foreign();
                None
            }
            Event::Refused => {
                self.refused += 1;
                None
            }
            Event::AllSent => {
                self.all_sent = true;
                None
            }
            Event::Interrupted => None,
        };
        if let Some(Outcome::Answered(seq, verdict)) = outcome {
            if let Verdict::InTime { rtt } | Verdict::Late { rtt } = verdict {
                self.trips.record(rtt);
            }
            self.output.answered(seq, verdict)?;
        }
        Ok(())
    }

    /// Tells what time alone has decided.
    fn tell(&mut self, now: Duration) -> io::Result<()> {
        while let Some((seq, verdict)) = self.ledger.overdue(now) {
            self.output.overdue(seq, verdict)?;
        }
        while let Some(settled) = self.ledger.settle(now) {
            self.settled(&settled)?;
        }
        Ok(())
    }

    fn settled(&mut self, settled: &Settled) -> io::Result<()> {
        // First: it has the probe even if the output fails.
        if let Some(collector) = &mut self.collector {
            collector.add(settled);
        }
        self.output.settled(settled)
    }

    /// The figures so far; `questions` were asked before.
    pub fn summary(&self, questions: Uncounted) -> Summary {
        let mut summary = Summary::new(
            &self.ledger.counts(),
            self.trips.figures(),
            self.line.method.tells_direction(),
        );
        summary.uncounted = Uncounted {
            sent: questions.sent + self.closing.sent,
            unanswered: questions.unanswered + self.closing.unanswered,
        };
        summary.refused = self.refused;
        summary.server_forgot = self.ledger.forgot();
        summary.interrupted = self.user_stopped;
        summary
    }

    /// Prints the summary.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn finish(&mut self, target: &str, summary: &Summary) -> io::Result<()> {
        self.output.finish(target, summary)
    }
}
