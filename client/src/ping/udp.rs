//! Measuring over UDP: what answers, how it is measured, and the sockets for it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;

use hii_protocol::Escaped;
use hii_protocol::ping::{Probe, ProbeSize, Seq};
use hii_server::exit::{Exit, Failure, note};
use hii_server::ping::{Embedded, Impairments};
use hii_transport::burst::BurstSocket;
use hii_transport::clock::Clock;
use hii_transport::elsewhere::Elsewhere;
use hii_transport::files;
use hii_transport::probe::ProbeSocket;
use hii_transport::udp;

use super::burst::{BurstLine, BurstLink};
use super::detect::{self, Found};
use super::events::Interrupt;
use super::line::Line;
use super::link::Link;
use super::measurement::CLOSING_PROBES;
use super::method::{self, Known, Method, ServerKind};
use super::output::Heading;
use super::port_pool::PortPool;
use super::receiver::Watch;
use super::schedule::Schedule;
use super::subject::Subject;
use super::summary::Uncounted;
use super::target::{Family, Target};
use super::threads::UdpLink;
use super::{Args, cannot_start, exchange, random_run};

/// Ports towards a server whose answers carry no number, at most: well below the descriptors that a program may open.
const MOST_PORTS: usize = 512;

/// What such a run opens beside its ports, as far as it is known.
const OTHER_DESCRIPTORS: usize = 64;

/// Descriptors left to the rest of the program when there are not enough ports.
const SPARE_DESCRIPTORS: usize = 8;

/// Finds out what the target is, and opens the sockets to measure it by.
pub(super) fn find(
    args: &Args,
    target: &Target,
    schedule: Schedule,
    interrupt: &Interrupt,
) -> Result<Subject, Failure> {
    let addresses = args.resolve(target)?;
    let options = args.socket_options();
    let name = target.to_string();
    let (known, questions) = match detect::detect(&addresses, &options, random_run(), interrupt)? {
        Found::Known(known, unanswered) => {
            let sent = unanswered + 1;
            (known, Uncounted { sent, unanswered })
        }
        Found::Silent(address, sent) => {
            if !interrupt.is_raised() {
                note(format_args!(
                    "hii: no answer from {address} so far; measuring it as a Hii server\n  \
                     check that hii-server ping runs there and that firewalls let UDP port {} through",
                    address.port()
                ));
            }
            let unanswered = sent;
            (hii_at(address), Uncounted { sent, unanswered })
        }
    };
    let silent = questions.sent == questions.unanswered;
    let subject = ready(args, name, &known, silent, schedule, interrupt)?;
    Ok(Subject {
        questions,
        ..subject
    })
}

