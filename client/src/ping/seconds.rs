//! Throughput and delay of each second, as the original's ramp client counts them.
//!
//! A probe sent at `t` seconds belongs to second floor(`t`) + 1. Throughput is its answered probes x size x 8 x 2 (there
//! and back) in bit/s, delay the mean RTT of those probes; a second with none has 0 for both. An answer counts when it
//! came in time.

use std::time::Duration;

use serde::Serialize;

/// Rows held at most: over two hours of single seconds; after that each row covers 2 seconds, then 4, and so on.
const MOST_ROWS: usize = 8192;

/// The answered probes of each second, in bounded memory.
#[derive(Debug, Clone)]
pub struct Seconds {
    most: usize,
    /// Seconds that a row covers: a power of two.
    width: u64,
    rows: Vec<Row>,
    /// The last second that a probe was sent in, from 0.
    last: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    answered: u64,
    nanos: u128,
}

/// The figures of a second, or of a few when the run was long.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Second {
    /// The second since the start, from 1: the first of those covered.
    pub second: u64,
    /// How many seconds are covered.
    pub covers: u64,
    /// Bit/s, both ways together; 0 without an answer.
    pub throughput: f64,
    /// The mean RTT in nanoseconds; 0 without an answer.
    pub delay_ns: f64,
}

impl Seconds {
    /// No second yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with_rows(MOST_ROWS)
    }

    fn with_rows(most: usize) -> Self {
        Self {
            most: most.max(1),
            width: 1,
            rows: Vec::new(),
            last: 0,
        }
    }

    /// Adds a probe that was sent this long after the start, with its RTT if it was answered in time.
    pub fn add(&mut self, sent: Duration, in_time: Option<Duration>) {
        let second = sent.as_secs();
        self.last = self.last.max(second);
        let index = loop {
            match usize::try_from(second / self.width) {
                Ok(index) if index < self.most => break index,
                _ => self.merge(),
            }
        };
        if index >= self.rows.len() {
            self.rows.resize(index + 1, Row::default());
        }
        if let (Some(rtt), Some(row)) = (in_time, self.rows.get_mut(index)) {
            row.answered += 1;
            row.nanos += rtt.as_nanos();
        }
    }

    /// Makes one row of two.
    fn merge(&mut self) {
        self.width = self.width.saturating_mul(2);
        let sum = |pair: &[Row]| Row {
            answered: pair.iter().map(|row| row.answered).sum(),
            nanos: pair.iter().map(|row| row.nanos).sum(),
        };
        self.rows = self.rows.chunks(2).map(sum).collect();
    }

    /// How many seconds a row covers: 1 unless the run was long.
    #[must_use]
    pub fn width(&self) -> u64 {
        self.width
    }

    /// The figures, for probes of `size` octets.
    pub fn rows(&self, size: usize) -> impl Iterator<Item = Second> + '_ {
        (0..).zip(&self.rows).map(move |(index, row)| {
            let first = index * self.width;
            // The last row may have been cut short.
            let covers = (self.last - first).saturating_add(1).min(self.width);
            let answered = row.answered as f64;
            Second {
                second: first + 1,
                covers,
                throughput: answered * size as f64 * 8.0 * 2.0 / covers as f64,
                delay_ns: if row.answered == 0 {
                    0.0
                } else {
                    row.nanos as f64 / answered
                },
            }
        })
    }
}

impl Default for Seconds {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(most: usize, probes: &[(u64, Option<u64>)]) -> Seconds {
        let mut seconds = Seconds::with_rows(most);
        for (sent, rtt) in probes {
            seconds.add(Duration::from_millis(*sent), rtt.map(Duration::from_micros));
        }
        seconds
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_recomputation(
            probes in prop::collection::vec((0..60_000_u64, prop::option::of(1..1_000_000_u64)), 0..300),
            size in 1..65_508_usize,
            most in 1..70_usize,
        ) {
            let seconds = seconds(most, &probes);
            let rows: Vec<_> = seconds.rows(size).collect();
            prop_assert!(rows.len() <= most);
            prop_assert!(seconds.width() == 1 || most < 60);
            let total = probes.iter().map(|(sent, _)| sent / 1000 + 1).max().unwrap_or(0);
            prop_assert_eq!(rows.iter().map(|row| row.covers).sum::<u64>(), total);
            for row in rows {
                // The definition, word for word.
                let of_row: Vec<f64> = probes
                    .iter()
                    .filter(|(sent, _)| (row.second..row.second + row.covers).contains(&(sent / 1000 + 1)))
                    .filter_map(|(_, rtt)| rtt.map(|micros| micros as f64 * 1e3))
                    .collect();
                let bits = of_row.len() as f64 * size as f64 * 8.0 * 2.0 / row.covers as f64;
                prop_assert!((row.throughput - bits).abs() <= bits * 1e-12);
                let mean = of_row.iter().sum::<f64>() / of_row.len().max(1) as f64;
                prop_assert!((row.delay_ns - mean).abs() <= mean * 1e-9);
            }
        }
    }

    #[test]
    fn a_probe_on_the_second_belongs_to_the_next() {
        let rows: Vec<_> = seconds(9, &[(0, Some(1000)), (999, Some(3000)), (1000, None)])
            .rows(128)
            .collect();
        let figures: Vec<_> = rows
            .iter()
            .map(|row| (row.second, row.throughput, row.delay_ns))
            .collect();
        assert_eq!(figures, [(1, 4096.0, 2e6), (2, 0.0, 0.0)]);
    }

    #[test]
    fn the_longest_pause_takes_no_memory() {
        let mut seconds = Seconds::new();
        seconds.add(Duration::MAX, None);
        assert!(seconds.rows.len() <= MOST_ROWS);
        assert_eq!(seconds.rows(1).count(), seconds.rows.len());
    }
}
