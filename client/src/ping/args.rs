//! The command line of `hii ping`.

use std::io;
use std::num::NonZeroU32;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use hii_protocol::ping::ProbeSize;
use hii_server::args::{duration, rate};
use hii_server::exit::{Exit, Failure};

use super::output::{CsvOutput, Items, JsonOutput, Output, TextOutput};
use super::plot::file::PlotFile;
use super::schedule::Schedule;
use super::target::{Family, Target};
use super::window::Window;

/// More probes than anybody sends: their numbers leave room for the closing ones.
const MOST_PROBES: u64 = u64::MAX / 2;

/// Probes of a run that does not say how many, and how long one in bursts lasts.
const DEFAULT_COUNT: u64 = 10;
const DEFAULT_BURSTS: Duration = Duration::from_secs(10);

/// When an answer is late in a run in bursts, and how often such a run prints its figures.
const BURSTS_DEADLINE: Duration = Duration::from_secs(1);
const BURSTS_REPORT: Duration = Duration::from_secs(1);

/// More in flight than this no buffer holds.
const LARGEST_WINDOW: usize = 1 << 16;

/// How often a run without end prints its figures.
const DEFAULT_REPORT: Duration = Duration::from_secs(10);

/// The command line of `hii ping`.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a command line's switches are independent"
)]
#[command(after_help = "Examples:\n  \
    hii ping                              a server inside this program, losing 10 %, delaying up to 500 ms\n  \
    hii ping example.net                  port 8080 of that host, 10 probes, one a second\n  \
    hii ping 192.0.2.7:9000 -n 1000 -i 10ms -s 1400\n  \
    hii ping 192.0.2.7 -n 0 --report 60    until Ctrl-C, a line a minute\n  \
    hii ping 192.0.2.7 -n 200 --decay 0.95 ramp up until something gives way\n  \
    hii ping 192.0.2.7 --rate 50k/s -d 30 50,000 probes a second, each in its own slot\n  \
    hii ping 192.0.2.7 --flood -s 1200    for 10 s as fast as they are answered\n  \
    hii ping [2001:db8::7]:8080 --json    one JSON document\n  \
    hii ping tcp://192.0.2.7              over TCP: name resolution, connect time and RTT apart\n  \
    hii ping 192.0.2.7 --stop             ask the server to stop afterwards, as the original clients do\n  \
    hii ping 192.0.2.7 --plot run.html    a page that shows every probe\n  \
    hii ping a.example b.example --csv    two at the same time, a row for each probe\n\n\
    Exit codes: 0 answered, 1 nothing answered, 2 usage, 3 cannot reach or the connection ended early,\n\
    5 not a ping server, 7 output failed, 130 interrupted (with the summary; a second Ctrl-C ends at once);\n\
    of several targets, that of the first that is not 0.\n\
    A probe is lost when no answer came in 10 s, or at the end of the run in 2 s (5 s over TCP; or the deadline,\n\
    up to 10 s).")]
pub struct Args {
    /// The server, as host, host:port or [ipv6]:port, for TCP as tcp://host:port; several are measured at the same time
    /// [default: one inside this program]
    #[arg(value_name = "TARGET")]
    pub(super) targets: Vec<Target>,

    /// How many probes; 0 is without end, with a line of figures every so often [default: 10; with --rate and --flood as
    /// many as there are in 10 s]
    #[arg(short = 'n', long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    pub(super) count: Option<u64>,

    /// Send for so long instead, in seconds or as 5m
    #[arg(short, long, value_name = "TIME", value_parser = duration, conflicts_with = "count")]
    pub(super) duration: Option<Duration>,

    /// Time between two probes, in seconds or as 10ms
    #[arg(short, long, value_name = "TIME", default_value = "1", allow_negative_numbers = true, value_parser = interval)]
    pub(super) interval: Duration,

    /// So many probes a second, as 50000/s, 50k/s or 2M/s: none is skipped, and those due at one moment go out together.
    /// A Hii server answers one source 20,000 a second unless it is started with --rate 0
    #[arg(long, value_name = "N/s", value_parser = probe_rate, group = "bursts", conflicts_with_all = ["interval", "decay"])]
    pub(super) rate: Option<NonZeroU32>,

    /// As fast as possible: a probe goes out when another is answered, or given up
    #[arg(long, group = "bursts", conflicts_with_all = ["interval", "decay"])]
    pub(super) flood: bool,

    /// Probes in flight at most with --flood [default: as many as ordinary buffers hold, 237 of 64 octets]
    #[arg(long, value_name = "N", requires = "flood", value_parser = window)]
    pub(super) window: Option<usize>,

    /// Do not send or take several probes in one system call (GSO, GRO) with --rate and --flood
    #[arg(long, requires = "bursts")]
    pub(super) no_gso: bool,

    /// An answer that takes longer is late [default: the time to the next probe; with --rate and --flood 1 s]
    #[arg(short = 'W', long, value_name = "TIME", value_parser = interval)]
    pub(super) deadline: Option<Duration>,

    /// Ramp: each interval is so much of the one before, as 0.95; tells the rate where delay or loss breaks away
    #[arg(long, value_name = "FACTOR", value_parser = decay)]
    pub(super) decay: Option<f64>,

    /// A line of figures every so often instead of one for each probe [default with -n 0: 10, with --rate and --flood: 1]
    #[arg(long, value_name = "TIME", value_parser = interval)]
    pub(super) report: Option<Duration>,

    /// Octets of each probe, 1 to 65507
    #[arg(short, long, value_name = "OCTETS", default_value = "128", value_parser = size)]
    pub(super) size: ProbeSize,

    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub(super) ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6', long)]
    pub(super) ipv6: bool,

