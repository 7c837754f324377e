//! One run: the threads' events go to the ledger, its verdicts to the output.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError, Sender};
use std::time::Duration;

use mio::Poll;

use super::events::{Event, Interrupt};
use super::interval_report::IntervalReport;
use super::knee::KneeFinder;
use super::ledger::{Ledger, Outcome, Settled};
use super::output::Output;
use super::schedule::Schedule;
use super::statistics::Statistics;
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
    report: Option<IntervalReport>,
    knee: KneeFinder,
    output: Output<W>,
    interrupt: Interrupt,
    ledger: Ledger,
    statistics: Statistics,
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
        report: Option<Duration>,
        output: Output<W>,
        interrupt: Interrupt,
    ) -> Self {
        let ledger = Ledger::new(
            schedule.last(),
            CLOSING_PROBES,
            schedule.interval,
            line.method.tells_direction(),
        );
        let now = line.clock.now();
        let since = u64::try_from(now.monotonic.as_nanos()).unwrap_or(u64::MAX);
        let statistics = Statistics::new(now.wall.saturating_sub(since));
        Self {
            line: Arc::new(line),
            poll: Some(poll),
            schedule,
            report: report.map(IntervalReport::new),
            knee: KneeFinder::default(),
            output,
            interrupt,
            ledger,
            statistics,
            refused: 0,
            last_sent: Duration::ZERO,
            all_sent: false,
            user_stopped: false,
            closed: 0,
            closing: Uncounted::default(),
        }
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
            let next = self
                .report
                .as_ref()
                .map_or(next, |report| next.min(report.next()));
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
            let seq = self.schedule.last() + number;
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
            Event::Sent(sent) => {
                self.last_sent = sent.at;
                self.statistics.sent(&sent);
                if let Some(report) = self.report.as_mut().filter(|_| sent.went_out) {
                    report.sent();
                }
                self.ledger.sent(sent)
            }
            Event::Arrived(arrival) => {
                if arrival.seq > self.schedule.last() {
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
        if let Some(Outcome::Answered(answered)) = outcome {
            self.statistics.answered(&answered);
            match &mut self.report {
                Some(report) => report.answered(&answered),
                None => self.output.answered(answered.seq, answered.verdict)?,
            }
        }
        Ok(())
    }

    /// Tells what time alone has decided.
    fn tell(&mut self, now: Duration) -> io::Result<()> {
        while let Some((seq, verdict)) = self.ledger.overdue(now) {
            if self.report.is_none() {
                self.output.overdue(seq, verdict)?;
            }
        }
        while let Some(settled) = self.ledger.settle(now) {
            self.settled(&settled)?;
        }
        match self.report.as_mut().and_then(|report| report.due(now)) {
            Some(line) => self.output.interval(&line),
            None => Ok(()),
        }
    }

    fn settled(&mut self, settled: &Settled) -> io::Result<()> {
        self.statistics.settled(settled);
        if !self.schedule.is_fixed() {
            self.knee
                .take(settled, self.schedule.interval_after(settled.seq));
        }
        if let Some(report) = &mut self.report {
            report.settled(settled);
        }
        self.output.settled(settled, self.report.is_none())
    }

    /// The figures so far; `questions` were asked before.
    pub fn summary(&self, questions: Uncounted) -> Summary {
        let mut summary = Summary::new(
            &self.ledger.counts(),
            self.statistics.figures(),
            self.line.method.tells_direction(),
        );
        summary.uncounted = Uncounted {
            sent: questions.sent + self.closing.sent,
            unanswered: questions.unanswered + self.closing.unanswered,
        };
        summary.knee = self.knee.knee();
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
