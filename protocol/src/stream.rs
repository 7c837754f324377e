//! Frames on a stream: a length of four octets, big-endian, and the payload (`WIRE.md` section 4).

use crate::{Limits, ParseError, Rule};

/// Octets of a frame's length.
pub const HEADER_LEN: usize = 4;

/// The four octets that go before a payload of this many octets.
///
/// ```
/// use hii_protocol::{Limits, stream};
///
/// assert_eq!(stream::header(4, &Limits::DEFAULT)?, [0, 0, 0, 4]);
/// assert!(stream::header(0, &Limits::DEFAULT).is_err());
/// # Ok::<(), hii_protocol::ParseError>(())
/// ```
///
/// # Errors
/// No frame has that length: rule `frame-length`.
pub fn header(payload: usize, limits: &Limits) -> Result<[u8; HEADER_LEN], ParseError> {
    match u32::try_from(payload) {
        Ok(len) if len > 0 && len <= limits.stream_frame => Ok(len.to_be_bytes()),
        _ => Err(ParseError::new(Rule::FrameLength, 0)),
    }
}

/// What a receiver has to do next with the octets it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Wait until there are at least this many octets.
    Wait(usize),
    /// The first [`HEADER_LEN`] octets announce a payload of this many octets, and it is all there.
    Frame(usize),
    /// The first [`HEADER_LEN`] octets announce a malformed frame: drop them and as many octets as this after them.
    Skip(u32),
}

/// Looks at what a receiver holds of a stream, from the start of a frame on. A frame over the limit is skipped before
/// any of it is held.
///
/// ```
/// use hii_protocol::Limits;
/// use hii_protocol::stream::{Step, step};
///
/// assert_eq!(step(b"\x00\x00\x00\x04ex", &Limits::DEFAULT), Step::Wait(8));
/// assert_eq!(step(b"\x00\x00\x00\x04exit", &Limits::DEFAULT), Step::Frame(4));
/// assert_eq!(step(b"\xff\xff\xff\xff", &Limits::DEFAULT), Step::Skip(u32::MAX));
/// ```
#[must_use]
pub fn step(held: &[u8], limits: &Limits) -> Step {
    let Some((header, payload)) = held.split_first_chunk::<HEADER_LEN>() else {
        return Step::Wait(HEADER_LEN);
    };
    let announced = u32::from_be_bytes(*header);
    if announced == 0 || announced > limits.stream_frame {
        return Step::Skip(announced);
    }
    match usize::try_from(announced) {
        Ok(len) if payload.len() >= len => Step::Frame(len),
        Ok(len) => Step::Wait(HEADER_LEN + len),
        Err(_) => Step::Skip(announced),
    }
}

/// The error that a malformed frame stands for.
#[must_use]
pub const fn malformed() -> ParseError {
    ParseError::new(Rule::FrameLength, 0)
}

/// The error that a stream stands for which ends when so many octets of a frame have come, its length included; none when
/// it ends between two frames.
///
/// ```
/// use hii_protocol::{Rule, stream::cut_off};
///
/// let ends_in_the_length = cut_off(3).map(|error| (error.rule(), error.offset()));
/// assert_eq!(ends_in_the_length, Some((Rule::FrameLength, 3)));
/// let ends_after_it = cut_off(7).map(|error| (error.rule(), error.offset()));
/// assert_eq!(ends_after_it, Some((Rule::TcpFrame, 7)));
/// assert_eq!(cut_off(0), None);
/// ```
#[must_use]
pub const fn cut_off(held: usize) -> Option<ParseError> {
    match held {
        0 => None,
        1..HEADER_LEN => Some(ParseError::new(Rule::FrameLength, held)),
        _ => Some(ParseError::new(Rule::TcpFrame, held)),
    }
}

/// Whether a connection that begins with this octet carries frames; any other begins a classic one.
#[must_use]
pub const fn is_framed(first_octet: u8) -> bool {
    first_octet == 0
}
