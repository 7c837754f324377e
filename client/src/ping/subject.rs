//! A target that is known to answer, or given the benefit of the doubt, and is ready to be measured.

use std::net::SocketAddr;
use std::thread;

use hii_server::exit::{Exit, Failure};
use hii_server::ping::Embedded;

use super::args::Args;
use super::events::Interrupt;
use super::link::Link;
use super::output::Heading;
use super::schedule::Schedule;
use super::summary::Uncounted;
use super::target::{Target, Transport};
use super::{cannot_start, tcp, udp};

/// What is measured, and by what.
pub(super) struct Subject {
    pub(super) heading: Heading,
    pub(super) link: Box<dyn Link>,
    pub(super) schedule: Schedule,
    /// The questions that found out what it is.
    pub(super) questions: Uncounted,
    /// Whom to ask to stop at the end.
    pub(super) farewell: Option<SocketAddr>,
    /// The server inside this program.
    pub(super) embedded: Option<Embedded>,
}

/// A target's number, in the order they were given, and what came of looking for it.
type Found = (usize, Result<Subject, Failure>);

/// Finds out what the targets are, all at the same time; with none given there is a server inside.
pub(super) fn find(
    args: &Args,
    schedule: Schedule,
    interrupt: &Interrupt,
) -> Result<Vec<Found>, Failure> {
    let [first, others @ ..] = args.targets.as_slice() else {
        return Ok(vec![(0, udp::embedded(args, schedule, interrupt))]);
    };
    let targets = args.targets.len();
    thread::scope(|scope| {
        let others: Vec<_> = (1..)
            .zip(others)
            .map(|(number, target)| {
                let schedule = schedule.staggered(number, targets);
                let found = move || (number, find_one(args, target, schedule, interrupt));
                thread::Builder::new().spawn_scoped(scope, found)
            })
            .collect();
        let mut all = vec![(0, find_one(args, first, schedule, interrupt))];
        for other in others {
            let found = other.map_err(cannot_start)?.join();
            all.push(found.map_err(|_| ended_early())?);
        }
        Ok(all)
    })
}

fn find_one(
    args: &Args,
    target: &Target,
    schedule: Schedule,
    interrupt: &Interrupt,
) -> Result<Subject, Failure> {
    match target.transport() {
        Transport::Udp => udp::find(args, target, schedule, interrupt),
        Transport::Tcp => tcp::find(args, target, schedule, interrupt),
    }
}

/// A thread of this program ended otherwise than it was written to.
pub(super) fn ended_early() -> Failure {
    Failure::new(
        Exit::Unreachable,
        "a part of this program ended early",
        "please report this, with what stands above",
    )
}
