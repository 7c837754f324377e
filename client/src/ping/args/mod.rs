//! The command line of `hii ping`.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use clap::Arg;
use clap::builder::UnknownArgumentValueParser;
use hii_protocol::ping::ProbeSize;
use hii_server::args::duration;
use hii_server::exit::{Exit, Failure};
use hii_transport::addresses;
use hii_transport::options::SocketOptions;

use crate::ping::dscp::dscp;
use crate::ping::events::Interrupt;
use crate::ping::output::{CsvOutput, Items, JsonOutput, Limit, LiveOutput, Output, TextOutput};
use crate::ping::plot::file::PlotFile;
use crate::ping::schedule::Schedule;
use crate::ping::target::{Family, Target};

mod values;

use values::{MOST_PROBES, count, decay, interval, plot_file, probe_rate, size, window};

/// Octets of lines for people that may wait for their reader: some thousand lines.
const MOST_LINES: usize = 256 * 1024;

/// The same of rows for machines: half a million probes.
const MOST_ROWS: usize = 64 * 1024 * 1024;

/// Probes of a run that does not say how many, and how long one in bursts lasts.
const DEFAULT_COUNT: u64 = 10;
const DEFAULT_BURSTS: Duration = Duration::from_secs(10);

/// When an answer is late in a run in bursts, and how often such a run prints its figures.
const BURSTS_DEADLINE: Duration = Duration::from_secs(1);
const BURSTS_REPORT: Duration = Duration::from_secs(1);

/// How often a run without end prints its figures.
const DEFAULT_REPORT: Duration = Duration::from_secs(10);

/// The command line of `hii ping`.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a command line's switches are independent"
)]
#[command(arg = mistaken(
    'p',
    "PORT",
    "the port goes with the target: host:port"
))]
#[command(arg = mistaken('c', "N", "the number of probes is -n"))]
#[command(after_help = "Examples:\n  \
    hii ping                                  a server inside this program, lossy and slow\n  \
    hii ping example.net                      port 8080 of that host, 10 probes, one a second\n  \
    hii ping 192.0.2.7:9000 -n 1000 -i 10ms -s 1400\n  \
    hii ping 192.0.2.7 -n 0 --report 60       until Ctrl-C, a line a minute\n  \
    hii ping 192.0.2.7 -n 200 --decay 0.95    ramp up until something gives way\n  \
    hii ping 192.0.2.7 --rate 50k/s -d 30     50,000 probes a second, each in its own slot\n  \
    hii ping 192.0.2.7 --flood -s 1200        for 10 s as fast as they are answered\n  \
    hii ping '[2001:db8::7]:8080' --json      one JSON document\n  \
    hii ping tcp://192.0.2.7                  over TCP: name, handshake and RTT apart\n  \
    hii ping 192.0.2.7 --stop                 ask the server to stop afterwards\n  \
    hii ping 192.0.2.7 --plot run.html        a page that shows every probe\n  \
    hii ping 192.0.2.7 -n 0 --live            a chart on the terminal, until q or Ctrl-C\n  \
    hii ping 192.0.2.7 -s 1472 --df           whether packets of 1500 octets get through uncut\n  \
    hii ping a.example b.example --csv        two at the same time, a row for each probe\n\n\
    A probe is lost when no answer came in 10 s, or at the end of the run in 2 s (over TCP 5 s,\n\
    or the deadline, up to 10 s). One that is sent back (ICMP) is refused, and one whose answer this\n\
    host has no room for is dropped here: neither is lost. Nor is one that the server received and did\n\
    not answer because of a limit.\n\n\
    Exit codes: 0 answered, 1 nothing answered, 2 usage, 3 cannot reach, all refused, or the connection\n\
    ended early, 4 nothing answered because of a limit of the server, 5 not a ping server, 7 output\n\
    failed, 130 interrupted (with the summary; a second Ctrl-C ends at once); of several targets, that\n\
    of the first that is not 0.")]
