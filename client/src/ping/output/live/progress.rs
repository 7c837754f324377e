//! How far the measuring of a target has come. A pure type: what happens goes in with its time, and what a chart shows
//! can be read at any moment.

use std::time::Duration;

use super::fates::Fates;
use super::rates::{Rate, Rates};
use super::recent::{Answer, Recent};
use crate::ping::figures::{Distribution, Figures};
use crate::ping::ledger::{Answered, Sent, Settled};
use crate::ping::output::{Heading, Overdue};
use crate::ping::plot::dots::Mark;
use crate::ping::schedule::Schedule;
use crate::ping::variation::{Variation, VariationFigures};
use crate::ping::verdict::Verdict;

/// How much time the chart shows at least, of a run that goes on for longer.
const LEAST_SPAN: Duration = Duration::from_secs(60);

/// How many probes the chart shows at least, of a run that goes on for longer.
const LEAST_PROBES: u32 = 60;

/// A run that is no longer than so many times what the chart would show is shown whole.
const WHOLE: u32 = 2;

/// The shortest time that the chart shows.
const SHORTEST: Duration = Duration::from_secs(1);

/// Rates are over this at least, and over ten intervals.
const LEAST_PERIOD: Duration = Duration::from_secs(1);

/// An outage is told of when it has lasted so long.
const LEAST_OUTAGE: Duration = Duration::from_secs(2);

/// How far the measuring of a target has come.
#[derive(Debug)]
pub(super) struct Progress {
    heading: Heading,
    span: Span,
    /// When the run began, on its clock.
    start: Option<Duration>,
    /// How many probes were to be sent so far.
    reached: u64,
    fates: Fates,
    recent: Recent,
    rtt: Distribution,
    variation: Variation,
    rates: Rates,
    /// When the first probe was sent that the last answer came before.
    unanswered_since: Option<Duration>,
    /// Whether the last probe is settled.
    is_over: bool,
}

/// What time the chart shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Span {
    /// The whole run: so long.
    Whole(Duration),
    /// The last while of it.
    Last(Duration),
}

/// How much of a run is left; the later, the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Left {
    /// Nothing.
    Nothing,
    /// The last answers are waited for.
    Waiting,
    /// So many probes to be sent, nobody knows how fast.
    Probes(u64),
    /// So long until the last probe is sent.
    Sending(Duration),
    /// It goes on until it is stopped.
    Endless,
}

impl Progress {
    /// Nothing happened yet; `report` is how often figures are wanted, if the user said so.
    pub(super) fn new(heading: Heading, report: Option<Duration>) -> Self {
        let schedule = heading.schedule();
        let span = Span::of(schedule);
        let period = match report {
            Some(report) => report,
            None if schedule.is_fixed() => schedule.interval.saturating_mul(10),
            None => LEAST_PERIOD,
        };
        let variation = if schedule.has_bursts() {
            Variation::new().of_bursts()
        } else {
            Variation::new()
        };
        Self {
            span,
            start: None,
            reached: 0,
            fates: Fates::default(),
            recent: Recent::new(span.length()),
            rtt: Distribution::new(),
            variation,
            rates: Rates::new(period.max(LEAST_PERIOD)),
            unanswered_since: None,
            is_over: false,
            heading,
        }
    }

    /// The next probe was sent, or could not be.
    pub(super) fn sent(&mut self, sent: &Sent) {
        let first = self.heading.schedule().slot(1);
        self.start.get_or_insert(sent.due.saturating_sub(first));
        self.reached += 1;
        let at = self.since_start(sent.at);
        if sent.went_out {
            self.fates.sent();
            self.rates.sent(at);
            self.unanswered_since.get_or_insert(at);
        } else {
            self.give_up(self.reached, at, Mark::NotSent);
        }
    }

    /// A probe was answered.
    pub(super) fn answered(&mut self, answered: &Answered) {
        let Answered {
            seq, verdict, rtt, ..
        } = *answered;
        let is_late = matches!(verdict, Verdict::Late { .. });
        let mark = if is_late { Mark::Late } else { Mark::InTime };
        let at = self.since_start(answered.sent);
        if let Some(before) = self.fates.answered(seq, mark) {
            self.recent.unmark(at, before);
        }
        self.recent.add(Answer { at, rtt, is_late });
        self.rtt.record(rtt);
        self.variation.take(seq, rtt);
        self.rates.answered(at.saturating_add(rtt));
        self.unanswered_since = None;
    }

