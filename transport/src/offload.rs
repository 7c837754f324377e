//! Several datagrams in one system call: what quinn-udp sets up for it, what the kernel takes, and how it refuses.

use std::io;

use quinn_udp::UdpSocketState;
use socket2::Socket;

/// The most datagrams in one call: what the kernel takes.
pub const MOST_SEGMENTS: usize = 64;

/// The most octets of all datagrams in one call.
pub const MOST_OCTETS: usize = 65_507;

/// The longest datagram that is sent together with others: what every IPv6 path takes, and nearly every IPv4 path. A
/// longer one may be refused for its path.
const LONGEST_SEGMENT: usize = 1232;

/// A socket's state in quinn-udp, and what the kernel takes in one call.
#[derive(Debug)]
pub(crate) struct Offload {
    pub(crate) state: UdpSocketState,
    /// The most datagrams in one call, as it was at the start. quinn-udp's own number falls to 1 for good when a call
    /// fails with EIO or EINVAL, which one destination is enough for.
    max_segments: usize,
}

/// Sets a socket up for it, and leaves its other options as they were. `reports_destination`: whether each datagram that comes
/// reports its destination address and interface.
pub(crate) fn prepare(socket: &Socket, reports_destination: bool) -> io::Result<Offload> {
    let fragments = Fragments::of(socket);
    let state = UdpSocketState::new(socket.into())?;
    fragments.restore(socket);
    take_bare(socket, reports_destination);
    let max_segments = state.max_gso_segments().min(MOST_SEGMENTS);
    Ok(Offload {
        state,
        max_segments,
    })
}

impl Offload {
    /// Whether a datagram of this length may go in one call behind so many octets in so many datagrams, the first of which
    /// is so long. The last one may be shorter; it is for the caller to let nothing follow that.
    pub(crate) fn joins(&self, len: usize, octets: usize, segments: usize, first: usize) -> bool {
        segments < self.max_segments
            && first <= LONGEST_SEGMENT
            && (1..=first).contains(&len)
            && octets + len <= MOST_OCTETS
    }

    /// How many datagrams of this length may go in one call.
    pub(crate) fn most_together(&self, len: usize) -> usize {
        if len == 0 || len > LONGEST_SEGMENT {
            return 1;
        }
        (MOST_OCTETS / len).min(self.max_segments).max(1)
    }
}

/// Whether the kernel refused to send several datagrams together that it may take one by one.
pub(crate) fn refuses_together(error: &io::Error) -> bool {
    const EIO: i32 = 5;
    const EINVAL: i32 = 22;
    const EMSGSIZE: i32 = 90;
    matches!(error.raw_os_error(), Some(EIO | EINVAL | EMSGSIZE))
}

