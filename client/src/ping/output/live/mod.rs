//! A chart on the terminal that moves as the run goes, and the ordinary summary when it is over.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hii_server::exit::{Exit, Failure};
use hii_transport::clock::Clock;

use super::{Heading, Output, Overdue, TextOutput};
use crate::ping::events::Interrupt;
use crate::ping::ledger::{Answered, Sent, Settled};
use crate::ping::summary::Summary;

mod chart;
mod draw;
mod fates;
mod figures;
mod keyboard;
mod look;
mod painter;
mod plane;
mod progress;
mod rates;
mod recent;
mod scale;
mod screen;
mod table;
mod words;

#[cfg(test)]
mod draw_tests;
#[cfg(test)]
mod progress_tests;
#[cfg(test)]
mod samples;

use painter::{Painter, Shared, Target};
use progress::Progress;

/// Draws what happens on the terminal, on a thread of its own.
#[derive(Debug)]
pub struct LiveOutput {
    interrupt: Interrupt,
    report: Option<Duration>,
    headings: Vec<Heading>,
    /// Targets that are not measured, and why.
    missing: Vec<(String, String)>,
    shared: Arc<Shared>,
    painter: Option<Painter>,
}

impl LiveOutput {
    /// Draws until the run is over or the user stops it; `report` is how often figures are wanted, if the user said so.
    #[must_use]
    pub fn new(interrupt: Interrupt, report: Option<Duration>) -> Self {
        Self {
            interrupt,
            report,
            headings: Vec::new(),
            missing: Vec::new(),
            shared: Arc::default(),
            painter: None,
        }
    }

    /// Whether there is a terminal to draw on.
    ///
    /// # Errors
    /// There is none.
    pub fn check() -> Result<(), Failure> {
        screen::check().map_err(|error| {
            Failure::new(
                Exit::Usage,
                format_args!("--live needs a terminal: {error}"),
                "leave out --live for lines, or use --json or --csv for a program, --plot FILE for a picture",
            )
        })
    }

    /// Makes a change to what is drawn.
    fn change(&mut self, target: usize, change: impl FnOnce(&mut Progress)) -> io::Result<()> {
        if let Some(target) = self.shared.targets().get_mut(target) {
            change(&mut target.progress);
        }
        match &self.painter {
            Some(painter) if painter.has_ended() => self.stop(),
            _ => Ok(()),
        }
    }

    /// Draws no more, and gives the terminal back.
    fn stop(&mut self) -> io::Result<()> {
        self.painter.take().map_or(Ok(()), Painter::stop)
    }
}

/// Gives the terminal back when the program has to end at once.
pub fn leave() {
    screen::leave();
}

impl Output for LiveOutput {
    fn not_measured(&mut self, target: &str, why: &str) {
        self.missing.push((target.to_owned(), why.to_owned()));
    }

    fn start(&mut self, headings: &[Heading]) -> io::Result<()> {
        self.headings = headings.to_vec();
        let target = |heading: &Heading| Target {
            progress: Progress::new(heading.clone(), self.report),
            clock: heading.clock().unwrap_or_else(Clock::start),
        };
        *self.shared.targets() = headings.iter().map(target).collect();
        let shared = Arc::clone(&self.shared);
        self.painter = Some(Painter::start(shared, self.interrupt.clone())?);
        Ok(())
    }

    fn shows_probes(&self) -> bool {
        true
    }

    fn sent(&mut self, target: usize, sent: &Sent) -> io::Result<()> {
        self.change(target, |progress| progress.sent(sent))
    }

    fn answered(&mut self, target: usize, answered: &Answered) -> io::Result<()> {
        self.change(target, |progress| progress.answered(answered))
    }

    fn overdue(&mut self, target: usize, overdue: Overdue) -> io::Result<()> {
        self.change(target, |progress| progress.overdue(&overdue))
    }

    fn settled(&mut self, target: usize, settled: &Settled) -> io::Result<()> {
        self.change(target, |progress| progress.settled(settled))
    }

    fn finish(&mut self, summaries: &[Summary]) -> io::Result<()> {
        self.stop()?;
        let mut text = TextOutput::new(io::stdout(), false, false);
        for (target, why) in &self.missing {
            text.not_measured(target, why);
        }
        text.start(&self.headings)?;
        text.finish(summaries)
    }
}

impl Drop for LiveOutput {
    fn drop(&mut self) {
        // A run that could not end as it should.
        let _ = self.stop();
    }
}
