//! What a sender may say when, and what it means: no socket, no disk.

use std::collections::VecDeque;

use hii_protocol::Escaped;
use hii_protocol::share::{Answer, Digest, Id, Problem, Size, Text, VERSION};

use super::manifest::{Manifest, ManifestError};

/// What came, for whoever keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// Nothing to do yet.
    Wait,
    /// The manifest is whole and right.
    Offered,
    /// A file begins after so many octets.
    Begin {
        /// Which.
        id: Id,
        /// As many as were wanted, or none.
        offset: u64,
    },
    /// Octets of that file.
    Data(&'a [u8]),
    /// That file has all its octets, and they should hash to this.
    Whole {
        /// Which.
        id: Id,
        /// The hash of the whole file.
        digest: Digest,
    },
    /// A file does not come, or no further.
    Failed {
        /// Which.
        id: Id,
        /// Whether it had begun.
        has_begun: bool,
        /// Why.
        problem: Problem,
        /// The sender's words.
        text: Text<'a>,
    },
    /// The sender knows that nothing more is wanted.
    Done,
    /// The sender's user does not want any more.
    Cancelled(Text<'a>),
    /// The sender ends it.
    Refused(Problem, Text<'a>),
}

/// What no sender may do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A frame has no place there.
    #[error("a frame came that has no place there: {0}")]
    OutOfPlace(String),
    /// It speaks another version.
    #[error("it speaks version {0} of the share service, and this program version {VERSION}")]
    Version(u64),
    /// What it offers is not in order.
    #[error("what it offers is not in order: {0}")]
    Manifest(#[from] ManifestError),
    /// A file goes on after its end.
    #[error("\"{}\" has more octets than it was offered with", Escaped(.0.as_bytes()))]
    TooMuch(String),
    /// A file's end does not fit what came.
    #[error(
        "\"{}\" has {received} octets: it was offered with {offered}, and the sender counted {counted}",
        Escaped(.path.as_bytes())
    )]
    WrongCount {
        /// Which.
        path: String,
        /// Octets received.
        received: u64,
        /// Octets at the end, as the sender counted them.
        counted: u64,
        /// Octets in the list; those counted, if their number was not known.
        offered: u64,
    },
}

/// A conversation with a sender.
#[derive(Debug, Default)]
pub struct Session {
    phase: Phase,
    manifest: Manifest,
    /// What was wanted and has not ended, the next first.
    wanted: VecDeque<Wanted>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Hello,
    Pages,
    Files,
    Ended,
}

#[derive(Debug, Clone, Copy)]
struct Wanted {
    id: Id,
    offset: u64,
    /// Octets of the file so far, once it has begun.
    come: Option<u64>,
}

impl Session {
    /// What is offered: all of it, once that was said.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// A file is wanted, after so many octets.
    pub fn want(&mut self, id: Id, offset: u64) {
        let come = None;
        self.wanted.push_back(Wanted { id, offset, come });
    }

