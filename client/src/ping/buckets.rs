//! Counts of times in buckets of three digits, in constant memory.

use hdrhistogram::{Counter, Histogram};

/// What is told apart at most: a minute. Longer times count as this.
pub const LONGEST: u64 = 60_000_000_000;

/// How many times narrow counts have room for, whatever they are.
const MOST_NARROW: u64 = if cfg!(test) { 5000 } else { u32::MAX as u64 };

/// How often each time came, all the room for that taken at once: a run that meets a longer time than ever before does not
/// grow for it.
#[derive(Debug)]
pub enum Buckets {
    /// As long as no count can be too large; 108 KiB.
    Narrow(Histogram<u32>),
    /// From then on; 216 KiB.
    Wide(Histogram<u64>),
}

impl Buckets {
    /// Buckets with these times in them. Their bounds are valid, so there are always some.
    #[must_use]
    pub fn of(times: &[u64]) -> Option<Self> {
        let mut buckets = Self::Narrow(empty()?);
        for nanos in times {
            buckets.record(*nanos);
        }
        Some(buckets)
    }

    /// Counts a time, in nanoseconds.
    pub fn record(&mut self, nanos: u64) {
        if let Self::Narrow(narrow) = self
            && narrow.len() == MOST_NARROW
            && let Some(wide) = widened(narrow)
        {
            *self = Self::Wide(wide);
        }
        match self {
            Self::Narrow(narrow) => narrow.saturating_record(nanos),
            Self::Wide(wide) => wide.saturating_record(nanos),
        }
    }

    /// The end of the bucket that a part `q` of all times are at most in.
    #[must_use]
    pub fn at_quantile(&self, q: f64) -> u64 {
        match self {
            Self::Narrow(narrow) => narrow.value_at_quantile(q),
            Self::Wide(wide) => wide.value_at_quantile(q),
        }
    }
}

fn empty<C: Counter>() -> Option<Histogram<C>> {
    Histogram::new_with_bounds(1, LONGEST, 3).ok()
}

fn widened(narrow: &Histogram<u32>) -> Option<Histogram<u64>> {
    let mut wide = empty()?;
    for bucket in narrow.iter_recorded() {
        let count = u64::from(bucket.count_at_value());
        wide.saturating_record_n(bucket.value_iterated_to(), count);
    }
    Some(wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widening_changes_nothing() {
        let times: Vec<_> = (1..=MOST_NARROW).map(|nanos| nanos * nanos).collect();
        let mut buckets = Buckets::of(&times).unwrap();
        assert!(matches!(buckets, Buckets::Narrow(_)));
        let quantiles = |buckets: &Buckets| {
            let part = |tenths| buckets.at_quantile(f64::from(tenths) / 10.0);
            (0..=10).map(part).collect::<Vec<_>>()
        };
        let before = quantiles(&buckets);
        let Buckets::Narrow(narrow) = &buckets else {
            unreachable!()
        };
        assert_eq!(quantiles(&Buckets::Wide(widened(narrow).unwrap())), before);
        buckets.record(LONGEST + 1);
        assert!(matches!(buckets, Buckets::Wide(_)));
        assert!(buckets.at_quantile(1.0) >= LONGEST);
    }
}