pub struct Args {
    /// The server, as host, host:port or [ipv6]:port, for TCP as tcp://host:port; several are measured at the same time
    /// [default: one inside this program]
    #[arg(value_name = "TARGET")]
    pub(in crate::ping) targets: Vec<Target>,

    /// How many probes; 0 is without end, with a line of figures every so often [default: 10; with --rate and --flood as
    /// many as there are in 10 s]
    #[arg(short = 'n', long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
    pub(in crate::ping) count: Option<u64>,

    /// Send for so long instead, in seconds or as 5m
    #[arg(short, long, value_name = "TIME", value_parser = duration, conflicts_with = "count")]
    pub(in crate::ping) duration: Option<Duration>,

    /// Time between two probes, in seconds or as 10ms
    #[arg(short, long, value_name = "TIME", default_value = "1", allow_negative_numbers = true, value_parser = interval)]
    pub(in crate::ping) interval: Duration,

    /// So many probes a second, as 50000/s, 50k/s or 2M/s: none is skipped, and those due at one moment go out together.
    /// A Hii server answers one source 20,000 a second unless it is started with --rate 0, and fewer of long probes, of
    /// which it answers 12.5 MB/s unless it is started with a higher --octet-rate
    #[arg(long, value_name = "N/s", value_parser = probe_rate, group = "bursts", conflicts_with_all = ["interval", "decay"])]
    pub(in crate::ping) rate: Option<NonZeroU32>,

    /// As fast as possible: a probe goes out when another is answered, or was not within a few round trips. The limits of a
    /// Hii server are as for --rate
    #[arg(long, group = "bursts", conflicts_with_all = ["interval", "decay"])]
    pub(in crate::ping) flood: bool,

    /// Probes in flight at most with --flood [default: as many as the server's buffer holds, of 128 octets 312 at a Hii
    /// server, twice as many where bursts come back from it together, and 156 at any other; on a long path twice what is
    /// under way there]
    #[arg(long, value_name = "N", requires = "flood", value_parser = window)]
    pub(in crate::ping) window: Option<usize>,

    /// Do not send or take several probes in one system call (GSO, GRO) with --rate and --flood
    #[arg(long, requires = "bursts")]
    pub(in crate::ping) no_gso: bool,

    /// An answer that takes longer is late [default: the time to the next probe; with --rate and --flood 1 s]
    #[arg(short = 'W', long, value_name = "TIME", value_parser = interval)]
    pub(in crate::ping) deadline: Option<Duration>,

    /// Ramp: each interval is so much of the one before, as 0.95; lists throughput and delay of each second, and tells the
    /// rate where delay or loss breaks away
    #[arg(long, value_name = "FACTOR", value_parser = decay)]
    pub(in crate::ping) decay: Option<f64>,

    /// A line of figures every so often instead of one for each probe [default with -n 0: 10, with --rate and --flood: 1]
    #[arg(long, value_name = "TIME", value_parser = interval)]
    pub(in crate::ping) report: Option<Duration>,

    /// Octets of each probe, 1 to 65507
    #[arg(short, long, value_name = "OCTETS", default_value = "128", value_parser = size)]
    pub(in crate::ping) size: ProbeSize,

    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub(in crate::ping) ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6', long)]
    pub(in crate::ping) ipv6: bool,

    /// Send from this address, one of this host's
    #[arg(long, value_name = "ADDRESS")]
    pub(in crate::ping) source: Option<IpAddr>,

    /// Mark packets with this differentiated services code point, 0 to 63 or a name as ef, af41, cs1
    #[arg(long, value_name = "CODE", value_parser = dscp)]
    pub(in crate::ping) dscp: Option<u8>,

    /// Let packets pass so many routers, 1 to 255; the last one sends them back
    #[arg(long, value_name = "HOPS", value_parser = clap::value_parser!(u8).range(1..))]
    pub(in crate::ping) ttl: Option<u8>,

