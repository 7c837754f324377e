//! `hii ping`: round-trip times and loss to a ping server.

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use hii_protocol::Escaped;
use hii_protocol::ping::{Probe, ProbeSize, Run, Seq};
use hii_server::args::duration;
use hii_server::exit::{Exit, FINE, Failure, note};
use hii_server::ping::{Embedded, Impairments};
use hii_transport::clock::Clock;
use hii_transport::udp;
use mio::net::UdpSocket;

pub mod detect;
pub mod events;
pub mod evidence;
pub mod exchange;
pub mod figures;
pub mod interval_report;
pub mod knee;
pub mod ledger;
#[cfg(test)]
mod ledger_tests;
pub mod loss_runs;
pub mod measurement;
pub mod method;
pub mod output;
pub mod plot;
pub mod port_pool;
pub mod schedule;
pub mod seconds;
pub mod server_clock;
pub mod statistics;
pub mod summary;
pub mod target;
pub mod threads;
pub mod variation;

use detect::Found;
use events::{Event, Interrupt};
use measurement::{CLOSING_PROBES, Measurement};
use method::{Known, Method, ServerKind};
use output::{Form, Heading, Output};
use plot::file::PlotFile;
use port_pool::PortPool;
use schedule::Schedule;
use summary::{Summary, Uncounted};
use target::{Family, Target};
use threads::{Line, Watch};

/// Ports towards a server whose answers carry no number, at most: well below the descriptors that a program may open.
const MOST_PORTS: usize = 512;

/// Descriptors left to the rest of the program when there are not enough ports.
const SPARE_DESCRIPTORS: usize = 8;

/// More probes than anybody sends: their numbers leave room for the closing ones.
const MOST_PROBES: u64 = u64::MAX / 2;

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
    hii ping [2001:db8::7]:8080 --json    one JSON document\n  \
    hii ping 192.0.2.7 --stop             ask the server to stop afterwards, as the original clients do\n  \
    hii ping 192.0.2.7 --plot run.html    a page that shows every probe\n\n\
    Exit codes: 0 answered, 1 nothing answered, 2 usage, 3 cannot reach, 5 not a ping server,\n\
    7 output failed, 130 interrupted (with the summary; a second Ctrl-C ends at once).\n\
    A probe is lost when no answer came in 10 s, or at the end of the run in 2 s (or the deadline, up to 10 s).")]
pub struct Args {
    /// The server, as host, host:port or [ipv6]:port [default: one inside this program]
    target: Option<Target>,

    /// How many probes; 0 is without end, with a line of figures every so often
    #[arg(short = 'n', long, value_name = "N", default_value = "10", allow_negative_numbers = true, value_parser = count)]
    count: u64,

    /// Send for so long instead, in seconds or as 5m
    #[arg(short, long, value_name = "TIME", value_parser = duration, conflicts_with = "count")]
    duration: Option<Duration>,

    /// Time between two probes, in seconds or as 10ms
    #[arg(short, long, value_name = "TIME", default_value = "1", allow_negative_numbers = true, value_parser = interval)]
    interval: Duration,

    /// An answer that takes longer is late [default: the time to the next probe]
    #[arg(short = 'W', long, value_name = "TIME", value_parser = interval)]
    deadline: Option<Duration>,

    /// Ramp: each interval is so much of the one before, as 0.95; tells the rate where delay or loss breaks away
    #[arg(long, value_name = "FACTOR", value_parser = decay)]
    decay: Option<f64>,

    /// A line of figures every so often instead of one for each probe [default with -n 0: 10]
    #[arg(long, value_name = "TIME", value_parser = interval)]
    report: Option<Duration>,

    /// Octets of each probe, 1 to 65507
    #[arg(short, long, value_name = "OCTETS", default_value = "128", value_parser = size)]
    size: ProbeSize,

    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,

    /// Ask the server to stop at the end, and show its last word
    #[arg(long)]
    stop: bool,

    /// No line for each probe
    #[arg(short, long)]
    quiet: bool,

    /// Print one JSON document instead of lines
    #[arg(long)]
    json: bool,

