//! `hii ping`: round-trip times and loss to a ping server.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use hii_protocol::Escaped;
use hii_protocol::ping::{Probe, ProbeSize, Run, Seq};
use hii_server::args::duration;
use hii_server::exit::{Exit, FINE, Failure};
use hii_server::ping::{Embedded, Impairments};
use hii_transport::clock::Clock;
use hii_transport::udp;
use mio::net::UdpSocket;

pub mod detect;
pub mod events;
pub mod evidence;
pub mod exchange;
pub mod figures;
pub mod ledger;
#[cfg(test)]
mod ledger_tests;
pub mod measurement;
pub mod method;
pub mod output;
pub mod plot;
pub mod port_pool;
pub mod schedule;
pub mod seconds;
pub mod summary;
pub mod target;
pub mod threads;

use detect::Found;
use events::{Event, Interrupt};
use measurement::{CLOSING_PROBES, Measurement};
use method::{Known, Method, ServerKind};
use output::{Heading, Output};
use plot::file::PlotFile;
use port_pool::PortPool;
use schedule::Schedule;
use summary::{Summary, Uncounted};
use target::{Family, Target};
use threads::Line;

/// Ports towards a server whose answers carry no number, at most: well below the descriptors that a program may open.
const MOST_PORTS: usize = 512;

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
    hii ping [2001:db8::7]:8080 --json    one JSON document\n  \
    hii ping 192.0.2.7 --stop             ask the server to stop afterwards, as the original clients do\n  \
    hii ping 192.0.2.7 --plot run.html    a page that shows every probe\n\n\
    Exit codes: 0 answered, 1 nothing answered, 2 usage, 3 cannot reach, 5 not a ping server,\n\
    7 output failed, 130 interrupted (with the summary).")]
pub struct Args {
    /// The server, as host, host:port or [ipv6]:port [default: one inside this program]
    target: Option<Target>,

    /// How many probes
    #[arg(short = 'n', long, value_name = "N", default_value = "10", value_parser = count)]
    count: u64,

