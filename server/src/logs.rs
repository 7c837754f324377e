//! What a program logs, to stderr: lines for people, or one JSON object a line.
//!
//! A line that somebody remote can cause again and again is logged by [`sampled!`](hii_transport::sampled!), which bounds how
//! many there are; only at the level `trace` does each message have its line. What comes from the network is escaped and
//! cut in both forms.

use std::fmt;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::ValueEnum;
use hii_protocol::Escaped;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{fmt as lines, registry};

use crate::exit::Failure;
use crate::stderr::Stderr;

/// The form of the logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// A JSON object a line, the server's start and its errors included
    Json,
}

impl LogFormat {
    /// Sends the program's logs to stderr in this form: what the environment variable `HII_LOG` asks for, else warnings,
    /// and in JSON also what the server has to say about itself.
    pub fn init(self) {
        let default = match self {
            Self::Text => LevelFilter::WARN,
            Self::Json => LevelFilter::INFO,
        };
        let asked = std::env::var("HII_LOG").ok();
        let asked = asked.filter(|asked| !asked.trim().is_empty());
        let usual = Targets::new().with_default(default);
        let (filter, mistake) = match asked.map(|asked| asked.parse::<Targets>()) {
            None => (usual, None),
            Some(Ok(targets)) => (targets, None),
            Some(Err(mistake)) => (usual, Some(mistake)),
        };
        let logs = lines::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(|| Stderr);
        // A second call, in a program that embeds a service, keeps the first.
        let _ = match self {
            Self::Text => registry().with(logs).with(filter).try_init(),
            Self::Json => registry().with(logs.json()).with(filter).try_init(),
        };
        if let Some(mistake) = mistake {
            tracing::warn!("HII_LOG: {mistake}; set it to info, debug or trace");
        }
    }

    /// Tells the error that ends a program, and gives its exit code.
    #[must_use]
    pub fn report(self, failure: &Failure, program: &str) -> ExitCode {
        match self {
            Self::Text => failure.report(program),
            Self::Json => {
                tracing::error!(advice = failure.advice(), "{}", failure.what());
                failure.exit().into()
            }
        }
    }
}

/// The most octets of a datagram that are shown.
const SHOWN: usize = 128;

/// The beginning of a datagram, safe to log.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(
    /// The datagram.
    pub &'a [u8],
);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.0.get(..SHOWN).unwrap_or(self.0);
        let more = if self.0.len() > SHOWN { "..." } else { "" };
        write!(f, "{}{more}", Escaped(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_escaped_and_cut() {
        assert_eq!(Shown(b"a\x1b\n").to_string(), r"a\u{1b}\n");
        assert_eq!(
            Shown(&[b'a'; 200]).to_string(),
            format!("{}...", "a".repeat(128))
        );
    }
}