    /// Forbid to cut packets into fragments: those too long for the path are not sent, or refused, and its MTU is told
    /// (not with --rate and --flood)
    #[arg(long)]
    pub(in crate::ping) df: bool,

    /// Stay awake for the last 100 us before each probe, so that it goes out on time; takes the processor that long
    #[arg(long, conflicts_with = "flood")]
    pub(in crate::ping) precise: bool,

    /// Octets of answers that the kernel keeps until they are taken; for tests
    #[arg(long, value_name = "OCTETS", hide = true)]
    pub(in crate::ping) receive_buffer: Option<usize>,

    /// Ask the server to stop at the end, and show its last word
    #[arg(long)]
    pub(in crate::ping) stop: bool,

    /// No line for each probe, nor for each interval
    #[arg(short, long)]
    pub(in crate::ping) quiet: bool,

    /// Print one JSON document instead of lines: with each probe, where a run has lines of figures with those, with -q
    /// neither
    #[arg(long)]
    pub(in crate::ping) json: bool,

    /// Print a row of CSV for each probe; the summary goes to stderr (with -q nowhere). With --rate and --flood a slow
    /// reader slows the run
    #[arg(long, conflicts_with_all = ["json", "report"])]
    pub(in crate::ping) csv: bool,

    /// Show a moving chart and the figures on the terminal (rates: over 1 s, ten intervals, or --report); q, Esc or
    /// Ctrl-C stops and prints the summary
    #[arg(long, conflicts_with_all = ["json", "csv", "quiet"])]
    pub(in crate::ping) live: bool,

    /// Draw the run into a file that ends in .svg, .png or .html; may be given several times. Of several targets, each
    /// has its own: run-1.svg, run-2.svg
    #[arg(long, value_name = "FILE", value_parser = plot_file())]
    pub(in crate::ping) plot: Vec<PlotFile>,
}

/// An option that other programs have, so that it is answered with what it is called here.
fn mistaken(short: char, value: &'static str, advice: &'static str) -> Arg {
    let arg = Arg::new(value).short(short).value_name(value).hide(true);
    arg.value_parser(UnknownArgumentValueParser::suggest(advice))
}

