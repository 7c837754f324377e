//! Writing frames: one description of each frame's octets serves its length, its encoding and its `Display`.

use core::fmt;

use crate::digits::{Decimal, decimal_len, hex, write_decimal};
use crate::{Limits, ParseError};

/// The buffer does not hold the frame; nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the buffer is too small: the frame has {needed} octets")]
pub struct BufferTooSmall {
    /// The frame's length in octets.
    pub needed: usize,
}

/// What all owned frames can do; the codecs are generic over it. The frames' own methods do the same without the trait.
pub trait Frame: Sized {
    /// Takes one whole frame.
    ///
    /// # Errors
    /// The frame breaks the grammar or a limit.
    fn decode_frame(octets: &[u8], limits: &Limits) -> Result<Self, ParseError>;

    /// The frame's length in octets.
    fn frame_len(&self) -> usize;

    /// Writes the frame at the start of `buffer` and returns its length.
    ///
    /// # Errors
    /// The buffer is too small; it is left as it was.
    fn encode_frame(&self, buffer: &mut [u8]) -> Result<usize, BufferTooSmall>;
}

/// Where a frame's octets go.
pub(crate) trait Sink: fmt::Write {
    fn put(&mut self, octets: &[u8]);

    /// Writes a number in decimal.
    fn decimal(&mut self, value: u64) {
        self.put(Decimal::new(value).as_bytes());
    }

    /// Writes the last `N` hex digits of a number.
    fn hex<const N: usize>(&mut self, value: u64) {
        self.put(&hex::<N>(value));
    }

    /// Writes a value's text. A sink does not fail, and neither do the formatters of addresses.
    fn text(&mut self, value: impl fmt::Display) {
        let _ = write!(self, "{value}");
    }

    fn pad(&mut self, spaces: usize) {
        const SPACES: [u8; 64] = [b' '; 64];
        let mut left = spaces;
        while left > 0 {
            let some = left.min(SPACES.len());
            self.put(SPACES.get(..some).unwrap_or_default());
            left -= some;
        }
    }
}

/// A frame that describes its octets.
pub(crate) trait Emit {
    fn emit(&self, sink: &mut impl Sink);

    fn emitted_len(&self) -> usize {
        let mut counter = Counter(0);
        self.emit(&mut counter);
        counter.0
    }

    fn emit_into(&self, buffer: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let needed = self.emitted_len();
        let Some(room) = buffer.get_mut(..needed) else {
            return Err(BufferTooSmall { needed });
        };
        self.emit(&mut Filler { room });
        Ok(needed)
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shower = Shower {
            formatter: f,
            result: Ok(()),
        };
        self.emit(&mut shower);
        shower.result
    }
}

struct Counter(usize);

impl Sink for Counter {
    fn put(&mut self, octets: &[u8]) {
        self.0 += octets.len();
    }

    fn decimal(&mut self, value: u64) {
        self.0 += decimal_len(value);
    }

    fn hex<const N: usize>(&mut self, _: u64) {
        self.0 += N;
    }

    fn pad(&mut self, spaces: usize) {
        self.0 += spaces;
    }
}

impl fmt::Write for Counter {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.put(s.as_bytes());
        Ok(())
    }
}

struct Filler<'a> {
    room: &'a mut [u8],
}

impl Filler<'_> {
    /// Room for the next octets, so many; none where the buffer ends before.
    #[inline]
    fn next(&mut self, len: usize) -> &mut [u8] {
        let room = core::mem::take(&mut self.room);
        let Some((here, rest)) = room.split_at_mut_checked(len) else {
            return &mut [];
        };
        self.room = rest;
        here
    }
}

impl Sink for Filler<'_> {
    #[inline]
    fn put(&mut self, octets: &[u8]) {
        let room = self.next(octets.len());
        if room.len() == octets.len() {
            room.copy_from_slice(octets);
        }
    }

    // In their place: what was just written octet by octet is slow to copy.
    #[inline]
    fn decimal(&mut self, value: u64) {
        write_decimal(value, self.next(decimal_len(value)));
    }

    #[inline]
    fn pad(&mut self, spaces: usize) {
        self.next(spaces).fill(b' ');
    }
}

impl fmt::Write for Filler<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.put(s.as_bytes());
        Ok(())
    }
}

struct Shower<'a, 'f> {
    formatter: &'a mut fmt::Formatter<'f>,
    result: fmt::Result,
}

