//! `hii ping`: round-trip times and loss to a ping server.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;
use std::thread;

use hii_protocol::ping::Run;
use hii_server::exit::{Exit, FINE, Failure, note};
use hii_transport::clock::Clock;

mod args;
pub mod batch;
pub mod buckets;
pub mod burst;
pub mod detect;
pub mod dscp;
pub mod ear;
pub mod early;
pub mod events;
pub mod evidence;
pub mod exchange;
pub mod figures;
#[cfg(test)]
mod forged_tests;
pub mod interval_report;
#[cfg(test)]
mod kernel_tests;
pub mod kernel_times;
pub mod knee;
pub mod ledger;
#[cfg(test)]
mod limited_tests;
pub mod limits;
pub mod line;
pub mod link;
pub mod local_drops;
pub mod loss_runs;
mod marks;
pub mod measurement;
pub mod method;
pub mod output;
pub mod own_clock;
pub mod pacing;
#[cfg(test)]
mod pair_tests;
pub mod plausibility;
pub mod plot;
pub mod port_pool;
pub mod quoted;
pub mod ramp;
pub mod receiver;
pub mod refusal;
pub mod schedule;
pub mod seconds;
mod sent_notes;
pub mod server_clock;
#[cfg(test)]
mod server_clock_tests;
pub mod stalls;
pub mod statistics;
mod subject;
pub mod summary;
pub mod tcp;
pub mod threads;
pub mod throughput;
mod udp;
pub mod variation;
pub mod verdict;
pub mod vigil;
pub mod window;

pub use args::Args;
use events::Interrupt;
use measurement::Measurement;
use output::{Backlog, Heading, LiveOutput, Printer};
use plot::data::Collector;
use subject::Subject;
use summary::Summary;

use crate::target;

/// A target that has been measured.
struct Measured {
    heading: Heading,
    summary: Summary,
    /// What its picture shows, if one is wanted.
    collector: Option<Collector>,
    /// What kept it from being measured.
    failure: Option<Failure>,
}

/// Runs `hii ping`.
///
/// # Errors
/// The target cannot be reached, is no ping server, or the output cannot be written. What was measured has been printed.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let schedule = args.schedule()?;
    args.check_source()?;
    // A picture that cannot be written is not worth a run.
    args.pictures().try_for_each(|file| file.check())?;
    if args.live {
        LiveOutput::check()?;
    }
    let interrupt = Interrupt::default();
    catch_interrupt(&interrupt)?;

    let mut subjects = Vec::new();
    let mut missing = Vec::new();
    let mut exits = Vec::new();
    for (number, found) in subject::find(args, schedule, &interrupt)? {
        match found {
            Ok(subject) => subjects.push((number, subject)),
            Err(failure) if args.targets.len() <= 1 => return Err(failure),
            // The others are measured all the same.
            Err(failure) => {
                let _ = failure.report("hii");
                exits.push((number, failure.exit()));
                missing.extend(args.targets.get(number).zip(Some(failure)));
            }
        }
    }
    if subjects.is_empty() {
        return Ok(first_of(exits).map_or(FINE, ExitCode::from));
    }

    let backlog =
        Backlog::start(io::stdout(), args.backlog(), interrupt.clone()).map_err(cannot_start)?;
    let mut output = args.output(&schedule, backlog.clone(), &interrupt);
    for (target, failure) in missing {
        output.not_measured(&target.to_string(), failure.what());
    }
    let printer = Printer::new(output, backlog, interrupt.clone());
    let headings: Vec<_> = subjects
        .iter()
        .map(|(_, subject)| subject.heading.clone())
        .collect();
    printer.print(|output| output.start(&headings));
    let (numbers, subjects): (Vec<_>, Vec<_>) = subjects.into_iter().unzip();
    let measured = measure_all(args, subjects, &printer, &interrupt)?;
    let summaries: Vec<_> = measured.iter().map(|one| one.summary.clone()).collect();
    printer.print(|output| output.finish(&summaries));
    printer.drain();

    for (number, one) in numbers.into_iter().zip(measured) {
        let drawn = one.collector.map_or(Ok(()), |collector| {
            let picture = collector.finish(&one.heading, &one.summary);
            plot::write(&args.pictures_of(number), &picture)
        });
        let failures = one.failure.into_iter().chain(drawn.err());
        for failure in failures {
            let _ = failure.report("hii");
            exits.push((number, failure.exit()));
        }
        exits.extend(exit_of(&one.summary).map(|exit| (number, exit)));
    }
    if let Some(error) = printer.take_error() {
        return Err(cannot_print(&error, &headings, &summaries));
    }
    if summaries.iter().any(|summary| summary.interrupted) {
        return Ok(Exit::Interrupted.into());
    }
    Ok(first_of(exits).map_or(FINE, ExitCode::from))
}

/// Of several targets, the first given that did not go well tells how the program ends; of one target, what came first.
fn first_of(exits: Vec<(usize, Exit)>) -> Option<Exit> {
    let first = exits.into_iter().min_by_key(|(number, _)| *number);
    first.map(|(_, exit)| exit)
}

