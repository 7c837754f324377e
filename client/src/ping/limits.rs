//! Which probes a limit of the server kept from being answered (`WIRE.md` section 2.4).
//!
//! `count` is a probe's place in all that the server received of a run. Between two answers, `count` grew by all that
//! was received and `limited` by those that a limit kept from being answered; the rest was answered, or its answer was
//! not sent. Where every one of the rest is an answer that came, each other probe received there was over the limit.

use std::collections::VecDeque;
use std::time::Duration;

/// Answers remembered at most.
const MAX_ANSWERS: usize = 1 << 16;

/// Times of arrival remembered at most, to find out which answers a probe was sent after.
const MAX_ARRIVALS: usize = 256;

/// A place in what the server received of a run; 0 is before the first probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// How often the server had forgotten the run.
    epoch: u64,
    count: u64,
}

/// What a limit of the server has to do with a probe that was received and not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limiting {
    /// It was over the limit.
    Proven,
    /// It was not: no probe was where this one was received.
    Excluded,
    /// It may have been.
    Possible,
}

/// The fields of an answer about its run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statement {
    /// The probe answered.
    pub seq: u64,
    /// Bit k is set when the server had received probe `seq - k`.
    pub window: u64,
    /// What the server had received.
    pub count: u64,
    /// Those that a limit kept from being answered.
    pub limited: u64,
}

impl Statement {
    /// Whether the server cannot have forgotten the run between `earlier` and this.
    fn remembers(&self, earlier: &Self) -> bool {
        let distance = self.seq.abs_diff(earlier.seq);
        if self.seq > earlier.seq && distance < 64 {
            return self.window >> distance & 1 == 1;
        }
        // It would have to receive more than were sent meanwhile, to count as many again. Some of them may have been
        // overtaken or copied.
        earlier.count > 2 * distance + 128
    }

    /// Whether `later`, an answer, can follow this. The probe that it answers was not over a limit.
    fn precedes(self, later: Self) -> bool {
        let (received, limited) = (
            later.count.checked_sub(self.count),
            later.limited.checked_sub(self.limited),
        );
        matches!((received, limited), (Some(received), Some(limited)) if limited < received)
    }
}

/// Follows `limited` through a run.
#[derive(Debug, Default)]
pub struct Limits {
    /// In the order of `count`, which is the server's. The number is that of a stretch over which the server is known to
    /// have remembered the run.
    answers: VecDeque<(u64, Statement)>,
    /// Whether the first of these were given up.
    is_cut: bool,
    /// When answers came, and the highest `count` until then.
    arrivals: VecDeque<(Duration, u64)>,
    /// The last statement of all, notices among them.
    latest: Statement,
    epoch: u64,
    /// The sum of `limited` up to when the server forgot the run.
    forgotten: u64,
    /// Whether any answer or notice reported a limit, even one that is not used.
    is_limited: bool,
    /// Whether the server gave notice of probes that it has no entry for.
    has_unrecorded: bool,
}

impl Limits {
    /// Probes that a limit kept from being answered, as the server counts them.
    #[must_use]
    pub fn limited(&self) -> u64 {
        self.forgotten.saturating_add(self.latest.limited)
    }

    /// Whether any probe of the run was reported to be over a limit.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// The last place that a probe sent at this time certainly comes after, even if it is overtaken.
    #[must_use]
    pub fn before(&self, sent: Duration) -> Place {
        let arrived = self.arrivals.iter().rev().find(|(at, _)| *at <= sent);
        Place {
            epoch: self.epoch,
            count: arrived.map_or(0, |(_, count)| *count),
        }
    }

