//! What a receiver sends (`WIRE.md` section 8.2).

use core::num::NonZeroU64;

use crate::encode::{Emit, Sink, impl_encode};
use crate::grammar::{Parsed, end, fault, positive, rule, whole};
use crate::share::digest::digest;
use crate::share::entry::{id, separator};
use crate::share::problem::problem;
use crate::share::text::text;
use crate::share::{Digest, Id, Problem, Text};
use crate::{Limits, ParseError, Rule, grammar};

/// A frame from a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Request<'a> {
    /// The version that the receiver speaks: the first frame.
    Hello(NonZeroU64),
    /// Send this file.
    Want {
        /// Which.
        id: Id,
        /// From where on.
        start: Start,
    },
    /// This one is whole, verified and in its place.
    Got(Id),
    /// Nothing more is wanted.
    Done,
    /// The user wants no more, and why.
    Cancel(Text<'a>),
    /// Something went wrong: the connection ends.
    Error(Problem, Text<'a>),
}

/// From where on a file is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Start {
    /// From its beginning.
    Beginning,
    /// What is before this is there already.
    After {
        /// So many octets are there.
        offset: NonZeroU64,
        /// Their hash.
        digest: Digest,
    },
}

impl<'a> Request<'a> {
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
        whole(frame, request)
    }

    /// The request, free of the buffer it came in.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn into_owned(self) -> RequestBuf {
        match self {
            Self::Hello(version) => RequestBuf::Hello(version),
            Self::Want { id, start } => RequestBuf::Want { id, start },
            Self::Got(id) => RequestBuf::Got(id),
            Self::Done => RequestBuf::Done,
            Self::Cancel(text) => RequestBuf::Cancel(text.into()),
            Self::Error(problem, text) => RequestBuf::Error(problem, text.into()),
        }
    }
}

/// `share-request = hello / want / got / done / cancel / error`
fn request(frame: &[u8]) -> Parsed<'_, Request<'_>> {
    if frame == b"done" {
        return Ok((&[], Request::Done));
    }
    let (word, input) = keyword(frame);
    match word {
        b"hello" => hello(input).map(|(rest, version)| (rest, Request::Hello(version))),
        b"want" => want(input),
        b"got" => {
            let (input, id) = id(input)?;
            end(Rule::Id, input)?;
            Ok((input, Request::Got(id)))
        }
        b"cancel" => text(input).map(|(rest, text)| (rest, Request::Cancel(text))),
        b"error" => {
            let (input, (problem, text)) = error(input)?;
            Ok((input, Request::Error(problem, text)))
        }
        _ => fault(Rule::ShareRequest, frame),
    }
}

/// The first word, and what follows the SP after it.
pub(super) fn keyword(frame: &[u8]) -> (&[u8], &[u8]) {
    let space = frame.iter().position(|octet| *octet == b' ');
    space
        .and_then(|space| Some((frame.get(..space)?, frame.get(space + 1..)?)))
        .unwrap_or((&[], frame))
}

/// `hello = %s"hello" SP version`
pub(super) fn hello(input: &[u8]) -> Parsed<'_, NonZeroU64> {
    let (input, version) = rule(Rule::Version, positive)(input)?;
    end(Rule::Version, input)?;
    Ok((input, version))
}

/// `error = %s"error" SP problem SP text`
pub(super) fn error(input: &[u8]) -> Parsed<'_, (Problem, Text<'_>)> {
    let (input, problem) = problem(input)?;
    let (input, ()) = separator(Rule::Problem, input)?;
    let (input, text) = text(input)?;
    Ok((input, (problem, text)))
}

/// `want = %s"want" SP id [SP offset SP digest]`
fn want(input: &[u8]) -> Parsed<'_, Request<'_>> {
    let (input, id) = id(input)?;
    if input.is_empty() {
        let start = Start::Beginning;
        return Ok((input, Request::Want { id, start }));
    }
    let (input, ()) = separator(Rule::Id, input)?;
    let (input, offset) = rule(Rule::Octets, positive)(input)?;
    let (input, ()) = separator(Rule::Octets, input)?;
    let (input, digest) = digest(input)?;
    end(Rule::Digest, input)?;
    let start = Start::After { offset, digest };
    Ok((input, Request::Want { id, start }))
}

