//! One run: the threads' events go to the ledger, its verdicts to the output.

use std::io;
use std::sync::mpsc::{Receiver as Inbox, Sender, channel};
use std::thread;
use std::time::Duration;

use hii_transport::elsewhere::Strays;

use super::events::{Ending, Event, Interrupt};
use super::interval_report::IntervalReport;
use super::ledger::{Ledger, Outcome, Settled};
use super::link::Link;
use super::output::{Output, Overdue, Printer};
use super::own_clock::OwnClock;
use super::plot::data::Collector;
use super::ramp::Ramp;
use super::schedule::{Pace, Schedule};
use super::statistics::Statistics;
use super::summary::{FromElsewhere, Summary, Uncounted};

/// Uncounted probes that may settle the end of a run.
pub const CLOSING_PROBES: u64 = 3;

/// How long a closing probe is waited for.
const CLOSING_WAIT: Duration = Duration::from_secs(1);

/// How long events gather once a single one has come. To be woken for each would take the processor from the threads that
/// measure, just when an answer is on its way.
const GATHERING: Duration = Duration::from_millis(5);

/// How often what came from elsewhere is looked at, at most, so that there is room for more of it.
const LOOK_ELSEWHERE: Duration = Duration::from_millis(100);

/// A run under way.
pub struct Measurement {
    link: Box<dyn Link>,
    schedule: Schedule,
    report: Option<IntervalReport>,
    /// Of a ramp, and the octets of its probes.
    ramp: Option<(Ramp, usize)>,
    printer: Printer,
    shows_probes: bool,
    /// Which target it is for the printer.
    target: usize,
    /// What a picture will show, if one is wanted.
    collector: Option<Collector>,
    interrupt: Interrupt,
    ledger: Ledger,
    statistics: Statistics,
    own_clock: OwnClock,
    path_mtu: Option<u32>,
    wrong_length: u64,
    elsewhere: Option<Strays>,
    /// When that is looked at next.
    look_elsewhere: Duration,
    last_sent: Duration,
    all_sent: bool,
    user_stopped: bool,
    closing: Uncounted,
    ended: Option<Ending>,
    /// The octets of a probe, where its rates are told.
    rates_of: Option<usize>,
}

impl Measurement {
    /// A run on this link, told to the printer as that of this target.
    pub fn new(
        link: Box<dyn Link>,
        schedule: Schedule,
        report: Option<Duration>,
        printer: Printer,
        target: usize,
        interrupt: Interrupt,
    ) -> Self {
        let mut ledger = Ledger::new(
            schedule.last(),
            schedule.deadline_of(1),
            link.tells_direction(),
        )
        .with_patience(link.patience());
        if link.is_stream() {
            ledger = ledger.of_stream();
        }
        if link.lacks_stamps().is_none() {
            ledger = ledger.with_stamps();
        }
        let report = report.map(|every| IntervalReport::new(every, link.tells_refusals()));
        let epoch = link.clock().epoch_range();
        let mut statistics = Statistics::new(*epoch.end());
        if schedule.has_bursts() {
            statistics = statistics.of_bursts();
        }
        if !schedule.has_slots() {
            statistics = statistics.without_slots();
        }
        Self {
            link,
            schedule,
            report,
            ramp: None,
            shows_probes: printer.shows_probes(),
            printer,
            target,
            collector: None,
            interrupt,
            ledger,
            statistics,
            own_clock: OwnClock::new(epoch),
            path_mtu: None,
            wrong_length: 0,
            elsewhere: None,
            look_elsewhere: Duration::ZERO,
            last_sent: Duration::ZERO,
            all_sent: false,
            user_stopped: false,
            closing: Uncounted::default(),
            ended: None,
            rates_of: None,
        }
    }

    /// Tells as well how many probes of this size were sent and answered a second.
    #[must_use]
    pub fn with_rates(mut self, size: usize) -> Self {
        self.rates_of = Some(size);
        self
    }