    /// Records the answer to a probe that was sent after `after`; returns its place, or `None` if it contradicts another
    /// answer. Neither of the two is used then.
    pub fn answered(
        &mut self,
        statement: Statement,
        after: Place,
        arrived: Duration,
    ) -> Option<Place> {
        let Statement { count, limited, .. } = statement;
        self.is_limited |= limited > 0;
        // It is, or may be, from before the server forgot the run.
        if after.epoch != self.epoch {
            return None;
        }
        let index = self.answers_before(count);
        let at = |index: Option<usize>| index.and_then(|index| self.answers.get(index)).copied();
        let (before, next) = (at(index.checked_sub(1)), at(Some(index)));
        if next.is_some_and(|(_, next)| next == statement) {
            return Some(self.place(count));
        }
        if index == 0 && self.is_cut {
            return None;
        }
        let is_false = |(_, other): &(u64, Statement)| {
            if other.count < count {
                !other.precedes(statement)
            } else {
                !statement.precedes(*other)
            }
        };
        // The server had received more before this probe was sent. None had the highest count so far, as each has that comes
        // in order, and then there is nothing to look for.
        let overtaken = next
            .and_then(|_| self.find(after))
            .filter(|found| count <= found.statement.count)
            .map(|found| (found.stretch, found.statement));
        let contradicted = [before.filter(is_false), next.filter(is_false), overtaken];
        let starts_well = before.is_some() || Statement::default().precedes(statement);
        if !starts_well || contradicted.iter().any(Option::is_some) {
            for (_, other) in contradicted.into_iter().flatten() {
                self.remove(other);
            }
            return None;
        }
        let is_remembered = before.is_none_or(|(_, before)| statement.remembers(&before));
        let stretch = match (before, next) {
            (None, None) => 0,
            (None, Some((stretch, _))) => stretch,
            (Some((stretch, _)), None) => stretch + u64::from(!is_remembered),
            (Some((stretch, _)), Some((after, _))) if stretch == after && is_remembered => stretch,
            // It may be from before the server forgot the run, or from after.
            (Some(_), Some(_)) => return None,
        };
        self.answers.insert(index, (stretch, statement));
        if self.answers.len() > MAX_ANSWERS {
            self.answers.pop_front();
            self.is_cut = true;
        }
        if next.is_none() {
            if count >= self.latest.count || limited > self.latest.limited {
                self.latest = statement;
            }
            self.note_arrival(arrived, count);
        }
        Some(self.place(count))
    }

    /// Removes an answer that another one contradicts.
    fn remove(&mut self, statement: Statement) {
        let index = self
            .answers
            .partition_point(|(_, other)| other.count < statement.count);
        let found = self.answers.get(index);
        if found.is_some_and(|(_, other)| *other == statement) {
            self.answers.remove(index);
        }
        self.arrivals.retain(|(_, count)| *count != statement.count);
        if self.latest == statement {
            let last = self.answers.back().copied();
            self.latest = last.map(|(_, last)| last).unwrap_or_default();
        }
    }

    /// Records a notice of a probe. Without `count` the server has no entry for the run.
    pub fn noticed(&mut self, count: Option<u64>, limited: Option<u64>) {
        self.is_limited = true;
        let Some(count) = count else {
            self.has_unrecorded = true;
            return;
        };
        let limited = limited.unwrap_or(0);
        let Statement {
            count: last_count,
            limited: last_limited,
            ..
        } = self.latest;
        let grown = (
            count.checked_sub(last_count),
            limited.checked_sub(last_limited),
        );
        if matches!(grown, (Some(received), Some(limited)) if limited <= received) {
            self.latest = Statement {
                count,
                limited,
                ..self.latest
            };
        }
    }

    /// Records that the server forgot the run, and begins to count again.
    pub fn forget(&mut self) {
        // A later notice may be of the new count.
        let last = self.answers.back().map_or(0, |(_, last)| last.limited);
        *self = Self {
            epoch: self.epoch + 1,
            forgotten: self.forgotten.saturating_add(last),
            is_limited: self.is_limited,
            has_unrecorded: self.has_unrecorded,
            ..Self::default()
        };
    }

    /// The place before the first probe since the server forgot the run last.
    #[must_use]
    pub fn start(&self) -> Place {
        self.place(0)
    }

    /// What a limit has to do with a probe that was not answered, was sent after `after`, and was received by the time
    /// that the answer at `seen` was made; `None` where no answer has shown it.
    #[must_use]
    pub fn of_probe(&self, after: Place, seen: Option<Place>) -> Limiting {
        if !self.is_limited() {
            return Limiting::Excluded;
        }
        let Some(seen) = seen else {
            // It may have been received at any time since.
            let since = self.find(after).map(|found| found.statement.limited);
            let is_new = since.is_none_or(|since| since < self.latest.limited);
            let is_excluded = after.epoch == self.epoch && !is_new && !self.has_unrecorded;
            return if is_excluded {
                Limiting::Excluded
            } else {
                Limiting::Possible
            };
        };
        let after = if after.epoch < seen.epoch {
            Place { count: 0, ..seen }
        } else {
            after
        };
        let (Some(first), Some(last)) = (self.find(after), self.find(seen)) else {
            return Limiting::Possible;
        };
        if first.stretch != last.stretch {
            return Limiting::Possible;
        }
        let came = (last.answers as u64).saturating_sub(first.answers as u64);
        let (since, until) = (first.statement, last.statement);
        let limited = until.limited.saturating_sub(since.limited);
        let received = until.count.saturating_sub(since.count);
        if limited == 0 {
            Limiting::Excluded
        } else if limited + came == received {
            Limiting::Proven
        } else {
            Limiting::Possible
        }
    }

