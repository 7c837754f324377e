//! What a message carries: content, as the original programs do, or raw octets (`WIRE.md` section 3.1).

use core::{fmt, str};

use crate::Escaped;
use crate::encode::Sink;
use crate::grammar::{contains, is_blank, trim_end, trim_start};
use crate::limits::MAX_DATAGRAM;

/// Text that the classic form carries: no `:`, and no blank at either end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Content<'a>(&'a str);

/// Not content that the classic form carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// An octet that content may not hold there: `:` anywhere, a blank at either end.
    #[error("octet {index}: content cannot hold {:?} there (raw payload can)", char::from(*.octet))]
    Octet {
        /// The octet.
        octet: u8,
        /// Where it stands.
        index: usize,
    },
    /// No datagram holds it.
    #[error("content has at most {max} octets, not {0}", max = Content::MAX_LEN)]
    TooLong(usize),
}

impl<'a> Content<'a> {
    /// The most octets that a datagram with the shortest header holds.
    pub const MAX_LEN: usize = MAX_DATAGRAM - "to:[::]/1;content:".len();

    /// Content of this text.
    ///
    /// # Errors
    /// The text has a `:`, a blank (space, tab, CR, LF, VT, FF) at either end, or more octets than a datagram holds.
    pub fn new(text: &'a str) -> Result<Self, ContentError> {
        // Before its length: a text that is no content has another limit.
        match Self::wrong_octet(text.as_bytes()) {
            Some((index, octet)) => Err(ContentError::Octet { octet, index }),
            None if text.len() > Self::MAX_LEN => Err(ContentError::TooLong(text.len())),
            None => Ok(Self(text)),
        }
    }

    /// The first octet that content may not hold where it stands.
    pub(crate) fn wrong_octet(text: &[u8]) -> Option<(usize, u8)> {
        let colon = text.iter().position(|octet| *octet == b':');
        let first = text
            .first()
            .is_some_and(|octet| is_blank(*octet))
            .then_some(0);
        let end = text
            .iter()
            .rposition(|octet| !is_blank(*octet))
            .map_or(0, |last| last + 1);
        let last = (end < text.len()).then_some(end);
        let index = [colon, first, last].into_iter().flatten().min()?;
        Some((index, *text.get(index)?))
    }

    /// The content that is a frame's last part: without the blanks around it, when it is text without a `:`.
    ///
    /// All of the frame is checked to be UTF-8, as what stands before has been found to be: from its start, which is
    /// the start of a buffer and so aligned, that takes fewer steps.
    #[inline]
    pub(crate) fn trimmed(frame: &'a [u8], part: &[u8]) -> Option<Self> {
        if contains(part, b':') {
            return None;
        }
        let rest = trim_start(part);
        let start = frame.len().checked_sub(rest.len())?;
        let text = str::from_utf8(frame).ok()?;
        text.get(start..start + trim_end(rest).len()).map(Self)
    }

    /// For the decoder, which has looked at every octet.
    pub(crate) const fn unchecked(text: &'a str) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

/// Any octets, for programs of ours only.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Raw<'a>(&'a [u8]);

impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw(\"{}\")", Escaped(self.0))
    }
}

/// More raw octets than a datagram holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("raw payload has at most {max} octets, not {0}", max = Raw::MAX_LEN)]
pub struct RawTooLong(
    /// How many octets there were.
    pub usize,
);

impl<'a> Raw<'a> {
    /// The most octets that a datagram with the shortest header holds.
    pub const MAX_LEN: usize = MAX_DATAGRAM - "to:[::]/1;raw : ".len();

    /// A raw payload of these octets.
    ///
    /// # Errors
    /// There are more than a datagram holds.
    pub const fn new(octets: &'a [u8]) -> Result<Self, RawTooLong> {
        if octets.len() > Self::MAX_LEN {
            return Err(RawTooLong(octets.len()));
        }
        Ok(Self(octets))
    }

    /// For the decoder, whose frame is within the limit.
    pub(crate) const fn unchecked(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// The octets.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// The frame would be longer than a datagram: the address is too long for the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the frame would have {len} octets, and a datagram has at most {max}", max = MAX_DATAGRAM)]
pub struct FrameTooLong {
    /// Octets that the frame would have.
    pub len: usize,
}

/// Refuses a frame that no datagram carries.
pub(crate) fn fits(len: usize) -> Result<(), FrameTooLong> {
    if len > MAX_DATAGRAM {
        return Err(FrameTooLong { len });
    }
    Ok(())
}

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Payload<'a> {
    /// Text, as the original programs send it.
    Content(Content<'a>),
    /// Any octets, for programs of ours only.
    Raw(Raw<'a>),
}

impl Payload<'_> {
    /// How many octets it has.
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Content(content) => content.0.len(),
            Self::Raw(raw) => raw.0.len(),
        }
    }