    /// Time between two probes, in seconds or as 10ms; a later answer is late
    #[arg(short, long, value_name = "TIME", default_value = "1", value_parser = interval)]
    interval: Duration,

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
    // The closing probes need numbers too.
    match text.parse() {
        Ok(count) if count > 0 && count < u64::MAX - CLOSING_PROBES => Ok(count),
        _ => Err("give a whole number from 1".into()),
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
    // A picture that cannot be written is not worth a run.
    for file in &args.plot {
        file.check()?;
    }
    let interrupt = Interrupt::default();
    let (events, inbox) = channel();
    catch_interrupt(&interrupt, &events)?;

    let subject = subject(args, &interrupt)?;
    let schedule = Schedule {
        count: args.count,
        interval: args.interval,
    };
    let method = method(args, &subject.known, &interrupt);
    let line = connect(args, &subject, method)?;

    let mut output = Output::new(io::stdout().lock(), args.json);
    let heading = Heading::new(
        &subject.name,
        &subject.known,
        subject.silent,
        schedule,
        args.size.get(),
    );
    let started = output.start(&heading);
    let mut measurement = Measurement::new(line, schedule, output, interrupt.clone());
    if !args.plot.is_empty() {
        measurement = measurement.with_collector();
    }
    let measured = match started {
        Ok(()) => measurement.run(&events, &inbox),
        Err(error) => Err(error),
    };

    let mut summary = measurement.summary(subject.questions);
    if args.stop {
        summary.farewell = farewell(subject.known.address);
    }
    // Its answers are all here, or it has been given time for them.
    summary.server = subject.embedded.and_then(|server| server.stop().ok());
    let printed = measured.and_then(|()| measurement.finish(&subject.name, &summary));
    let drawn = measurement.take_collector().map_or(Ok(()), |collector| {
        plot::write(&args.plot, &collector.finish(&heading, &summary))
    });
    if let Err(error) = printed {
        // What was measured is not lost with the output.
        eprintln!("{summary}");
        return Err(Failure::new(
            Exit::Output,
            format_args!("cannot write the output: {error}"),
            "the summary stands above; give stdout room",
        ));
    }
    drawn.map(|()| exit_code(&summary))
}

fn exit_code(summary: &Summary) -> ExitCode {
    if summary.interrupted {
        Exit::Interrupted.into()
    } else if summary.answered > 0 || summary.unknown > 0 {
        FINE
    } else if summary.refused > 0 {
        Exit::Unreachable.into()
    } else {
        Exit::NoAnswer.into()
    }
}

/// The first Ctrl-C ends the run and prints the summary; a second one ends the program.
fn catch_interrupt(interrupt: &Interrupt, events: &Sender<Event>) -> Result<(), Failure> {
    let interrupt = interrupt.clone();
    let events = events.clone();
    ctrlc::set_handler(move || {
        if interrupt.raise() {
            std::process::exit(Exit::Interrupted as i32);
        }
        let _ = events.send(Event::Interrupted);
    })
    .map_err(|error| {
        Failure::new(
            Exit::Unreachable,
            format_args!("cannot catch Ctrl-C: {error}"),
            "free some files",
        )
    })
}

fn subject(args: &Args, interrupt: &Interrupt) -> Result<Subject, Failure> {
    let Some(target) = &args.target else {
        return embedded();
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
                eprintln!("hii: no answer from {address} so far; measuring it as a Hii server");
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

fn embedded() -> Result<Subject, Failure> {
    let server = Embedded::start(Impairments::ORIGINAL, None).map_err(|error| {
        Failure::new(
            Exit::Unreachable,
            format_args!("cannot start a server inside: {error}"),
            "give a target: hii ping HOST",
        )
    })?;
    eprintln!("hii: no target given, so this measures a server inside this program,");
    eprintln!(
        "  which loses 10 % of its answers and delays them by 0.1 to 500 ms, as the original does"
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
fn method(args: &Args, known: &Known, interrupt: &Interrupt) -> Method {
    let last = Seq::new(args.count.saturating_add(CLOSING_PROBES)).unwrap_or(Seq::MAX);
    let needed = Probe::smallest(last);
    let fits = args.size.get() >= needed;
    if !fits && known.kind != ServerKind::Original {
        eprintln!(
            "hii: {} octets do not hold a probe's number ({needed} would): measuring without, by port",
            args.size
        );
    }
    if known.kind == ServerKind::Original {
        match exchange::calibrate(known.address, args.size, interrupt) {
            Some(answer) => tracing::debug!(answer = %Escaped(&answer), "calibrated"),
            None if interrupt.is_raised() => {}
            None => {
                eprintln!("hii: the server did not answer the calibration; measuring all the same");
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
fn connect(args: &Args, subject: &Subject, method: Method) -> Result<(Line, mio::Poll), Failure> {
    let address = subject.known.address;
    let wanted = match &method {
        Method::Ports { .. } => usize::try_from(args.count)
            .unwrap_or(MOST_PORTS)
            .min(MOST_PORTS),
        _ => 1,
    };
    let unreachable = |error: io::Error| detect::unreachable(address, &error);
    let mut sockets = Vec::new();
    for _ in 0..wanted {
        match udp::connect(address) {
            Ok(socket) => sockets.push(UdpSocket::from_std(socket)),
            // Fewer ports measure too, down to one.
            Err(error) if sockets.is_empty() => return Err(unreachable(error)),
            Err(error) => {
                eprintln!("hii: only {} ports: {error}", sockets.len());
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
    let poll = threads::register(&mut sockets).map_err(unreachable)?;
    let line = Line {
        sockets,
        method,
        size: args.size,
        clock: Clock::start(),
    };
    Ok((line, poll))
}

fn farewell(server: SocketAddr) -> Option<String> {
    let word = exchange::farewell(server).map(|word| Escaped(&word).to_string());
    if word.is_none() {
        eprintln!("hii: the server did not answer `exit`; it may still run");
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
