//! Quantities on the command line: durations, ranges of them, probabilities, rates.

use std::num::NonZeroU32;
use std::time::Duration;

/// The largest duration that the programs take, in seconds: a year. It keeps sums of times far from overflow.
const LONGEST: f64 = 366.0 * 86_400.0;

/// A duration: seconds (`0.6`), or a number with `ns`, `us`, `ms`, `s`, `m` or `h`.
///
/// ```
/// use std::time::Duration;
/// use hii_server::args::duration;
///
/// assert_eq!(duration("0.6"), Ok(Duration::from_millis(600)));
/// assert_eq!(duration("10ms"), Ok(Duration::from_millis(10)));
/// assert!(duration("10 parsecs").is_err());
/// ```
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn duration(text: &str) -> Result<Duration, String> {
    let unit_at = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let scale = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => {
            return Err(format!(
                "{unit:?} is no unit of time: use ns, us, ms, s, m or h"
            ));
        }
    };
    let seconds = positive(number)? * scale;
    if seconds > LONGEST {
        return Err("the time is longer than a year".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// How long a connection may do nothing: a [`duration`] above 0.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn idle(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => {
            Err("each connection would be closed at once; give a time, as 60s or 5m".into())
        }
        time => Ok(time),
    }
}

/// How many connections there may be: at least one.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn connections(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("each connection would be closed at once; give 1 or more".into()),
        Ok(count) => Ok(count),
        Err(_) => Err(format!("{text:?} is not a whole number")),
    }
}

/// A number from 0, without sign or exponent.
fn positive(text: &str) -> Result<f64, String> {
    let plain = text
        .bytes()
        .all(|octet| octet.is_ascii_digit() || octet == b'.');
    match text.parse::<f64>() {
        Ok(number) if plain => Ok(number),
        _ => Err(format!("{text:?} is not a number")),
    }
}

/// A range of durations, drawn from uniformly in whole steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelayRange {
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
    /// What all of them are a whole number of, above the shortest.
    pub step: Duration,
}

impl DelayRange {
    /// No delay at all.
    pub const NONE: Self = Self {
        min: Duration::ZERO,
        max: Duration::ZERO,
        step: Duration::from_nanos(1),
    };

    /// What the original server does: whole tenths of a millisecond from 0.1 to 500 ms.
    pub const ORIGINAL: Self = Self {
        min: Duration::from_micros(100),
        max: Duration::from_millis(500),
        step: Duration::from_micros(100),
    };
}

/// A delay `A`, or a range of delays `A..B`.
///
/// ```
/// use std::time::Duration;
/// use hii_server::args::delay_range;
///
/// let range = delay_range("0.1ms..500ms").unwrap();
/// assert_eq!((range.min, range.max), (Duration::from_micros(100), Duration::from_millis(500)));
/// assert!(delay_range("5ms..1ms").is_err());
/// ```
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn delay_range(text: &str) -> Result<DelayRange, String> {
    let (min, max) = match text.split_once("..") {
        Some((min, max)) => (duration(min)?, duration(max)?),
        None => (duration(text)?, duration(text)?),
    };
    if min > max {
        return Err(format!(
            "{text}: the shortest delay stands first (a number without a unit is seconds)"
        ));
    }
    if max > Duration::from_secs(3600) {
        return Err(format!("{text}: a delay is at most an hour"));
    }
    Ok(DelayRange {
        min,
        max,
        step: Duration::from_nanos(1),
    })
}

/// A probability: `0.1` or `10%`.
///
/// ```
/// use hii_server::args::probability;
///
/// assert_eq!(probability("0.1"), Ok(0.1));
/// assert_eq!(probability("10%"), Ok(0.1));
/// assert!(probability("1.1").is_err());
/// ```
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn probability(text: &str) -> Result<f64, String> {
    let value = match text.strip_suffix('%') {
        Some(percent) => positive(percent)? / 100.0,
        None => positive(text)?,
    };
    if value > 1.0 {
        return Err(format!(
            "{text} is not a probability: use 0 to 1, or 0% to 100%"
        ));
    }
    Ok(value)
}

/// A rate of datagrams a second: `1000`, `1000/s`, `50k/s` or `2M/s`; `0` is no limit.
///
/// ```
/// use hii_server::args::rate;
///
/// assert_eq!(rate("50k/s"), rate("50000"));
/// assert!(rate("0.5/s").is_err());
/// ```
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn rate(text: &str) -> Result<Rate, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    let (number, scale) = match number.split_at_checked(number.len().saturating_sub(1)) {
        Some((number, "k")) => (number, 1_000),
        Some((number, "M")) => (number, 1_000_000),
        _ => (number, 1),
    };
    number
        .parse()
        .ok()
        .filter(|_| number.bytes().all(|octet| octet.is_ascii_digit()))
        .and_then(|number: u32| number.checked_mul(scale))
        .map(|rate| Rate(NonZeroU32::new(rate)))
        .ok_or_else(|| {
            format!("{text:?} is not a rate: use a whole number a second, as 500 or 50k/s")
        })
}

/// Datagrams a second, or no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(
    /// Datagrams a second.
    pub Option<NonZeroU32>,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_seconds_and_units() {
        for (text, nanos) in [
            ("1", 1_000_000_000),
            ("0", 0),
            (".5", 500_000_000),
            ("0.1ms", 100_000),
            ("250us", 250_000),
            ("7ns", 7),
            ("2m", 120_000_000_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn rejects_what_is_no_quantity() {
        for text in [
            "", "-1", "1e3", "inf", "nan", "1 s", "1x", "9h9", "100000h", ".",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["-0.1", "101%", "2", "x", "%"] {
            assert!(probability(text).is_err(), "{text}");
        }
        for text in [
            "",
            "-1",
            "+1",
            "1.5",
            "4294967296",
            "5000M",
            "1/m",
            "k",
            "k/s",
            "1kk",
            "1 k",
            "1G",
            "µ",
        ] {
            assert!(rate(text).is_err(), "{text}");
        }
        assert_eq!(rate("0"), Ok(Rate(None)));
        assert_eq!(rate("20/s"), Ok(Rate(NonZeroU32::new(20))));
        assert_eq!(rate("20k"), Ok(Rate(NonZeroU32::new(20_000))));
        assert_eq!(rate("2M/s"), Ok(Rate(NonZeroU32::new(2_000_000))));
        assert_eq!(rate("0k/s"), Ok(Rate(None)));
        assert!(delay_range("2h").is_err());
        assert!(idle("0").is_err() && idle("0ms").is_err() && idle("x").is_err());
        assert_eq!(idle("5m"), Ok(Duration::from_secs(300)));
        assert!(connections("0").unwrap_err().contains("1 or more"));
        assert!(connections("-1").is_err());
        assert_eq!(connections("1"), Ok(1));
        assert!(delay_range("1ms..").is_err());
    }
}