    /// After `to:<ip>/<port>;`
    pub(crate) fn emit_in_request(self, sink: &mut impl Sink) {
        match self {
            Self::Content(content) => {
                sink.put(b"content:");
                sink.put(content.0.as_bytes());
            }
            Self::Raw(raw) => {
                sink.put(b"raw : ");
                sink.put(raw.0);
            }
        }
    }

    /// After `<ip>/<port> ; `
    pub(crate) fn emit_in_forward(self, sink: &mut impl Sink) {
        match self {
            Self::Content(content) => {
                sink.put(b"content : ");
                sink.put(content.0.as_bytes());
            }
            Self::Raw(raw) => {
                sink.put(b"raw : ");
                sink.put(raw.0);
            }
        }
    }
}

#[cfg(feature = "alloc")]
mod owned {
    use alloc::boxed::Box;
    use core::fmt;

    use super::{Content, Payload, Raw};

    /// A [`Content`] that owns its text.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    pub struct ContentBuf(Box<str>);

    impl ContentBuf {
        /// The content, borrowed.
        #[must_use]
        pub fn as_content(&self) -> Content<'_> {
            Content(&self.0)
        }
    }

    impl From<Content<'_>> for ContentBuf {
        fn from(content: Content<'_>) -> Self {
            Self(content.0.into())
        }
    }

    /// A [`Raw`] that owns its octets.
    #[derive(Clone, PartialEq, Eq, Hash)]
    pub struct RawBuf(Box<[u8]>);

    impl fmt::Debug for RawBuf {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.as_raw().fmt(f)
        }
    }

    impl RawBuf {
        /// The payload, borrowed.
        #[must_use]
        pub fn as_raw(&self) -> Raw<'_> {
            Raw(&self.0)
        }
    }

    impl From<Raw<'_>> for RawBuf {
        fn from(raw: Raw<'_>) -> Self {
            Self(raw.0.into())
        }
    }

    /// A [`Payload`] that owns its octets.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    pub enum PayloadBuf {
        /// Text, as the original programs send it.
        Content(ContentBuf),
        /// Any octets, for programs of ours only.
        Raw(RawBuf),
    }

    impl PayloadBuf {
        /// The payload, borrowed.
        #[must_use]
        pub fn as_payload(&self) -> Payload<'_> {
            match self {
                Self::Content(content) => Payload::Content(content.as_content()),
                Self::Raw(raw) => Payload::Raw(raw.as_raw()),
            }
        }
    }

    impl From<Payload<'_>> for PayloadBuf {
        fn from(payload: Payload<'_>) -> Self {
            match payload {
                Payload::Content(content) => Self::Content(content.into()),
                Payload::Raw(raw) => Self::Raw(raw.into()),
            }
        }
    }
}
#[cfg(feature = "alloc")]
pub use owned::{ContentBuf, PayloadBuf, RawBuf};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_errors_name_octet_and_index() {
        let wrong = |text| Content::new(text).unwrap_err();
        assert_eq!(
            wrong("12:30"),
            ContentError::Octet {
                octet: b':',
                index: 2
            }
        );
        assert_eq!(
            wrong(" hi"),
            ContentError::Octet {
                octet: b' ',
                index: 0
            }
        );
        assert_eq!(
            wrong("hi \n"),
            ContentError::Octet {
                octet: b' ',
                index: 2
            }
        );
        assert_eq!(
            wrong("\t"),
            ContentError::Octet {
                octet: b'\t',
                index: 0
            }
        );
        let long = "x".repeat(Content::MAX_LEN + 1);
        assert_eq!(wrong(&long), ContentError::TooLong(Content::MAX_LEN + 1));
        assert!(Content::new(&long[1..]).is_ok());
        assert!(matches!(
            wrong(&long.replace("xx", "x:")),
            ContentError::Octet { index: 1, .. }
        ));
        assert!(Content::new("").is_ok());
        // Not one of the six blanks, so part of the text.
        assert!(Content::new("\u{a0}hi\u{85}").is_ok());
    }
}
