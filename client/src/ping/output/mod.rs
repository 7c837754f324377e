//! What a run prints as it goes, in the form that was asked for.

use std::io;
use std::time::Duration;

mod backlog;
mod csv;
mod heading;
mod json;
pub mod live;
mod printer;
mod probe_row;
mod text;

pub use backlog::{Backlog, Limit};
pub use csv::CsvOutput;
pub use heading::{Heading, Steps};
pub use json::{Items, JsonOutput};
pub use live::LiveOutput;
pub use printer::Printer;
pub use text::TextOutput;

use super::interval_report::IntervalLine;
use super::ledger::{Answered, Sent, Settled};
use super::refusal::Refusal;
use super::summary::Summary;
use super::verdict::Verdict;

/// Takes what a run finds, as it is found. Targets are numbered from 0, in the order they were given.
///
/// Every call fails as its writer does, and is not made again then.
pub trait Output: Send {
    /// This target is not measured, for this reason. Told before the start.
    fn not_measured(&mut self, target: &str, why: &str);

    /// This is about to be measured.
    ///
    /// # Errors
    /// Those of the writer, here and below.
    fn start(&mut self, headings: &[Heading]) -> io::Result<()>;

    /// Whether it shows what becomes of each probe. If not, only intervals are told as the run goes.
    fn shows_probes(&self) -> bool;

    /// The next probe was sent, or could not be.
    ///
    /// # Errors
    /// Those of the writer.
    fn sent(&mut self, _target: usize, _sent: &Sent) -> io::Result<()> {
        Ok(())
    }

    /// A probe was answered. Its verdict, in time or late, follows when it is settled.
    ///
    /// # Errors
    /// Those of the writer.
    fn answered(&mut self, _target: usize, _answered: &Answered) -> io::Result<()> {
        Ok(())
    }

    /// A probe was sent back. Its verdict follows when it is settled.
    ///
    /// # Errors
    /// Those of the writer.
    fn refused(&mut self, _target: usize, _seq: u64, _why: Refusal) -> io::Result<()> {
        Ok(())
    }

    /// A probe has been waited for in vain so far.
    ///
    /// # Errors
    /// Those of the writer.
    fn overdue(&mut self, _target: usize, _overdue: Overdue) -> io::Result<()> {
        Ok(())
    }

    /// A probe's verdict is final. Probes are settled in the order of their numbers.
    ///
    /// # Errors
    /// Those of the writer.
    fn settled(&mut self, _target: usize, _settled: &Settled) -> io::Result<()> {
        Ok(())
    }

    /// The figures of the time since the last such line.
    ///
    /// # Errors
    /// Those of the writer.
    fn interval(&mut self, _target: usize, _line: &IntervalLine) -> io::Result<()> {
        Ok(())
    }

    /// The run is over: a summary for each target.
    ///
    /// # Errors
    /// Those of the writer.
    fn finish(&mut self, summaries: &[Summary]) -> io::Result<()>;
}

/// A probe that has been waited for in vain so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overdue {
    /// Its number.
    pub seq: u64,
    /// When it was sent.
    pub sent: Duration,
    /// What is known of it so far.
    pub so_far: Verdict,
    /// How long it was waited for.
    pub waited: Duration,
}
