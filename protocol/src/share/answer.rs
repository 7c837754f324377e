//! What a sender of files sends (`WIRE.md` section 8.2).

use core::num::NonZeroU64;

use crate::encode::{Emit, Sink, impl_encode};
use crate::grammar::{Parsed, end, fault, number, rule, whole};
use crate::share::digest::digest;
use crate::share::entry::{id, separator};
use crate::share::page::page;
use crate::share::request::{
    emit_cancel, emit_error, emit_hello, emit_problem, error, hello, keyword,
};
use crate::share::text::text;
use crate::share::{Data, Digest, Id, Page, Problem, Text};
use crate::{Limits, ParseError, Rule, grammar};

/// A frame from a sender of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer<'a> {
    /// The version that the sender speaks: its first frame.
    Hello(NonZeroU64),
    /// Some of what it offers.
    Page(Page<'a>),
    /// That is all that it offers.
    End {
        /// How many entries there were.
        entries: u64,
        /// The octets of all files whose size is known.
        octets: u64,
    },
    /// A file's octets follow, from here on.
    File {
        /// Which.
        id: Id,
        /// After so many: as many as were wanted, or none, where what is there is not what the file begins with.
        offset: u64,
    },
    /// Octets of the file that was announced last.
    Data(Data<'a>),
    /// The file is through.
    Sum {
        /// Which.
        id: Id,
        /// How many octets it has, from its beginning.
        octets: u64,
        /// Their hash.
        digest: Digest,
    },
    /// A file cannot be sent, or no further. Others still can.
    Failed(Id, Problem, Text<'a>),
    /// The sender has read that nothing more is wanted.
    Done,
    /// The user wants no more, and why.
    Cancel(Text<'a>),
    /// Something went wrong: the connection ends.
    Error(Problem, Text<'a>),
}

impl<'a> Answer<'a> {
    /// Takes one whole frame.
    ///
    /// # Errors
    /// It breaks the grammar or the limit.
    pub fn decode(frame: &'a [u8]) -> Result<Self, ParseError> {
        Self::decode_with(frame, &Limits::DEFAULT)
    }

    /// As [`decode`](Self::decode), with limits of your own.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_with(frame: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        grammar::datagram(frame, limits)?;
        whole(frame, answer)
    }

    /// The frame, free of the buffer it came in.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn into_owned(self) -> AnswerBuf {
        match self {
            Self::Hello(version) => AnswerBuf::Hello(version),
            Self::Page(page) => AnswerBuf::Page(page.into()),
            Self::End { entries, octets } => AnswerBuf::End { entries, octets },
            Self::File { id, offset } => AnswerBuf::File { id, offset },
            Self::Data(data) => AnswerBuf::Data(data.into()),
            Self::Sum { id, octets, digest } => AnswerBuf::Sum { id, octets, digest },
            Self::Failed(id, problem, text) => AnswerBuf::Failed(id, problem, text.into()),
            Self::Done => AnswerBuf::Done,
            Self::Cancel(text) => AnswerBuf::Cancel(text.into()),
            Self::Error(problem, text) => AnswerBuf::Error(problem, text.into()),
        }
    }
}

/// `share-answer = hello / pages / offer-end / file / file-data / sum / failed / done / cancel / error`
fn answer(frame: &[u8]) -> Parsed<'_, Answer<'_>> {
    // By far the most.
    if let Some(octets) = frame.strip_prefix(b"data ") {
        if octets.is_empty() {
            return fault(Rule::Data, octets);
        }
        return Ok((&[], Answer::Data(Data::unchecked(octets))));
    }
    if frame == b"done" {
        return Ok((&[], Answer::Done));
    }
    let (word, input) = keyword(frame);
    match word {
        b"hello" => hello(input).map(|(rest, version)| (rest, Answer::Hello(version))),
        b"page" => page(input).map(|(rest, page)| (rest, Answer::Page(page))),
        b"end" => {
            let (input, entries) = rule(Rule::Octets, number)(input)?;
            let (input, octets) = last_octets(input)?;
            Ok((input, Answer::End { entries, octets }))
        }
        b"file" => {
            let (input, id) = id(input)?;
            let (input, offset) = last_octets(input)?;
            Ok((input, Answer::File { id, offset }))
        }
        b"sum" => sum(input),
        b"failed" => {
            let (input, id) = id(input)?;
            let (input, ()) = separator(Rule::Id, input)?;
            let (input, (problem, text)) = error(input)?;
            Ok((input, Answer::Failed(id, problem, text)))
        }
        b"cancel" => text(input).map(|(rest, text)| (rest, Answer::Cancel(text))),
        b"error" => {
            let (input, (problem, text)) = error(input)?;
            Ok((input, Answer::Error(problem, text)))
        }
        _ => fault(Rule::ShareAnswer, frame),
    }
}

/// `SP octets`, to the end of the frame
fn last_octets(input: &[u8]) -> Parsed<'_, u64> {
    let (input, ()) = separator(Rule::Octets, input)?;
    let (input, octets) = rule(Rule::Octets, number)(input)?;
    end(Rule::Octets, input)?;
    Ok((input, octets))
}

/// `sum = %s"sum" SP id SP octets SP digest`
fn sum(input: &[u8]) -> Parsed<'_, Answer<'_>> {
    let (input, id) = id(input)?;
    let (input, ()) = separator(Rule::Id, input)?;
    let (input, octets) = rule(Rule::Octets, number)(input)?;
    let (input, ()) = separator(Rule::Octets, input)?;
    let (input, digest) = digest(input)?;
    end(Rule::Digest, input)?;
    Ok((input, Answer::Sum { id, octets, digest }))
}

impl Emit for Answer<'_> {
    fn emit(&self, sink: &mut impl Sink) {
        match *self {
            Self::Hello(version) => emit_hello(version, sink),
            Self::Page(page) => {
                sink.put(b"page ");
                page.emit(sink);
            }
            Self::End { entries, octets } => {
                sink.put(b"end ");
                sink.decimal(entries);
                sink.put(b" ");
                sink.decimal(octets);
            }
            Self::File { id, offset } => {
                sink.put(b"file ");
                sink.decimal(id.get());
                sink.put(b" ");
                sink.decimal(offset);
            }
            Self::Data(data) => {
                sink.put(b"data ");
                sink.put(data.as_bytes());
            }
            Self::Sum { id, octets, digest } => {
                sink.put(b"sum ");
                sink.decimal(id.get());
                sink.put(b" ");
                sink.decimal(octets);
                sink.put(b" ");
                digest.emit(sink);
            }
            Self::Failed(id, problem, text) => {
                sink.put(b"failed ");
                sink.decimal(id.get());
                sink.put(b" ");
                emit_problem(problem, text, sink);
            }
            Self::Done => sink.put(b"done"),
            Self::Cancel(text) => emit_cancel(text, sink),
            Self::Error(problem, text) => emit_error(problem, text, sink),
        }
    }
}

