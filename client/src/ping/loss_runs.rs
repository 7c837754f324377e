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
    /// Records the next probe's verdict. Probes that were not sent, are unknown, were answered but dropped locally, or were
    /// over a limit of the server neither lengthen a run nor end it. Refused ones are no loss, but what is refused is out.
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
            Verdict::RateLimited
            | Verdict::LimitedOrLost
            | Verdict::DroppedLocally
            | Verdict::Unknown
            | Verdict::NotSent
            | Verdict::InFlight => {}
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
pub(super) mod tests {
    use super::*;
    use crate::ping::refusal::Refusal;
    use proptest::prelude::*;

    const ANSWERED: Verdict = Verdict::InTime {
        rtt: Duration::from_millis(1),
    };

    /// The definitions, word for word, of probes in their order: when each was sent, and what became of it.
    pub(in crate::ping) fn plainly(probes: &[(Duration, Verdict)]) -> LossRunFigures {
        let is_answered = |(_, verdict): &&(Duration, Verdict)| verdict.rtt().is_some();
        let counting: Vec<_> = probes
            .iter()
            .filter(|probe| is_answered(probe) || probe.1.is_lost())
            .collect();
        let lengths: Vec<_> = counting
            .split(is_answered)
            .map(<[_]>::len)
            .filter(|length| *length > 0)
            .collect();
        let is_out =
            |(_, verdict): &&(Duration, Verdict)| verdict.is_lost() || verdict.refusal().is_some();
        let telling: Vec<_> = probes
            .iter()
            .filter(|probe| is_answered(probe) || is_out(probe))
            .collect();
        // From each probe to each later one, with nothing but an outage between, and one at an end as well where that is
        // an end of the measurement.
        let last = telling.len().saturating_sub(1);
        let mut longest = Duration::ZERO;
        for (from, first) in telling.iter().enumerate() {
            for (to, second) in telling.iter().enumerate().skip(from + 1) {
                let begins = is_answered(first) || from == 0;
                let ends = is_answered(second) || to == last;
                let between = &telling[from + 1..to];
                let all_out = between.iter().all(is_out);
                let is_outage = [first, second].into_iter().chain(between).any(is_out);
                if begins && ends && all_out && is_outage {
                    longest = longest.max(second.0.abs_diff(first.0));
                }
            }
        }
        LossRunFigures {
            runs: lengths.len() as u64,
            longest: lengths.into_iter().max().unwrap_or(0) as u64,
            longest_outage_ns: nanos(longest),
        }
    }

    /// Probes in their order, with any time between them.
    fn probes() -> impl Strategy<Value = Vec<(Duration, Verdict)>> {
        const RTT: Duration = Duration::from_millis(3);
        let verdict = prop_oneof![
            4 => Just(ANSWERED),
            1 => Just(Verdict::Late { rtt: RTT }),
            2 => Just(Verdict::LostThere),
            2 => Just(Verdict::LostBack),
            2 => Just(Verdict::LostUnknown),
            2 => Just(Verdict::Refused(Refusal::PortUnreachable)),
            1 => Just(Verdict::DroppedLocally),
            1 => Just(Verdict::RateLimited),
            1 => Just(Verdict::LimitedOrLost),
            1 => Just(Verdict::Unknown),
            1 => Just(Verdict::NotSent),
            1 => Just(Verdict::InFlight),
        ];
        let pause = (0..1_000_000_u64).prop_map(Duration::from_nanos);
        prop::collection::vec((pause, verdict), 0..60).prop_map(|probes| {
            let at = |now: &mut Duration, (pause, verdict)| {
                *now += pause;
                Some((*now, verdict))
            };
            probes.into_iter().scan(Duration::ZERO, at).collect()
        })
    }

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
        fn agrees_with_a_plain_recomputation(probes in probes()) {
            let mut runs = LossRuns::default();
            for (seq, (sent, verdict)) in (1..).zip(&probes) {
                runs.take(&Settled::of(seq, *sent, *verdict));
            }
            prop_assert_eq!(runs.figures(), plainly(&probes));
        }
    }
}
