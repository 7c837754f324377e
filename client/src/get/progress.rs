//! How far it is, on stderr: a bar for people, lines for programs.

use std::io::IsTerminal as _;
use std::time::Duration;

use hii_protocol::Escaped;
use hii_server::exit::note;
use hii_transport::clock::Clock;
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};
use serde::Serialize;

use super::args::ProgressForm;
use super::summary::ErrorText;
use crate::output::json_line;

/// From one line to the next.
const EVERY: Duration = Duration::from_millis(500);

/// How far it is.
#[derive(Debug)]
pub struct Progress {
    form: Form,
    clock: Clock,
    /// Octets that are there, those of earlier runs included, and of how many.
    octets: u64,
    total: Option<u64>,
    files: u64,
    /// Octets that have come in this run.
    received: u64,
    next: Duration,
}

#[derive(Debug)]
enum Form {
    Nothing,
    Bar(ProgressBar),
    Json,
}

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Progress {
        octets: u64,
        total: Option<u64>,
        files: u64,
        octets_per_second: f64,
        seconds_left: Option<f64>,
    },
    File {
        path: &'a str,
    },
    Error(&'a ErrorText),
}

impl Progress {
    /// Shows it in this form; nothing when it is to be quiet, and no bar but on a terminal.
    #[must_use]
    pub fn new(form: ProgressForm, is_quiet: bool) -> Self {
        let form = match form {
            ProgressForm::Json => Form::Json,
            ProgressForm::Bar if is_quiet || !std::io::stderr().is_terminal() => Form::Nothing,
            ProgressForm::Bar => Form::Bar(ProgressBar::no_length()),
        };
        Self {
            form,
            clock: Clock::start(),
            octets: 0,
            total: None,
            files: 0,
            received: 0,
            next: EVERY,
        }
    }

    /// So much is to come; none where that is not known.
    pub fn start(&mut self, total: Option<u64>) {
        self.total = total;
        self.clock = Clock::start();
        if let Form::Bar(bar) = &self.form {
            let template = if total.is_some() {
                "{wide_msg} {bytes}/{total_bytes} {percent}% {binary_bytes_per_sec} {eta} left"
            } else {
                "{wide_msg} {bytes} {binary_bytes_per_sec}"
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            if let Some(total) = total {
                bar.set_length(total);
            }
        }
    }

    /// A file begins after so many octets.
    pub fn file(&mut self, path: &str, offset: u64) {
        self.octets = self.octets.saturating_add(offset);
        match &self.form {
            Form::Nothing => {}
            Form::Bar(bar) => {
                bar.set_message(Escaped(path.as_bytes()).to_string());
                if offset > 0 {
                    bar.inc(offset);
                    bar.reset_eta();
                }
            }
            Form::Json => say(&Line::File { path }),
        }
    }

    /// So many octets came.
    pub fn advance(&mut self, octets: u64) {
        self.octets = self.octets.saturating_add(octets);
        self.received = self.received.saturating_add(octets);
        match &self.form {
            Form::Nothing => {}
            Form::Bar(bar) => bar.inc(octets),
            Form::Json => {
                let elapsed = self.clock.elapsed();
                if elapsed >= self.next {
                    self.next = elapsed + EVERY;
                    self.say_it(elapsed);
                }
            }
        }
    }

    /// A file is in its place.
    pub fn placed(&mut self) {
        self.files += 1;
    }

    /// Nothing more comes.
    pub fn end(&mut self) {
        match &self.form {
            Form::Nothing => {}
            Form::Bar(bar) => bar.finish_and_clear(),
            Form::Json => self.say_it(self.clock.elapsed()),
        }
    }

    fn say_it(&self, elapsed: Duration) {
        let speed = per_second(self.received, elapsed);
        let left = self.total.map(|total| total.saturating_sub(self.octets));
        say(&Line::Progress {
            octets: self.octets,
            total: self.total,
            files: self.files,
            octets_per_second: speed,
            seconds_left: left.filter(|_| speed > 0.0).map(|left| left as f64 / speed),
        });
    }
}

/// How fast so many octets came.
#[must_use]
pub fn per_second(octets: u64, elapsed: Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 {
        octets as f64 / seconds
    } else {
        0.0
    }
}

/// Octets, as people say them.
pub fn human(octets: u64) -> impl std::fmt::Display {
    HumanBytes(octets)
}

/// A time, as people say it.
pub fn human_time(time: Duration) -> String {
    if time < Duration::from_secs(60) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        HumanDuration(time).to_string()
    }
}

/// Tells a program why it ends.
pub fn tell_error(error: &ErrorText) {
    say(&Line::Error(error));
}

fn say(line: &Line<'_>) {
    if let Ok(line) = json_line(line) {
        note(line);
    }
}