impl Sink for Shower<'_, '_> {
    fn put(&mut self, octets: &[u8]) {
        for chunk in octets.utf8_chunks() {
            self.text(chunk.valid());
            if !chunk.invalid().is_empty() {
                self.text(char::REPLACEMENT_CHARACTER);
            }
        }
    }
}

impl fmt::Write for Shower<'_, '_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        if self.result.is_ok() {
            self.result = self.formatter.write_str(s);
        }
        self.result
    }
}

/// Gives frame types their public methods, `Display` and `serde` from [`Emit`].
macro_rules! impl_encode {
    ($($type:ty),* $(,)?) => {$(
        impl $type {
            /// The frame's length in octets.
            #[must_use]
            pub fn encoded_len(&self) -> usize {
                $crate::encode::Emit::emitted_len(self)
            }

            /// Writes the frame at the start of `buffer` and returns its length.
            ///
            /// # Errors
            /// The buffer is too small; it is left as it was.
            pub fn encode_into(&self, buffer: &mut [u8]) -> Result<usize, $crate::BufferTooSmall> {
                $crate::encode::Emit::emit_into(self, buffer)
            }

            /// The frame's octets.
            #[cfg(feature = "alloc")]
            #[must_use]
            pub fn to_vec(&self) -> alloc::vec::Vec<u8> {
                let mut octets = alloc::vec![0; self.encoded_len()];
                // The length was asked for just above.
                let _ = self.encode_into(&mut octets);
                octets
            }
        }

        /// The wire text. Octets that are not UTF-8 show as U+FFFD; `encode_into` keeps them.
        impl core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                $crate::encode::Emit::show(self, f)
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $type {
            /// The wire text; octets where the frame is not UTF-8.
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let octets = self.to_vec();
                match core::str::from_utf8(&octets) {
                    Ok(text) => serializer.serialize_str(text),
                    Err(_) => serializer.serialize_bytes(&octets),
                }
            }
        }
    )*};
}
pub(crate) use impl_encode;

/// Implements [`Frame`] and `Deserialize` for owned frame types.
macro_rules! impl_frame {
    ($($type:ty => $decode:expr),* $(,)?) => {$(
        impl $crate::Frame for $type {
            fn decode_frame(octets: &[u8], limits: &$crate::Limits) -> Result<Self, $crate::ParseError> {
                let decode: fn(&[u8], &$crate::Limits) -> Result<Self, $crate::ParseError> = $decode;
                decode(octets, limits)
            }

            fn frame_len(&self) -> usize {
                self.encoded_len()
            }

            fn encode_frame(&self, buffer: &mut [u8]) -> Result<usize, $crate::BufferTooSmall> {
                self.encode_into(buffer)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $type {
            /// Takes the wire text, or octets.
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::encode::deserialize_frame(deserializer)
            }
        }
    )*};
}
pub(crate) use impl_frame;

/// An owned frame is written as what it lends, and read by way of it.
#[cfg(feature = "alloc")]
macro_rules! impl_owned {
    ($owned:ty, $borrowed:ident, $lend:ident) => {
        impl $crate::encode::Emit for $owned {
            fn emit(&self, sink: &mut impl $crate::encode::Sink) {
                self.$lend().emit(sink);
            }
        }

        $crate::encode::impl_encode!($owned);
        $crate::encode::impl_frame!($owned => |frame, limits| {
            $borrowed::decode_with(frame, limits).map($borrowed::into_owned)
        });
    };
}
#[cfg(feature = "alloc")]
pub(crate) use impl_owned;

#[cfg(feature = "serde")]
pub(crate) fn deserialize_frame<'de, F: Frame, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<F, D::Error> {
    struct Octets<F>(core::marker::PhantomData<F>);

    impl<'de, F: Frame> serde::de::Visitor<'de> for Octets<F> {
        type Value = F;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a frame as text or octets")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<F, E> {
            self.visit_bytes(text.as_bytes())
        }

        fn visit_bytes<E: serde::de::Error>(self, octets: &[u8]) -> Result<F, E> {
            F::decode_frame(octets, &Limits::DEFAULT).map_err(E::custom)
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<F, A::Error> {
            let mut octets = alloc::vec::Vec::new();
            while let Some(octet) = seq.next_element::<u8>()? {
                if octets.len() == Limits::DEFAULT.datagram {
                    return Err(serde::de::Error::custom("more octets than a frame holds"));
                }
                octets.push(octet);
            }
            self.visit_bytes(&octets)
        }
    }

    deserializer.deserialize_any(Octets(core::marker::PhantomData))
}
