//! How Hii's programs end: exit codes that a script can tell apart, and errors that say what to do.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use crate::stderr::Stderr;

/// Says something on stderr. Nobody to hear it is no reason to end.
pub fn note(text: impl fmt::Display) {
    let _ = Stderr.write_all(format!("{text}\n").as_bytes());
}

/// So many of something, whose plural ends in an s.
pub fn count(number: u64, what: &str) -> impl fmt::Display {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

/// All is well.
pub const FINE: ExitCode = ExitCode::SUCCESS;

/// What went wrong, as an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// 1: measured, but nothing answered; or a message was not passed on.
    NoAnswer = 1,
    /// 2: the command line is wrong.
    Usage = 2,
    /// 3: the network, the name or the port cannot be reached or used.
    Unreachable = 3,
    /// 4: refused: another key, not allowed, or over the other side's rate limit.
    Refused = 4,
    /// 5: the other side does not speak this protocol.
    Protocol = 5,
    /// 6: what came is not what was offered.
    Integrity = 6,
    /// 7: a file cannot be read or written.
    Output = 7,
    /// 8: some of it is missing, and can be fetched later.
    Partial = 8,
    /// 130: interrupted; the summary was printed.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that ends a program: one line what, one line what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    what: String,
    advice: String,
}

impl Failure {
    /// A failure with what happened and what to do about it.
    pub fn new(exit: Exit, what: impl fmt::Display, advice: impl fmt::Display) -> Self {
        Self {
            exit,
            what: what.to_string(),
            advice: advice.to_string(),
        }
    }

    /// The program's exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What happened.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &str {
        &self.advice
    }

    /// Prints the failure to stderr.
    #[must_use]
    pub fn report(&self, program: &str) -> ExitCode {
        note(format_args!("{program}: {}\n  {}", self.what, self.advice));
        self.exit.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.advice)
    }
}

impl std::error::Error for Failure {}