    /// Tells as well what a ramp of probes of this size shows.
    #[must_use]
    pub fn with_ramp(mut self, size: usize) -> Self {
        self.ramp = Some((Ramp::default(), size));
        self
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

    /// Starts the threads and measures, until every probe is answered or given up, the connection ends, the user stops
    /// it, or the output fails.
    ///
    /// # Errors
    /// There is no memory for a thread, or no descriptor.
    pub fn run(&mut self) -> io::Result<()> {
        let (events, inbox) = channel();
        self.interrupt.wakes(events.clone());
        self.link.start(self.schedule, &events)?;
        self.judge(&inbox);
        self.link.stop_sending();
        self.close(&events, &inbox);
        self.link.stop_receiving();
        self.elsewhere = self.link.look_elsewhere();
        // What the threads told before they ended belongs to the run; a connection that ends now has not ended early.
        while let Ok(event) = inbox.try_recv() {
            if !matches!(event, Event::Ended(_)) {
                self.take(event);
            }
        }
        self.user_stopped = self.interrupt.is_raised() && !self.printer.has_failed();
        let now = self.link.clock().elapsed();
        while let Some(settled) = self.ledger.close(now, self.interrupt.is_raised()) {
            self.settled(&settled);
        }
        if let Some(line) = self.report.as_mut().and_then(|report| report.rest(now)) {
            self.print(|output, target| output.interval(target, &line));
        }
        Ok(())
    }

    /// Takes events until nothing is waited for any more.
    fn judge(&mut self, inbox: &Inbox<Event>) {
        while !self.interrupt.is_raised() {
            let now = self.link.clock().elapsed();
            // Nothing is judged before all that has happened by now is known.
            self.take_events_until(inbox, now);
            self.tell(now);
            self.look_elsewhere(now);
            if self.ended.is_some() {
                return;
            }
            let end = self.last_sent + self.ledger.linger();
            if self.all_sent && (self.ledger.nothing_waits() || now >= end) {
                return;
            }
            let mut next = self.ledger.next_overdue().unwrap_or(now + CLOSING_WAIT);
            if self.all_sent {
                next = next.min(end);
            }
            if let Some(report) = &self.report {
                next = next.min(report.next());
            }
            self.wait_for_event(inbox, next.saturating_sub(now));
        }
    }

    /// Settles which way the last probes were lost.
    fn close(&mut self, events: &Sender<Event>, inbox: &Inbox<Event>) {
        for number in 1..=CLOSING_PROBES {
            let over = self.ended.is_some() || self.interrupt.is_raised();
            if over || !self.ledger.direction_is_open() {
                return;
            }
            let seq = self.ledger.last() + number;
            self.ledger.sent_closing(self.link.clock().elapsed());
            self.link.send_uncounted(seq, events);
            self.closing.sent += 1;
            let end = self.link.clock().elapsed() + CLOSING_WAIT;
            while self.ledger.closed() < seq && self.ended.is_none() && !self.interrupt.is_raised()
            {
                let left = end.saturating_sub(self.link.clock().elapsed());
                if left.is_zero() {
                    break;
                }
                self.wait_for_event(inbox, left);
            }
            self.closing.unanswered += u64::from(self.ledger.closed() < seq);
        }
    }

    fn look_elsewhere(&mut self, now: Duration) {
        if now >= self.look_elsewhere {
            self.elsewhere = self.link.look_elsewhere();
            self.look_elsewhere = now + LOOK_ELSEWHERE;
        }
    }

    fn wait_for_event(&mut self, inbox: &Inbox<Event>, wait: Duration) {
        if let Ok(event) = inbox.recv_timeout(wait) {
            let is_batch = matches!(event, Event::Batch(_));
            self.take(event);
            if !is_batch {
                thread::sleep(GATHERING.min(wait));
            }
        }
    }

    /// Takes all events that happened before `now`.
    fn take_events_until(&mut self, inbox: &Inbox<Event>, now: Duration) {
        while let Ok(event) = inbox.try_recv() {
            let is_later = event.at().is_some_and(|at| at >= now);
            self.take(event);
            if is_later {
                break;
            }
        }
    }

    fn take(&mut self, event: Event) {
        let outcome = match event {
            Event::Batch(mut batch) => {
                batch.drain().for_each(|event| self.take(event));
                None
            }
            Event::Sent(sent) => {
                self.last_sent = sent.at;
                self.statistics.sent(&sent);
                if let Some(report) = self.report.as_mut().filter(|_| sent.went_out) {
                    report.sent(sent.at);
                }
                self.print_probe(|output, target| output.sent(target, &sent));
                self.ledger.sent(sent)
            }
            Event::Arrived(arrival) => Some(self.ledger.arrived(arrival)),
            Event::Limited { notice, at } => {
                self.ledger.limited_notice(&notice, at);
                None
            }
            Event::WrongLength => {
                self.wrong_length += 1;
                None
            }
            Event::Ambiguous => {
                self.ledger.ambiguous();
                None
            }
            Event::Foreign => {
                self.ledger.foreign();
                None
            }
            Event::Transmitted { seq, stamp } => {
                self.ledger.transmitted(seq, stamp);
                None
            }
            Event::Refused { seq, why } => {
                self.limit_path(why.path_mtu());
                self.ledger.refused(seq, why)
            }
            Event::TooLong { path_mtu } => {
                self.limit_path(Some(path_mtu));
                None
            }
            Event::Dropped(dropped) => {
                self.ledger.dropped(&dropped);
                None
            }
            Event::AllSent => {
                self.all_sent = true;
                self.ledger.end();
                None
            }
            Event::Ended(ending) => {
                self.ended = self.ended.or(Some(ending));
                None
            }
            Event::Interrupted => None,
        };
        match outcome {
            Some(Outcome::Answered(answered)) => {
                self.statistics.answered(&answered);
                if let Some(report) = &mut self.report {
                    report.answered(&answered);
                }
                self.print_probe(|output, target| output.answered(target, &answered));
            }
            Some(Outcome::Refused(seq, why)) => {
                if let Some(report) = &mut self.report {
                    report.refused();
                }
                self.print_probe(|output, target| output.refused(target, seq, why));
            }
            Some(Outcome::Counted) | None => {}
        }
    }

    /// The path takes no longer packets than this.
    fn limit_path(&mut self, mtu: Option<u32>) {
        let known = self.path_mtu.into_iter().chain(mtu);
        self.path_mtu = known.min();
    }

    /// Tells what time alone has decided.
    fn tell(&mut self, now: Duration) {
        while let Some((seq, so_far)) = self.ledger.overdue(now) {
            let overdue = Overdue {
                seq,
                sent: self.ledger.sent_at(seq).unwrap_or(now),
                so_far,
                waited: self.ledger.patience(),
            };
            self.print_probe(|output, target| output.overdue(target, overdue));
        }
        while let Some(settled) = self.ledger.settle(now) {
            self.settled(&settled);
        }
        if let Some(line) = self.report.as_mut().and_then(|report| report.due(now)) {
            self.print(|output, target| output.interval(target, &line));
        }
    }

    fn settled(&mut self, settled: &Settled) {
        self.statistics.settled(settled);
        if let Some(collector) = &mut self.collector {
            collector.add(settled);
        }
        if let Some((ramp, _)) = &mut self.ramp {
            ramp.take(settled);
        }
        if let Some(report) = &mut self.report {
            report.settled(settled);
        }
        self.print_probe(|output, target| output.settled(target, settled));
    }

    /// Prints what became of a probe. There may be a million a second, which nobody looks at.
    fn print_probe(&self, print: impl FnOnce(&mut dyn Output, usize) -> io::Result<()>) {
        if self.shows_probes {
            self.print(print);
        }
    }

    fn print(&self, print: impl FnOnce(&mut dyn Output, usize) -> io::Result<()>) {
        self.printer.print_line(|output| print(output, self.target));
    }

    /// The figures so far; `questions` were asked before.
    pub fn summary(&self, questions: Uncounted) -> Summary {
        let mut summary = Summary::new(
            &self.ledger.counts(),
            self.statistics.figures(),
            self.link.tells_direction(),
        )
        .without_stamps(self.link.lacks_stamps());
        if !self.link.tells_refusals() {
            summary = summary.without_refusals();
        }
        if self.link.is_stream() {
            summary = summary.of_stream(self.ledger.counts().waited);
        }
        summary.uncounted = Uncounted {
            sent: questions.sent + self.closing.sent,
            unanswered: questions.unanswered + self.closing.unanswered,
        };
        summary.asked_rate = match self.schedule.pace {
            Pace::Rate { rate } => Some(rate.get()),
            Pace::Interval {} | Pace::Flood { .. } => None,
        };
        summary.rates = self
            .rates_of
            .and_then(|size| self.statistics.rates(summary.answered, size));
        summary.ramp = self.ramp.as_ref().map(|(ramp, size)| ramp.figures(*size));
        summary.refused_by = self.ledger.refusals().by_reason().clone();
        summary.path_mtu = self.path_mtu;
        summary.wrong_length = self.wrong_length;
        summary.from_elsewhere = self.elsewhere.map(FromElsewhere::from);
        summary.server_forgot = self.ledger.forgot();
        summary.clock_set_ns = self.own_clock.set_by(&self.link.clock().epoch_range());
        summary.interrupted = self.user_stopped;
        summary.connection_ended = self.ended;
        summary
    }
}
