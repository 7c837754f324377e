//! The command line of the benchmark.

use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures `hii ping` and `hii-server ping` beside irtt, sockperf and a plain echo loop, on loopback.
#[derive(Debug, Clone, Parser)]
#[command(bin_name = "cargo bench -p hii-tests --")]
pub struct Options {
    /// Rounds of ours and of the others', in turn; the table has the medians
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = rounds)]
    rounds: usize,

    /// One short round of each, to try the benchmark itself; its figures say little
    #[arg(long)]
    quick: bool,

    /// Measure this part only; may be given several times
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,

    /// Print the table as Markdown
    #[arg(long)]
    pub markdown: bool,

    /// Cargo says that it is a benchmark that is wanted
    #[arg(long, hide = true)]
    pub bench: bool,
}

/// What can be measured apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Round trips, beside sockperf's
    RoundTrip,
    /// Slots and when probes go out, beside irtt's
    Schedule,
    /// The most echoes a second, beside irtt's
    Echoes,
    /// The client's memory, beside irtt's
    Memory,
    /// The server, beside a plain echo loop
    Server,
}

fn rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rounds @ 1..=1000) => Ok(rounds),
        _ => Err("give a number from 1 to 1000".into()),
    }
}

impl Options {
    /// How many rounds there are.
    #[must_use]
    pub fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds }
    }

    /// How long a run takes that would take `whole` seconds: a fifth, for a quick try.
    #[must_use]
    pub fn seconds(&self, whole: u64) -> u64 {
        if self.quick { whole.div_ceil(5) } else { whole }
    }

    /// The same as a time.
    #[must_use]
    pub fn time(&self, whole: u64) -> Duration {
        Duration::from_secs(self.seconds(whole))
    }

    /// What is to be measured.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        if self.only.is_empty() {
            Part::value_variants()
        } else {
            &self.only
        }
    }
}
