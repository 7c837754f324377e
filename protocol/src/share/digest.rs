//! What octets are told apart by: their BLAKE3 hash (`WIRE.md` section 8.2).

use core::fmt;

use crate::Rule;
use crate::encode::Sink;
use crate::grammar::{Parsed, hex, rule};

/// A BLAKE3 hash, 256 bits. This crate does not reckon it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(
    /// In the order of the hex digits.
    pub [u8; 32],
);

/// `digest = 64hex`
pub(super) fn digest(input: &[u8]) -> Parsed<'_, Digest> {
    rule(Rule::Digest, |mut input| {
        let mut octets = [0; 32];
        let (parts, _) = octets.as_chunks_mut::<8>();
        for part in parts {
            let (rest, value) = hex::<16>(input)?;
            (input, *part) = (rest, value.to_be_bytes());
        }
        Ok((input, Digest(octets)))
    })(input)
}

impl Digest {
    pub(super) fn emit(self, sink: &mut impl Sink) {
        let (parts, _) = self.0.as_chunks::<8>();
        for part in parts {
            sink.hex::<16>(u64::from_be_bytes(*part));
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}
