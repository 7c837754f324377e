//! When a probe is overdue, and when its verdict is final.

use std::time::Duration;

use super::record::{Further, Record, State};
use super::{Ledger, Settled};
use crate::ping::verdict::Verdict;

/// How long a probe without an answer is remembered while the run goes on: an answer within this time is late, not lost.
const MEMORY: Duration = Duration::from_secs(10);

/// Probes remembered at most, once they are overdue, and as many whose verdict is final.
const MOST_REMEMBERED: usize = 1 << 16;

/// Probes remembered at most, though the first of them is waited for: beyond that it is given up early.
const MOST_WAITING: usize = 1 << 19;

/// How long the kernel may take to tell when it sent a probe; a network card's queue is shorter.
const STAMP_PATIENCE: Duration = Duration::from_secs(1);

impl Ledger {
    /// The next probe that has waited too long and has not been told of: its number and what is known by now. Its
    /// verdict is not final yet.
    pub fn overdue(&mut self, now: Duration) -> Option<(u64, Verdict)> {
        loop {
            let seq = self.next_overdue.max(self.first);
            let patience = self.patience;
            let record = self.seen(seq)?;
            if record.sent + patience > now {
                return None;
            }
            let waiting = record.state == State::Waiting;
            let so_far = *record;
            let verdict = so_far.unanswered(seq, &self.run);
            // Of one over a limit of the server no answer is expected.
            let is_limited = verdict == Verdict::RateLimited;
            if let Some(record) = self.record(seq).filter(|_| waiting) {
                if is_limited {
                    record.state = State::Limited;
                } else {
                    record.told = true;
                }
            }
            self.next_overdue = seq + 1;
            if waiting && !is_limited {
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
        let may_change = match front.state {
            State::Waiting => None,
            // A refused probe may still be answered, and so may a copy of one that was over a limit.
            State::Refused(_) | State::Limited => Some(age < self.patience),
            State::Answered(_) => {
                Some(self.is_stamped && front.kernel.lacks_sending() && age < STAMP_PATIENCE)
            }
            State::Unknown | State::NotSent => Some(false),
        };
        if let Some(may_change) = may_change {
            let stays = may_change && self.records.len() <= MOST_REMEMBERED;
            return if stays {
                None
            } else {
                self.pop(|_, so_far| so_far)
            };
        }
        let most = if age < self.patience {
            MOST_WAITING
        } else {
            MOST_REMEMBERED
        };
        if self.records.len() <= most && age < MEMORY.max(self.patience) {
            return None;
        }
        // As long as a later answer may still tell which way it was lost, it stays; not for ever, when none comes.
        let undecided = front.unanswered(self.first, &self.run) == Verdict::LostUnknown
            && age < 2 * MEMORY.max(self.patience);
        if undecided && self.tells_direction && self.records.len() < 64 {
            return None;
        }
        self.pop(|_, so_far| so_far)
    }

    /// The next probe, in order, at the end of a run. `interrupted`: probes not given up yet are in flight, not lost.
    pub fn close(&mut self, now: Duration, interrupted: bool) -> Option<Settled> {
        let patience = self.patience;
        self.counts.foreign += self.early.clear();
        self.counts.refused_unknown += std::mem::take(&mut self.early_refusals).len() as u64;
        self.counts.interrupted |= interrupted;
        let is_limited = self.run.limits.is_limited();
        self.pop(|record, so_far| match so_far {
            _ if !interrupted || so_far == Verdict::RateLimited => so_far,
            _ if record.sent + patience > now => Verdict::InFlight,
            // No later answer has reported how many were over the limit up to the end.
            Verdict::LostUnknown if is_limited => Verdict::LimitedOrLost,
            _ => so_far,
        })
    }

    /// Removes the first probe; `unanswered` decides the outcome of one without an answer from what is known of it.
    fn pop(&mut self, unanswered: impl FnOnce(&Record, Verdict) -> Verdict) -> Option<Settled> {
        let record = *self.records.front()?;
        let so_far = || record.unanswered(self.first, &self.run);
        let verdict = match record.state {
            State::Waiting => match unanswered(&record, so_far()) {
                Verdict::LostBack | Verdict::LostUnknown | Verdict::LimitedOrLost
                    if self.is_explained() =>
                {
                    Verdict::DroppedLocally
                }
                verdict => verdict,
            },
            State::Answered(verdict) => verdict,
            State::Refused(why) => Verdict::Refused(why),
            State::Limited => Verdict::RateLimited,
            State::Unknown => Verdict::Unknown,
            State::NotSent => Verdict::NotSent,
        };
        self.records.pop_front();
        self.counts.add(verdict);
        if self.settled.len() == MOST_REMEMBERED {
            self.settled.pop_front();
        }
        self.settled.push_back(Further::after(record.state));
        if let Verdict::Refused(why) = verdict {
            self.refusals.add(why);
        }
        let answered = verdict.rtt().map(|rtt| record.sent.saturating_add(rtt));
        let kernel = record.kernel.judge(answered);
        self.counts.unusable_stamps += kernel.unusable;
        let seq = self.first;
        self.first += 1;
        Some(Settled {
            seq,
            due: record.due,
            sent: record.sent,
            verdict,
            reported: record.reported,
            kernel: kernel.trip,
            told: record.told,
        })
    }

    /// Whether this host threw the answer to the first probe away.
    fn is_explained(&mut self) -> bool {
        let Self {
            records,
            first,
            gaps,
            run,
            ..
        } = self;
        // A probe that the server has not received, or that is over its limit, had no answer to lose.
        let may_be_answered = |seq: u64, record: &Record| {
            record.state == State::Waiting
                && !matches!(
                    record.unanswered(seq, run),
                    Verdict::LostThere | Verdict::RateLimited
                )
        };
        gaps.explain(*first, |probes| {
            let among = |seq: &u64| probes.contains(seq);
            let numbered = (*first..).zip(records.iter());
            let in_gap = numbered
                .skip_while(|(seq, _)| !among(seq))
                .take_while(|(seq, _)| among(seq));
            in_gap
                .filter(|(seq, record)| may_be_answered(*seq, record))
                .count() as u64
        })
    }
}
