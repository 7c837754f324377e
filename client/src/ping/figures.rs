//! Times of many probes in constant memory.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::buckets::Buckets;

/// Up to so many times, quantiles are exact.
const FEW: usize = 4096;

/// Times: exact minimum, mean, maximum and standard deviation; quantiles, which are exact of few times
/// and have three digits of many.
#[derive(Debug)]
pub struct Distribution {
    /// The times themselves, as long as they are few.
    few: Vec<u64>,
    /// What has to do from then on: most runs never come to need the room.
    many: Option<Buckets>,
    count: u64,
    min: u64,
    max: u64,
    /// Of the times and of their squares: exact, so that a long run's figures are.
    sum: u128,
    squares: u128,
}

/// The figures of a set of times, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// How many times there were.
    pub count: u64,
    /// The shortest.
    pub min: u64,
    /// The average.
    pub mean: f64,
    /// Half were at most this.
    pub median: u64,
    /// 90 % were at most this.
    pub p90: u64,
    /// 99 % were at most this.
    pub p99: u64,
    /// 99.9 % were at most this.
    pub p99_9: u64,
    /// The longest.
    pub max: u64,
    /// The standard deviation, of all these times (not an estimate for others); none of a single one.
    pub standard_deviation: Option<f64>,
}

impl Distribution {
    /// No times yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            few: Vec::new(),
            many: None,
            count: 0,
            min: u64::MAX,
            max: 0,
            sum: 0,
            squares: 0,
        }
    }

    /// Adds a time.
    pub fn record(&mut self, time: Duration) {
        let nanos = nanos(time);
        if self.few.len() == FEW {
            self.many = Buckets::of(&std::mem::take(&mut self.few));
        }
        match &mut self.many {
            Some(many) => many.record(nanos),
            None => self.few.push(nanos),
        }
        self.count += 1;
        self.min = self.min.min(nanos);
        self.max = self.max.max(nanos);
        let exact = u128::from(nanos);
        self.sum = self.sum.saturating_add(exact);
        self.squares = self.squares.saturating_add(exact * exact);
    }

    /// The figures; none without a time.
    #[must_use]
    pub fn figures(&self) -> Option<Figures> {
        if self.count == 0 {
            return None;
        }
        let mut sorted = self.few.clone();
        sorted.sort_unstable();
        let quantile = |q: f64| match &self.many {
            None => nearest_rank(&sorted, q),
            // The end of a bucket may lie beyond what was seen.
            Some(many) => many.at_quantile(q).clamp(self.min, self.max),
        };
        Some(Figures {
            count: self.count,
            min: self.min,
            mean: self.sum as f64 / self.count as f64,
            median: match &self.many {
                None => middle(&sorted),
                Some(_) => quantile(0.5),
            },
            p90: quantile(0.9),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            max: self.max,
            standard_deviation: (self.count > 1).then(|| self.variance().sqrt()),
        })
    }

    /// The mean of the squared differences from the mean.
    fn variance(&self) -> f64 {
        let count = u128::from(self.count);
        let (whole, rest) = (self.sum / count, self.sum % count);
        // From the whole part of the mean first, in integers: the squares themselves are large, and nearly alike.
        // Sums that are at their limit tell nothing; nor do they end the program.
        let of_mean = (count * whole).saturating_mul(whole);
        let squares = self
            .squares
            .saturating_sub(of_mean)
            .saturating_sub((2 * whole).saturating_mul(rest));
        let part = rest as f64 / count as f64;
        (squares as f64 / count as f64 - part * part).max(0.0)
    }
}

/// The value that a part `q` of all are at most.
fn nearest_rank(sorted: &[u64], q: f64) -> u64 {
    let rank = (0..sorted.len()).find(|index| (index + 1) as f64 >= q * sorted.len() as f64);
    rank.and_then(|rank| sorted.get(rank))
        .copied()
        .unwrap_or_default()
}

/// The median, between the two in the middle where there is an even number.
fn middle(sorted: &[u64]) -> u64 {
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    let lower = sorted
        .get(sorted.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or_default();
    u64::midpoint(lower, upper)
}

impl Default for Distribution {
    fn default() -> Self {
        Self::new()
    }
}

impl Figures {
    /// Those percentiles that there are enough times for, with their names: of fewer they are the longest time, or nearly.
    pub(super) fn percentiles(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = [
            (10, "p90", self.p90),
            (100, "p99", self.p99),
            (1000, "p99.9", self.p99_9),
        ];
        let told = all.into_iter().filter(|(least, ..)| self.count >= *least);
        told.map(|(_, name, nanos)| (name, nanos))
    }

    /// The 99th percentile with its name, or the longest time where there are too few for that.
    pub(super) fn p99_or_max(&self) -> (&'static str, u64) {
        let p99 = self.percentiles().find(|(name, _)| *name == "p99");
        p99.unwrap_or(("max", self.max))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |nanos: u64| Time(nanos as f64);
        write!(
            f,
            "min {}, mean {}, median {}",
            time(self.min),
            Time(self.mean),
            time(self.median)
        )?;
        for (name, nanos) in self.percentiles() {
            write!(f, ", {name} {}", time(nanos))?;
        }
        write!(f, ", max {}", time(self.max))?;
        match self.standard_deviation {
            Some(deviation) => write!(f, ", standard deviation {}", Time(deviation)),
            None => Ok(()),
        }
    }
}

/// Serializes a time as nanoseconds.
///
/// # Errors
/// Those of the serializer.
pub fn serialize_nanos<S: serde::Serializer>(
    time: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(nanos(*time))
}

/// A time in nanoseconds, as far as they go: 584 years.
pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A time in nanoseconds, shown to three or four digits.
#[derive(Debug, Clone, Copy)]
pub struct Time(
    /// Nanoseconds.
    pub f64,
);

impl From<Duration> for Time {
    fn from(time: Duration) -> Self {
        Self(time.as_nanos() as f64)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0, ["ns", "us", "ms", "s"])
    }
}

