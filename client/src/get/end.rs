//! Why it ends before everything is there, what the sender is told, and whether what is there is kept.

use std::io;

use hii_protocol::ParseError;
use hii_protocol::share::{Problem, RequestBuf, Text};
use hii_server::exit::{Exit, Failure};
use hii_transport::channel::ChannelError;

use super::session::Violation;

/// What to do, where it goes on.
const GO_ON: &str = "run the same command again: it goes on where this one stopped (a sender that was started again may have another key)";

/// Why it ends early.
#[derive(Debug)]
pub struct End {
    /// What the user is told.
    pub failure: Failure,
    /// What the sender is told.
    pub last_words: Option<RequestBuf>,
    /// Whether what has come of the current file is right as far as it goes.
    pub may_go_on: bool,
}

impl End {
    fn new(exit: Exit, what: impl std::fmt::Display, advice: &str) -> Self {
        Self {
            failure: Failure::new(exit, what, advice),
            last_words: None,
            may_go_on: true,
        }
    }

    fn saying(mut self, problem: Problem, text: &str) -> Self {
        self.last_words = Some(RequestBuf::Error(problem, Text::cut(text).into()));
        self
    }

    /// A frame breaks the grammar.
    pub fn malformed(error: ParseError) -> Self {
        let what = format!("the sender said what is no frame: {error}");
        Self::new(Exit::Protocol, &what, "tell whoever wrote the sender")
            .saying(Problem::Frame, &what)
    }

    /// A frame has no place there.
    pub fn violation(violation: Violation) -> Self {
        let what = violation.to_string();
        match violation {
            Violation::Version(_) => Self::new(
                Exit::Protocol,
                what,
                "use programs of the same version on both sides",
            ),
            Violation::Manifest(error) => Self::new(
                Exit::Protocol,
                &what,
                "nothing was written; tell whoever wrote the sender",
            )
            .saying(error.problem(), &what),
            Violation::OutOfPlace(_) => {
                Self::new(Exit::Protocol, &what, "tell whoever wrote the sender")
                    .saying(Problem::Frame, &what)
            }
            Violation::TooMuch(_) | Violation::WrongCount { .. } => Self {
                may_go_on: false,
                ..Self::new(
                    Exit::Integrity,
                    &what,
                    "what came of it was thrown away: run the same command again",
                )
                .saying(Problem::Frame, &what)
            },
        }
    }

    /// Whether there is no room left.
    #[must_use]
    pub fn is_full(error: &io::Error) -> bool {
        matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }

    /// What came cannot be written.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it is handed over by map_err"
    )]
    pub fn storage(error: io::Error) -> Self {
        let what = format!("cannot write what comes: {error}");
        let end = if Self::is_full(&error) {
            Self::new(
                Exit::Partial,
                what,
                "free some space and run the same command again: it goes on where this one stopped",
            )
        } else if error.kind() == io::ErrorKind::BrokenPipe {
            Self::new(Exit::Output, what, "the program that read it has ended")
        } else {
            Self::new(Exit::Output, what, "give another folder with -o")
        };
        end.saying(Problem::Storage, "")
    }

    /// What comes cannot be written, and a later run would not go on from there: it comes of a pipe, or goes to one.
    pub fn storage_of_pipe(error: io::Error) -> Self {
        if !Self::is_full(&error) {
            return Self::storage(error);
        }
        Self::new(
            Exit::Output,
            format_args!("cannot write what comes: {error}"),
            "free some space, or give another place with -o, and begin again (what a sender reads from a pipe is sent once: \
             there it begins anew too)",
        )
        .saying(Problem::Storage, "")
    }

    /// The user wants no more.
    #[must_use]
    pub fn interrupted(is_resumable: bool) -> Self {
        let advice = if is_resumable {
            GO_ON
        } else {
            "run it again to receive it"
        };
        Self {
            last_words: Some(RequestBuf::Cancel(Text::cut("interrupted").into())),
            ..Self::new(Exit::Interrupted, "interrupted", advice)
        }
    }

    /// The sender's user wants no more.
    #[must_use]
    pub fn cancelled(text: Text<'_>, is_resumable: bool) -> Self {
        let what = match text.as_str() {
            "" => "the sender's side ended it".to_owned(),
            _ => format!("the sender's side ended it: {}", text.escaped()),
        };
        if is_resumable {
            Self::new(Exit::Partial, what, GO_ON)
        } else {
            Self::new(Exit::Refused, what, "ask whoever runs the sender")
        }
    }

    /// The sender ends it.
    #[must_use]
    pub fn refused(problem: Problem, text: Text<'_>, is_resumable: bool) -> Self {
        let what = match text.as_str() {
            "" => problem.to_string(),
            _ => format!("{problem}: {}", text.escaped()),
        };
        let what = format!("the sender ended it: {what}");
        match problem {
            Problem::Busy => Self::new(Exit::Refused, what, "try again later"),
            Problem::Stopping if is_resumable => Self::new(Exit::Partial, what, GO_ON),
            Problem::Stopping => Self::new(Exit::Unreachable, what, "start the sender again"),
            Problem::Version => Self::new(
                Exit::Protocol,
                what,
                "use programs of the same version on both sides",
            ),
            _ => Self::new(Exit::Protocol, what, "tell whoever wrote the programs"),
        }
    }

    /// The channel goes no further.
    #[must_use]
    pub fn channel(error: &ChannelError, is_resumable: bool) -> Self {
        match error {
            ChannelError::Damaged | ChannelError::Key => Self::new(
                Exit::Integrity,
                "what came was damaged or forged on the way",
                "nothing of it was taken; run the same command again, and look at the way there if it stays",
            ),
            ChannelError::Io(error) => {
                Self::cut_off(&format!("the connection broke: {error}"), is_resumable)
            }
            _ => Self::cut_off("the connection was cut off", is_resumable),
        }
    }

    /// The sender says nothing more.
    #[must_use]
    pub fn cut_off(what: &str, is_resumable: bool) -> Self {
        if is_resumable {
            Self::new(Exit::Partial, what, GO_ON)
        } else {
            Self::new(Exit::Unreachable, what, "run it again to receive it")
        }
    }
}

/// What keeps it from beginning; the sender is told that the user wants no more.
impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            last_words: Some(RequestBuf::Cancel(Text::EMPTY.into())),
            may_go_on: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_there_is_no_room_for_does_not_go_on() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let (file, pipe) = (End::storage(full()), End::storage_of_pipe(full()));
        assert_eq!(file.failure.exit(), Exit::Partial);
        assert!(file.failure.advice().contains("goes on where"));
        assert_eq!(pipe.failure.exit(), Exit::Output);
        assert!(!pipe.failure.advice().contains("goes on where"));
        for end in [file, pipe] {
            let words = Some(RequestBuf::Error(Problem::Storage, Text::EMPTY.into()));
            assert_eq!(end.last_words, words);
        }
        let other = || io::Error::from(io::ErrorKind::BrokenPipe);
        let (file, pipe) = (End::storage(other()), End::storage_of_pipe(other()));
        assert_eq!(file.failure, pipe.failure);
    }
}