/// Starts a server inside this program, which loses and delays as the original one does.
pub(super) fn embedded(
    args: &Args,
    schedule: Schedule,
    interrupt: &Interrupt,
) -> Result<Subject, Failure> {
    let loopback: IpAddr = match args.family() {
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
    let known = hii_at(server.address());
    let name = Target::from(known.address).to_string();
    let subject = ready(args, name, &known, false, schedule, interrupt)?;
    Ok(Subject {
        embedded: Some(server),
        ..subject
    })
}

fn hii_at(address: SocketAddr) -> Known {
    Known {
        address,
        kind: ServerKind::Hii,
        text: Vec::new(),
    }
}

/// A server that is known, with the sockets to measure it by.
fn ready(
    args: &Args,
    name: String,
    known: &Known,
    silent: bool,
    schedule: Schedule,
    interrupt: &Interrupt,
) -> Result<Subject, Failure> {
    let heading = Heading::new(name, known, silent, schedule, args.size.get());
    let (link, clock): (Box<dyn Link>, _) = if args.has_bursts() {
        let line = burst_line(args, &schedule, known)?;
        let clock = line.clock;
        (Box::new(BurstLink::new(line)), clock)
    } else {
        let method = method(args, &schedule, known, interrupt);
        let (line, watch) = connect(args, &schedule, known.address, method)?;
        let clock = line.clock;
        (Box::new(UdpLink::new(line, watch)), clock)
    };
    Ok(Subject {
        heading: heading
            .timed_by(clock)
            .telling_direction(link.tells_direction()),
        link,
        schedule,
        questions: Uncounted::default(),
        farewell: args.stop.then_some(known.address),
        embedded: None,
    })
}

/// The socket for a run in bursts: one, so the answers have to carry the probes' numbers.
fn burst_line(args: &Args, schedule: &Schedule, known: &Known) -> Result<BurstLine, Failure> {
    let method = match known.kind {
        ServerKind::Hii => Method::Numbered(random_run()),
        ServerKind::Echo => Method::Echoed(random_run()),
        ServerKind::Original => {
            return Err(Failure::new(
                Exit::Usage,
                "an original server's answers carry no number, so --rate and --flood cannot tell them apart",
                "measure it with -i, as in -i 10ms; or put a Hii server there",
            ));
        }
    };
    let needed = needed(schedule);
    if args.size.get() < needed {
        return Err(Failure::new(
            Exit::Usage,
            format_args!("{} octets do not hold a probe's number", args.size),
            format_args!("give -s {needed} or more"),
        ));
    }
    let address = known.address;
    let unreachable = |error: &io::Error| detect::unreachable(address, error);
    let socket = udp::connect_with(address, &args.socket_options());
    let socket = socket.map_err(|error| unreachable(&error))?;
    let socket = BurstSocket::new(socket, !args.no_gso).map_err(cannot_start)?;
    Ok(BurstLine {
        socket,
        method,
        size: args.size,
        clock: Clock::start(),
        precise: args.precise,
    })
}

/// The octets that the numbers of all probes need.
fn needed(schedule: &Schedule) -> usize {
    let last = schedule.last().saturating_add(CLOSING_PROBES);
    Probe::smallest(Seq::new(last).unwrap_or(Seq::MAX))
}

/// How this server is measured. An original is told the size first, as its own clients do.
fn method(args: &Args, schedule: &Schedule, known: &Known, interrupt: &Interrupt) -> Method {
    let needed = needed(schedule);
    let fits = args.size.get() >= needed;
    if !fits && known.kind != ServerKind::Original {
        note(format_args!(
            "hii: {} octets do not hold a probe's number ({needed} would): measuring without, by port",
            args.size
        ));
    }
    if known.kind == ServerKind::Original {
        match exchange::calibrate(known.address, &args.socket_options(), args.size, interrupt) {
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
            pool: Mutex::new(PortPool::new(0, args.longest_wait())),
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
    let wanted = match &method {
        Method::Ports { .. } => usize::try_from(schedule.last())
            .unwrap_or(MOST_PORTS)
            .min(MOST_PORTS),
        _ => 1,
    };
    let descriptors =
        wanted * ProbeSocket::DESCRIPTORS + Elsewhere::DESCRIPTORS + Watch::DESCRIPTORS;
    files::want((descriptors * args.targets.len().max(1) + OTHER_DESCRIPTORS) as u64);
    let options = args.socket_options();
    let mut sockets = Vec::new();
    for _ in 0..wanted {
        match ProbeSocket::connect(address, &options) {
            Ok(socket) => sockets.push(socket),
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
            pool: Mutex::new(PortPool::new(sockets.len(), args.longest_wait())),
            expected,
        },
        numbered => numbered,
    };
    let watch = Watch::new(&mut sockets).map_err(cannot_start)?;
    Ok((Line::new(sockets, method, args.size, args.precise), watch))
}

/// Asks the server to stop, and returns its last word.
pub(super) fn farewell(args: &Args, server: SocketAddr, interrupt: &Interrupt) -> Option<String> {
    let word = exchange::farewell(server, &args.socket_options(), interrupt)
        .map(|word| Escaped(&word).to_string());
    if word.is_none() {
        note(format_args!(
            "hii: {server} did not answer `exit`; it may still run"
        ));
    }
    word
}
