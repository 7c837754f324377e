//! How many probes came to what, as far as is known by now: losses count when they are given up, and are corrected when
//! more is known.

use std::collections::BTreeMap;

use crate::ping::plot::dots::Mark;

/// Probes given up and not settled yet that are remembered at most; the rest are counted when they are settled.
const MOST_OPEN: usize = 1 << 16;

/// Counts of probes.
#[derive(Debug, Default)]
pub(super) struct Fates {
    sent: u64,
    counts: [u64; Mark::ALL.len()],
    /// The marks that may change: probes not settled yet.
    open: BTreeMap<u64, Mark>,
}

impl Fates {
    /// A probe went out.
    pub(super) fn sent(&mut self) {
        self.sent += 1;
    }

    /// A probe was answered; returns the mark that it had before.
    pub(super) fn answered(&mut self, seq: u64, mark: Mark) -> Option<Mark> {
        let before = self.take_back(seq);
        self.add(mark);
        before
    }

    /// A probe was given up for now; false when it will only be counted when it is settled.
    pub(super) fn given_up(&mut self, seq: u64, mark: Mark) -> bool {
        let has_room = self.open.len() < MOST_OPEN && !self.open.contains_key(&seq);
        if has_room {
            self.open.insert(seq, mark);
            self.add(mark);
        }
        has_room
    }

    /// A probe that was not answered has its last mark, if it has one; returns the one before.
    pub(super) fn settled(&mut self, seq: u64, mark: Option<Mark>) -> Option<Mark> {
        let before = self.take_back(seq);
        if let Some(mark) = mark {
            self.add(mark);
        }
        before
    }

    /// Probes that went out.
    pub(super) fn all_sent(&self) -> u64 {
        self.sent
    }

    /// Probes with this mark.
    pub(super) fn count(&self, mark: Mark) -> u64 {
        self.counts.get(mark as usize).copied().unwrap_or_default()
    }

    /// Probes answered, in time or late.
    pub(super) fn answered_in_all(&self) -> u64 {
        self.count(Mark::InTime) + self.count(Mark::Late)
    }

    /// Probes lost, whichever way.
    pub(super) fn lost(&self) -> u64 {
        [Mark::LostThere, Mark::LostBack, Mark::Lost]
            .map(|mark| self.count(mark))
            .iter()
            .sum()
    }

    /// The least and the most probes that may have been over a limit of the server; none where none was.
    pub(super) fn limited(&self) -> Option<(u64, u64)> {
        let least = self.count(Mark::RateLimited);
        let most = least + self.count(Mark::LimitedOrLost);
        (most > 0).then_some((least, most))
    }

    /// Probes whose fate is open.
    pub(super) fn waiting(&self) -> u64 {
        self.sent.saturating_sub(self.judged())
    }

    /// The least and the most that loss can be, in percent of those whose fate is known.
    pub(super) fn loss_percent(&self) -> Option<(f64, f64)> {
        let judged = self.judged();
        let percent = |lost: u64| lost as f64 * 100.0 / judged as f64;
        let most = self.lost() + self.count(Mark::Unknown) + self.count(Mark::LimitedOrLost);
        (judged > 0).then(|| (percent(self.lost()), percent(most)))
    }

    /// Probes that went out and came to something, whatever that is.
    fn judged(&self) -> u64 {
        let sent = Mark::ALL.into_iter().filter(|mark| *mark != Mark::NotSent);
        sent.map(|mark| self.count(mark)).sum()
    }

    fn add(&mut self, mark: Mark) {
        if let Some(count) = self.counts.get_mut(mark as usize) {
            *count += 1;
        }
    }

    fn take_back(&mut self, seq: u64) -> Option<Mark> {
        let mark = self.open.remove(&seq)?;
        if let Some(count) = self.counts.get_mut(mark as usize) {
            *count = count.saturating_sub(1);
        }
        Some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_corrected_when_more_is_known() {
        let mut fates = Fates::default();
        for _ in 0..4 {
            fates.sent();
        }
        assert_eq!((fates.waiting(), fates.loss_percent()), (4, None));
        fates.answered(1, Mark::InTime);
        assert!(fates.given_up(2, Mark::Lost));
        assert!(fates.given_up(3, Mark::Lost));
        assert_eq!((fates.waiting(), fates.lost()), (1, 2));
        // One was answered in the end, of the other it is known where it was lost.
        assert_eq!(fates.answered(3, Mark::Late), Some(Mark::Lost));
        assert_eq!(fates.settled(2, Some(Mark::LostThere)), Some(Mark::Lost));
        assert_eq!(fates.count(Mark::Lost), 0);
        assert_eq!(fates.count(Mark::LostThere), 1);
        assert_eq!(fates.answered_in_all(), 2);
        // The last was never given up.
        assert_eq!(fates.settled(4, Some(Mark::LostBack)), None);
        assert_eq!(fates.loss_percent(), Some((50.0, 50.0)));
        assert_eq!((fates.waiting(), fates.open.len()), (0, 0));
    }

    #[test]
    fn what_cannot_be_told_makes_a_range() {
        let mut fates = Fates::default();
        for seq in 1..=10 {
            fates.sent();
            fates.answered(seq, Mark::InTime);
        }
        for seq in 11..=20 {
            fates.sent();
            fates.settled(
                seq,
                Some(if seq == 20 { Mark::Lost } else { Mark::Unknown }),
            );
        }
        assert_eq!(fates.loss_percent(), Some((5.0, 50.0)));
        // Still in flight when the run was stopped.
        fates.sent();
        assert_eq!(fates.settled(21, None), None);
        assert_eq!(fates.waiting(), 1);
    }

    #[test]
    fn too_many_to_remember_are_counted_in_the_end() {
        let mut fates = Fates::default();
        let all = MOST_OPEN as u64 + 10;
        for seq in 1..=all {
            fates.sent();
            assert_eq!(fates.given_up(seq, Mark::Lost), seq <= MOST_OPEN as u64);
        }
        for seq in 1..=all {
            fates.settled(seq, Some(Mark::LostBack));
        }
        assert_eq!((fates.lost(), fates.count(Mark::LostBack)), (all, all));
    }
}
