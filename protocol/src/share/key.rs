//! The key that both sides have (`WIRE.md` section 8.1).

use core::fmt::{self, Write as _};
use core::str::FromStr;

/// RFC 4648 base32.
const ALPHABET: [u8; 32] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A key, 128 bits, always drawn at random: the handshake can be guessed at offline, so that a password would not do.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 16]);

/// Not the text of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not as long as a key.
    #[error("a key has {len} letters and digits, not {0}", len = Key::TEXT_LEN)]
    Length(usize),
    /// A character that keys do not have.
    #[error("character {index}: a key has the letters A to Z and the digits 2 to 7")]
    Character {
        /// Where it stands.
        index: usize,
    },
    /// Bits after the last are not zero.
    #[error("the last character is none that a key ends with: something was mistyped")]
    Spare,
}

impl Key {
    /// Characters of a key's text.
    pub const TEXT_LEN: usize = 26;

    /// A key of these octets, which have to be random.
    #[must_use]
    pub const fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The key's text. There is no other way to print a key.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Two spare bits at the end are zero.
        let bits = u128::from_be_bytes(self.0);
        for place in 0..Self::TEXT_LEN {
            let digit = match 123_usize.checked_sub(place * 5) {
                Some(below) => bits >> below,
                None => bits << 2,
            };
            let index = usize::try_from(digit & 0x1f).unwrap_or_default();
            f.write_char(ALPHABET.get(index).copied().unwrap_or_default().into())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Takes a key's text in any letter case; blanks around it and hyphens or blanks in it mean nothing.
impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let ignored = |c: char| c == '-' || c.is_ascii_whitespace();
        let len = text.chars().filter(|c| !ignored(*c)).count();
        let mut bits: u128 = 0;
        let mut place = 0;
        let mut spare = 0;
        for (index, c) in text.chars().enumerate().filter(|(_, c)| !ignored(*c)) {
            let digit = value(c).ok_or(KeyError::Character { index })?;
            place += 1;
            if place < Self::TEXT_LEN {
                bits = bits << 5 | u128::from(digit);
            } else if place == Self::TEXT_LEN {
                bits = bits << 3 | u128::from(digit >> 2);
                spare = digit & 0b11;
            }
        }
        match (len, spare) {
            (Self::TEXT_LEN, 0) => Ok(Self(bits.to_be_bytes())),
            (Self::TEXT_LEN, _) => Err(KeyError::Spare),
            _ => Err(KeyError::Length(len)),
        }
    }
}

fn value(c: char) -> Option<u8> {
    match c.to_ascii_uppercase() {
        letter @ 'A'..='Z' => u8::try_from(letter).ok().map(|letter| letter - b'A'),
        digit @ '2'..='7' => u8::try_from(digit).ok().map(|digit| digit - b'2' + 26),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;

    proptest! {
        #[test]
        fn text_reads_back(octets: [u8; 16]) {
            let key = Key::new(octets);
            let text = key.to_string();
            prop_assert_eq!(text.len(), Key::TEXT_LEN);
            prop_assert_eq!(text.parse(), Ok(key.clone()));
            let (start, end) = text.split_at(9);
            let spelled = std::format!(" {}-{} {}\n", start.to_lowercase(), &end[..5], &end[5..]);
            prop_assert_eq!(spelled.parse(), Ok(key));
        }
    }

    #[test]
    fn is_rfc_4648() {
        assert_eq!(Key::new([0; 16]).to_string(), "AAAAAAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(
            Key::new([0xff; 16]).to_string(),
            "77777777777777777777777774"
        );
        assert_eq!(
            Key::new(*b"foobarfoobarfoob").to_string(),
            "MZXW6YTBOJTG633CMFZGM33PMI"
        );
        assert_eq!(std::format!("{:?}", Key::new([7; 16])), "Key(..)");
    }

    #[test]
    fn rejects_what_is_no_key() {
        let parse = str::parse::<Key>;
        assert_eq!(parse(""), Err(KeyError::Length(0)));
        assert_eq!(parse(&"A".repeat(27)), Err(KeyError::Length(27)));
        assert_eq!(parse("AA1"), Err(KeyError::Character { index: 2 }));
        assert_eq!(parse("77777777777777777777777777"), Err(KeyError::Spare));
    }
}
