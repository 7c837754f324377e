//! What became of each probe (RFC 2680 loss, each way on its own).
//!
//! A pure type: events and their times go in, verdicts come out. It holds the probes of the last moments only, so its
//! memory does not grow with a run.

use std::collections::VecDeque;
use std::time::Duration;

use hii_protocol::ping::{LimitedNotice, ProbeAnswer};
use hii_transport::probe::Stamp;

use super::early::Early;
use super::evidence::{Trip, Witness};
use super::kernel_times::KernelTimes;
use super::limits::{Limiting, Place, Statement};
use super::local_drops::{Dropped, Gaps};
use super::marks::Marks;
use super::plausibility::Known;
use super::refusal::{Refusal, Refusals};
use super::verdict::{Counts, Verdict};

mod events;
mod record;
mod settling;
#[cfg(test)]
pub(super) mod tests;

pub use events::{Answered, Arrival, Outcome, Reported, Sent, Settled};

use record::{Further, KnownRun, Record, State};

/// An answer that takes longer than this, or than the deadline where that is longer, is overdue.
pub const LEAST_PATIENCE: Duration = Duration::from_secs(2);

/// How long the end of a run waits for answers, at most.
const MOST_LINGER: Duration = Duration::from_secs(10);

/// Refusals and notices that may arrive before the ledger learns that their probe was sent, at most.
const MOST_EARLY: usize = 64;

/// What is known of the probes of the last moments.
#[derive(Debug)]
pub struct Ledger {
    patience: Duration,
    tells_direction: bool,
    /// Whether the kernel is to tell when it sent each probe.
    is_stamped: bool,
    /// Probe `first` and those after it, without a gap.
    records: VecDeque<Record>,
    first: u64,
    /// What a further answer to a probe before `first` would be, the last one's at the end.
    settled: VecDeque<Further>,
    /// The first probe that [`overdue`](Self::overdue) has not looked at.
    next_overdue: u64,
    /// Numbers above this are no probes that count.
    last: u64,
    /// When the probes after it were sent, which only settle the end.
    closing: Vec<Duration>,
    /// The highest number of those that was answered.
    closed: u64,
    /// The highest number of those that the server may have counted as over a limit, and how many of them it answered.
    closing_counted: u64,
    closing_answered: u64,
    early: Early,
    /// When the first probe was sent.
    start: Option<Duration>,
    /// Probes that could not be sent.
    not_sent: Marks,
    early_refusals: Vec<(u64, Refusal)>,
    early_notices: Vec<(LimitedNotice, Duration)>,
    witness: Witness,
    run: KnownRun,
    /// Over TCP: `limited` of the last answer.
    waited: Option<u64>,
    is_stream: bool,
    gaps: Gaps,
    counts: Counts,
    refusals: Refusals,
}

/// When a probe was sent.
#[derive(Debug, Clone, Copy)]
enum Sending {
    At(Duration),
    /// Not before this; its verdict is final.
    Since(Duration),
    /// Not at all, as far as is known.
    Never,
}

impl Ledger {
    /// A ledger for probes 1 to `last`. Probes are overdue after the longer of `deadline`, the longest of any probe, and
    /// [`LEAST_PATIENCE`].
    #[must_use]
    pub fn new(last: u64, deadline: Duration, tells_direction: bool) -> Self {
        Self {
            patience: deadline.max(LEAST_PATIENCE),
            tells_direction,
            is_stamped: false,
            records: VecDeque::new(),
            first: 1,
            settled: VecDeque::new(),
            next_overdue: 1,
            last,
            closing: Vec::new(),
            closed: 0,
            closing_counted: 0,
            closing_answered: 0,
            early: Early::default(),
            start: None,
            not_sent: Marks::default(),
            early_refusals: Vec::new(),
            early_notices: Vec::new(),
            witness: Witness::default(),
            run: KnownRun::default(),
            waited: None,
            is_stream: false,
            gaps: Gaps::default(),
            counts: Counts::default(),
            refusals: Refusals::default(),
        }
    }

    /// Probes are overdue after so long at least.
    #[must_use]
    pub fn with_patience(mut self, least: Duration) -> Self {
        self.patience = self.patience.max(least);
        self
    }

    /// Probes go over a TCP connection: what is over a limit of the server waits, and is answered.
    #[must_use]
    pub fn of_stream(mut self) -> Self {
        self.is_stream = true;
        self
    }

    /// The kernel is to tell when it sent each probe, and that may take a while.
    #[must_use]
    pub fn with_stamps(mut self) -> Self {
        self.is_stamped = true;
        self
    }

    /// After how long an answer is overdue.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// How long the end of a run waits for answers: 2 s, or the deadline where that is longer, within reason.
    #[must_use]
    pub fn linger(&self) -> Duration {
        self.patience.min(MOST_LINGER)
    }