    /// Ask the server to stop at the end, and show its last word
    #[arg(long)]
    pub(super) stop: bool,

    /// No line for each probe
    #[arg(short, long)]
    pub(super) quiet: bool,

    /// Print one JSON document instead of lines: with each probe, where a run has lines of figures with those, with -q
    /// neither
    #[arg(long)]
    pub(super) json: bool,

    /// Print a row of CSV for each probe; the summary goes to stderr (with -q nowhere)
    #[arg(long, conflicts_with_all = ["json", "report"])]
    pub(super) csv: bool,

    /// Draw the run into a file that ends in .svg, .png or .html; may be given several times. Of several targets, each
    /// has its own: run-1.svg, run-2.svg
    #[arg(long, value_name = "FILE", value_parser = plot_file())]
    pub(super) plot: Vec<PlotFile>,
}

fn plot_file() -> impl TypedValueParser<Value = PlotFile> {
    PathBufValueParser::new().try_map(PlotFile::try_from)
}

fn count(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(count) if count <= MOST_PROBES => Ok(count),
        _ => Err(format!(
            "give a whole number from 1 to {MOST_PROBES}, or 0 for no end"
        )),
    }
}

fn probe_rate(text: &str) -> Result<NonZeroU32, String> {
    rate(text)?
        .0
        .ok_or_else(|| "give a rate above 0, or --flood".into())
}

fn window(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(places) if (1..=LARGEST_WINDOW).contains(&places) => Ok(places),
        _ => Err(format!("give a whole number from 1 to {LARGEST_WINDOW}")),
    }
}

fn decay(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if factor > 0.0 && factor <= 1.0 => Ok(factor),
        _ => Err("give a factor above 0, up to 1".into()),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("the interval has to be longer than 0".into()),
        interval => Ok(interval),
    }
}

fn size(text: &str) -> Result<ProbeSize, String> {
    let octets = text
        .parse()
        .map_err(|_| format!("{text:?} is not a number of octets"))?;
    ProbeSize::new(octets).map_err(|error| error.to_string())
}

impl Args {
    pub(super) fn schedule(&self) -> Result<Schedule, Failure> {
        let count = self.count.unwrap_or(DEFAULT_COUNT);
        let count = (count > 0).then_some(count);
        if self.has_bursts() {
            return Ok(self.bursts(count));
        }
        let schedule = Schedule {
            deadline: self.deadline,
            decay: self.decay.unwrap_or(1.0),
            ..Schedule::fixed(count, self.interval)
        };
        let schedule = match self.duration {
            None => schedule,
            Some(duration) => Schedule {
                count: schedule
                    .slots_before(duration)
                    .filter(|slots| *slots <= MOST_PROBES),
                ..schedule
            },
        };
        if schedule.count.is_none() && (self.duration.is_some() || !schedule.is_fixed()) {
            return Err(Failure::new(
                Exit::Usage,
                "the intervals shrink to nothing, so the probes would have no end",
                "give a count with -n, or a duration -d below interval / (1 - decay)",
            ));
        }
        Ok(schedule)
    }

    /// The schedule at a rate or as fast as possible.
    fn bursts(&self, count: Option<u64>) -> Schedule {
        let lasts = match self.count {
            None => Some(self.duration.unwrap_or(DEFAULT_BURSTS)),
            Some(_) => None,
        };
        let count = count.filter(|_| lasts.is_none());
        let schedule = if let Some(rate) = self.rate {
            let schedule = Schedule::at_rate(count, rate);
            let slots = lasts.and_then(|lasts| schedule.slots_before(lasts));
            Schedule {
                count: count.or(slots),
                ..schedule
            }
        } else {
            let places = Window::places_for(self.size.get());
            Schedule::flood(count, lasts, self.window.unwrap_or(places))
        };
        Schedule {
            // The next probe follows within microseconds, and says nothing of what is late.
            deadline: self.deadline.or(Some(BURSTS_DEADLINE)),
            ..schedule
        }
    }

    /// Whether probes go out in bursts, at a rate or as fast as possible.
    pub(super) fn has_bursts(&self) -> bool {
        self.flood || self.rate.is_some()
    }

    /// How often a line of figures is printed instead of one for each probe.
    pub(super) fn report(&self, schedule: &Schedule) -> Option<Duration> {
        let default = if self.has_bursts() {
            Some(BURSTS_REPORT)
        } else {
            schedule.count.is_none().then_some(DEFAULT_REPORT)
        };
        self.report.or(default)
    }

    /// What the run prints, to stdout.
    pub(super) fn output(&self, schedule: &Schedule) -> Box<dyn Output> {
        let out = io::stdout();
        let has_intervals = self.report(schedule).is_some();
        if self.json {
            let items = match (self.quiet, has_intervals) {
                (true, _) => Items::None,
                (false, true) => Items::Intervals,
                (false, false) => Items::Probes,
            };
            return Box::new(JsonOutput::new(out, items));
        }
        if self.csv {
            return Box::new(CsvOutput::new(out, !self.quiet));
        }
        Box::new(TextOutput::new(out, !self.quiet && !has_intervals))
    }

    /// The files of all pictures.
    pub(super) fn pictures(&self) -> impl Iterator<Item = PlotFile> {
        (0..self.targets.len().max(1)).flat_map(|target| self.pictures_of(target))
    }

    /// The files of a target's pictures: where there are several targets, each has its own.
    pub(super) fn pictures_of(&self, target: usize) -> Vec<PlotFile> {
        if self.targets.len() <= 1 {
            return self.plot.clone();
        }
        let numbered = self.plot.iter().map(|file| file.numbered(target + 1));
        numbered.collect()
    }

    pub(super) fn family(&self) -> Family {
        match (self.ipv4, self.ipv6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        }
    }
}
