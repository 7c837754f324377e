//! What a client sends to a relay (`WIRE.md` section 3.1).

use nom::Parser as _;
use nom::branch::alt;

use crate::encode::{Emit, Sink, impl_encode};
use crate::grammar::{Parsed, address, blanks, end, octet, padding, port, rule, token, word};
use crate::relay::payload::fits;
use crate::relay::{Content, FrameTooLong, Payload, Raw, Token, fault};
use crate::{Endpoint, Limits, ParseError, Rule, grammar};

/// A request to a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Request<'a> {
    /// Tell me my own address.
    Greeting,
    /// Give me a token.
    TokenRequest,
    /// I get what is sent to my address: here is the token.
    TokenGreeting(Token),
    /// Stop.
    ExitServer,
    /// Pass this on.
    Send(Message<'a>),
}

/// A payload and where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Message<'a> {
    to: Endpoint,
    payload: Payload<'a>,
}

impl<'a> Message<'a> {
    /// A message of this payload to this destination.
    ///
    /// # Errors
    /// Its frame would be longer than a datagram.
    pub fn new(to: Endpoint, payload: Payload<'a>) -> Result<Self, FrameTooLong> {
        let message = Self { to, payload };
        fits(Request::Send(message).encoded_len())?;
        Ok(message)
    }

    /// The destination.
    #[must_use]
    pub const fn to(self) -> Endpoint {
        self.to
    }

    /// What the destination gets.
    #[must_use]
    pub const fn payload(self) -> Payload<'a> {
        self.payload
    }
}

impl<'a> Request<'a> {
    /// The least octets of a [`TokenRequest`](Self::TokenRequest): more than its answer has.
    pub const TOKEN_REQUEST_LEN: usize = 96;

    /// Takes one whole datagram.
    ///
    /// # Errors
    /// It breaks the grammar or the limit; the first row of `WIRE.md` section 3.2 that fits gives the code.
    pub fn decode(frame: &'a [u8]) -> Result<Self, ParseError> {
        Self::decode_with(frame, &Limits::DEFAULT)
    }

    /// As [`decode`](Self::decode), with limits of your own.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_with(frame: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        grammar::datagram(frame, limits)?;
        if let Ok((_, message)) = send(frame) {
            return Ok(Self::Send(message));
        }
        match greeting_or_exit(frame) {
            Ok((_, request)) => Ok(request),
            Err(_) => Err(fault::judge(frame)),
        }
    }

    /// The request, free of the buffer it came in.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn into_owned(self) -> RequestBuf {
        match self {
            Self::Greeting => RequestBuf::Greeting,
            Self::TokenRequest => RequestBuf::TokenRequest,
            Self::TokenGreeting(token) => RequestBuf::TokenGreeting(token),
            Self::ExitServer => RequestBuf::ExitServer,
            Self::Send(message) => RequestBuf::Send(message.into()),
        }
    }
}

/// `greeting / token-request / token-greeting / exit-server`
fn greeting_or_exit(frame: &[u8]) -> Parsed<'_, Request<'_>> {
    if frame == b"exit server" {
        return Ok((&[], Request::ExitServer));
    }
    let (input, ()) = word(b"hii", frame)?;
    if input.is_empty() {
        return Ok((input, Request::Greeting));
    }
    let (input, ()) = octet(b' ', input)?;
    if let [b'?', rest @ ..] = input {
        let (rest, ()) = padding(rest)?;
        if frame.len() < Request::TOKEN_REQUEST_LEN {
            return grammar::fault(Rule::Padding, rest);
        }
        return Ok((rest, Request::TokenRequest));
    }
    let (rest, token) = rule(Rule::Token, token)(input)?;
    end(Rule::Token, rest)?;
    Ok((rest, Request::TokenGreeting(Token(token))))
}

/// `send = header separator data`
#[inline]
fn send(frame: &[u8]) -> Parsed<'_, Message<'_>> {
    let (input, to) = header(frame)?;
    let (input, ()) = octet(b';', input)?;
    let content_data = |input| content_data(frame, input);
    let (input, payload) = alt((content_data, raw_data)).parse_complete(input)?;
    Ok((input, Message { to, payload }))
}

/// `header = blanks header-key blanks ":" blanks address blanks "/" blanks port blanks`
#[inline]
fn header(input: &[u8]) -> Parsed<'_, Endpoint> {
    let (input, _) = blanks(input)?;
    let (input, ()) = word(b"to", input)?;
    let (input, _) = blanks(input)?;
    let (input, ()) = octet(b':', input)?;
    let (input, _) = blanks(input)?;
    let (input, ip) = address(input)?;
    let (input, _) = blanks(input)?;
    let (input, ()) = octet(b'/', input)?;
    let (input, _) = blanks(input)?;
    let (input, port) = port(input)?;
    let (input, _) = blanks(input)?;
    Ok((input, Endpoint::from_parts(ip, port)))
}

/// `content-data = blanks data-key blanks ":" blanks content blanks`
#[inline]
fn content_data<'a>(frame: &'a [u8], input: &'a [u8]) -> Parsed<'a, Payload<'a>> {
    let (input, _) = blanks(input)?;
    let (input, ()) = word(b"content", input)?;
    let (input, _) = blanks(input)?;
    let (input, ()) = octet(b':', input)?;
    match Content::trimmed(frame, input) {
        Some(content) => Ok((&[], Payload::Content(content))),
        None => grammar::fault(Rule::Content, input),
    }
}

