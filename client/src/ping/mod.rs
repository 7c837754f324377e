//! `hii ping`: round-trip times and loss to a ping server.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver as Inbox, Sender, channel};
use std::time::Duration;

use hii_protocol::ping::Run;
use hii_server::exit::{Exit, FINE, Failure, note};
use hii_transport::clock::Clock;

mod args;
pub mod detect;
pub mod events;
pub mod evidence;
pub mod exchange;
pub mod figures;
#[cfg(test)]
mod forged_tests;
pub mod interval_report;
pub mod knee;
pub mod ledger;
#[cfg(test)]
mod ledger_tests;
pub mod link;
pub mod loss_runs;
pub mod measurement;
pub mod method;
pub mod output;
pub mod plausibility;
pub mod plot;
pub mod port_pool;
pub mod schedule;
pub mod seconds;
pub mod server_clock;
pub mod statistics;
pub mod summary;
pub mod target;
pub mod tcp;
pub mod threads;
mod udp;
pub mod variation;
pub mod verdict;

pub use args::Args;
use events::{Event, Interrupt};
use link::Link;
use measurement::Measurement;
use output::{Heading, Output};
use schedule::Schedule;
use summary::Summary;
use target::Transport;

/// What a run needs, whatever it measures by.
struct Plan<'a> {
    args: &'a Args,
    schedule: Schedule,
    interrupt: &'a Interrupt,
    events: &'a Sender<Event>,
    inbox: &'a Inbox<Event>,
}

impl Plan<'_> {
    /// Measures on this link, to the end of the run.
    fn measure<L: Link>(
        &self,
        link: L,
        heading: &Heading<'_>,
    ) -> Result<Measurement<io::StdoutLock<'static>, L>, Failure> {
        let Self { args, schedule, .. } = self;
        let mut measurement = Measurement::new(
            link,
            *schedule,
            args.report(schedule),
            Output::new(io::stdout().lock(), args.form(schedule)),
            self.interrupt.clone(),
        );
        if !args.plot.is_empty() {
            measurement = measurement.with_collector();
        }
        measurement.head(heading);
        measurement.start(self.events).map_err(cannot_start)?;
        measurement.run(self.events, self.inbox);
        Ok(measurement)
    }

    /// Prints the summary, draws the pictures, and tells how the program ends.
    fn conclude<W: io::Write, L: Link>(
        &self,
        mut measurement: Measurement<W, L>,
        heading: &Heading<'_>,
        summary: &Summary,
    ) -> Result<ExitCode, Failure> {
        measurement.finish(heading.target(), summary);
        let drawn = measurement.take_collector().map_or(Ok(()), |collector| {
            plot::write(&self.args.plot, &collector.finish(heading, summary))
        });
        let Some(error) = measurement.output_error() else {
            return drawn.map(|()| exit_code(summary));
        };
        // What was measured is not lost with the output.
        note(summary);
        let advice = match error.kind() {
            io::ErrorKind::BrokenPipe => {
                "the program that read it has ended; the summary stands above"
            }
            _ => "give stdout room; the summary stands above",
        };
        Err(Failure::new(
            Exit::Output,
            format_args!("cannot write the output: {error}"),
            advice,
        ))
    }
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
    let plan = Plan {
        args,
        schedule,
        interrupt: &interrupt,
        events: &events,
        inbox: &inbox,
    };

    if let Some(target) = &args.target
        && target.transport() == Transport::Tcp
    {
        return tcp::run(&plan, target);
    }
    udp::run(&plan)
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
    } else if summary.connection_ended.is_some() {
        Exit::Unreachable.into()
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

/// Drawn for each run, so that no answer to another one counts.
fn random_run() -> Run {
    use rand::TryRng as _;
    // Without the system's randomness the time has to do.
    let fallback = || u32::try_from(Clock::start().now().wall % 1_000_000_007).unwrap_or_default();
    let random = rand::rngs::SysRng.try_next_u32();
    Run(random.unwrap_or_else(|_| fallback()))
}
