//! How often each round-trip time occurred, in bounded memory.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::axis::Axis;
use crate::ping::figures::nanos;

/// What the histograms tell apart at most.
const LONGEST: u64 = 60_000_000_000;

/// Bars at most.
const MOST_BINS: f64 = 48.0;

/// Round-trip times, those in time and the late ones.
#[derive(Debug)]
pub struct Distribution {
    in_time: Option<Histogram<u64>>,
    late: Option<Histogram<u64>>,
}

/// A bar of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Its least time, in ms.
    pub from: f64,
    /// Its greatest.
    pub to: f64,
    /// Answers in time.
    pub in_time: u64,
    /// Late answers.
    pub late: u64,
}

impl Distribution {
    /// No time yet.
    #[must_use]
    pub fn new() -> Self {
        // 216 KiB each; the bounds are valid, so there always is one.
        let empty = || Histogram::new_with_bounds(1, LONGEST, 3).ok();
        Self {
            in_time: empty(),
            late: empty(),
        }
    }

    /// Adds a time.
    pub fn add(&mut self, rtt: Duration, late: bool) {
        let histogram = if late {
            &mut self.late
        } else {
            &mut self.in_time
        };
        if let Some(histogram) = histogram {
            histogram.saturating_record(nanos(rtt));
        }
    }

    /// The bars of times between `min` and `max` ms, even along the axis.
    #[must_use]
    pub fn bins(&self, axis: &Axis, min: f64, max: f64) -> Vec<Bin> {
        let count: u64 = [&self.in_time, &self.late]
            .into_iter()
            .flatten()
            .map(Histogram::len)
            .sum();
        let (mut low, mut high) = (axis.place(min), axis.place(max));
        if high <= low {
            (low, high) = (axis.place(axis.low), axis.place(axis.high));
        }
        // A bar narrower than two steps of the histogram would show the steps, not the times.
        let finest = if axis.log {
            1.004_f64.log10()
        } else {
            max / 500.0
        };
        let few = (2.0 * (count as f64).sqrt()).clamp(8.0, MOST_BINS);
        let wanted = ((high - low) / finest.max(f64::MIN_POSITIVE))
            .min(few)
            .max(1.0);
        let bins = (1..=48).rev().find(|bins| f64::from(*bins) <= wanted);
        let bins = bins.unwrap_or(1);
        let edge = |index: i32| axis.value(low + (high - low) * f64::from(index) / f64::from(bins));
        let tops: Vec<f64> = (1..bins).map(edge).collect();
        let mut bars: Vec<Bin> = (0..bins)
            .map(|index| Bin {
                from: edge(index),
                to: edge(index + 1),
                in_time: 0,
                late: 0,
            })
            .collect();
        let mut fill = |histogram: &Option<Histogram<u64>>, late: bool| {
            let Some(histogram) = histogram else { return };
            for recorded in histogram.iter_recorded() {
                let value = histogram.median_equivalent(recorded.value_iterated_to());
                let millis = value as f64 / 1e6;
                let index = tops.partition_point(|top| *top < millis);
                if let Some(bar) = bars.get_mut(index) {
                    let count = if late {
                        &mut bar.late
                    } else {
                        &mut bar.in_time
                    };
                    *count += recorded.count_since_last_iteration();
                }
            }
        };
        fill(&self.in_time, false);
        fill(&self.late, true);
        bars
    }
}

impl Default for Distribution {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_time_is_in_one_bar_near_its_own(
            micros in prop::collection::vec(1..2_000_000_u64, 1..200), deadline in 1..2_000_000_u64,
        ) {
            let mut distribution = Distribution::new();
            for micros in &micros {
                distribution.add(Duration::from_micros(*micros), *micros > deadline);
            }
            let mut sorted: Vec<f64> = micros.iter().map(|micros| *micros as f64 / 1e3).collect();
            sorted.sort_by(f64::total_cmp);
            let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
            let axis = Axis::of_times(min, sorted[sorted.len() / 2], max);
            let bins = distribution.bins(&axis, min, max);
            prop_assert!((1..=48).contains(&bins.len()));
            let late = micros.iter().filter(|micros| **micros > deadline).count() as u64;
            prop_assert_eq!(bins.iter().map(|bin| bin.late).sum::<u64>(), late);
            let all: u64 = bins.iter().map(|bin| bin.in_time + bin.late).sum();
            prop_assert_eq!(all, micros.len() as u64);
            // Up to each edge there are as many as there should be, but for the histogram's own steps.
            for bin in &bins {
                let within = |by: f64| sorted.iter().filter(|rtt| **rtt <= bin.to * by).count() as u64;
                let sum: u64 = bins.iter().filter(|b| b.to <= bin.to).map(|b| b.in_time + b.late).sum();
                prop_assert!((within(0.998)..=within(1.002)).contains(&sum), "{:?} {}", bin, sum);
            }
        }
    }

    #[test]
    fn times_all_alike_are_one_bar() {
        let mut distribution = Distribution::new();
        for _ in 0..100 {
            distribution.add(Duration::from_millis(20), false);
        }
        let bins = distribution.bins(&Axis::of_times(20.0, 20.0, 20.0), 20.0, 20.0);
        assert_eq!(bins.iter().map(|bin| bin.in_time).max(), Some(100));
    }
}