impl Args {
    pub(in crate::ping) fn schedule(&self) -> Result<Schedule, Failure> {
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
            Schedule::flood(count, lasts, self.window)
        };
        Schedule {
            // The next probe follows within microseconds, and says nothing of what is late.
            deadline: self.deadline.or(Some(BURSTS_DEADLINE)),
            ..schedule
        }
    }

    /// The longest deadline of any probe.
    pub(in crate::ping) fn longest_wait(&self) -> Duration {
        self.deadline.unwrap_or(self.interval)
    }

    /// Whether probes go out in bursts, at a rate or as fast as possible.
    pub(in crate::ping) fn has_bursts(&self) -> bool {
        self.flood || self.rate.is_some()
    }

    /// How often a line of figures is printed instead of one for each probe.
    pub(in crate::ping) fn report(&self, schedule: &Schedule) -> Option<Duration> {
        if self.quiet || self.csv || self.live {
            return None;
        }
        let default = if self.has_bursts() {
            Some(BURSTS_REPORT)
        } else {
            schedule.count.is_none().then_some(DEFAULT_REPORT)
        };
        self.report.or(default)
    }

    /// How much of what the run prints may wait for its reader.
    pub(in crate::ping) fn backlog(&self) -> Limit {
        match self.json || self.csv {
            false => Limit::Lines(MOST_LINES),
            true if self.has_bursts() => Limit::Bursts(MOST_LINES),
            true => Limit::Rows(MOST_ROWS),
        }
    }

    /// What the run prints.
    pub(in crate::ping) fn output(
        &self,
        schedule: &Schedule,
        out: impl Write + Send + 'static,
        interrupt: &Interrupt,
    ) -> Box<dyn Output> {
        if self.live {
            return Box::new(LiveOutput::new(interrupt.clone(), self.report));
        }
        let has_intervals = self.report(schedule).is_some();
        if self.json {
            let items = match (self.quiet, has_intervals) {
                (true, _) => Items::None,
                (false, true) => Items::Intervals,
                (false, false) => Items::Probes,
            };
            return Box::new(JsonOutput::new(out, items, self.targets.len() > 1));
        }
        if self.csv {
            return Box::new(CsvOutput::new(out, !self.quiet));
        }
        Box::new(TextOutput::new(
            out,
            !self.quiet && !has_intervals,
            !self.quiet,
        ))
    }

    /// The files of all pictures.
    pub(in crate::ping) fn pictures(&self) -> impl Iterator<Item = PlotFile> {
        (0..self.targets.len().max(1)).flat_map(|target| self.pictures_of(target))
    }

    /// The files of a target's pictures: where there are several targets, each has its own.
    pub(in crate::ping) fn pictures_of(&self, target: usize) -> Vec<PlotFile> {
        if self.targets.len() <= 1 {
            return self.plot.clone();
        }
        let numbered = self.plot.iter().map(|file| file.numbered(target + 1));
        numbered.collect()
    }

    /// The family that the user asked for.
    pub(in crate::ping) fn family(&self) -> Family {
        match (self.ipv4, self.ipv6, self.source()) {
            (true, ..) | (_, false, Some(IpAddr::V4(_))) => Family::V4,
            (_, true, _) | (_, _, Some(IpAddr::V6(_))) => Family::V6,
            _ => Family::Any,
        }
    }

    /// A target's addresses, as far as they can be measured as asked for; at least one.
    pub(in crate::ping) fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, Failure> {
        let Some(source) = self.source() else {
            return target.resolve(self.family());
        };
        let mut addresses = target.resolve(Family::Any)?;
        addresses.retain(|address| address.is_ipv4() == source.is_ipv4());
        if addresses.is_empty() {
            return Err(Failure::new(
                Exit::Usage,
                format_args!(
                    "{target} has no {} address to be reached from {source}",
                    family_of(source)
                ),
                "give a --source of the other family, or none",
            ));
        }
        Ok(addresses)
    }

    /// What is asked of all sockets towards the targets.
    pub(in crate::ping) fn socket_options(&self) -> SocketOptions {
        SocketOptions {
            source: self.source(),
            dscp: self.dscp,
            ttl: self.ttl,
            dont_fragment: self.df,
            receive_buffer: self.receive_buffer,
        }
    }

    /// Refuses a source that nothing can be sent from.
    pub(in crate::ping) fn check_source(&self) -> Result<(), Failure> {
        let Some(source) = self.source() else {
            return Ok(());
        };
        let excluded = if source.is_ipv4() {
            self.ipv6
        } else {
            self.ipv4
        };
        if excluded {
            return Err(Failure::new(
                Exit::Usage,
                format_args!(
                    "{source} is an {} address, and that family is excluded",
                    family_of(source)
                ),
                "leave out -4 or -6, or give another --source",
            ));
        }
        let Err(error) = addresses::can_send_from(source) else {
            return Ok(());
        };
        let own = addresses::interface_addresses().unwrap_or_default();
        let own = own.iter().map(|own| own.ip);
        let own = own.filter(|own| own.is_ipv4() == source.is_ipv4());
        let own: Vec<_> = own.map(|own| own.to_string()).collect();
        Err(Failure::new(
            Exit::Usage,
            format_args!("cannot send from {source}: {error}"),
            format_args!("give one that this host has: {}", own.join(", ")),
        ))
    }

    /// An address that is IPv4 in disguise is IPv4.
    fn source(&self) -> Option<IpAddr> {
        self.source.map(|source| source.to_canonical())
    }
}

fn family_of(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "IPv4" } else { "IPv6" }
}
