//! An address and a port that a message can go to.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::num::NonZeroU16;
use core::str::FromStr;

use crate::encode::{Emit, Sink};
use crate::grammar;

/// An IP address and a port from 1; an IPv4-mapped IPv6 address is the IPv4 address.
///
/// Its text is `<ip>/<port>` or `[<ipv6>]/<port>`, without blanks and leading zeros (`forward-from` in `WIRE.md` section
/// 3.3).
///
/// ```
/// use hii_protocol::Endpoint;
///
/// let endpoint: Endpoint = "[2001:db8::7]/9000".parse()?;
/// assert_eq!(endpoint.port(), 9000);
/// assert_eq!(Endpoint::new("::ffff:192.0.2.7".parse().unwrap(), 1)?.to_string(), "192.0.2.7/1");
/// assert!(Endpoint::new("192.0.2.7".parse().unwrap(), 0).is_err());
/// # Ok::<(), hii_protocol::EndpointError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    ip: IpAddr,
    port: NonZeroU16,
}

/// Not an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Nothing can be sent to port 0.
    #[error("port 0 cannot be sent to: give one from 1 to 65535")]
    PortZero,
    /// The text is not `<ip>/<port>`.
    #[error("not <ip>/<port> or [<ipv6>]/<port>: octet {offset}, expected {expected}")]
    Text {
        /// Where the text went wrong, in octets.
        offset: usize,
        /// What was expected there.
        expected: &'static str,
    },
}

impl Endpoint {
    /// An endpoint of this address and port.
    ///
    /// # Errors
    /// The port is 0.
    pub fn new(ip: IpAddr, port: u16) -> Result<Self, EndpointError> {
        let port = NonZeroU16::new(port).ok_or(EndpointError::PortZero)?;
        Ok(Self::from_parts(ip, port))
    }

    pub(crate) fn from_parts(ip: IpAddr, port: NonZeroU16) -> Self {
        let ip = ip.to_canonical();
        Self { ip, port }
    }

    /// The address; never an IPv4-mapped one.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        self.ip
    }

    /// The port, from 1.
    #[must_use]
    pub const fn port(self) -> u16 {
        self.port.get()
    }

    /// `('<ip>', <port>)`, as a relay tells a sender its own address.
    pub(crate) fn emit_tuple(self, sink: &mut impl Sink) {
        sink.put(b"('");
        match self.ip {
            IpAddr::V4(ip) => emit_v4(ip, sink),
            IpAddr::V6(ip) => sink.text(ip),
        }
        sink.put(b"', ");
        sink.decimal(u64::from(self.port.get()));
        sink.put(b")");
    }
}

impl Emit for Endpoint {
    fn emit(&self, sink: &mut impl Sink) {
        match self.ip {
            IpAddr::V4(ip) => emit_v4(ip, sink),
            IpAddr::V6(ip) => {
                sink.put(b"[");
                sink.text(ip);
                sink.put(b"]");
            }
        }
        sink.put(b"/");
        sink.decimal(u64::from(self.port.get()));
    }
}

/// `ipv4`, without `core::fmt`: a relay writes one for every message.
fn emit_v4(ip: Ipv4Addr, sink: &mut impl Sink) {
    let [first, rest @ ..] = ip.octets();
    sink.decimal(u64::from(first));
    for octet in rest {
        sink.put(b".");
        sink.decimal(u64::from(octet));
    }
}

impl TryFrom<SocketAddr> for Endpoint {
    type Error = EndpointError;

    fn try_from(address: SocketAddr) -> Result<Self, EndpointError> {
        Self::new(address.ip(), address.port())
    }
}

impl From<Endpoint> for SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        Self::new(endpoint.ip, endpoint.port())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(f)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        grammar::whole(text.as_bytes(), grammar::endpoint).map_err(|error| EndpointError::Text {
            offset: error.offset(),
            expected: error.rule().expected(),
        })
    }
}
