//! What a ramp shows: throughput and delay of each second, as the original's ramp client tells them, and the knee.

use std::time::Duration;

use serde::Serialize;

use super::knee::{Knee, KneeFinder};
use super::ledger::Settled;
use super::seconds::{Second, Seconds};
use super::verdict::Verdict;

/// Follows a ramp in the order of its probes.
#[derive(Debug, Default)]
pub struct Ramp {
    /// When the first probe was sent.
    start: Option<Duration>,
    seconds: Seconds,
    knee: KneeFinder,
}

/// The figures of a ramp.
#[derive(Debug, Clone, Serialize)]
pub struct RampFigures {
    /// Where it broke away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knee: Option<Knee>,
    /// The highest rate at which that was looked for; null where there were too few probes to tell.
    #[serde(rename = "ramp_probes_per_second")]
    pub highest_rate: Option<f64>,
    /// Throughput and delay of each second.
    pub seconds: Vec<Second>,
}

impl Ramp {
    /// Takes the next probe.
    pub fn take(&mut self, settled: &Settled) {
        self.knee.take(settled);
        // Of what is still in flight nothing is known.
        if matches!(settled.verdict, Verdict::NotSent | Verdict::InFlight) {
            return;
        }
        let start = *self.start.get_or_insert(settled.sent);
        let in_time = match settled.verdict {
            Verdict::InTime { rtt } => Some(rtt),
            _ => None,
        };
        self.seconds
            .add(settled.sent.saturating_sub(start), in_time);
    }

    /// The figures so far, for probes of `size` octets.
    #[must_use]
    pub fn figures(&self, size: usize) -> RampFigures {
        RampFigures {
            knee: self.knee.knee(),
            highest_rate: self.knee.highest_rate(),
            seconds: self.seconds.rows(size).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_counted_from_the_first_probe_and_only_what_came_in_time_is_in_them() {
        let mut ramp = Ramp::default();
        let rtt = Duration::from_millis(2);
        for (seq, sent, verdict) in [
            (1, 4_900, Verdict::NotSent),
            (2, 5_000, Verdict::InTime { rtt }),
            (3, 5_900, Verdict::Late { rtt }),
            (4, 6_100, Verdict::LostBack),
            (5, 6_900, Verdict::InTime { rtt: 2 * rtt }),
            (6, 7_900, Verdict::InFlight),
        ] {
            ramp.take(&Settled::of(seq, Duration::from_millis(sent), verdict));
        }
        let figures = ramp.figures(100);
        let rows: Vec<_> = figures
            .seconds
            .iter()
            .map(|row| (row.second, row.throughput.round(), row.delay_ns.round()))
            .collect();
        assert_eq!(rows, [(1, 1_600.0, 2e6), (2, 1_600.0, 4e6)]);
        assert_eq!((figures.knee, figures.highest_rate), (None, None));
    }
}
