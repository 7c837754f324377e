//! The values of `hii ping`'s options.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use hii_protocol::ping::ProbeSize;
use hii_server::args::{duration, rate};

use crate::ping::plot::file::PlotFile;

/// More probes than anybody sends: their numbers leave room for the closing ones.
pub(super) const MOST_PROBES: u64 = u64::MAX / 2;

/// More in flight than this no buffer holds.
const LARGEST_WINDOW: usize = 1 << 16;

pub(super) fn plot_file() -> impl TypedValueParser<Value = PlotFile> {
    PathBufValueParser::new().try_map(PlotFile::try_from)
}

pub(super) fn count(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(count) if count <= MOST_PROBES => Ok(count),
        _ => Err(format!(
            "give a whole number from 1 to {MOST_PROBES}, or 0 for no end"
        )),
    }
}

pub(super) fn probe_rate(text: &str) -> Result<NonZeroU32, String> {
    rate(text)?
        .0
        .ok_or_else(|| "give a rate above 0, or --flood".into())
}

pub(super) fn window(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(places) if (1..=LARGEST_WINDOW).contains(&places) => Ok(places),
        _ => Err(format!("give a whole number from 1 to {LARGEST_WINDOW}")),
    }
}

pub(super) fn decay(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if factor > 0.0 && factor <= 1.0 => Ok(factor),
        _ => Err("give a factor above 0, up to 1".into()),
    }
}

pub(super) fn interval(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("the interval has to be longer than 0".into()),
        interval => Ok(interval),
    }
}

pub(super) fn size(text: &str) -> Result<ProbeSize, String> {
    let octets = text
        .parse()
        .map_err(|_| format!("{text:?} is not a number of octets"))?;
    ProbeSize::new(octets).map_err(|error| error.to_string())
}
