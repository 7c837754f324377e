//! What a relay sends: answers to the sender and forwards to the destination (`WIRE.md` section 3.3).

use crate::encode::{Emit, Sink, impl_encode};
use crate::grammar::{
    Parsed, bare_ip, end, endpoint_prefix, fault, literal, octet, plain_port, rule, token, whole,
};
use crate::relay::payload::fits;
use crate::relay::{Content, FrameTooLong, Payload, Raw, Token};
use crate::{Code, Endpoint, Limits, MAX_DATAGRAM, ParseError, Rule, grammar};

const SENT: &str = "200, UDP Packet Sent Successfully";

/// A frame from a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer<'a> {
    /// The address that you send from, as the relay sees it.
    Address(Endpoint),
    /// The same with a token that proves it.
    Token(Endpoint, Token),
    /// Your message went out.
    Sent,
    /// Your request was refused.
    Refused(Code),
    /// A message for you.
    Forward(Forward<'a>),
}

/// A message as its destination gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Forward<'a> {
    from: Endpoint,
    payload: Payload<'a>,
}

impl<'a> Forward<'a> {
    /// A payload from this sender.
    ///
    /// # Errors
    /// Its frame would be longer than a datagram.
    #[inline]
    pub fn new(from: Endpoint, payload: Payload<'a>) -> Result<Self, FrameTooLong> {
        let forward = Self { from, payload };
        // A relay makes one of every message, and almost none needs to be counted.
        if payload.len() > MAX_DATAGRAM - Self::LONGEST_HEAD {
            fits(Answer::Forward(forward).encoded_len())?;
        }
        Ok(forward)
    }

    /// The octets before the longest address's payload.
    const LONGEST_HEAD: usize =
        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]/65535 ; content : ".len();

    /// Who sent it, as the relay saw it; no proof of who wrote it.
    #[must_use]
    pub const fn from(self) -> Endpoint {
        self.from
    }

    /// What was sent.
    #[must_use]
    pub const fn payload(self) -> Payload<'a> {
        self.payload
    }
}

impl<'a> Answer<'a> {
    /// Takes one whole datagram.
    ///
    /// # Errors
    /// It is nothing that a relay sends, or over the limit.
    pub fn decode(frame: &'a [u8]) -> Result<Self, ParseError> {
        Self::decode_with(frame, &Limits::DEFAULT)
    }

    /// As [`decode`](Self::decode), with limits of your own.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_with(frame: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        grammar::datagram(frame, limits)?;
        if frame == SENT.as_bytes() {
            return Ok(Self::Sent);
        }
        if let Some(code) = Code::from_answer(frame) {
            return Ok(Self::Refused(code));
        }
        match frame {
            [b'(', ..] => whole(frame, address_or_token),
            [b'[' | b'0'..=b'9', ..] => whole(frame, forward).map(Self::Forward),
            _ => Err(ParseError::new(Rule::RelayAnswer, 0)),
        }
    }

    /// The frame, free of the buffer it came in.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn into_owned(self) -> AnswerBuf {
        match self {
            Self::Address(endpoint) => AnswerBuf::Address(endpoint),
            Self::Token(endpoint, token) => AnswerBuf::Token(endpoint, token),
            Self::Sent => AnswerBuf::Sent,
            Self::Refused(code) => AnswerBuf::Refused(code),
            Self::Forward(forward) => AnswerBuf::Forward(forward.into()),
        }
    }
}

/// `address-answer / token-answer`
fn address_or_token(input: &[u8]) -> Parsed<'_, Answer<'_>> {
    let (input, endpoint) = rule(Rule::AddressAnswer, address_answer)(input)?;
    if input.is_empty() {
        return Ok((input, Answer::Address(endpoint)));
    }
    let (input, token) = rule(Rule::TokenAnswer, token_of_answer)(input)?;
    end(Rule::TokenAnswer, input)?;
    Ok((input, Answer::Token(endpoint, token)))
}