    /// Draw the run into a file that ends in .svg, .png or .html; may be given several times
    #[arg(long, value_name = "FILE", value_parser = plot_file())]
    plot: Vec<PlotFile>,
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
    fn schedule(&self) -> Result<Schedule, Failure> {
        let count = (self.count > 0).then_some(self.count);
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

    /// How often a line of figures is printed instead of one for each probe.
    fn report(&self, schedule: &Schedule) -> Option<Duration> {
        let endless = schedule.count.is_none().then_some(DEFAULT_REPORT);
        self.report.or(endless)
    }

    fn form(&self, schedule: &Schedule) -> Form {
        if self.json {
            Form::Json
        } else if self.quiet || self.report(schedule).is_some() {
            Form::Brief
        } else {
            Form::Probes
        }
    }

    fn family(&self) -> Family {
        match (self.ipv4, self.ipv6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        }
    }
}

/// What is measured: a target of the user's, or a server inside.
struct Subject {
    name: String,
    known: Known,
    silent: bool,
    /// The questions that found out what it is.
    questions: Uncounted,
    embedded: Option<Embedded>,
}

/// Runs `hii ping`.
///
/// # Errors
/// The target cannot be reached, is no ping server, or the output cannot be written. What was measured has been printed.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let schedule = args.schedule()?;
    // A picture that cannot be written is not worth a run.
    for file in &args.plot {
        file.check()?;
    }
    let interrupt = Interrupt::default();
    let (events, inbox) = channel();
    catch_interrupt(&interrupt, &events)?;

    let subject = subject(args, &interrupt)?;
    let method = method(args, &schedule, &subject.known, &interrupt);
    let (line, watch) = connect(args, &schedule, subject.known.address, method)?;

    let output = Output::new(io::stdout().lock(), args.form(&schedule));
    let mut measurement = Measurement::new(
        line,
        schedule,
        args.report(&schedule),
        output,
        interrupt.clone(),
    );
    let heading = Heading::new(
        &subject.name,
        &subject.known,
        subject.silent,
        schedule,
        args.size.get(),
    );
    if !args.plot.is_empty() {
        measurement = measurement.with_collector();
    }
    measurement.head(&heading);
    let threads = measurement.start(watch, &events).map_err(cannot_start)?;
    measurement.run(threads, &events, &inbox);

    let mut summary = measurement.summary(subject.questions);
    if args.stop && !interrupt.is_raised() {
        summary.farewell = farewell(subject.known.address, &interrupt);
    }
    // Its answers are all here, or it has been given time for them.
    summary.server = subject.embedded.and_then(|server| server.stop().ok());
    measurement.finish(&subject.name, &summary);
    let drawn = measurement.take_collector().map_or(Ok(()), |collector| {
        plot::write(&args.plot, &collector.finish(&heading, &summary))
    });
    let Some(error) = measurement.output_error() else {
        return drawn.map(|()| exit_code(&summary));
    };
    // What was measured is not lost with the output.
    note(&summary);
    let advice = match error.kind() {
        io::ErrorKind::BrokenPipe => "the program that read it has ended; the summary stands above",
        _ => "give stdout room; the summary stands above",
    };
    Err(Failure::new(
        Exit::Output,
        format_args!("cannot write the output: {error}"),
        advice,
    ))
}

fn cannot_start(error: impl Display) -> Failure {
    Failure::new(
        Exit::Unreachable,
        format_args!("cannot start measuring: {error}"),
        "this host is short of memory or descriptors: end other programs, or raise `ulimit -n`",
    )
}

fn exit_code(summary: &Summary) -> ExitCode {
    if summary.interrupted {
        Exit::Interrupted.into()
    } else if summary.answered > 0 || summary.ambiguous > 0 {
        FINE
    } else if summary.refused > 0 {
        Exit::Unreachable.into()
    } else {
        Exit::NoAnswer.into()
    }
}

/// The first Ctrl-C ends the run and prints the summary; a later one ends the program. What comes at once after the first
/// is the same keystroke: `timeout` signals the program and its group.
fn catch_interrupt(interrupt: &Interrupt, events: &Sender<Event>) -> Result<(), Failure> {
    const SAME_KEYSTROKE: Duration = Duration::from_secs(1);
    let interrupt = interrupt.clone();
    let events = events.clone();
    let mut first: Option<Clock> = None;
    ctrlc::set_handler(move || {
        let since = first.get_or_insert_with(Clock::start).elapsed();
        if interrupt.raise() && since > SAME_KEYSTROKE {
            std::process::exit(Exit::Interrupted as i32);
        }
        let _ = events.send(Event::Interrupted);
    })
    .map_err(cannot_start)
}

fn subject(args: &Args, interrupt: &Interrupt) -> Result<Subject, Failure> {
    let Some(target) = &args.target else {
        return embedded(args.family());
    };
    let addresses = target.resolve(args.family())?;
    let (known, questions, silent) = match detect::detect(&addresses, random_run(), interrupt)? {
        Found::Known(known, unanswered) => (
            known,
            Uncounted {
                sent: unanswered + 1,
                unanswered,
            },
            false,
        ),
        Found::Silent(address, sent) => {
            if !interrupt.is_raised() {
                note(format_args!(
                    "hii: no answer from {address} so far; measuring it as a Hii server"
                ));
            }
            let kind = ServerKind::Hii;
            (
                Known {
                    address,
                    kind,
                    text: Vec::new(),
                },
                Uncounted {
                    sent,
                    unanswered: sent,
                },
                true,
            )
        }
    };
    Ok(Subject {
        name: target.to_string(),
        known,
        silent,
        questions,
        embedded: None,
    })
}

