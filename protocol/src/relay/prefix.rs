//! Messages in a row to one destination: their frames begin with the same octets.

use crate::relay::{Content, Payload, Raw, Request};
use crate::{Limits, ParseError, grammar};

/// The octets of a message's frame before its payload. A frame that begins with the same octets is a message to the same
/// destination with the same kind of payload (`WIRE.md` section 3.1): only that payload has to be looked at.
///
/// ```
/// use hii_protocol::relay::{Payload, Prefix, Request};
///
/// let (request, prefix) = Prefix::decode(b"to:192.0.2.7/9000;content:good morning")?;
/// assert!(matches!(request, Request::Send(_)));
///
/// let prefix = prefix.expect("it is a message, and not too long");
/// let next = b"to:192.0.2.7/9000;content: good night";
/// assert!(matches!(prefix.payload(next), Some(Payload::Content(content)) if content.as_str() == "good night"));
/// // To another destination, and what is no message.
/// assert_eq!(prefix.payload(b"to:192.0.2.7/9001;content:good night"), None);
/// assert_eq!(prefix.payload(b"to:192.0.2.7/9000;content:9:30"), None);
/// # Ok::<(), hii_protocol::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Prefix {
    octets: [u8; Self::MAX_LEN],
    len: usize,
    is_raw: bool,
}

impl Prefix {
    /// The most octets that are kept: all but many blanks or leading zeros fits.
    pub const MAX_LEN: usize = 72;

    /// Takes one whole datagram as [`Request::decode`] does, and what it begins with, if it is a message and that is not
    /// too long.
    ///
    /// # Errors
    /// As [`Request::decode`].
    #[inline]
    pub fn decode(frame: &[u8]) -> Result<(Request<'_>, Option<Self>), ParseError> {
        let request = Request::decode(frame)?;
        let prefix = match request {
            Request::Send(message) => Self::of(frame, matches!(message.payload(), Payload::Raw(_))),
            _ => None,
        };
        Ok((request, prefix))
    }

    /// What the frame of a message begins with.
    fn of(frame: &[u8], is_raw: bool) -> Option<Self> {
        let mut octets = [0; Self::MAX_LEN];
        let kept = frame.len().min(Self::MAX_LEN);
        octets.get_mut(..kept)?.copy_from_slice(frame.get(..kept)?);
        // An address may have colons, but no semicolon.
        let semicolon = octets.iter().position(|octet| *octet == b';')?;
        let key = octets.get(semicolon..kept)?;
        let colon = key.iter().position(|octet| *octet == b':')?;
        // The space that follows.
        let len = semicolon + colon + 1 + usize::from(is_raw);
        (len <= kept).then_some(Self {
            octets,
            len,
            is_raw,
        })
    }

    /// The payload of a frame that begins so, if it is a message; else [`Request::decode`] tells what it is.
    #[expect(clippy::inline_always, reason = "a call costs as much as what it does")]
    #[inline(always)]
    #[must_use]
    pub fn payload<'a>(&self, frame: &'a [u8]) -> Option<Payload<'a>> {
        grammar::datagram(frame, &Limits::DEFAULT).ok()?;
        let rest = frame.strip_prefix(self.octets.get(..self.len)?)?;
        if self.is_raw {
            return Some(Payload::Raw(Raw::unchecked(rest)));
        }
        Content::trimmed(frame, rest).map(Payload::Content)
    }
}