/// `address-answer = %s"('" bare-ip %s"', " plain-port ")"`
fn address_answer(input: &[u8]) -> Parsed<'_, Endpoint> {
    let (input, _) = literal(b"('", input)?;
    let (input, ip) = bare_ip(b'\'', input)?;
    let (input, _) = literal(b"', ", input)?;
    let (input, port) = plain_port(input)?;
    let (input, ()) = octet(b')', input)?;
    Ok((input, Endpoint::from_parts(ip, port)))
}

/// ` ; token : ` and `token`
fn token_of_answer(input: &[u8]) -> Parsed<'_, Token> {
    let (input, _) = literal(b" ; token : ", input)?;
    let (input, token) = token(input)?;
    Ok((input, Token(token)))
}

/// `forward = forward-from %s" ; " forward-data`
fn forward(input: &[u8]) -> Parsed<'_, Forward<'_>> {
    let Ok((input, from)) = endpoint_prefix(input) else {
        return fault(Rule::Forward, input);
    };
    let Some(data) = input.strip_prefix(b" ; ") else {
        return fault(Rule::Forward, input);
    };
    if let Some(raw) = data.strip_prefix(b"raw : ") {
        let payload = Payload::Raw(Raw::unchecked(raw));
        return Ok((&[], Forward { from, payload }));
    }
    let Some(text) = data.strip_prefix(b"content : ") else {
        return fault(Rule::Forward, data);
    };
    let (input, content) = content(text)?;
    let payload = Payload::Content(content);
    Ok((input, Forward { from, payload }))
}

/// `content`, to the end of the frame
fn content(input: &[u8]) -> Parsed<'_, Content<'_>> {
    let at = |index| input.get(index..).unwrap_or_default();
    let (text, end) = match core::str::from_utf8(input) {
        Ok(text) => (text, None),
        Err(error) => ("", Some(error.valid_up_to())),
    };
    match (Content::wrong_octet(input), end) {
        (Some((index, _)), end) if end.is_none_or(|end| index < end) => {
            fault(Rule::Content, at(index))
        }
        (_, Some(end)) => fault(Rule::Utf8, at(end)),
        _ => Ok((&[], Content::unchecked(text))),
    }
}

impl Emit for Answer<'_> {
    fn emit(&self, sink: &mut impl Sink) {
        match self {
            Self::Address(endpoint) => endpoint.emit_tuple(sink),
            Self::Token(endpoint, token) => {
                endpoint.emit_tuple(sink);
                sink.put(b" ; token : ");
                sink.text(token);
            }
            Self::Sent => sink.put(SENT.as_bytes()),
            Self::Refused(code) => sink.put(code.answer().as_bytes()),
            Self::Forward(forward) => {
                forward.from.emit(sink);
                sink.put(b" ; ");
                forward.payload.emit_in_forward(sink);
            }
        }
    }
}

