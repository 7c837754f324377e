//! What people are told, and what files hold (`WIRE.md` section 8.2).

use core::str;

use crate::grammar::{Parsed, fault};
use crate::{Escaped, MAX_DATAGRAM, Rule};

/// A text that no frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("a text has at most {max} octets, not {0}", max = Text::MAX_LEN)]
pub struct TextTooLong(pub usize);

/// Octets that no frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("a frame carries 1 to {max} octets of a file, not {0}", max = Data::MAX_LEN)]
pub struct DataLength(pub usize);

/// A text for people. It comes from a stranger: show it [`escaped`](Self::escaped).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// The most octets.
    pub const MAX_LEN: usize = 1024;

    /// No text.
    pub const EMPTY: Self = Self("");

    /// This text.
    ///
    /// # Errors
    /// It has more octets than [`MAX_LEN`](Self::MAX_LEN).
    pub const fn new(text: &'a str) -> Result<Self, TextTooLong> {
        if text.len() > Self::MAX_LEN {
            return Err(TextTooLong(text.len()));
        }
        Ok(Self(text))
    }

    /// As much of this text as fits.
    #[must_use]
    pub fn cut(text: &'a str) -> Self {
        let mut ends = (0..=Self::MAX_LEN.min(text.len())).rev();
        Self(ends.find_map(|end| text.get(..end)).unwrap_or_default())
    }

    /// The text as it came.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The text, safe to show.
    #[must_use]
    pub const fn escaped(self) -> Escaped<'a> {
        Escaped(self.0.as_bytes())
    }
}

/// `text = *1024UTF8-octets`, to the end of the frame
pub(super) fn text(input: &[u8]) -> Parsed<'_, Text<'_>> {
    match str::from_utf8(input) {
        Err(error) => fault(
            Rule::Utf8,
            input.get(error.valid_up_to()..).unwrap_or_default(),
        ),
        Ok(text) => match Text::new(text) {
            Ok(text) => Ok((&[], text)),
            Err(_) => fault(Rule::Text, input.get(Text::MAX_LEN..).unwrap_or_default()),
        },
    }
}

/// Octets of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Data<'a>(&'a [u8]);

impl<'a> Data<'a> {
    /// The most octets that one frame carries.
    pub const MAX_LEN: usize = MAX_DATAGRAM - "data ".len();

    /// These octets.
    ///
    /// # Errors
    /// There are none, or more than [`MAX_LEN`](Self::MAX_LEN).
    pub const fn new(octets: &'a [u8]) -> Result<Self, DataLength> {
        match octets.len() {
            1..=Self::MAX_LEN => Ok(Self(octets)),
            len => Err(DataLength(len)),
        }
    }

    /// For the decoder, which has checked the frame's length.
    pub(super) const fn unchecked(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// The octets.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

#[cfg(feature = "alloc")]
mod owned {
    use alloc::string::String;

    use super::Text;

    /// A [`Text`] that owns its octets.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    pub struct TextBuf(String);

    impl TextBuf {
        /// The text, borrowed.
        #[must_use]
        pub fn as_text(&self) -> Text<'_> {
            Text(&self.0)
        }
    }

    impl From<Text<'_>> for TextBuf {
        fn from(text: Text<'_>) -> Self {
            Self(text.0.into())
        }
    }
}
#[cfg(feature = "alloc")]
pub use owned::TextBuf;