/// What both sides send.
pub(super) fn emit_hello(version: NonZeroU64, sink: &mut impl Sink) {
    sink.put(b"hello ");
    sink.decimal(version.get());
}

pub(super) fn emit_cancel(text: Text<'_>, sink: &mut impl Sink) {
    sink.put(b"cancel ");
    sink.put(text.as_str().as_bytes());
}

pub(super) fn emit_error(problem: Problem, text: Text<'_>, sink: &mut impl Sink) {
    sink.put(b"error ");
    emit_problem(problem, text, sink);
}

pub(super) fn emit_problem(problem: Problem, text: Text<'_>, sink: &mut impl Sink) {
    sink.put(problem.word().as_bytes());
    sink.put(b" ");
    sink.put(text.as_str().as_bytes());
}

impl Emit for Request<'_> {
    fn emit(&self, sink: &mut impl Sink) {
        match *self {
            Self::Hello(version) => emit_hello(version, sink),
            Self::Want { id, start } => {
                sink.put(b"want ");
                sink.decimal(id.get());
                if let Start::After { offset, digest } = start {
                    sink.put(b" ");
                    sink.decimal(offset.get());
                    sink.put(b" ");
                    digest.emit(sink);
                }
            }
            Self::Got(id) => {
                sink.put(b"got ");
                sink.decimal(id.get());
            }
            Self::Done => sink.put(b"done"),
            Self::Cancel(text) => emit_cancel(text, sink),
            Self::Error(problem, text) => emit_error(problem, text, sink),
        }
    }
}

impl_encode!(Request<'_>);

#[cfg(feature = "alloc")]
mod owned {
    use super::{NonZeroU64, Request, Start};
    use crate::encode::impl_owned;
    use crate::share::{Id, Problem, TextBuf};

    /// A [`Request`] that owns its octets.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    pub enum RequestBuf {
        /// The version that the receiver speaks.
        Hello(NonZeroU64),
        /// Send this file.
        Want {
            /// Which.
            id: Id,
            /// From where on.
            start: Start,
        },
        /// This one is whole, verified and in its place.
        Got(Id),
        /// Nothing more is wanted.
        Done,
        /// The user wants no more, and why.
        Cancel(TextBuf),
        /// Something went wrong.
        Error(Problem, TextBuf),
    }

    impl RequestBuf {
        /// The request, borrowed.
        #[must_use]
        pub fn as_request(&self) -> Request<'_> {
            match self {
                Self::Hello(version) => Request::Hello(*version),
                Self::Want { id, start } => Request::Want {
                    id: *id,
                    start: *start,
                },
                Self::Got(id) => Request::Got(*id),
                Self::Done => Request::Done,
                Self::Cancel(text) => Request::Cancel(text.as_text()),
                Self::Error(problem, text) => Request::Error(*problem, text.as_text()),
            }
        }
    }

    impl_owned!(RequestBuf, Request, as_request);
}
#[cfg(feature = "alloc")]
pub use owned::RequestBuf;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_what_is_no_request_and_says_where() {
        for (frame, offset, rule) in [
            ("", 0, Rule::ShareRequest),
            ("hello", 0, Rule::ShareRequest),
            ("hello ", 6, Rule::Version),
            ("hello 0", 6, Rule::Version),
            ("hello 1 ", 7, Rule::Version),
            ("want x", 5, Rule::Id),
            ("want 1 ", 7, Rule::Octets),
            ("want 1 0 ab", 7, Rule::Octets),
            ("want 1 5 ab", 11, Rule::Digest),
            ("got 01", 4, Rule::Id),
            ("done ", 0, Rule::ShareRequest),
            ("error nosuch x", 6, Rule::Problem),
            ("error frame", 11, Rule::Problem),
            ("page 1", 0, Rule::ShareRequest),
        ] {
            let error = Request::decode(frame.as_bytes()).unwrap_err();
            assert_eq!((error.offset(), error.rule()), (offset, rule), "{frame:?}");
        }
        let long = [b"cancel ", &[b'x'; Text::MAX_LEN + 1][..]].concat();
        let error = Request::decode(&long).unwrap_err();
        assert_eq!(
            (error.offset(), error.rule()),
            (7 + Text::MAX_LEN, Rule::Text)
        );
        let error = Request::decode(b"cancel a\xff").unwrap_err();
        assert_eq!((error.offset(), error.rule()), (8, Rule::Utf8));
    }
}
