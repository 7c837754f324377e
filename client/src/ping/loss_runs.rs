//! Probes lost in a row (RFC 3357 loss runs), and the longest time without an answer.

use std::time::Duration;

use serde::Serialize;

use super::figures::nanos;
use super::ledger::Settled;
use super::verdict::Verdict;

/// Follows the verdicts in the order of the probes.
#[derive(Debug, Default)]
pub struct LossRuns {
    /// Lost so far in the current run.
    current: u64,
    /// Whether the last probe was lost or refused.
    is_out: bool,
    /// When the last answered probe before the current outage was sent; the outage's first, when there was none.
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
    /// an end of the measurement, with nothing but lost or refused ones between.
    pub longest_outage_ns: u64,
}

impl LossRuns {
    /// Takes the next probe's verdict. Probes that were not sent, cannot be judged, or were answered in vain neither
    /// lengthen a run nor end it. Refused ones are no loss, but what is refused is out.
    pub fn take(&mut self, settled: &Settled) {
        match settled.verdict {
            Verdict::LostThere | Verdict::LostBack | Verdict::LostUnknown => {
                if self.current == 0 {
                    self.figures.runs += 1;
                }
                self.current += 1;
                self.figures.longest = self.figures.longest.max(self.current);
                self.out_at(settled.sent);
            }
            Verdict::Refused(_) => self.out_at(settled.sent),
            Verdict::InTime { .. } | Verdict::Late { .. } => {
                if self.is_out {
                    self.outage_until(settled.sent);
                    self.is_out = false;
                }
                self.current = 0;
                self.since = Some(settled.sent);
            }
            Verdict::DroppedLocally | Verdict::Unknown | Verdict::NotSent | Verdict::InFlight => {}
        }
    }

    /// The figures so far.
    pub fn figures(&self) -> LossRunFigures {
        self.figures
    }

    fn out_at(&mut self, sent: Duration) {
        self.is_out = true;
        self.since = self.since.or(Some(sent));
        self.outage_until(sent);
    }

    fn outage_until(&mut self, now: Duration) {
        let outage = now.saturating_sub(self.since.unwrap_or(now));
        let outage = nanos(outage);
        self.figures.longest_outage_ns = self.figures.longest_outage_ns.max(outage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::refusal::Refusal;
    use proptest::prelude::*;

    const ANSWERED: Verdict = Verdict::InTime {
        rtt: Duration::from_millis(1),
    };

    fn figures(lost: &[bool]) -> LossRunFigures {
        let verdict = |lost: &bool| if *lost { Verdict::LostBack } else { ANSWERED };
        figures_of(lost.iter().map(verdict))
    }

    fn figures_of(verdicts: impl IntoIterator<Item = Verdict>) -> LossRunFigures {
        let mut runs = LossRuns::default();
        for (seq, verdict) in (1..).zip(verdicts) {
            runs.take(&Settled::of(seq, Duration::from_secs(seq), verdict));
        }
        runs.figures()
    }

    #[test]
    fn refused_probes_are_an_outage_and_no_loss() {
        const REFUSED: Verdict = Verdict::Refused(Refusal::PortUnreachable);
        let found = figures_of([ANSWERED, REFUSED, REFUSED, ANSWERED]);
        assert_eq!((found.runs, found.longest_outage_ns), (0, 3_000_000_000));
        let lost = Verdict::LostThere;
        let found = figures_of([ANSWERED, lost, REFUSED, lost, REFUSED, ANSWERED]);
        assert_eq!((found.runs, found.longest), (1, 2));
        assert_eq!(found.longest_outage_ns, 5_000_000_000);
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