/// `raw-data = blanks %s"raw" blanks ":" SP *OCTET`
#[inline]
pub(crate) fn raw_data(input: &[u8]) -> Parsed<'_, Payload<'_>> {
    let (input, _) = blanks(input)?;
    let (input, _) = nom::bytes::complete::tag(&b"raw"[..])(input)?;
    let (input, _) = blanks(input)?;
    let (input, ()) = octet(b':', input)?;
    let (input, ()) = octet(b' ', input)?;
    Ok((&[], Payload::Raw(Raw::unchecked(input))))
}

impl Emit for Request<'_> {
    fn emit(&self, sink: &mut impl Sink) {
        match self {
            Self::Greeting => sink.put(b"hii"),
            Self::TokenRequest => {
                sink.put(b"hii ?");
                sink.pad(Self::TOKEN_REQUEST_LEN - "hii ?".len());
            }
            Self::TokenGreeting(token) => {
                sink.put(b"hii ");
                sink.text(token);
            }
            Self::ExitServer => sink.put(b"exit server"),
            Self::Send(message) => {
                sink.put(b"to:");
                message.to.emit(sink);
                sink.put(b";");
                message.payload.emit_in_request(sink);
            }
        }
    }
}

impl_encode!(Request<'_>);

#[cfg(feature = "alloc")]
mod owned {
    use super::{Message, Request, Token};
    use crate::Endpoint;
    use crate::encode::impl_owned;
    use crate::relay::PayloadBuf;

    /// A [`Request`] that owns its octets.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    pub enum RequestBuf {
        /// Tell me my own address.
        Greeting,
        /// Give me a token.
        TokenRequest,
        /// I get what is sent to my address: here is the token.
        TokenGreeting(Token),
        /// Stop.
        ExitServer,
        /// Pass this on.
        Send(MessageBuf),
    }

    /// A [`Message`] that owns its payload.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    pub struct MessageBuf {
        to: Endpoint,
        payload: PayloadBuf,
    }

    impl MessageBuf {
        /// The message, borrowed.
        #[must_use]
        pub fn as_message(&self) -> Message<'_> {
            Message {
                to: self.to,
                payload: self.payload.as_payload(),
            }
        }
    }

    impl From<Message<'_>> for MessageBuf {
        fn from(message: Message<'_>) -> Self {
            Self {
                to: message.to,
                payload: message.payload.into(),
            }
        }
    }

    impl RequestBuf {
        /// The request, borrowed.
        #[must_use]
        pub fn as_request(&self) -> Request<'_> {
            match self {
                Self::Greeting => Request::Greeting,
                Self::TokenRequest => Request::TokenRequest,
                Self::TokenGreeting(token) => Request::TokenGreeting(*token),
                Self::ExitServer => Request::ExitServer,
                Self::Send(message) => Request::Send(message.as_message()),
            }
        }
    }

    impl_owned!(RequestBuf, Request, as_request);
}
#[cfg(feature = "alloc")]
pub use owned::{MessageBuf, RequestBuf};

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[track_caller]
    fn accepts(frame: &str, canonical: &str) {
        let request = Request::decode(frame.as_bytes()).unwrap();
        assert_eq!(request.to_string(), canonical, "{frame:?}");
    }

    #[test]
    fn accepts_blanks_and_letter_case_where_they_mean_nothing() {
        let canonical = "to:192.0.2.7/9000;content:good morning";
        accepts(canonical, canonical);
        accepts("to : 192.0.2.7 / 9000 ; content : good morning", canonical);
        accepts(
            "\tTO\n:\r192.0.2.7\x0b/\x0c09000 ;CONTENT:  good morning \r\n",
            canonical,
        );
        accepts("HII", "hii");
    }

    #[test]
    fn rejects_a_message_that_no_datagram_carries() {
        let text = "x".repeat(Content::MAX_LEN);
        let payload = Payload::Content(Content::new(&text).unwrap());
        let message = |to: &str| Message::new(to.parse().unwrap(), payload);
        assert!(message("[::]/1").is_ok());
        assert_eq!(message("[::]/10"), Err(FrameTooLong { len: 65_508 }));
    }

    #[test]
    fn accepts_what_the_originals_do_not_know() {
        accepts(
            "to: [2001:DB8:0::7]/9000 ; content: x;y",
            "to:[2001:db8::7]/9000;content:x;y",
        );
        accepts(
            "to: [::ffff:192.0.2.7]/9000 ; content: ",
            "to:192.0.2.7/9000;content:",
        );
        accepts(
            "to: 192.0.2.7/9000 ; raw :  a:b ",
            "to:192.0.2.7/9000;raw :  a:b ",
        );
        let raw = Request::decode(b"to:192.0.2.7/9000;raw: \xff\x00").unwrap();
        assert!(
            matches!(raw, Request::Send(Message { payload: Payload::Raw(raw), .. }) if raw.as_bytes() == b"\xff\x00")
        );
        let padded = std::format!("{:<96}", "Hii ?");
        accepts(&padded, &padded.to_lowercase());
        accepts(
            "HII 000102030405060708090a0b0c0d0e0f",
            "hii 000102030405060708090a0b0c0d0e0f",
        );
    }
}
