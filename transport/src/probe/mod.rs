//! A client's UDP socket towards one target, and what the kernel knows of each datagram: when it was handed to the
//! network and when it came from there, who refused it, and how many there was no room for.
//!
//! Linux tells all of that; elsewhere, and where the kernel refuses, datagrams come and go without.

#[cfg(any(test, not(target_os = "linux")))]
#[cfg_attr(
    target_os = "linux",
    allow(dead_code, unreachable_pub, reason = "on Linux it is only tested")
)]
mod plain;
mod stamp_clock;
#[cfg(target_os = "linux")]
mod stamped;

#[cfg(not(target_os = "linux"))]
pub use plain::ProbeSocket;
pub use stamp_clock::{Stamp, StampClock};
#[cfg(target_os = "linux")]
pub use stamped::ProbeSocket;

use std::time::Duration;

use crate::udp::BUFFER_LEN;

/// Octets of control messages with a datagram or a note: more than all that is asked for.
const CONTROL_LEN: usize = 512;

/// Octets of the packet that a note is about: the longest headers, and a probe's number behind them.
const QUOTED_LEN: usize = 512;

/// Room for a datagram and what comes with it.
#[derive(Debug)]
pub struct Buffer {
    octets: Vec<u8>,
    #[cfg_attr(not(target_os = "linux"), expect(dead_code))]
    control: Vec<u8>,
}

impl Buffer {
    /// Room for any datagram.
    #[must_use]
    pub fn for_datagrams() -> Self {
        Self::of(BUFFER_LEN)
    }

    /// Room for any note.
    #[must_use]
    pub fn for_notes() -> Self {
        Self::of(QUOTED_LEN)
    }

    fn of(len: usize) -> Self {
        Self {
            octets: vec![0; len],
            control: vec![0; CONTROL_LEN],
        }
    }

    /// The octets of what was received into it.
    #[must_use]
    pub fn octets(&self, received: &Received) -> &[u8] {
        self.octets.get(..received.len).unwrap_or_default()
    }
}

/// What is known of a datagram that came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// Its length.
    pub len: usize,
    /// When this program had it.
    pub at: Duration,
    /// When the kernel had it from the network: nanoseconds since the Unix epoch by the wall clock.
    pub stamp: Option<u64>,
    /// How many before it this socket had no room for, or had to throw away as damaged, since it was opened. Begins anew
    /// after 2^32.
    pub drops: u32,
}

/// What the kernel tells of a datagram after it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note<'a> {
    /// It was handed to the network.
    Transmitted {
        /// When: nanoseconds since the Unix epoch by the wall clock.
        stamp: u64,
        /// How it went out, headers first; perhaps only the beginning.
        packet: &'a [u8],
    },
    /// A host on the way, or the target, sends it back.
    Refused {
        /// Why.
        icmp: Icmp,
        /// The beginning of what the datagram held, as far as it was sent back.
        quoted: &'a [u8],
    },
    /// It was not sent, since the path takes no packets as long.
    TooLong {
        /// Octets of the longest packet that the path takes, headers included.
        path_mtu: u32,
    },
    /// Something else.
    Other,
}

/// An ICMP error message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmp {
    /// Which protocol it is of: their types and codes are not the same.
    pub version: IcmpVersion,
    /// Its type.
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// The path's MTU, in a message about that.
    pub mtu: u32,
}

/// Which ICMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IcmpVersion {
    /// That of IPv4 (RFC 792).
    V4,
    /// That of IPv6 (RFC 4443).
    V6,
}

impl Icmp {
    /// Nothing listens at the target's port; all that some platforms tell.
    pub const PORT_UNREACHABLE: Self = Self {
        version: IcmpVersion::V4,
        kind: 3,
        code: 3,
        mtu: 0,
    };
}