impl_encode!(Answer<'_>);

#[cfg(feature = "alloc")]
mod owned {
    use alloc::vec::Vec;

    use super::{Answer, Data, NonZeroU64};
    use crate::encode::impl_owned;
    use crate::share::{Digest, Id, PageBuf, Problem, TextBuf};

    /// An [`Answer`] that owns its octets.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    pub enum AnswerBuf {
        /// The version that the sender speaks.
        Hello(NonZeroU64),
        /// Some of what it offers.
        Page(PageBuf),
        /// That is all that it offers.
        End {
            /// How many entries there were.
            entries: u64,
            /// The octets of all files whose size is known.
            octets: u64,
        },
        /// A file's octets follow.
        File {
            /// Which.
            id: Id,
            /// After so many.
            offset: u64,
        },
        /// Octets of the file that was announced last.
        Data(DataBuf),
        /// The file is through.
        Sum {
            /// Which.
            id: Id,
            /// How many octets it has.
            octets: u64,
            /// Their hash.
            digest: Digest,
        },
        /// A file cannot be sent, or no further.
        Failed(Id, Problem, TextBuf),
        /// The sender has read that nothing more is wanted.
        Done,
        /// The user wants no more, and why.
        Cancel(TextBuf),
        /// Something went wrong.
        Error(Problem, TextBuf),
    }

    /// A [`Data`] that owns its octets.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    pub struct DataBuf(Vec<u8>);

    impl From<Data<'_>> for DataBuf {
        fn from(data: Data<'_>) -> Self {
            Self(data.as_bytes().into())
        }
    }

    impl DataBuf {
        /// The octets, borrowed.
        #[must_use]
        pub fn as_data(&self) -> Data<'_> {
            Data::unchecked(&self.0)
        }
    }

    impl AnswerBuf {
        /// The frame, borrowed.
        #[must_use]
        pub fn as_answer(&self) -> Answer<'_> {
            match self {
                Self::Hello(version) => Answer::Hello(*version),
                Self::Page(page) => Answer::Page(page.as_page()),
                Self::End { entries, octets } => Answer::End {
                    entries: *entries,
                    octets: *octets,
                },
                Self::File { id, offset } => Answer::File {
                    id: *id,
                    offset: *offset,
                },
                Self::Data(data) => Answer::Data(data.as_data()),
                Self::Sum { id, octets, digest } => Answer::Sum {
                    id: *id,
                    octets: *octets,
                    digest: *digest,
                },
                Self::Failed(id, problem, text) => Answer::Failed(*id, *problem, text.as_text()),
                Self::Done => Answer::Done,
                Self::Cancel(text) => Answer::Cancel(text.as_text()),
                Self::Error(problem, text) => Answer::Error(*problem, text.as_text()),
            }
        }
    }

    impl_owned!(AnswerBuf, Answer, as_answer);
}
#[cfg(feature = "alloc")]
pub use owned::{AnswerBuf, DataBuf};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_what_no_sender_says_and_says_where() {
        for (frame, offset, rule) in [
            ("", 0, Rule::ShareAnswer),
            ("data ", 5, Rule::Data),
            ("page ", 5, Rule::Entry),
            ("page 1 file 5 644 7.000000000 a", 31, Rule::Entry),
            ("page 1 link 5", 7, Rule::Kind),
            ("page 1 file 5644 7.000000000 a\n", 17, Rule::Mode),
            ("page 1 file 5 648 7.000000000 a\n", 14, Rule::Mode),
            ("page 1 dir 755 7.0 a\n", 15, Rule::Modified),
            ("page 1 dir 755 -0.000000000 a\n", 15, Rule::Modified),
            ("page 1 dir 755 7.000000000 a/../b\n", 29, Rule::Path),
            ("page 1 dir 755 7.000000000 a\n2 x", 31, Rule::Kind),
            ("end 1", 5, Rule::Octets),
            ("file 1 x", 7, Rule::Octets),
            ("sum 1 2 3", 9, Rule::Digest),
            ("failed 1 nothing x", 9, Rule::Problem),
            ("want 1", 0, Rule::ShareAnswer),
        ] {
            let error = Answer::decode(frame.as_bytes()).unwrap_err();
            assert_eq!((error.offset(), error.rule()), (offset, rule), "{frame:?}");
        }
    }

    #[test]
    fn accepts_entries_of_every_kind() {
        let frame = "page 1 dir 755 1789000000.000000001 a\n2 file 0 644 -1.999999999 a/b c\n3 file ? 000 0.000000000 -\n";
        let Ok(Answer::Page(page)) = Answer::decode(frame.as_bytes()) else {
            panic!("no page");
        };
        let ids = page.entries().map(|entry| entry.id.get());
        assert!(ids.eq(1..=3));
        assert_eq!(std::format!("{}", Answer::Page(page)), frame);
    }
}