    fn place(&self, count: u64) -> Place {
        Place {
            epoch: self.epoch,
            count,
        }
    }

    fn note_arrival(&mut self, at: Duration, count: u64) {
        match self.arrivals.back_mut() {
            Some((last, highest)) if *last >= at => *highest = (*highest).max(count),
            _ => {
                if self.arrivals.len() == MAX_ARRIVALS {
                    self.arrivals.pop_front();
                }
                self.arrivals.push_back((at, count));
            }
        }
    }

    /// How many answers have a lower `count`. Where all probes are answered it is known without a search: a flood asks for
    /// each of its probes.
    fn answers_before(&self, count: u64) -> usize {
        let len = self.answers.len();
        let last = self.answers.back().map_or(0, |(_, last)| last.count);
        if last < count {
            return len;
        }
        let behind = last.saturating_add(1).saturating_sub(count);
        let guess = usize::try_from(behind).map_or(0, |behind| len.saturating_sub(behind));
        let is_lower = |index: usize| {
            let answer = self.answers.get(index);
            answer.map(|(_, other)| other.count < count)
        };
        let is_before = guess == 0 || is_lower(guess - 1) == Some(true);
        if is_before && is_lower(guess) != Some(true) {
            return guess;
        }
        self.answers
            .partition_point(|(_, other)| other.count < count)
    }

    /// The statement at a place, or `None` if it is not known.
    fn find(&self, place: Place) -> Option<Found> {
        if place.epoch != self.epoch {
            return None;
        }
        if place.count == 0 {
            let first = self.answers.front().map_or(0, |(stretch, _)| *stretch);
            return (!self.is_cut).then_some(Found {
                stretch: first,
                answers: 0,
                statement: Statement::default(),
            });
        }
        let index = self.answers_before(place.count);
        let (stretch, statement) = *self.answers.get(index)?;
        (statement.count == place.count).then_some(Found {
            stretch,
            answers: index + 1,
            statement,
        })
    }
}

/// The statement at a place.
#[derive(Debug, Clone, Copy)]
struct Found {
    stretch: u64,
    /// Answers that came and were made by then.
    answers: usize,
    statement: Statement,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::marks::bits_from;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// An answer of a run of which every probe is received once.
    fn says(count: u64, limited: u64) -> Statement {
        Statement {
            seq: count,
            window: bits_from(1, count),
            count,
            limited,
        }
    }

    /// Takes the answers of a run: `count`, `limited`, and when it came. Each probe was sent after what came before 5 ms.
    fn heard(answers: &[(u64, u64, u64)]) -> Limits {
        let mut limits = Limits::default();
        for &(count, limited, at) in answers {
            let after = limits.before(ms(at.saturating_sub(5)));
            assert!(
                limits
                    .answered(says(count, limited), after, ms(at))
                    .is_some()
            );
        }
        limits
    }

    const fn place(count: u64) -> Place {
        Place { epoch: 0, count }
    }

    #[test]
    fn probes_between_two_answers_are_limited_where_all_others_there_were_answered() {
        // 2 and 3 were over the limit; the answer to 5 was lost, and 6 was over it.
        let limits = heard(&[(1, 0, 10), (4, 2, 20), (7, 3, 30)]);
        let after = |at| limits.before(ms(at));
        assert_eq!(limits.of_probe(after(10), Some(place(4))), Limiting::Proven);
        assert_eq!(
            limits.of_probe(after(25), Some(place(7))),
            Limiting::Possible
        );
        // It may have been received between the first two as well.
        assert_eq!(
            limits.of_probe(after(15), Some(place(7))),
            Limiting::Possible
        );
        assert_eq!(
            limits.of_probe(after(0), Some(place(1))),
            Limiting::Excluded
        );
        assert_eq!(limits.limited(), 3);
    }

