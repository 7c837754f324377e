//! What was received, for people and for programs.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use hii_protocol::Escaped;
use hii_server::exit::{Exit, Failure, count};
use serde::Serialize;

use super::progress::{human, human_time, per_second};

/// Failures of single files that are kept and listed: a sender may fail at millions, with a long text each.
const LISTED: usize = 20;

/// What became of what was offered.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The sender.
    pub server: String,
    /// Where files go: what `-o` says, or what it is by default; a single file's name as it became.
    pub destination: String,
    /// Files that are offered.
    pub offered: u64,
    /// Files that were received, verified, and are in their places.
    pub received: u64,
    /// Files that were there.
    pub present: u64,
    /// Files that were not wanted, since others have their names.
    pub skipped: u64,
    /// Octets that came.
    pub octets: u64,
    /// Octets that were there of files that others had begun with.
    pub resumed_octets: u64,
    /// From the first octet asked for to the last in its place.
    pub seconds: f64,
    /// Files that were not received, and why: the first ones.
    pub failures: Vec<FileFailure>,
    /// How many files were not received.
    pub failed: u64,
    /// How the program ends by the worst of them.
    #[serde(skip)]
    pub worst: Option<Exit>,
    /// Why it ended before its end, when it did; single files are among the failures.
    pub error: Option<ErrorText>,
    /// Whether the user stopped it.
    pub interrupted: bool,
    /// Whether it came in plain text, so that nothing could be verified.
    #[serde(rename = "classic")]
    pub is_classic: bool,
}

/// Why it ended before its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorText {
    /// What happened.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

impl From<&Failure> for ErrorText {
    fn from(failure: &Failure) -> Self {
        Self {
            what: failure.what().into(),
            advice: failure.advice().into(),
        }
    }
}

/// A file that was not received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileFailure {
    /// Which.
    pub path: String,
    /// Why.
    pub why: String,
}

impl Summary {
    /// How the program ends, when single files did not go well: the worst of it.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        self.worst
    }

    /// Where files went, as the end of a clause.
    fn whereto(&self) -> String {
        match self.destination.as_str() {
            _ if self.received == 0 => String::new(),
            "-" => " to standard output".into(),
            "." => " into this folder".into(),
            place => format!(" into {}", Escaped(place.as_bytes())),
        }
    }

    /// The file that the user gave a name has this one now, in the same folder.
    pub fn placed_as(&mut self, name: &str) {
        let path = Path::new(&self.destination).with_file_name(name);
        self.destination = path.to_string_lossy().into_owned();
    }

    /// A file was not received.
    pub fn fail(&mut self, path: &str, why: impl fmt::Display, exit: Exit) {
        let rank = |exit| {
            let order = [Exit::Integrity, Exit::Output, Exit::Partial];
            order.into_iter().position(|other| other == exit)
        };
        self.failed += 1;
        if self.worst.is_none_or(|worst| rank(exit) < rank(worst)) {
            self.worst = Some(exit);
        }
        if self.failures.len() < LISTED {
            self.failures.push(FileFailure {
                path: path.into(),
                why: why.to_string(),
            });
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            let path = Escaped(failure.path.as_bytes());
            writeln!(f, "not received: {path}: {}", failure.why)?;
        }
        let more = self.failed.saturating_sub(self.failures.len() as u64);
        if more > 0 {
            writeln!(f, "... and {more} others")?;
        }
        let Self {
            offered,
            received,
            octets,
            ..
        } = self;
        let time = Duration::try_from_secs_f64(self.seconds).unwrap_or_default();
        let verified = if self.is_classic {
            "received (whether it is whole cannot be told)"
        } else {
            "received and verified"
        };
        write!(
            f,
            "{received} of {} {verified}{}, {} in {}",
            count(*offered, "file"),
            self.whereto(),
            human(*octets),
            human_time(time)
        )?;
        if *octets > 0 && self.seconds > 0.0 {
            let speed = per_second(*octets, time);
            write!(f, " ({:.1} MB/s)", speed / 1e6)?;
        }
        for (count, what) in [
            (self.present, "there already"),
            (self.skipped, "skipped"),
            (self.failed, "not received"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        if self.resumed_octets > 0 {
            write!(f, ", {} were there from before", human(self.resumed_octets))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_tells_how_it_ends_and_names_are_escaped() {
        let mut summary = Summary {
            offered: 3,
            received: 1,
            octets: 2048,
            seconds: 2.0,
            destination: "a\u{202e}b".into(),
            ..Summary::default()
        };
        assert_eq!(summary.exit(), None);
        assert_eq!(
            summary.to_string(),
            "1 of 3 files received and verified into a\\u{202e}b, 2.00 KiB in 2.0 s (0.0 MB/s)"
        );
        for (destination, words) in [(".", " into this folder,"), ("-", " to standard output,")] {
            let summary = Summary {
                destination: destination.into(),
                ..summary.clone()
            };
            assert!(summary.to_string().contains(words), "{summary}");
        }
        summary.fail("a\u{202e}b", "gone", Exit::Partial);
        assert_eq!(summary.exit(), Some(Exit::Partial));
        summary.fail("c", "changed", Exit::Integrity);
        assert_eq!(summary.exit(), Some(Exit::Integrity));
        let text = summary.to_string();
        assert!(
            text.starts_with("not received: a\\u{202e}b: gone\n"),
            "{text}"
        );
        assert!(text.ends_with(", 2 not received"), "{text}");
    }

    #[test]
    fn a_long_list_is_cut() {
        let mut summary = Summary::default();
        for number in 0..25 {
            summary.fail(&number.to_string(), "x", Exit::Partial);
        }
        summary.fail("last", "x", Exit::Integrity);
        summary.fail("x", "x", Exit::Output);
        assert_eq!((summary.failures.len(), summary.failed), (LISTED, 27));
        assert_eq!(summary.exit(), Some(Exit::Integrity));
        let text = summary.to_string();
        assert_eq!(text.lines().count(), LISTED + 2);
        assert!(text.contains("... and 7 others\n"));
    }
}