/// What quinn-udp sets for QUIC and has to be undone: datagrams above the path's MTU are to be fragmented, not refused,
/// unless the user wants it so; and control messages that nobody reads only take time, and room from the others.
#[cfg(target_os = "linux")]
mod imp {
    use nix::sys::socket::{getsockopt, setsockopt, sockopt};
    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, ip_mtu_discover, ipv6_mtu_discover,
        set_ip_mtu_discover, set_ipv6_mtu_discover,
    };
    use socket2::{Domain, Socket};

    /// How a socket treats datagrams above the path's MTU; none of a family that it has not.
    pub(crate) struct Fragments {
        v4: Option<Ipv4PathMtuDiscovery>,
        v6: Option<Ipv6PathMtuDiscovery>,
        v6_never: Option<bool>,
    }

    impl Fragments {
        pub(crate) fn of(socket: &Socket) -> Self {
            Self {
                v4: ip_mtu_discover(socket).ok(),
                v6: ipv6_mtu_discover(socket).ok(),
                v6_never: getsockopt(socket, sockopt::Ipv6DontFrag).ok(),
            }
        }

        /// Each fails where the option is not there, and then there is nothing to restore.
        pub(crate) fn restore(self, socket: &Socket) {
            if let Some(v4) = self.v4 {
                let _ = set_ip_mtu_discover(socket, v4);
            }
            if let Some(v6) = self.v6 {
                let _ = set_ipv6_mtu_discover(socket, v6);
            }
            if let Some(never) = self.v6_never {
                let _ = setsockopt(socket, sockopt::Ipv6DontFrag, &never);
            }
        }
    }

    /// Has each datagram report its destination address and interface. The kernel notes these when a datagram arrives, so it
    /// is asked before the socket is bound. A socket of both families reports IPv4 as mapped addresses; the option of IPv4
    /// would add a second control message to each datagram, for which quinn-udp has barely room beside that of GRO.
    pub(crate) fn report_destination(socket: &Socket) {
        let _ = match socket.domain() {
            Ok(Domain::IPV4) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true),
            _ => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true),
        };
    }

    /// Leaves out what nobody reads: the kernel makes and copies each control message for each datagram. An option of the
    /// other family fails.
    pub(crate) fn take_bare(socket: &Socket, reports_destination: bool) {
        let _ = setsockopt(socket, sockopt::IpRecvTos, &false);
        let _ = setsockopt(socket, sockopt::Ipv6RecvTClass, &false);
        let _ = setsockopt(socket, sockopt::ReceiveTimestampns, &false);
        if !reports_destination {
            let _ = setsockopt(socket, sockopt::Ipv4PacketInfo, &false);
            let _ = setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &false);
        }
    }

    /// Whether the socket marks its datagrams. quinn-udp marks each call's, with nothing but ECN.
    pub(crate) fn is_marked(socket: &Socket) -> bool {
        let is_set = |mark: std::io::Result<u32>| mark.is_ok_and(|mark| mark != 0);
        is_set(socket.tos_v4()) || is_set(socket.tclass_v6())
    }

    /// Lets datagrams come one by one again.
    pub(crate) fn take_one_by_one(socket: &Socket) {
        // Where the kernel cannot hand over several together, there is nothing to switch off.
        let _ = setsockopt(socket, sockopt::UdpGroSegment, &false);
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use socket2::Socket;

    pub(crate) struct Fragments;

    impl Fragments {
        pub(crate) fn of(_: &Socket) -> Self {
            Self
        }

        pub(crate) fn restore(self, _: &Socket) {}
    }

    pub(crate) fn report_destination(_: &Socket) {}

    pub(crate) fn take_bare(_: &Socket, _: bool) {}

    pub(crate) fn is_marked(_: &Socket) -> bool {
        false
    }

    pub(crate) fn take_one_by_one(_: &Socket) {}
}

use imp::{Fragments, take_bare};
pub(crate) use imp::{is_marked, report_destination, take_one_by_one};

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::udp;
    use nix::sys::socket::{getsockopt, sockopt::Ipv6DontFrag};
    use rustix::net::sockopt;
    use socket2::SockRef;

    #[test]
    fn long_datagrams_are_fragmented_not_refused() {
        for address in ["127.0.0.1:0", "[::]:0"] {
            let Ok(socket) = udp::listen(address.parse().unwrap()) else {
                continue; // a host without IPv6
            };
            let before = sockopt::ip_mtu_discover(&socket).unwrap();
            prepare(&SockRef::from(&socket), true).unwrap();
            assert_eq!(sockopt::ip_mtu_discover(&socket).unwrap(), before);
            if socket.local_addr().unwrap().is_ipv6() {
                let after = sockopt::ipv6_mtu_discover(&socket).unwrap();
                assert_eq!(after, sockopt::Ipv6PathMtuDiscovery::WANT);
                assert!(!getsockopt(&socket, Ipv6DontFrag).unwrap());
            }
        }
    }

    #[test]
    fn a_socket_that_is_never_to_fragment_stays_so() {
        let socket = udp::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        sockopt::set_ip_mtu_discover(&socket, sockopt::Ipv4PathMtuDiscovery::DO).unwrap();
        prepare(&SockRef::from(&socket), true).unwrap();
        let after = sockopt::ip_mtu_discover(&socket).unwrap();
        assert_eq!(after, sockopt::Ipv4PathMtuDiscovery::DO);
    }

    #[test]
    fn one_call_takes_what_the_kernel_takes() {
        let socket = udp::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let offload = prepare(&SockRef::from(&socket), true).unwrap();
        let most = offload.state.max_gso_segments().min(64);
        for (len, together) in [
            (0, 1),
            (1, most),
            (1023, most),
            (1232, 53.min(most)),
            (1233, 1),
        ] {
            assert_eq!(offload.most_together(len), together, "{len}");
        }
    }
}