fn embedded(family: Family) -> Result<Subject, Failure> {
    let loopback: IpAddr = match family {
        Family::V6 => Ipv6Addr::LOCALHOST.into(),
        Family::Any | Family::V4 => Ipv4Addr::LOCALHOST.into(),
    };
    let server = Embedded::start(loopback, Impairments::ORIGINAL).map_err(|error| {
        Failure::new(
            Exit::Unreachable,
            format_args!("cannot start a server inside: {error}"),
            "give a target: hii ping HOST",
        )
    })?;
    note("hii: no target given, so this measures a server inside this program,");
    note(
        "  which loses 10 % of its answers and delays them by 0.1 to 500 ms, as the original does",
    );
    let address = server.address();
    let kind = ServerKind::Hii;
    Ok(Subject {
        name: Target::from(address).to_string(),
        known: Known {
            address,
            kind,
            text: Vec::new(),
        },
        silent: false,
        questions: Uncounted::default(),
        embedded: Some(server),
    })
}

/// How this server is measured. An original is told the size first, as its own clients do.
fn method(args: &Args, schedule: &Schedule, known: &Known, interrupt: &Interrupt) -> Method {
    let last = Seq::new(schedule.last() + CLOSING_PROBES).unwrap_or(Seq::MAX);
    let needed = Probe::smallest(last);
    let fits = args.size.get() >= needed;
    if !fits && known.kind != ServerKind::Original {
        note(format_args!(
            "hii: {} octets do not hold a probe's number ({needed} would): measuring without, by port",
            args.size
        ));
    }
    if known.kind == ServerKind::Original {
        match exchange::calibrate(known.address, args.size, interrupt) {
            Some(answer) => tracing::debug!(answer = %Escaped(&answer), "calibrated"),
            None if interrupt.is_raised() => {}
            None => {
                note("hii: the server did not answer the calibration; measuring all the same");
            }
        }
    }
    match known.kind {
        ServerKind::Hii if fits => Method::Numbered(random_run()),
        ServerKind::Echo if fits => Method::Echoed(random_run()),
        kind => Method::Ports {
            pool: Mutex::new(PortPool::new(0, args.interval)),
            expected: match kind {
                ServerKind::Original => known.text.clone(),
                ServerKind::Hii => b"Packet Acknowledged".to_vec(),
                ServerKind::Echo => hello(args.size),
            },
        },
    }
}

fn hello(size: ProbeSize) -> Vec<u8> {
    let mut octets = vec![0; size.get()];
    method::write_hello(size, &mut octets);
    octets
}

/// The sockets that the method needs, and what watches them.
fn connect(
    args: &Args,
    schedule: &Schedule,
    address: SocketAddr,
    method: Method,
) -> Result<(Line, Watch), Failure> {
    let watch = Watch::new().map_err(cannot_start)?;
    let wanted = match &method {
        Method::Ports { .. } => usize::try_from(schedule.last())
            .unwrap_or(MOST_PORTS)
            .min(MOST_PORTS),
        _ => 1,
    };
    let mut sockets = Vec::new();
    for _ in 0..wanted {
        match udp::connect(address) {
            Ok(socket) => sockets.push(UdpSocket::from_std(socket)),
            Err(error) if sockets.is_empty() => return Err(detect::unreachable(address, &error)),
            Err(error) => {
                // Fewer ports measure too, and the rest of the program needs a few descriptors.
                sockets.truncate(sockets.len().saturating_sub(SPARE_DESCRIPTORS).max(1));
                note(format_args!("hii: only {} ports: {error}", sockets.len()));
                break;
            }
        }
    }
    let method = match method {
        Method::Ports { expected, .. } => Method::Ports {
            pool: Mutex::new(PortPool::new(sockets.len(), args.interval)),
            expected,
        },
        numbered => numbered,
    };
    watch.register(&mut sockets).map_err(cannot_start)?;
    let line = Line {
        sockets,
        method,
        size: args.size,
        clock: Clock::start(),
    };
    Ok((line, watch))
}

fn farewell(server: SocketAddr, interrupt: &Interrupt) -> Option<String> {
    let word = exchange::farewell(server, interrupt).map(|word| Escaped(&word).to_string());
    if word.is_none() {
        note("hii: the server did not answer `exit`; it may still run");
    }
    word
}

/// Drawn for each run, so that no answer to another one counts.
fn random_run() -> Run {
    use rand::TryRng as _;
    // Without the system's randomness the time has to do.
    let fallback = || u32::try_from(Clock::start().now().wall % 1_000_000_007).unwrap_or_default();
    let random = rand::rngs::SysRng.try_next_u32();
    Run(random.unwrap_or_else(|_| fallback()))
}
