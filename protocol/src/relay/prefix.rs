//! Messages in a row to one destination: their frames begin with the same octets.

use crate::relay::{Content, Message, Payload, Raw, Request};
use crate::{Limits, grammar};

/// The octets of a message's frame before its payload. A frame that begins with the same octets is a message to the same
/// destination with the same kind of payload (`WIRE.md` section 3.1): only that payload has to be looked at.
///
/// ```
/// use hii_protocol::relay::{Payload, Prefix, Request};
///
/// let frame = b"to:192.0.2.7/9000;content:good morning";
/// let Request::Send(message) = Request::decode(frame)? else { unreachable!() };
/// let prefix = Prefix::of(message, frame).unwrap();
///
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
    /// The most octets that are kept: all that is not blank fits.
    pub const MAX_LEN: usize = 64;

    /// What the frame that this message was decoded from begins with; none, if its blanks make that too long.
    #[must_use]
    pub fn of(message: Message<'_>, frame: &[u8]) -> Option<Self> {
        debug_assert_eq!(Request::decode(frame), Ok(Request::Send(message)));
        let mut octets = [0; Self::MAX_LEN];
        let kept = frame.len().min(Self::MAX_LEN);
        octets.get_mut(..kept)?.copy_from_slice(frame.get(..kept)?);
        // An address may have colons, but no semicolon.
        let semicolon = octets.iter().position(|octet| *octet == b';')?;
        let key = octets.get(semicolon..kept)?;
        let colon = key.iter().position(|octet| *octet == b':')?;
        let is_raw = matches!(message.payload(), Payload::Raw(_));
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