/// Writes four digits of a value in one of these units, each of which is a thousand of the one before.
pub(super) fn write_scaled(
    f: &mut fmt::Formatter<'_>,
    value: f64,
    [one, thousand, million, billion]: [&str; 4],
) -> fmt::Result {
    let (value, unit) = match value.abs() {
        v if v < 1e3 => (value, one),
        v if v < 1e6 => (value / 1e3, thousand),
        v if v < 1e9 => (value / 1e6, million),
        _ => (value / 1e9, billion),
    };
    let digits = match value.abs() {
        v if v < 10.0 => 3,
        v if v < 100.0 => 2,
        _ => 1,
    };
    write!(f, "{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::buckets::LONGEST;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_a_plain_recomputation(
            mut nanos in prop::collection::vec(1..70_000_000_000_u64, 1..300),
            many in any::<bool>(),
        ) {
            if many {
                nanos = nanos.iter().cycle().take(FEW + nanos.len()).copied().collect();
            }
            let mut trips = Distribution::new();
            for nanos in &nanos {
                trips.record(Duration::from_nanos(*nanos));
            }
            let figures = trips.figures().unwrap();
            let mut sorted = nanos.clone();
            sorted.sort_unstable();
            let n = sorted.len();
            prop_assert_eq!((figures.count, figures.min, figures.max), (n as u64, sorted[0], sorted[n - 1]));
            let mean = sorted.iter().map(|v| *v as f64).sum::<f64>() / n as f64;
            prop_assert!((figures.mean - mean).abs() <= mean * 1e-9);
            let variance = sorted.iter().map(|v| (*v as f64 - mean).powi(2)).sum::<f64>() / n as f64;
            let deviation = (n > 1).then(|| variance.sqrt());
            prop_assert_eq!(figures.standard_deviation.is_some(), deviation.is_some());
            prop_assert!((figures.standard_deviation.unwrap_or(0.0) - deviation.unwrap_or(0.0)).abs() <= mean * 1e-6);
            if !many {
                prop_assert_eq!(figures.median, u64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]));
            }
            for (permille, value) in [(900, figures.p90), (990, figures.p99), (999, figures.p99_9)] {
                let exact = sorted[(n * permille).div_ceil(1000) - 1];
                // Beyond a minute the histogram only knows that it was longer.
                if !many {
                    prop_assert_eq!(value, exact);
                } else if exact < LONGEST {
                    prop_assert!(value.abs_diff(exact) as f64 <= exact as f64 * 1e-3 + 1.0, "{} {}", value, exact);
                }
            }
        }
    }

    #[test]
    fn a_percentile_is_told_of_as_many_times_as_it_takes() {
        let told = |count: u64| {
            let mut times = Distribution::new();
            (1..=count).for_each(|nanos| times.record(Duration::from_nanos(nanos)));
            let figures = times.figures().unwrap();
            let text = figures.to_string();
            let names: Vec<_> = figures.percentiles().collect();
            assert!(
                names
                    .iter()
                    .all(|(name, _)| text.contains(&format!(", {name} ")))
            );
            assert_eq!(names.len(), text.matches(", p").count());
            (names, figures.p99_or_max())
        };
        assert_eq!(told(9), (vec![], ("max", 9)));
        assert_eq!(told(99), (vec![("p90", 90)], ("max", 99)));
        assert_eq!(told(100), (vec![("p90", 90), ("p99", 99)], ("p99", 99)));
        let many = vec![("p90", 900), ("p99", 990), ("p99.9", 999)];
        assert_eq!(told(1000), (many, ("p99", 990)));
    }

    #[test]
    fn times_of_centuries_end_no_program() {
        let mut times = Distribution::new();
        for _ in 0..3 {
            times.record(Duration::MAX);
        }
        assert_eq!(times.figures().unwrap().max, u64::MAX);
    }

    #[test]
    fn no_time_has_no_figures() {
        assert_eq!(Distribution::new().figures(), None);
    }

    #[test]
    fn times_show_their_unit() {
        for (nanos, shown) in [
            (999.0, "999.0 ns"),
            (1_500.0, "1.500 us"),
            (23.4567e6, "23.46 ms"),
            (2e9, "2.000 s"),
        ] {
            assert_eq!(Time(nanos).to_string(), shown);
        }
    }
}
