//! `hii ping tcp://...`: name resolution, connect time and round-trip times of a connection, each on its own.

use std::time::Duration;

use hii_protocol::ping::{Probe, Seq};
use hii_server::exit::{Exit, Failure};
use hii_transport::clock::Clock;

use super::events::Interrupt;
use super::figures::nanos;
use super::link::Link;
use super::measurement::CLOSING_PROBES;
use super::method::{Method, ServerKind};
use super::output::{Heading, Steps};
use super::schedule::Schedule;
use super::subject::Subject;
use super::target::Target;
use super::{Args, random_run};

pub mod classic;
pub mod framed;
pub mod frames;
pub mod hello;
pub mod race;

use classic::ClassicLink;
use framed::FramedLink;
use hello::{Greeted, Hello};

/// TCP sends again what was lost, so an answer may come long after its time and is not given up before.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connects to a target, and finds out what it is.
///
/// # Errors
/// It cannot be reached, or is no ping server.
pub(super) fn find(
    args: &Args,
    target: &Target,
    schedule: Schedule,
    interrupt: &Interrupt,
) -> Result<Subject, Failure> {
    check(args, &schedule)?;
    let clock = Clock::start();
    let addresses = args.resolve(target)?;
    let resolution = target.is_name().then(|| nanos(clock.elapsed()));
    let hello = Hello::new(&addresses, args.socket_options(), interrupt);
    let (greeted, questions) = hello.greet(random_run())?;
    let steps = Steps {
        resolution_ns: resolution,
        connect_ns: nanos(greeted.connect),
    };

    let Greeted { known, stream, .. } = greeted;
    let method = match known.kind {
        ServerKind::Original => None,
        ServerKind::Hii => Some(Method::Numbered(random_run())),
        ServerKind::Echo => Some(Method::Echoed(random_run())),
    };
    let (link, size): (Box<dyn Link>, _) = match method {
        None => (
            Box::new(ClassicLink::new(stream, args.precise)),
            classic::MESSAGE.len(),
        ),
        Some(method) => {
            let link = FramedLink::new(stream, method, args.size, args.precise);
            (Box::new(link), args.size.get())
        }
    };
    let heading = Heading::new(target.to_string(), &known, false, schedule, size);
    Ok(Subject {
        heading: heading
            .over_tcp(steps)
            .timed_by(link.clock())
            .telling_direction(link.tells_direction()),
        link,
        schedule,
        questions,
        farewell: None,
        embedded: None,
    })
}

/// Refuses what has no meaning over TCP.
fn check(args: &Args, schedule: &Schedule) -> Result<(), Failure> {
    if args.stop {
        return Err(Failure::new(
            Exit::Usage,
            "--stop does not work over TCP: there `exit` closes the connection only",
            "leave out tcp://, or --stop",
        ));
    }
    if args.df {
        return Err(Failure::new(
            Exit::Usage,
            "--df has no meaning over TCP, which cuts what it sends to what the path takes",
            "leave out tcp://, or --df",
        ));
    }
    if args.has_bursts() {
        return Err(Failure::new(
            Exit::Usage,
            "--rate and --flood are for UDP: over TCP the connection sets the pace",
            "leave out tcp://, or give an interval with -i",
        ));
    }
    let last = Seq::new(schedule.last().saturating_add(CLOSING_PROBES)).unwrap_or(Seq::MAX);
    let needed = Probe::smallest(last);
    if args.size.get() < needed {
        return Err(Failure::new(
            Exit::Usage,
            format_args!("{} octets do not hold a probe's number", args.size),
            format_args!("give -s {needed} or more"),
        ));
    }
    Ok(())
}
