//! Probes lost in a row (RFC 3357 loss runs), and the longest time without an answer.

use std::time::Duration;

use serde::Serialize;

use super::ledger::Settled;
use super::verdict::Verdict;

/// Follows the verdicts in the order of the probes.
#[derive(Debug, Default)]
pub struct LossRuns {
    /// Lost so far in the current run.
    current: u64,
    /// When the last answered probe before the current run was sent; the run's first, when there was none.
    since: Option<Duration>,
    figures: LossRunFigures,
}

/// What the lost probes were like together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LossRunFigures {
    /// How often loss began.
    pub runs: u64,
    /// The most probes lost in a row.
    pub longest: u64,
    /// The longest time, in nanoseconds, between the sending of two probes that were answered, or of an answered one and
    /// an end of the measurement, with nothing but lost ones between.
    pub longest_outage_ns: u64,
}

impl LossRuns {
    /// Takes the next probe's verdict. Probes that were not sent or cannot be judged neither lengthen a run nor end it.
    pub fn take(&mut self, settled: &Settled) {
        match settled.verdict {
            Verdict::LostThere | Verdict::LostBack | Verdict::LostUnknown => {
                if self.current == 0 {
                    self.figures.runs += 1;
                    self.since = self.since.or(Some(settled.sent));
                }
                self.current += 1;
                self.figures.longest = self.figures.longest.max(self.current);
                self.outage_until(settled.sent);
            }
            Verdict::InTime { .. } | Verdict::Late { .. } => {
                if self.current > 0 {
                    self.outage_until(settled.sent);
                    self.current = 0;
                }
                self.since = Some(settled.sent);
            }
            Verdict::Unknown | Verdict::NotSent | Verdict::InFlight => {}
        }
    }

    /// The figures so far.
    pub fn figures(&self) -> LossRunFigures {
        self.figures
    }

    fn outage_until(&mut self, now: Duration) {
        let outage = now.saturating_sub(self.since.unwrap_or(now));
        let nanos = u64::try_from(outage.as_nanos()).unwrap_or(u64::MAX);
        self.figures.longest_outage_ns = self.figures.longest_outage_ns.max(nanos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn figures(lost: &[bool]) -> LossRunFigures {
        let mut runs = LossRuns::default();
        for (seq, lost) in (1..).zip(lost) {
            let rtt = Duration::from_millis(1);
            let verdict = if *lost {
                Verdict::LostBack
            } else {
                Verdict::InTime { rtt }
            };
            let sent = Duration::from_secs(seq);
            runs.take(&Settled::of(seq, sent, verdict));
        }
        runs.figures()
    }

    #[test]
    fn an_outage_lasts_from_answered_to_answered() {
        let found = figures(&[false, true, true, false, true, false]);
        let expected = LossRunFigures {
            runs: 2,
            longest: 2,
            longest_outage_ns: 3_000_000_000,
        };
        assert_eq!(found, expected);
        // To the ends of the measurement, where nothing was answered before or after.
        assert_eq!(
            figures(&[true, true, true]).longest_outage_ns,
            2_000_000_000
        );
        assert_eq!(figures(&[false, false]), LossRunFigures::default());
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_recomputation(lost in prop::collection::vec(any::<bool>(), 0..60)) {
            let runs: Vec<_> = lost.chunk_by(|a, b| a == b).filter(|run| run[0]).map(<[bool]>::len).collect();
            let found = figures(&lost);
            prop_assert_eq!(found.runs, runs.len() as u64);
            prop_assert_eq!(found.longest, runs.iter().max().copied().unwrap_or(0) as u64);
        }
    }
}
