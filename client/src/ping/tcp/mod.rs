//! `hii ping tcp://...`: name resolution, connect time and round-trip times of a connection, each on its own.

use std::process::ExitCode;
use std::time::Duration;

use hii_protocol::ping::{Probe, Seq};
use hii_server::exit::{Exit, Failure};
use hii_transport::clock::Clock;

use super::measurement::CLOSING_PROBES;
use super::method::{Method, ServerKind};
use super::output::{Heading, Steps};
use super::schedule::Schedule;
use super::target::Target;
use super::{Args, Plan, random_run};

pub mod classic;
pub mod framed;
pub mod frames;
pub mod hello;
pub mod race;

use classic::ClassicLink;
use framed::FramedLink;
use hello::{Greeted, Hello};

/// How often a wait looks whether it is to end.
const GLANCE: Duration = Duration::from_millis(100);

/// TCP sends again what was lost, so an answer may come long after its time and is not given up before.
const PATIENCE: Duration = Duration::from_secs(5);

/// Measures a target over TCP.
///
/// # Errors
/// As [`super::run`].
pub(super) fn run(plan: &Plan<'_>, target: &Target) -> Result<ExitCode, Failure> {
    let Plan { args, schedule, .. } = plan;
    check(args, schedule)?;
    let clock = Clock::start();
    let addresses = target.resolve(args.family())?;
    let resolution = target.is_name().then(|| nanos(clock.elapsed()));
    let hello = Hello::new(&addresses, plan.interrupt);
    let (greeted, questions) = hello.greet(random_run())?;
    let steps = Steps {
        resolution_ns: resolution,
        connect_ns: nanos(greeted.connect),
    };

    let Greeted { known, stream, .. } = greeted;
    let name = target.to_string();
    let size = match known.kind {
        ServerKind::Original => classic::MESSAGE.len(),
        ServerKind::Hii | ServerKind::Echo => args.size.get(),
    };
    let heading = Heading::new(&name, &known, false, *schedule, size).over_tcp(steps);
    // Dispatched here, once: below, each link has its own type.
    let method = match known.kind {
        ServerKind::Hii => Method::Numbered(random_run()),
        ServerKind::Echo => Method::Echoed(random_run()),
        ServerKind::Original => {
            let measurement = plan.measure(ClassicLink::new(stream), &heading)?;
            let summary = measurement.summary(questions);
            return plan.conclude(measurement, &heading, &summary);
        }
    };
    let link = FramedLink::new(stream, method, args.size);
    let measurement = plan.measure(link, &heading)?;
    let summary = measurement.summary(questions);
    plan.conclude(measurement, &heading, &summary)
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

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