    /// How many files are wanted that have not ended.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.wanted.len()
    }

    /// Octets that the sender has to look at before it can go on.
    #[must_use]
    pub fn before_the_next(&self) -> u64 {
        self.wanted.front().map_or(0, |wanted| wanted.offset)
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// It is none that may come there: the conversation is over.
    pub fn take<'a>(&mut self, answer: Answer<'a>) -> Result<Step<'a>, Violation> {
        match (self.phase, answer) {
            (_, Answer::Cancel(text)) => {
                self.phase = Phase::Ended;
                Ok(Step::Cancelled(text))
            }
            (_, Answer::Error(problem, text)) => {
                self.phase = Phase::Ended;
                Ok(Step::Refused(problem, text))
            }
            (Phase::Hello, Answer::Hello(VERSION)) => {
                self.phase = Phase::Pages;
                Ok(Step::Wait)
            }
            (Phase::Hello, Answer::Hello(version)) => Err(Violation::Version(version.get())),
            (Phase::Pages, Answer::Page(page)) => {
                page.entries()
                    .try_for_each(|entry| self.manifest.add(&entry))?;
                Ok(Step::Wait)
            }
            (Phase::Pages, Answer::End { entries, octets }) => {
                self.manifest.end(entries, octets)?;
                self.phase = Phase::Files;
                Ok(Step::Offered)
            }
            (Phase::Files, Answer::Done) if self.wanted.is_empty() => {
                self.phase = Phase::Ended;
                Ok(Step::Done)
            }
            (Phase::Files, answer) => self.take_of_file(answer),
            (_, answer) => Err(out_of_place(answer)),
        }
    }

    fn take_of_file<'a>(&mut self, answer: Answer<'a>) -> Result<Step<'a>, Violation> {
        let Some(wanted) = self.wanted.front_mut() else {
            return Err(out_of_place(answer));
        };
        match (answer, wanted.come) {
            (Answer::File { id, offset }, None)
                if id == wanted.id && (offset == wanted.offset || offset == 0) =>
            {
                wanted.come = Some(offset);
                Ok(Step::Begin { id, offset })
            }
            (Answer::Data(data), Some(come)) => {
                let data = data.as_bytes();
                let after = come.saturating_add(data.len() as u64);
                wanted.come = Some(after);
                let entry = self.manifest.get(wanted.id);
                match entry.map(|entry| (entry.size(), entry.path)) {
                    Some((Size::Known(octets), path)) if after > octets => {
                        Err(Violation::TooMuch(path.into()))
                    }
                    _ => Ok(Step::Data(data)),
                }
            }
            (Answer::Sum { id, octets, digest }, Some(come)) if id == wanted.id => {
                self.wanted.pop_front();
                let entry = self.manifest.get(id);
                let offered = match entry.map(|entry| entry.size()) {
                    Some(Size::Known(offered)) => offered,
                    _ => octets,
                };
                if come != octets || octets != offered {
                    let path = entry.map_or("", |entry| entry.path).into();
                    return Err(Violation::WrongCount {
                        path,
                        received: come,
                        counted: octets,
                        offered,
                    });
                }
                Ok(Step::Whole { id, digest })
            }
            (Answer::Failed(id, problem, text), come) if id == wanted.id => {
                self.wanted.pop_front();
                Ok(Step::Failed {
                    id,
                    has_begun: come.is_some(),
                    problem,
                    text,
                })
            }
            (answer, _) => Err(out_of_place(answer)),
        }
    }
}

