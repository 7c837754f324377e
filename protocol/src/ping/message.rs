//! Ordinary messages: whatever is no other request (`WIRE.md` section 2.1).

use core::fmt;

use crate::Escaped;
use crate::encode::{Emit, Sink};
use crate::limits::MAX_DATAGRAM;
use crate::ping::Request;

/// An ordinary message: any octets that are no other request of the ping service.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Message<'a>(&'a [u8]);

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message(\"{}\")", Escaped(self.0))
    }
}

/// Not an ordinary message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The octets have a meaning of their own: `exit`, a probe, or anything that begins with `C`.
    #[error("octet 0: these octets are another request, not an ordinary message")]
    AnotherRequest,
    /// No datagram holds it.
    #[error("a message has at most 65507 octets, not {0}")]
    TooLong(usize),
}

impl<'a> Message<'a> {
    /// The message of the original client with a fixed interval.
    pub const HELLO: Message<'static> = Message(b"Hello Server");

    /// The message of the original client whose interval shrinks.
    pub const HELLO_OF_RAMP: Message<'static> = Message(b"Hello Server.");

    /// Whether an original client measures with this message.
    #[must_use]
    pub fn is_classic_probe(self) -> bool {
        self == Self::HELLO || self == Self::HELLO_OF_RAMP
    }

    /// An ordinary message of these octets.
    ///
    /// # Errors
    /// The octets are another request, or more than a datagram holds.
    pub fn new(octets: &'a [u8]) -> Result<Self, MessageError> {
        if octets.len() > MAX_DATAGRAM {
            return Err(MessageError::TooLong(octets.len()));
        }
        match Request::decode(octets) {
            Ok(Request::Message(message)) => Ok(message),
            _ => Err(MessageError::AnotherRequest),
        }
    }

    /// For the decoder, which has tried every other request.
    pub(crate) const fn unchecked(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// The message's octets.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

impl Emit for Message<'_> {
    fn emit(&self, sink: &mut impl Sink) {
        sink.put(self.0);
    }
}

/// An ordinary message that owns its octets.
#[cfg(feature = "alloc")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MessageBuf(alloc::boxed::Box<[u8]>);

#[cfg(feature = "alloc")]
impl MessageBuf {
    /// The message, borrowed.
    #[must_use]
    pub fn as_message(&self) -> Message<'_> {
        Message(&self.0)
    }
}

#[cfg(feature = "alloc")]
impl fmt::Debug for MessageBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_message().fmt(f)
    }
}

#[cfg(feature = "alloc")]
impl From<Message<'_>> for MessageBuf {
    fn from(message: Message<'_>) -> Self {
        Self(message.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_has_a_meaning_of_its_own() {
        for octets in [&b"exit"[..], b"C 128", b"Cat", b"C", b"P 00c0ffee 7"] {
            assert_eq!(Message::new(octets), Err(MessageError::AnotherRequest));
        }
        assert_eq!(Message::new(b"Hello Server"), Ok(Message::HELLO));
        assert!(Message::new(b"").is_ok());
        assert!(Message::new(b"\xff").is_ok());
        let long = std::vec![b'x'; MAX_DATAGRAM + 1];
        assert_eq!(
            Message::new(&long),
            Err(MessageError::TooLong(MAX_DATAGRAM + 1))
        );
        assert!(Message::new(&long[1..]).is_ok());
    }
}