    /// How many probes came to what so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let closing = self.closing_counted.saturating_sub(self.last);
        let closing = closing.saturating_sub(self.closing_answered);
        Counts {
            limited: self.run.limits.limited().saturating_sub(closing),
            ..self.counts
        }
    }

    /// Why probes were refused.
    #[must_use]
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// How often the server forgot this run.
    #[must_use]
    pub fn forgot(&self) -> u64 {
        self.witness.forgot()
    }

    /// Notes that the next probe was sent, or could not be.
    pub fn sent(&mut self, sent: Sent) -> Option<Outcome> {
        let Sent {
            due,
            deadline,
            at,
            went_out,
            clash,
        } = sent;
        let seq = self.next_seq();
        if went_out {
            self.counts.sent += 1;
        } else {
            self.not_sent.add(seq, 1);
        }
        self.start = self.start.or(Some(at));
        let state = match (went_out, clash) {
            (false, _) => State::NotSent,
            (true, Some(_)) => State::Unknown,
            (true, None) => State::Waiting,
        };
        self.records.push_back(Record {
            due,
            deadline,
            sent: at,
            state,
            reported: Reported::default(),
            kernel: KernelTimes::default(),
            told: false,
            received: false,
            after: self.run.limits.before(at),
            seen: None,
            missing: false,
        });
        if went_out
            && let Some(earlier) = clash.and_then(|clash| self.record(clash))
            && earlier.state == State::Waiting
        {
            earlier.state = State::Unknown;
        }
        // Of these, one answers the probe; others are forged, or its duplicates.
        let early = self.early.take(seq);
        let outcomes: Vec<_> = early
            .into_iter()
            .map(|arrival| self.arrived(arrival))
            .collect();
        let notices = self
            .early_notices
            .extract_if(.., |(notice, _)| notice.seq().get() == seq);
        for (notice, at) in notices.collect::<Vec<_>>() {
            self.limited_notice(&notice, at);
        }
        let refused = self
            .early_refusals
            .extract_if(.., |(refused, _)| *refused == seq)
            .last();
        let refused = refused.and_then(|(seq, why)| self.refused(Some(seq), why));
        outcomes
            .into_iter()
            .find(|outcome| *outcome != Outcome::Counted)
            .or(refused)
    }

    /// Notes that no more probes of the schedule will be sent: all that were are known.
    pub fn end(&mut self) {
        self.last = self.next_seq() - 1;
        self.counts.foreign += self.early.clear() + self.early_notices.len() as u64;
        self.early_notices.clear();
    }

    /// Notes that the next probe after the last is being sent: it does not count, and its answer tells of those before.
    pub fn sent_closing(&mut self, at: Duration) {
        self.closing.push(at);
    }

    /// The highest number of a closing probe that was answered.
    #[must_use]
    pub fn closed(&self) -> u64 {
        self.closed
    }

    /// The number of the last probe that counts.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Notes an answer.
    pub fn arrived(&mut self, arrival: Arrival) -> Outcome {
        let Arrival {
            seq,
            at,
            report,
            stamp,
        } = arrival;
        if seq >= self.next_seq() && seq <= self.last {
            self.counts.foreign += u64::from(self.early.keep(arrival).is_some());
            return Outcome::Counted;
        }
        let sending = self.sending(seq);
        let took = match sending {
            Sending::At(sent) | Sending::Since(sent) => at.checked_sub(sent),
            Sending::Never => None,
        };
        let Some(took) = took else {
            // Nobody answers what was not sent, or not yet.
            return self.further(Further::Foreign);
        };
        if let Some(report) = &report {
            if let Err(falsehood) = self.known(seq, took).check(report) {
                tracing::debug!(seq, ?falsehood, "implausible answer");
                self.counts.implausible += 1;
                return Outcome::Counted;
            }
            // Where a probe's verdict is final, so are those of all before it, which its answer tells of.
            if let Sending::At(sent) = sending {
                self.consider(report, Trip { sent, arrived: at });
            }
        }
        let waited = self.is_stream && self.has_waited(report.as_ref());
        self.gaps.arrived(seq);
        if seq > self.last {
            // A copy or an overtaken answer is not counted, which can only lower the number of limited probes.
            self.closing_answered += u64::from(seq > self.closed);
            self.closed = self.closed.max(seq);
            self.closing_counted = self.closing_counted.max(seq);
            return Outcome::Counted;
        }
        let Some(state) = self.seen(seq).map(|record| record.state) else {
            return self.further(self.of_settled(seq));
        };
        if matches!(state, State::Waiting | State::Refused(_) | State::Limited) {
            self.counts.waited += u64::from(waited);
        }
        let Some(record) = self.record(seq) else {
            return Outcome::Counted;
        };
        match state {
            // A refusal or a notice does not matter any more: it was answered.
            State::Waiting | State::Refused(_) | State::Limited => {
                let rtt = at.saturating_sub(record.sent);
                let verdict = if rtt <= record.deadline {
                    Verdict::InTime { rtt }
                } else {
                    Verdict::Late { rtt }
                };
                record.state = State::Answered(verdict);
                record.reported = report.map(Reported::from).unwrap_or_default();
                record.reported.has_waited = waited;
                record.kernel.received(stamp, record.sent, at);
                Outcome::Answered(Answered {
                    seq,
                    verdict,
                    sent: record.sent,
                    rtt,
                    from_due: at.saturating_sub(record.due),
                    report,
                })
            }
            state => self.further(Further::after(state)),
        }
    }

    /// Notes that the server does not answer this probe because of a limit.
    pub fn limited_notice(&mut self, notice: &LimitedNotice, at: Duration) {
        let seq = notice.seq().get();
        if seq >= self.next_seq() && seq <= self.last {
            // The sending thread has not reported it yet.
            if self.early_notices.len() < MOST_EARLY {
                self.early_notices.push((*notice, at));
            } else {
                self.counts.foreign += 1;
            }
            return;
        }
        let took = match self.sending(seq) {
            Sending::At(sent) | Sending::Since(sent) => at.checked_sub(sent),
            Sending::Never => None,
        };
        let Some(took) = took else {
            self.counts.foreign += 1;
            return;
        };
        if !self.known(seq, took).allows(notice) {
            self.counts.implausible += 1;
            return;
        }
        let count = notice.count().map(u64::from);
        if seq > self.last && count.is_some() {
            self.closing_counted = self.closing_counted.max(seq);
        }
        self.run.limits.noticed(count, notice.limited());
        if count.is_some() {
            self.received_from(seq);
        }
        if let Some(record) = self.record(seq) {
            record.received = true;
            if record.state == State::Waiting {
                record.state = State::Limited;
                self.counts.limited_uncounted += u64::from(count.is_none());
            }
        }
    }

    /// Whether the server stopped reading before the probe that this answers, because of a limit.
    fn has_waited(&mut self, report: Option<&ProbeAnswer>) -> bool {
        let Some(limited) = report.and_then(|report| report.limited()) else {
            return false;
        };
        let before = self.waited.replace(limited);
        limited > before.unwrap_or(0)
    }

    /// Notes the lowest number that the server received.
    fn received_from(&mut self, seq: u64) {
        let lowest = &mut self.run.lowest;
        *lowest = Some(lowest.map_or(seq, |lowest| lowest.min(seq)));
    }

    /// When a probe was sent.
    fn sending(&self, seq: u64) -> Sending {
        if let Some(after) = seq.checked_sub(self.last.saturating_add(1)) {
            let index = usize::try_from(after).ok();
            let at = index.and_then(|index| self.closing.get(index));
            return at.map_or(Sending::Never, |at| Sending::At(*at));
        }
        match (self.seen(seq), self.start) {
            (Some(record), _) if record.state == State::NotSent => Sending::Never,
            (Some(record), _) => Sending::At(record.sent),
            (None, Some(start)) => Sending::Since(start),
            (None, None) => Sending::Never,
        }
    }

    /// What an answer to this probe has to agree with, when it took so long at most.
    fn known(&self, seq: u64, took: Duration) -> Known {
        let highest = if self.closing.is_empty() {
            self.next_seq() - 1
        } else {
            self.last_of_all()
        };
        Known {
            highest,
            not_sent: self.not_sent.up_to(seq),
            took,
        }
    }

    /// The number of the last probe that there may be, those that do not count among them.
    fn last_of_all(&self) -> u64 {
        self.last.saturating_add(self.closing.len() as u64)
    }

    /// Notes when the kernel sent a probe; it may tell so after the answer.
    pub fn transmitted(&mut self, seq: u64, stamp: Stamp) {
        self.counts.stamped += 1;
        if let Some(record) = self.record(seq) {
            record.kernel.transmitted(stamp, record.sent);
        }
    }

    /// Notes that somebody refused a probe, or one that is not known.
    pub fn refused(&mut self, seq: Option<u64>, why: Refusal) -> Option<Outcome> {
        let seq = seq.filter(|seq| (1..=self.last_of_all()).contains(seq));
        let Some(seq) = seq else {
            self.counts.refused_unknown += 1;
            return None;
        };
        if seq >= self.next_seq() && seq <= self.last {
            // The sending thread has not reported it yet.
            if self.early_refusals.len() < MOST_EARLY {
                self.early_refusals.push((seq, why));
            } else {
                self.counts.refused_unknown += 1;
            }
            return None;
        }
        let record = self.record(seq)?;
        if record.state != State::Waiting {
            return None;
        }
        record.state = State::Refused(why);
        record.told = true;
        Some(Outcome::Refused(seq, why))
    }

    /// Notes that this host threw answers away.
    pub fn dropped(&mut self, dropped: &Dropped) {
        self.counts.dropped_here += u64::from(dropped.count);
        self.gaps.add(dropped);
    }

    /// What an answer to a probe is whose record is gone.
    fn of_settled(&self, seq: u64) -> Further {
        let ago = self.first.checked_sub(seq + 1);
        let index = ago.and_then(|ago| usize::try_from(ago).ok());
        let further = index.and_then(|index| self.settled.iter().rev().nth(index));
        further.copied().unwrap_or(Further::Forgotten)
    }

    fn further(&mut self, further: Further) -> Outcome {
        let count = match further {
            Further::Duplicate => &mut self.counts.duplicates,
            Further::Foreign => &mut self.counts.foreign,
            Further::Forgotten => &mut self.counts.forgotten,
        };
        *count += 1;
        Outcome::Counted
    }

    /// Notes an answer that could be to either of two probes.
    pub fn ambiguous(&mut self) {
        self.counts.ambiguous += 1;
    }

    /// Notes a datagram that answers nothing of this run.
    pub fn foreign(&mut self) {
        self.counts.foreign += 1;
    }

    fn consider(&mut self, report: &ProbeAnswer, trip: Trip) {
        let forgot = self.witness.forgot();
        let Some(testimony) = self.witness.hear(report, trip) else {
            return;
        };
        let seen = self.take_limit(report, trip, self.witness.forgot() > forgot);
        let seq = report.seq().get();
        let behind = report.window().and_then(u64::checked_ilog2).unwrap_or(0);
        self.received_from(seq.saturating_sub(u64::from(behind)));
        for seq in testimony.received() {
            let is_limited = self.seen(seq).is_some_and(|record| {
                self.run.limits.of_probe(record.after, seen) == Limiting::Proven
            });
            if let Some(record) = self.record(seq) {
                record.received = true;
                record.seen = seen;
                if is_limited && record.state == State::Waiting {
                    record.state = State::Limited;
                }
            }
        }
        for seq in testimony.missing() {
            if let Some(record) = self.record(seq) {
                record.missing = true;
            }
        }
        let gap = testimony.gap();
        for seq in gap.probes {
            if let Some(record) = self.record(seq)
                && record.sent >= gap.since
            {
                record.missing = true;
            }
        }
    }

    /// Records what an answer reports about the server's limit; returns its place among what the server received.
    fn take_limit(&mut self, report: &ProbeAnswer, trip: Trip, forgot: bool) -> Option<Place> {
        let run = &mut self.run;
        let after = if forgot {
            run.limits.forget();
            run.since = None;
            run.limits.start()
        } else {
            let sent = self
                .records
                .get(usize::try_from(report.seq().get().checked_sub(self.first)?).ok()?);
            sent.map_or_else(|| run.limits.before(trip.sent), |record| record.after)
        };
        run.since.get_or_insert(trip.arrived);
        if self.is_stream {
            return None;
        }
        let statement = Statement {
            seq: report.seq().get(),
            window: report.window()?,
            count: report.count()?.get(),
            limited: report.limited()?,
        };
        run.limits.answered(statement, after, trip.arrived)
    }

    /// When a probe was sent that is still remembered.
    #[must_use]
    pub fn sent_at(&self, seq: u64) -> Option<Duration> {
        self.seen(seq).map(|record| record.sent)
    }

    /// Whether every probe sent so far is answered, or cannot be.
    #[must_use]
    pub fn nothing_waits(&self) -> bool {
        self.early.is_empty()
            && self
                .records
                .iter()
                .all(|record| record.state != State::Waiting)
    }

    /// Whether it is still open for some probe which way it was lost.
    #[must_use]
    pub fn direction_is_open(&self) -> bool {
        let open = |(seq, record): (u64, &Record)| {
            record.state == State::Waiting
                && !record.received
                && matches!(
                    record.unanswered(seq, &self.run),
                    Verdict::LostUnknown | Verdict::LimitedOrLost
                )
        };
        self.tells_direction && (self.first..).zip(&self.records).any(open)
    }

    fn next_seq(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    fn seen(&self, seq: u64) -> Option<&Record> {
        let index = seq.checked_sub(self.first)?;
        self.records.get(usize::try_from(index).ok()?)
    }

    fn record(&mut self, seq: u64) -> Option<&mut Record> {
        let index = seq.checked_sub(self.first)?;
        self.records.get_mut(usize::try_from(index).ok()?)
    }
}
