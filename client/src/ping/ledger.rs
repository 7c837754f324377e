//! What became of each probe (RFC 2680 loss, each way on its own).
//!
//! A pure type: events and their times go in, verdicts come out. It holds the probes of the last moments only, so its
//! memory does not grow with a run.

use std::collections::VecDeque;
use std::time::Duration;

use hii_protocol::ping::ProbeAnswer;

use super::evidence::Witness;
use super::verdict::{Counts, Verdict};

/// An answer that takes longer than this, or than the deadline where that is longer, is overdue.
pub const LEAST_PATIENCE: Duration = Duration::from_secs(2);

/// How long a probe without an answer is remembered while the run goes on: an answer within this time is late, not lost.
const MEMORY: Duration = Duration::from_secs(10);

/// Probes remembered at most, once they are answered or overdue.
const MOST_REMEMBERED: usize = 1 << 16;

/// Probes remembered at most, though the first of them is waited for: beyond that it is given up early.
const MOST_WAITING: usize = 1 << 19;

/// How long the end of a run waits for answers, at most.
const MOST_LINGER: Duration = Duration::from_secs(10);

/// Answers that may arrive before the ledger learns that their probe was sent.
const MOST_EARLY: usize = 64;

/// An answer that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The number of the probe that it answers.
    pub seq: u64,
    /// When it arrived.
    pub at: Duration,
    /// What a Hii server told with it.
    pub report: Option<ProbeAnswer>,
}

/// A probe whose verdict is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The probe's number.
    pub seq: u64,
    /// When it was due.
    pub due: Duration,
    /// When it was sent.
    pub sent: Duration,
    /// What became of it.
    pub verdict: Verdict,
    /// What a Hii server told with its answer.
    pub reported: Reported,
    /// Whether [`Ledger::overdue`] has told of it before.
    pub told: bool,
}

#[cfg(test)]
impl Settled {
    /// A probe sent when it was due, of which nothing else is known.
    pub(crate) fn of(seq: u64, sent: Duration, verdict: Verdict) -> Self {
        Self {
            seq,
            due: sent,
            sent,
            verdict,
            reported: Reported::default(),
            told: false,
        }
    }
}

/// What a Hii server told of a probe with its answer, as far as that was long enough for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reported {
    /// How long it held the probe, in nanoseconds.
    pub held: Option<u64>,
    /// Its wall clock at the receipt, in nanoseconds since the Unix epoch.
    pub received: Option<u64>,
}

/// What an arrival meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The first answer to a probe.
    Answered(Answered),
    /// Counted, and nothing to show.
    Counted,
}

/// The first answer to a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// The probe's number.
    pub seq: u64,
    /// In time or late.
    pub verdict: Verdict,
    /// When the probe was sent.
    pub sent: Duration,
    /// From its sending to its answer.
    pub rtt: Duration,
    /// From when it was due to its answer: what a client sees that had to wait for its turn.
    pub from_due: Duration,
    /// What a Hii server told with it.
    pub report: Option<ProbeAnswer>,
}

/// A probe that was sent, or could not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// When it was due.
    pub due: Duration,
    /// How long its answer may take and still be in time.
    pub deadline: Duration,
    /// When it was sent: just before the call.
    pub at: Duration,
    /// Whether the kernel took it.
    pub went_out: bool,
    /// An earlier probe whose answer cannot be told from this one's.
    pub clash: Option<u64>,
}

/// What is known of the probes of the last moments.
#[derive(Debug)]
pub struct Ledger {
    patience: Duration,
    tells_direction: bool,
    /// Probe `first` and those after it, without a gap.
    records: VecDeque<Record>,
    first: u64,
    /// The first probe that [`overdue`](Self::overdue) has not looked at.
    next_overdue: u64,
    /// Numbers above this are no probes that count.
    last: u64,
    /// Numbers above this are no probes at all: in between are those that only settle the end.
    last_closing: u64,
    early: Vec<Arrival>,
    witness: Witness,
    counts: Counts,
}