    /// A probe has been waited for in vain so far.
    pub(super) fn overdue(&mut self, overdue: &Overdue) {
        if let Some(mark) = Mark::of(overdue.so_far) {
            let at = self.since_start(overdue.sent);
            self.give_up(overdue.seq, at, mark);
        }
    }

    /// A probe's verdict is final.
    pub(super) fn settled(&mut self, settled: &Settled) {
        self.is_over |= settled.seq == self.heading.schedule().last();
        if settled.verdict.rtt().is_some() {
            return;
        }
        let at = self.since_start(settled.sent);
        let mark = Mark::of(settled.verdict);
        if let Some(before) = self.fates.settled(settled.seq, mark) {
            self.recent.unmark(at, before);
        }
        if let Some(mark) = mark {
            self.recent.mark(at, mark);
        }
    }

    fn give_up(&mut self, seq: u64, at: Duration, mark: Mark) {
        if self.fates.given_up(seq, mark) {
            self.recent.mark(at, mark);
        }
    }

    /// What is measured.
    pub(super) fn heading(&self) -> &Heading {
        &self.heading
    }

    /// What time the chart shows.
    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// How many came to what.
    pub(super) fn fates(&self) -> &Fates {
        &self.fates
    }

    /// The probes that the chart shows.
    pub(super) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// The round-trip times of the whole run.
    pub(super) fn rtt(&self) -> Option<Figures> {
        self.rtt.figures()
    }

    /// Jitter and reordering.
    pub(super) fn variation(&self) -> Option<VariationFigures> {
        self.variation.figures()
    }

    /// How long the run has gone on; `now` is by its clock.
    pub(super) fn elapsed(&self, now: Duration) -> Duration {
        let start = self.start.unwrap_or(now);
        now.saturating_sub(start)
    }

    /// What is left of the run, when it has gone on for so long.
    pub(super) fn left(&self, elapsed: Duration) -> Left {
        let schedule = self.heading.schedule();
        match (schedule.lasts(), schedule.count) {
            _ if self.is_over => Left::Nothing,
            (Some(lasts), _) if elapsed < lasts => Left::Sending(lasts.saturating_sub(elapsed)),
            (None, Some(count)) if self.reached < count => Left::Probes(count - self.reached),
            (None, None) => Left::Endless,
            _ => Left::Waiting,
        }
    }

    /// How much happens in a second lately.
    pub(super) fn rate(&self, elapsed: Duration) -> Option<Rate> {
        self.rates.at(elapsed)
    }

    /// How long nothing has been answered, when that is longer than a lost probe explains.
    pub(super) fn outage(&self, elapsed: Duration) -> Option<Duration> {
        let schedule = self.heading.schedule();
        let interval = schedule.interval_after(self.reached);
        // One loss is none: the next answer would be here by then.
        let least = LEAST_OUTAGE.max(interval.saturating_mul(3) / 2);
        let lasted = elapsed.checked_sub(self.unanswered_since?)?;
        (lasted >= least && !self.is_over).then_some(lasted)
    }

    fn since_start(&self, at: Duration) -> Duration {
        at.saturating_sub(self.start.unwrap_or(at))
    }
}

impl Span {
    /// For a run on this schedule.
    pub(super) fn of(schedule: &Schedule) -> Self {
        let interval = schedule.interval;
        let last = LEAST_SPAN.max(interval.saturating_mul(LEAST_PROBES));
        let whole = schedule.lasts();
        match whole.filter(|whole| *whole <= last.saturating_mul(WHOLE)) {
            Some(whole) => Self::Whole(whole.max(SHORTEST)),
            None => Self::Last(last),
        }
    }

    /// How long it is.
    pub(super) fn length(self) -> Duration {
        match self {
            Self::Whole(length) | Self::Last(length) => length,
        }
    }
}
