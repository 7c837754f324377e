//! What a ramp shows, for people.

use std::fmt;

use crate::ping::figures::Time;
use crate::ping::knee::{Knee, Sign};
use crate::ping::ramp::RampFigures;
use crate::ping::seconds::Second;
use crate::ping::throughput::{Bits, PerSecond};

/// More rows than this are for a picture or a program.
const MOST_ROWS: usize = 60;

impl fmt::Display for RampFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_seconds(f)?;
        match (self.knee, self.highest_rate) {
            (Some(knee), _) => {
                let Knee {
                    probes_per_second,
                    sign,
                } = knee;
                let sign = match sign {
                    Sign::Delay => "delay",
                    Sign::Loss => "loss",
                };
                let rate = PerSecond(probes_per_second);
                writeln!(f, "knee: {sign} breaks away at {rate} probes a second")
            }
            (None, Some(rate)) => {
                writeln!(f, "knee: none up to {} probes a second", PerSecond(rate))
            }
            (None, None) => writeln!(
                f,
                "knee: n/a, too few probes, or too many lost from the beginning"
            ),
        }
    }
}

impl RampFigures {
    /// A row for each second: throughput there and back, and the mean delay, of answers in time.
    fn fmt_seconds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.seconds.len();
        if rows > MOST_ROWS {
            return writeln!(
                f,
                "throughput and delay of {rows} seconds or more: --plot draws them, --json lists them"
            );
        }
        if rows > 0 {
            writeln!(
                f,
                "answers in time: second, throughput there and back, mean delay"
            )?;
        }
        for row in &self.seconds {
            let Second {
                second,
                covers,
                throughput,
                delay_ns,
            } = *row;
            let last = second + covers.saturating_sub(1);
            let seconds = if last > second {
                format!("{second}-{last}")
            } else {
                second.to_string()
            };
            // Without an answer in time there is no delay.
            let delay = if throughput > 0.0 {
                Time(delay_ns).to_string()
            } else {
                "n/a".into()
            };
            let throughput = Bits(throughput).to_string();
            writeln!(f, "{seconds:>6}  {throughput:>12}  {delay:>10}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(rows: u64) -> RampFigures {
        let row = |second| Second {
            second,
            covers: 1,
            throughput: if second == 2 { 0.0 } else { 20_480.0 },
            delay_ns: if second == 2 { 0.0 } else { 312_400.0 },
        };
        RampFigures {
            knee: None,
            highest_rate: None,
            seconds: (1..=rows).map(row).collect(),
        }
    }

    #[test]
    fn a_row_tells_a_second_and_too_many_are_left_to_a_picture() {
        let text = figures(2).to_string();
        let rows: Vec<_> = text.lines().collect();
        assert_eq!(
            rows[..3],
            [
                "answers in time: second, throughput there and back, mean delay",
                "     1  20.48 kbit/s    312.4 us",
                "     2   0.000 bit/s         n/a",
            ]
        );
        assert_eq!(figures(0).to_string().lines().count(), 1);
        let many = figures(61).to_string();
        assert!(
            many.starts_with("throughput and delay of 61 seconds"),
            "{many}"
        );
    }
}