    #[test]
    fn late_answer_decides_open_probes() {
        let mut limits = heard(&[(1, 0, 10), (7, 3, 30)]);
        let (after, late) = (limits.before(ms(10)), limits.before(ms(12)));
        assert_eq!(limits.of_probe(after, Some(place(7))), Limiting::Possible);
        for (count, limited) in [(5, 2), (4, 2)] {
            assert!(
                limits
                    .answered(says(count, limited), late, ms(40))
                    .is_some()
            );
        }
        assert_eq!(limits.of_probe(after, Some(place(7))), Limiting::Proven);
    }

    #[test]
    fn probe_that_no_answer_shows_may_be_limited_only_where_the_number_grew_since() {
        let limits = heard(&[(1, 0, 10), (4, 2, 20), (5, 2, 30)]);
        assert_eq!(
            limits.of_probe(limits.before(ms(12)), None),
            Limiting::Possible
        );
        assert_eq!(
            limits.of_probe(limits.before(ms(20)), None),
            Limiting::Excluded
        );
    }

    #[test]
    fn contradicting_answers_are_not_used() {
        for (count, limited) in [(6, 1), (5, 4), (3, 3), (2, 3)] {
            let mut limits = heard(&[(1, 0, 10), (4, 2, 20), (6, 3, 30)]);
            assert_eq!(limits.of_probe(place(0), Some(place(6))), Limiting::Proven);
            assert_eq!(
                limits.answered(says(count, limited), place(0), ms(31)),
                None
            );
            let open = limits.of_probe(place(0), Some(place(6)));
            assert_ne!(open, Limiting::Proven, "{count} {limited}");
        }
        // One whose probe was sent after a higher count came.
        let mut limits = heard(&[(1, 0, 10), (9_000, 8_000, 20)]);
        let after = limits.before(ms(25));
        assert_eq!(limits.answered(says(3, 1), after, ms(30)), None);
        assert_eq!(limits.limited(), 0);
    }

    #[test]
    fn counts_continue_after_the_server_forgot_the_run() {
        let mut limits = heard(&[(1, 0, 10), (4, 2, 20)]);
        let old = limits.before(ms(20));
        limits.forget();
        assert_eq!(
            limits
                .answered(says(2, 1), limits.start(), ms(30))
                .map(|place| place.count),
            Some(2)
        );
        let new = Some(Place { epoch: 1, count: 2 });
        assert_eq!(limits.of_probe(old, new), Limiting::Proven);
        assert_eq!(limits.of_probe(old, Some(place(4))), Limiting::Possible);
        assert_eq!(limits.limited(), 3);
    }

    #[test]
    fn notice_is_not_added_to_the_forgotten_count() {
        let mut limits = heard(&[(4, 2, 10)]);
        // It counts from when the server forgot the run, as the next answer shows.
        limits.noticed(Some(10), Some(8));
        limits.forget();
        let place = limits.answered(says(11, 8), limits.start(), ms(30));
        assert!(place.is_some());
        assert_eq!(limits.limited(), 10);
    }

    #[test]
    fn notice_without_count_leaves_all_probes_open() {
        let mut limits = heard(&[(4, 2, 10)]);
        limits.noticed(Some(604), Some(602));
        assert_eq!(limits.limited(), 602);
        // These are older, or cannot be true.
        for (count, limited) in [(500, 498), (604, 603), (700, 10), (605, 604)] {
            limits.noticed(Some(count), Some(limited));
        }
        assert_eq!(limits.limited(), 602);
        let mut limits = Limits::default();
        limits.noticed(None, None);
        assert_eq!((limits.limited(), limits.is_limited()), (0, true));
        assert_eq!(limits.of_probe(limits.start(), None), Limiting::Possible);
    }

    #[test]
    fn probes_over_which_the_server_may_have_forgotten_the_run_stay_open() {
        let over = |window| {
            let mut limits = heard(&[(1, 0, 10)]);
            let after = limits.before(ms(10));
            let later = Statement {
                seq: 40,
                window,
                ..says(4, 2)
            };
            assert!(limits.answered(later, after, ms(60)).is_some());
            limits.of_probe(after, Some(place(4)))
        };
        assert_eq!(over(1 << 39 | 0b111), Limiting::Proven);
        // It does not show the first: the server may have received these since a restart, with 39 answers lost.
        assert_eq!(over(0b1111), Limiting::Possible);
    }
}