impl From<ProbeAnswer> for Reported {
    fn from(answer: ProbeAnswer) -> Self {
        Self {
            held: answer.held(),
            received: answer.received(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Record {
    due: Duration,
    deadline: Duration,
    sent: Duration,
    state: State,
    reported: Reported,
    told: bool,
    /// The server had received it.
    received: bool,
    /// The server had not received it when it answered a later one.
    missing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Answered(Verdict),
    Unknown,
    NotSent,
}

impl Ledger {
    /// A ledger for probes 1 to `last`, and `closing` further ones that do not count. Probes are overdue after the longer
    /// of `deadline`, the longest of any probe, and [`LEAST_PATIENCE`].
    #[must_use]
    pub fn new(last: u64, closing: u64, deadline: Duration, tells_direction: bool) -> Self {
        Self {
            patience: deadline.max(LEAST_PATIENCE),
            tells_direction,
            records: VecDeque::new(),
            first: 1,
            next_overdue: 1,
            last,
            last_closing: last.saturating_add(closing),
            early: Vec::new(),
            witness: Witness::default(),
            counts: Counts::default(),
        }
    }

    /// Probes are overdue after so long at least.
    #[must_use]
    pub fn with_patience(mut self, least: Duration) -> Self {
        self.patience = self.patience.max(least);
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
        self.counts
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
        }
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
            told: false,
            received: false,
            missing: false,
        });
        if went_out
            && let Some(earlier) = clash.and_then(|clash| self.record(clash))
            && earlier.state == State::Waiting
        {
            earlier.state = State::Unknown;
        }
        // The first of them answers the probe; any others are its duplicates.
        let early: Vec<_> = self
            .early
            .extract_if(.., |arrival| arrival.seq == seq)
            .collect();
        let outcomes: Vec<_> = early
            .into_iter()
            .map(|arrival| self.arrived(arrival))
            .collect();
        outcomes.into_iter().next()
    }

    /// Notes that no more probes of the schedule will be sent.
    pub fn end(&mut self) {
        let closing = self.last_closing - self.last;
        self.last = self.next_seq() - 1;
        self.last_closing = self.last + closing;
    }

    /// The number of the last probe that counts.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Notes an answer.
    pub fn arrived(&mut self, arrival: Arrival) -> Outcome {
        let seq = arrival.seq;
        if seq >= self.next_seq() && seq <= self.last {
            // The thread that sends has not said so yet.
            if self.early.len() < MOST_EARLY {
                self.early.push(arrival);
            } else {
                self.counts.foreign += 1;
            }
            return Outcome::Counted;
        }
        if seq > self.last_closing {
            self.counts.foreign += 1;
            return Outcome::Counted;
        }
        if let Some(report) = &arrival.report {
            self.consider(report);
        }
        if seq > self.last {
            return Outcome::Counted;
        }
        let Some(record) = self.record(seq) else {
            self.counts.forgotten += 1;
            return Outcome::Counted;
        };
        match record.state {
            State::Waiting if arrival.at < record.sent => {
                // Nobody answers what was not sent yet.
                self.counts.foreign += 1;
                Outcome::Counted
            }
            State::Waiting => {
                let rtt = arrival.at.saturating_sub(record.sent);
                let verdict = if rtt <= record.deadline {
                    Verdict::InTime { rtt }
                } else {
                    Verdict::Late { rtt }
                };
                record.state = State::Answered(verdict);
                record.reported = arrival.report.map(Reported::from).unwrap_or_default();
                Outcome::Answered(Answered {
                    seq,
                    verdict,
                    sent: record.sent,
                    rtt,
                    from_due: arrival.at.saturating_sub(record.due),
                    report: arrival.report,
                })
            }
            State::Answered(_) => {
                self.counts.duplicates += 1;
                Outcome::Counted
            }
            State::Unknown | State::NotSent => {
                self.counts.foreign += 1;
                Outcome::Counted
            }
        }
    }

    /// Notes an answer that could be to either of two probes.
    pub fn ambiguous(&mut self) {
        self.counts.ambiguous += 1;
    }

    /// Notes a datagram that answers nothing of this run.
    pub fn foreign(&mut self) {
        self.counts.foreign += 1;
    }

    fn consider(&mut self, report: &ProbeAnswer) {
        let Some(testimony) = self.witness.hear(report) else {
            return;
        };
        for seq in testimony.received() {
            if let Some(record) = self.record(seq) {
                record.received = true;
            }
        }
        for seq in testimony.missing() {
            if let Some(record) = self.record(seq) {
                record.missing = true;
            }
        }
    }

    /// The next probe that has waited too long and has not been told of: its number and what is known by now. Its
    /// verdict is not final yet.
    pub fn overdue(&mut self, now: Duration) -> Option<(u64, Verdict)> {
        loop {
            let seq = self.next_overdue.max(self.first);
            let patience = self.patience;
            let record = self.record(seq)?;
            if record.sent + patience > now {
                return None;
            }
            let waiting = record.state == State::Waiting;
            record.told |= waiting;
            let verdict = record.lost();
            self.next_overdue = seq + 1;
            if waiting {
                return Some((seq, verdict));
            }
        }
    }

    /// When the next probe becomes overdue.
    #[must_use]
    pub fn next_overdue(&self) -> Option<Duration> {
        let index = self.next_overdue.max(self.first) - self.first;
        let record = self.records.get(usize::try_from(index).ok()?)?;
        Some(record.sent + self.patience)
    }

    /// The next probe, in order, whose verdict is final.
    pub fn settle(&mut self, now: Duration) -> Option<Settled> {
        let front = self.records.front()?;
        let age = now.saturating_sub(front.sent);
        let is_waited_for = front.state == State::Waiting && age < self.patience;
        let most = if is_waited_for {
            MOST_WAITING
        } else {
            MOST_REMEMBERED
        };
        if self.records.len() <= most && age < MEMORY.max(self.patience) {
            return None;
        }
        // As long as a later answer may still tell which way it was lost, it stays.
        let undecided = front.state == State::Waiting && front.lost() == Verdict::LostUnknown;
        if undecided && self.tells_direction && self.records.len() < 64 {
            return None;
        }
        self.pop(Record::lost)
    }

    /// The next probe, in order, at the end of a run. `interrupted`: probes not given up yet are in flight, not lost.
    pub fn close(&mut self, now: Duration, interrupted: bool) -> Option<Settled> {
        let patience = self.patience;
        self.counts.foreign += std::mem::take(&mut self.early).len() as u64;
        self.pop(|record| {
            if interrupted && record.sent + patience > now {
                Verdict::InFlight
            } else {
                record.lost()
            }
        })
    }

    fn pop(&mut self, unanswered: impl FnOnce(&Record) -> Verdict) -> Option<Settled> {
        let record = self.records.pop_front()?;
        let verdict = match record.state {
            State::Waiting => unanswered(&record),
            State::Answered(verdict) => verdict,
            State::Unknown => Verdict::Unknown,
            State::NotSent => Verdict::NotSent,
        };
        self.counts.add(verdict);
        let seq = self.first;
        self.first += 1;
        Some(Settled {
            seq,
            due: record.due,
            sent: record.sent,
            verdict,
            reported: record.reported,
            told: record.told,
        })
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
        let open = |record: &Record| {
            record.state == State::Waiting && record.lost() == Verdict::LostUnknown
        };
        self.tells_direction && self.records.iter().any(open)
    }

    fn next_seq(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    fn record(&mut self, seq: u64) -> Option<&mut Record> {
        let index = seq.checked_sub(self.first)?;
        self.records.get_mut(usize::try_from(index).ok()?)
    }
}

impl Record {
    /// Which way it was lost, if it was: a set bit anywhere outweighs clear ones, since a probe may be overtaken.
    fn lost(&self) -> Verdict {
        match (self.received, self.missing) {
            (true, _) => Verdict::LostBack,
            (false, true) => Verdict::LostThere,
            (false, false) => Verdict::LostUnknown,
        }
    }
}
