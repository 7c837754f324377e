//! The command line of a benchmark.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use super::table::{self, Row};

/// The parts of a benchmark, by their names on the command line.
pub trait Parts: ValueEnum + PartialEq + Send + Sync + 'static {
    /// What is measured beside what.
    const ABOUT: &str;
    /// How it is started.
    const COMMAND: &str;
}

/// What is asked of a benchmark.
#[derive(Debug, Clone, Parser)]
#[command(bin_name = P::COMMAND, about = P::ABOUT)]
pub struct Options<P: Parts> {
    /// Rounds of ours and of the others', in turn; the table has the medians
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = rounds)]
    rounds: usize,

    /// One short round of each, to try the benchmark itself; its figures say little
    #[arg(long)]
    pub quick: bool,

    /// Measure this part only; may be given several times
    #[arg(long, value_name = "PART")]
    only: Vec<P>,

    /// Print the table as Markdown
    #[arg(long)]
    pub markdown: bool,

    /// Cargo says that it is a benchmark that is wanted
    #[arg(long, hide = true)]
    pub bench: bool,
}

fn rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rounds @ 1..=1000) => Ok(rounds),
        _ => Err("give a number from 1 to 1000".into()),
    }
}

impl<P: Parts> Options<P> {
    /// How many rounds there are.
    #[must_use]
    pub fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds }
    }

    /// How many, for who reads the table.
    #[must_use]
    pub fn about(&self) -> String {
        format!("medians of {} rounds (least to most)", self.rounds())
    }

    /// All rows, and what they were measured on.
    #[must_use]
    pub fn report(&self, about: &[String], rows: &[Row]) -> String {
        if self.markdown {
            let about = about.join("\n- ");
            format!("- {about}\n\n{}", table::markdown(rows))
        } else {
            format!("{}\n\n{}", about.join("\n"), table::columns(rows))
        }
    }

    /// Says what is going on, and how far it is.
    pub fn tell(&self, round: usize, what: &str) {
        eprintln!("round {round} of {}: {what}", self.rounds());
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

    /// Whether this is to be measured.
    #[must_use]
    pub fn wants(&self, part: &P) -> bool {
        self.only.is_empty() || self.only.contains(part)
    }

    /// What is to be measured.
    pub fn parts(&self) -> impl Iterator<Item = &'static P> {
        let parts = P::value_variants().iter();
        parts.filter(|part| self.wants(part))
    }
}