/// Not of data, which may be long and says nothing.
fn out_of_place(answer: Answer<'_>) -> Violation {
    Violation::OutOfPlace(match answer {
        Answer::Data(_) => "data".into(),
        Answer::Page(_) => "page".into(),
        answer => Escaped(answer.to_string().as_bytes()).to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const PAGE: &str = "page 1 file 10 644 1.000000000 a\n2 file ? 644 1.000000000 b\n";

    fn take<'a>(session: &mut Session, frame: &'a str) -> Result<Step<'a>, Violation> {
        session.take(Answer::decode(frame.as_bytes()).unwrap())
    }

    fn id(number: u64) -> Id {
        Id::new(number).unwrap()
    }

    /// A session where `a` of 10 octets and `b` of who knows how many are offered.
    fn offered() -> Session {
        let mut session = Session::default();
        assert_eq!(take(&mut session, "hello 1"), Ok(Step::Wait));
        assert_eq!(take(&mut session, PAGE), Ok(Step::Wait));
        assert_eq!(take(&mut session, "end 2 10"), Ok(Step::Offered));
        session
    }

    #[test]
    fn files_come_in_the_order_in_which_they_were_wanted() {
        let mut session = offered();
        session.want(id(1), 4);
        session.want(id(2), 0);
        assert_eq!((session.outstanding(), session.before_the_next()), (2, 4));
        let begin = |id, offset| Ok(Step::Begin { id, offset });
        assert_eq!(take(&mut session, "file 1 4"), begin(id(1), 4));
        assert_eq!(take(&mut session, "data 456789"), Ok(Step::Data(b"456789")));
        let sum = format!("sum 1 10 {DIGEST}");
        let whole = take(&mut session, &sum);
        assert!(matches!(whole, Ok(Step::Whole { .. })), "{whole:?}");
        assert_eq!(take(&mut session, "file 2 0"), begin(id(2), 0));
        let failed = take(&mut session, "failed 2 changed gone");
        let Ok(Step::Failed {
            has_begun: true,
            problem: Problem::Changed,
            ..
        }) = failed
        else {
            panic!("{failed:?}");
        };
        assert_eq!(session.outstanding(), 0);
        assert_eq!(take(&mut session, "done"), Ok(Step::Done));
        assert!(take(&mut session, "done").is_err());
    }

    #[test]
    fn rejects_another_version_and_a_manifest_that_is_not_in_order() {
        let mut session = Session::default();
        assert_eq!(take(&mut session, "hello 2"), Err(Violation::Version(2)));
        let mut session = Session::default();
        take(&mut session, "hello 1").unwrap();
        take(&mut session, PAGE).unwrap();
        assert!(matches!(
            take(&mut session, PAGE),
            Err(Violation::Manifest(_))
        ));
        assert!(matches!(
            take(&mut session, "end 2 11"),
            Err(Violation::Manifest(_))
        ));
    }

    #[test]
    fn rejects_what_has_no_place() {
        for (before, frame) in [
            (&[][..], "file 1 0"),
            (&[], "done 1"),
            (&[], "data x"),
            (&[], PAGE),
            (&[], "end 2 10"),
            (&[], "hello 1"),
            (&["want"], "data x"),
            (&["want"], "done"),
            (&["want"], "file 2 0"),
            (&["want"], "file 1 3"),
            (&["want"], "failed 2 changed x"),
            (&["want", "file 1 4"], "file 1 4"),
            (&["want", "file 1 4"], "done"),
            (&["want", "failed 1 unreadable x"], "data x"),
        ] {
            let mut session = offered();
            for frame in before {
                match *frame {
                    "want" => session.want(id(1), 4),
                    frame => drop(take(&mut session, frame).unwrap()),
                }
            }
            let Ok(answer) = Answer::decode(frame.as_bytes()) else {
                continue;
            };
            let result = session.take(answer);
            assert!(
                matches!(result, Err(Violation::OutOfPlace(_))),
                "{before:?} {frame}"
            );
        }
        for frame in ["data x", PAGE, "end 0 0", "done"] {
            assert!(take(&mut Session::default(), frame).is_err());
        }
    }

    #[test]
    fn rejects_more_and_less_than_was_offered() {
        let mut session = offered();
        session.want(id(1), 0);
        take(&mut session, "file 1 0").unwrap();
        take(&mut session, "data 0123456789").unwrap();
        let more = take(&mut session, "data x");
        assert_eq!(more, Err(Violation::TooMuch("a".into())));
        for (data, told) in [
            ("data 01234", 10),
            ("data 01234", 5),
            ("data 0123456789", 9),
        ] {
            let mut session = offered();
            session.want(id(1), 0);
            take(&mut session, "file 1 0").unwrap();
            take(&mut session, data).unwrap();
            let sum = format!("sum 1 {told} {DIGEST}");
            let error = take(&mut session, &sum).unwrap_err().to_string();
            let received = data.len() - "data ".len();
            let expected = format!(
                "\"a\" has {received} octets: it was offered with 10, and the sender counted {told}"
            );
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn either_side_may_end_it_at_any_time() {
        for frame in ["cancel enough", "error busy x"] {
            for mut session in [Session::default(), offered()] {
                let step = take(&mut session, frame);
                assert!(matches!(step, Ok(Step::Cancelled(_) | Step::Refused(..))));
                assert!(take(&mut session, "hello 1").is_err());
            }
        }
    }

    fn frame() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("hello 1".to_owned()),
            Just(PAGE.to_owned()),
            Just("end 2 10".to_owned()),
            (1..4_u64, 0..12_u64).prop_map(|(id, offset)| format!("file {id} {offset}")),
            (1..12_usize).prop_map(|len| format!("data {}", "x".repeat(len))),
            (1..4_u64, 0..12_u64).prop_map(|(id, octets)| format!("sum {id} {octets} {DIGEST}")),
            (1..4_u64).prop_map(|id| format!("failed {id} changed x")),
            Just("done".to_owned()),
        ]
    }

    proptest! {
        /// Whatever comes, no file gets more octets than it was offered with, and none ends with fewer.
        #[test]
        fn nothing_a_sender_says_makes_a_wrong_file(frames in prop::collection::vec(frame(), 0..40)) {
            let mut session = offered();
            session.want(id(1), 4);
            session.want(id(2), 0);
            let mut current = None;
            for frame in &frames {
                match take(&mut session, frame) {
                    Ok(Step::Begin { id, offset }) => {
                        prop_assert_eq!(current, None);
                        current = Some((id, offset));
                    }
                    Ok(Step::Data(data)) => {
                        let (id, octets) = current.unwrap();
                        let octets = octets + data.len() as u64;
                        prop_assert!(id.get() == 2 || octets <= 10);
                        current = Some((id, octets));
                    }
                    Ok(Step::Whole { id, .. }) => {
                        let (current, octets) = current.take().unwrap();
                        prop_assert_eq!(id, current);
                        prop_assert!(id.get() == 2 || octets == 10);
                    }
                    Ok(Step::Failed { .. }) => current = None,
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        }
    }
}