impl_encode!(Answer<'_>);

#[cfg(feature = "alloc")]
mod owned {
    use super::{Answer, Code, Forward, Token};
    use crate::Endpoint;
    use crate::encode::impl_owned;
    use crate::relay::PayloadBuf;

    /// An [`Answer`] that owns its octets.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    pub enum AnswerBuf {
        /// The address that you send from, as the relay sees it.
        Address(Endpoint),
        /// The same with a token that proves it.
        Token(Endpoint, Token),
        /// Your message went out.
        Sent,
        /// Your request was refused.
        Refused(Code),
        /// A message for you.
        Forward(ForwardBuf),
    }

    /// A [`Forward`] that owns its payload.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    pub struct ForwardBuf {
        from: Endpoint,
        payload: PayloadBuf,
    }

    impl ForwardBuf {
        /// The forward, borrowed.
        #[must_use]
        pub fn as_forward(&self) -> Forward<'_> {
            Forward {
                from: self.from,
                payload: self.payload.as_payload(),
            }
        }
    }

    impl From<Forward<'_>> for ForwardBuf {
        fn from(forward: Forward<'_>) -> Self {
            Self {
                from: forward.from,
                payload: forward.payload.into(),
            }
        }
    }

    impl AnswerBuf {
        /// The frame, borrowed.
        #[must_use]
        pub fn as_answer(&self) -> Answer<'_> {
            match self {
                Self::Address(endpoint) => Answer::Address(*endpoint),
                Self::Token(endpoint, token) => Answer::Token(*endpoint, *token),
                Self::Sent => Answer::Sent,
                Self::Refused(code) => Answer::Refused(*code),
                Self::Forward(forward) => Answer::Forward(forward.as_forward()),
            }
        }
    }

    impl_owned!(AnswerBuf, Answer, as_answer);
}
#[cfg(feature = "alloc")]
pub use owned::{AnswerBuf, ForwardBuf};

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn accepts_each_frame_of_a_relay_as_it_stands() {
        for text in [
            "('192.0.2.7', 9000)",
            "('2001:db8::7', 9000)",
            "('192.0.2.7', 9000) ; token : 000102030405060708090a0b0c0d0e0f",
            "200, UDP Packet Sent Successfully",
            "401",
            "405, Could not send the message to the requested address",
            "192.0.2.7/9000 ; content : good morning",
            "192.0.2.7/9000 ; content : ",
            "[2001:db8::7]/9000 ; content : a;b",
            "192.0.2.7/9000 ; raw : 12:30; ok ",
        ] {
            assert_eq!(Answer::decode(text.as_bytes()).unwrap().to_string(), text);
        }
    }

    #[test]
    fn rejects_a_forward_that_no_datagram_carries() {
        let text = "x".repeat(Content::MAX_LEN);
        for from in [
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]/65535",
            "[::]/1",
            "1.2.3.4/5",
        ] {
            let forward = |len: usize| {
                let content = Content::new(&text[..len]).unwrap();
                Forward::new(from.parse().unwrap(), Payload::Content(content))
            };
            let most = MAX_DATAGRAM - from.len() - " ; content : ".len();
            assert!(forward(most).is_ok(), "{from}");
            let len = MAX_DATAGRAM + 1;
            assert_eq!(forward(most + 1), Err(FrameTooLong { len }), "{from}");
        }
    }

    #[track_caller]
    fn refused(frame: impl AsRef<[u8]>, rule: Rule, offset: usize) {
        let error = Answer::decode(frame.as_ref()).unwrap_err();
        assert_eq!((error.rule(), error.offset()), (rule, offset));
    }

    #[test]
    fn names_the_part_that_is_wrong() {
        refused("", Rule::RelayAnswer, 0);
        refused("(x", Rule::AddressAnswer, 1);
        refused("('x', 1)", Rule::AddressAnswer, 2);
        refused("('1.2.3.4',1)", Rule::AddressAnswer, 11);
        refused("('1.2.3.4', 01)", Rule::AddressAnswer, 12);
        refused("('1.2.3.4', 65536)", Rule::AddressAnswer, 12);
        refused("('1.2.3.4', 1", Rule::AddressAnswer, 13);
        refused("('1.2.3.4', 1) ", Rule::TokenAnswer, 15);
        refused("('1.2.3.4', 1) ; token : 00X", Rule::TokenAnswer, 27);
        refused("405", Rule::Forward, 0);
        refused("1.2.3.4/0 ; content : x", Rule::Forward, 0);
        refused("1.2.3.4/5; content : x", Rule::Forward, 9);
        refused("1.2.3.4/5 ; content: x", Rule::Forward, 12);
        refused("1.2.3.4/5 ; content :  x", Rule::Content, 22);
        refused("1.2.3.4/5 ; content : a:b", Rule::Content, 23);
        refused("1.2.3.4/5 ; content : ab  ", Rule::Content, 24);
        refused(b"1.2.3.4/5 ; content : a\xff", Rule::Utf8, 23);
    }
}
