//! What a client sends to a ping service (`WIRE.md` section 2.1).

use nom::bytes::complete::{take_while, take_while1};

use crate::encode::{Emit, Sink, impl_encode};
use crate::grammar::{Parsed, end, fault, is_blank, is_digit, octet, rule, value_of, whole};
use crate::ping::probe::probe;
use crate::ping::{Message, Probe, ProbeSize};
use crate::{Limits, ParseError, Rule, grammar};

/// A request to a ping service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Request<'a> {
    /// Expect probes of that size.
    Calibrate(ProbeSize),
    /// Stop.
    Exit,
    /// A numbered message.
    Probe(Probe),
    /// Anything else.
    Message(Message<'a>),
}

impl<'a> Request<'a> {
    /// Takes one whole datagram.
    ///
    /// # Errors
    /// It begins with `C` and is no calibration, or it is over the limit. Everything else has a meaning.
    pub fn decode(frame: &'a [u8]) -> Result<Self, ParseError> {
        Self::decode_with(frame, &Limits::DEFAULT)
    }

    /// As [`decode`](Self::decode), with limits of your own.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_with(frame: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        grammar::datagram(frame, limits)?;
        match frame {
            [b'C', ..] => whole(frame, calibrate).map(Self::Calibrate),
            b"exit" => Ok(Self::Exit),
            _ => match probe(frame) {
                Ok((_, probe)) => Ok(Self::Probe(probe)),
                Err(_) => Ok(Self::Message(Message::unchecked(frame))),
            },
        }
    }

    /// The request, free of the buffer it came in.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn into_owned(self) -> RequestBuf {
        match self {
            Self::Calibrate(size) => RequestBuf::Calibrate(size),
            Self::Exit => RequestBuf::Exit,
            Self::Probe(probe) => RequestBuf::Probe(probe),
            Self::Message(message) => RequestBuf::Message(message.into()),
        }
    }
}

/// `calibrate = %s"C" 1*blank size`
fn calibrate(input: &[u8]) -> Parsed<'_, ProbeSize> {
    let (input, ()) = octet(b'C', input)?;
    let (input, _) = rule(Rule::Calibrate, take_while1(is_blank))(input)?;
    if input.is_empty() {
        return fault(Rule::Calibrate, input);
    }
    size(input)
}

/// `size = 1*DIGIT`, within 1 to 65507, to the end of the frame
fn size(input: &[u8]) -> Parsed<'_, ProbeSize> {
    let (rest, digits) = take_while(is_digit)(input)?;
    end(Rule::Size, rest)?;
    match ProbeSize::new(value_of(digits) as usize) {
        Ok(size) => Ok((rest, size)),
        Err(_) => fault(Rule::Size, input),
    }
}

impl Emit for Request<'_> {
    fn emit(&self, sink: &mut impl Sink) {
        match self {
            Self::Calibrate(size) => {
                sink.put(b"C ");
                sink.decimal(size.get() as u64);
            }
            Self::Exit => sink.put(b"exit"),
            Self::Probe(probe) => probe.emit(sink),
            Self::Message(message) => message.emit(sink),
        }
    }
}

impl_encode!(Request<'_>);

#[cfg(feature = "alloc")]
mod owned {
    use super::{Probe, ProbeSize, Request};
    use crate::encode::impl_owned;
    use crate::ping::MessageBuf;

    /// A [`Request`] that owns its octets.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    pub enum RequestBuf {
        /// Expect probes of that size.
        Calibrate(ProbeSize),
        /// Stop.
        Exit,
        /// A numbered message.
        Probe(Probe),
        /// Anything else.
        Message(MessageBuf),
    }

    impl RequestBuf {
        /// The request, borrowed.
        #[must_use]
        pub fn as_request(&self) -> Request<'_> {
            match self {
                Self::Calibrate(size) => Request::Calibrate(*size),
                Self::Exit => Request::Exit,
                Self::Probe(probe) => Request::Probe(*probe),
                Self::Message(message) => Request::Message(message.as_message()),
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
    use crate::Code;

    #[track_caller]
    fn refused(frame: &str, code: Code, rule: Rule, offset: usize) {
        let error = Request::decode(frame.as_bytes()).unwrap_err();
        assert_eq!(
            (error.code(), error.rule(), error.offset()),
            (code, rule, offset),
            "{frame:?}"
        );
    }

    #[test]
    fn calibration_is_a_size_or_a_code_and_never_a_crash() {
        for (frame, size) in [
            ("C 128", 128),
            ("C 1", 1),
            ("C 65507", 65507),
            ("C \t 00128", 128),
        ] {
            let size = ProbeSize::new(size).unwrap();
            assert_eq!(
                Request::decode(frame.as_bytes()),
                Ok(Request::Calibrate(size)),
                "{frame:?}"
            );
        }
        refused("C", Code::Structure, Rule::Calibrate, 1);
        refused("Cat 5", Code::Structure, Rule::Calibrate, 1);
        refused("C  ", Code::Structure, Rule::Calibrate, 3);
        refused("C x", Code::Number, Rule::Size, 2);
        refused("C -5", Code::Number, Rule::Size, 2);
        refused("C 5 ", Code::Number, Rule::Size, 3);
        refused("C 0", Code::Number, Rule::Size, 2);
        refused("C 65508", Code::Number, Rule::Size, 2);
        refused("C 99999999999999999999999", Code::Number, Rule::Size, 2);
    }

    #[test]
    fn exit_is_exactly_exit() {
        assert_eq!(Request::decode(b"exit"), Ok(Request::Exit));
        for frame in [&b"exit "[..], b"Exit", b"", b"\xff\xfe"] {
            assert!(matches!(Request::decode(frame), Ok(Request::Message(_))));
        }
    }

    #[test]
    fn limits_come_first() {
        let limits = Limits {
            datagram: 3,
            ..Limits::DEFAULT
        };
        let error = Request::decode_with(b"exit", &limits).unwrap_err();
        assert_eq!((error.rule(), error.offset()), (Rule::Datagram, 3));
    }
}