/// Measures all targets at the same time.
fn measure_all(
    args: &Args,
    subjects: Vec<Subject>,
    printer: &Printer,
    interrupt: &Interrupt,
) -> Result<Vec<Measured>, Failure> {
    let mut subjects = (0..).zip(subjects);
    let first = subjects.next();
    thread::scope(|scope| {
        let others: Vec<_> = subjects
            .map(|(target, subject)| {
                let measure = move || measure(args, target, subject, printer, interrupt);
                thread::Builder::new().spawn_scoped(scope, measure)
            })
            .collect();
        let first =
            first.map(|(target, subject)| measure(args, target, subject, printer, interrupt));
        let mut measured: Vec<_> = first.into_iter().collect();
        for other in others {
            let one = other.map_err(cannot_start)?.join();
            measured.push(one.map_err(|_| subject::ended_early())?);
        }
        Ok(measured)
    })
}

/// Measures one target, to the end of its run.
fn measure(
    args: &Args,
    target: usize,
    subject: Subject,
    printer: &Printer,
    interrupt: &Interrupt,
) -> Measured {
    let Subject {
        heading,
        link,
        schedule,
        questions,
        farewell,
        embedded,
    } = subject;
    let mut measurement = Measurement::new(
        link,
        schedule,
        args.report(&schedule),
        printer.clone(),
        target,
        interrupt.clone(),
    );
    if args.has_bursts() {
        measurement = measurement.with_rates(heading.size());
    }
    if !schedule.is_fixed() {
        measurement = measurement.with_ramp(heading.size());
    }
    if !args.plot.is_empty() {
        measurement = measurement.with_collector();
    }
    let failure = measurement.run().err().map(cannot_start);
    let mut summary = measurement.summary(questions);
    if !interrupt.is_raised() {
        summary.farewell = farewell.and_then(|server| udp::farewell(args, server, interrupt));
    }
    // Its answers are all here, or it has been given time for them.
    summary.server = embedded.and_then(|server| server.stop().ok());
    Measured {
        heading,
        summary,
        collector: measurement.take_collector(),
        failure,
    }
}

/// What was measured is not lost with the output.
fn cannot_print(error: &io::Error, headings: &[Heading], summaries: &[Summary]) -> Failure {
    for (heading, summary) in headings.iter().zip(summaries) {
        note(format_args!("--- {} ---\n{summary}", heading.target()));
    }
    let advice = match error.kind() {
        io::ErrorKind::BrokenPipe => "the program that read it has ended; the summary stands above",
        io::ErrorKind::TimedOut => {
            "let what reads it take rows as they come, or ask for fewer (--report, -q); the summary stands above"
        }
        _ => "give stdout room; the summary stands above",
    };
    Failure::new(
        Exit::Output,
        format_args!("cannot write the output: {error}"),
        advice,
    )
}

fn cannot_start(error: impl Display) -> Failure {
    Failure::new(
        Exit::Unreachable,
        format_args!("cannot start measuring: {error}"),
        "this host is short of memory or descriptors: end other programs, or raise `ulimit -n`",
    )
}

/// How the program ends after this run, when not well.
fn exit_of(summary: &Summary) -> Option<Exit> {
    if summary.interrupted {
        Some(Exit::Interrupted)
    } else if summary.connection_ended.is_some() {
        Some(Exit::Unreachable)
    } else if summary.answered > 0 || summary.ambiguous > 0 {
        None
    } else if summary.is_all_limited() {
        Some(Exit::Refused)
    } else if summary.all_refused() > 0 {
        Some(Exit::Unreachable)
    } else {
        Some(Exit::NoAnswer)
    }
}

/// The first Ctrl-C ends the run and prints the summary; a later one ends the program.
fn catch_interrupt(interrupt: &Interrupt) -> Result<(), Failure> {
    let interrupt = interrupt.clone();
    ctrlc::set_handler(move || stop(&interrupt)).map_err(cannot_start)
}

/// The user wants to stop.
fn stop(interrupt: &Interrupt) {
    if interrupt.ask() {
        output::live::leave();
        std::process::exit(Exit::Interrupted as i32);
    }
}

/// Drawn for each run, so that no answer to another one counts.
fn random_run() -> Run {
    use rand::TryRng as _;
    // Without the system's randomness the time has to do.
    let fallback = || u32::try_from(Clock::start().now().wall % 1_000_000_007).unwrap_or_default();
    let random = rand::rngs::SysRng.try_next_u32();
    Run(random.unwrap_or_else(|_| fallback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_target_given_tells_how_the_program_ends() {
        // One that cannot be reached is known before the others have been measured.
        let exits = vec![
            (1, Exit::Unreachable),
            (0, Exit::NoAnswer),
            (0, Exit::Output),
        ];
        assert!(matches!(first_of(exits), Some(Exit::NoAnswer)));
        assert!(first_of(Vec::new()).is_none());
    }
}
