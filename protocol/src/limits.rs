//! What a receiver takes at most.

/// The longest frame on UDP in octets: what an IPv4 datagram carries (`WIRE.md` section 6).
pub const MAX_DATAGRAM: usize = 65_507;

/// The most that a receiver takes, checked before anything is parsed or allocated. The default is `WIRE.md` section 6.
///
/// ```
/// use hii_protocol::{Limits, ping::Request};
///
/// let small = Limits { datagram: 512, ..Limits::default() };
/// assert!(Request::decode_with(&[b' '; 513], &small).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a whole datagram, at most [`MAX_DATAGRAM`] whatever it says here, and of a stream frame's payload on ping and relay connections.
    pub datagram: usize,
    /// Octets that a stream frame may announce.
    pub stream_frame: u32,
}

impl Limits {
    /// The limits of `WIRE.md` section 6.
    pub const DEFAULT: Self = Self {
        datagram: MAX_DATAGRAM,
        stream_frame: 1 << 20,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
