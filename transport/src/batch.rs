//! A service's socket, that takes and sends many datagrams in one system call where the kernel can (GRO and GSO).

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::datagrams::Peer;
use crate::udp::{BUFFER_LEN, canonical};

/// Buffers that one system call fills, each with one datagram or with several of one sender.
const BUFFERS: usize = 8;

/// The most datagrams in one call, and the most octets of all of them: what the kernel takes.
const MOST_SEGMENTS: usize = 64;
const MOST_OCTETS: usize = 65_507;

/// The longest datagram that is sent together with others: what every path takes. A longer one may be refused for its
/// path, and quinn-udp would never again send two together.
const LONGEST_SEGMENT: usize = 1232;

/// A socket of a service.
#[derive(Debug)]
pub(crate) struct BatchSocket<'a> {
    socket: &'a UdpSocket,
    state: UdpSocketState,
    is_ipv6: bool,
    /// Whether it has several addresses, so that an answer has to say from which of them it goes: the routing table
    /// knows nothing of the question, and may choose one that the other side never asked.
    is_everywhere: bool,
}

impl<'a> BatchSocket<'a> {
    pub(crate) fn new(socket: &'a UdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new(socket.into())?;
        undo(socket);
        let local = socket.local_addr()?;
        Ok(Self {
            socket,
            state,
            is_ipv6: local.is_ipv6(),
            is_everywhere: local.ip().is_unspecified(),
        })
    }

    pub(crate) fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        // An error shows again when the datagrams are taken.
        self.socket.poll_recv_ready(context).map(drop)
    }

    /// Takes what is there; the datagrams are then in `arrivals`.
    pub(crate) fn receive(&self, arrivals: &mut Arrivals) {
        arrivals.filled = 0;
        arrivals.asked_counts = self.is_everywhere;
        let mut rooms = arrivals.octets.chunks_mut(BUFFER_LEN);
        let mut rooms: [_; BUFFERS] =
            std::array::from_fn(|_| IoSliceMut::new(rooms.next().unwrap_or_default()));
        let received = self.socket.try_io(Interest::READABLE, || {
            self.state
                .recv(self.socket.into(), &mut rooms, &mut arrivals.metas)
        });
        match received {
            Ok(filled) => arrivals.filled = filled,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // An error of an earlier send.
            Err(error) => tracing::debug!(%error, "receive"),
        }
    }

    /// Whether a datagram of this length may go in one call behind so many octets in so many datagrams, the first of
    /// which is so long. The last one may be shorter; it is for the caller to let nothing follow that.
    pub(crate) fn joins(&self, len: usize, octets: usize, segments: usize, first: usize) -> bool {
        let most = self.state.max_gso_segments().min(MOST_SEGMENTS);
        segments < most
            && first <= LONGEST_SEGMENT
            && (1..=first).contains(&len)
            && octets + len <= MOST_OCTETS
    }

    /// Sends datagrams of this length, the last of which may be shorter, one behind the other in `octets`.
    pub(crate) fn send(&self, to: Peer, octets: &[u8], segment: usize) -> io::Result<()> {
        let transmit = Transmit {
            destination: if self.is_ipv6 {
                as_ipv6(to.address)
            } else {
                to.address
            },
            ecn: None,
            contents: octets,
            segment_size: (octets.len() > segment).then_some(segment),
            src_ip: to.asked,
        };
        // Waiting for room would delay everybody else: a full send buffer costs these answers.
        self.socket.try_io(Interest::WRITABLE, || {
            self.state.try_send(self.socket.into(), &transmit)
        })
    }
}

/// Undoes what quinn-udp sets for QUIC: datagrams above the path's MTU are to be fragmented, not refused, and time
/// stamps that nobody reads only take room from the other control messages.
#[cfg(target_os = "linux")]
fn undo(socket: &UdpSocket) {
    use nix::sys::socket::{setsockopt, sockopt};
    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
    };
    // Each fails where the family or the option is not there, and then there is nothing to undo.
    let _ = set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::WANT);
    let _ = set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::WANT);
    let _ = setsockopt(socket, sockopt::Ipv6DontFrag, &false);
    let _ = setsockopt(socket, sockopt::ReceiveTimestampns, &false);
}

#[cfg(not(target_os = "linux"))]
fn undo(_: &UdpSocket) {}

/// Whether the kernel refused to send several datagrams together that it may take one by one.
pub(crate) fn refuses_together(error: &io::Error) -> bool {
    const EIO: i32 = 5;
    const EINVAL: i32 = 22;
    const EMSGSIZE: i32 = 90;
    matches!(error.raw_os_error(), Some(EIO | EINVAL | EMSGSIZE))
}

/// The address as a dual-stack socket wants it.
fn as_ipv6(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        v6 @ SocketAddr::V6(_) => v6,
    }
}

/// Datagrams that came in one call.
pub(crate) struct Arrivals {
    octets: Vec<u8>,
    metas: [RecvMeta; BUFFERS],
    filled: usize,
    /// Whether the socket has several addresses.
    asked_counts: bool,
}

/// Where a datagram came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    /// The address of this host that it came to, where the socket has several and the platform tells it.
    pub(crate) asked: Option<IpAddr>,
}

impl Arrivals {
    pub(crate) fn new() -> Self {
        Self {
            octets: vec![0; BUFFERS * BUFFER_LEN],
            metas: std::array::from_fn(|_| RecvMeta::default()),
            filled: 0,
            asked_counts: false,
        }
    }

    /// Each datagram and where it came from, in the order they came.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = (Origin, &[u8])> {
        let rooms = self.octets.chunks(BUFFER_LEN);
        let filled = self.metas.iter().take(self.filled);
        filled.zip(rooms).flat_map(|(meta, room)| {
            let octets = room.get(..meta.len).unwrap_or_default();
            let origin = Origin {
                address: canonical(meta.addr),
                asked: meta
                    .dst_ip
                    .filter(|ip| self.asked_counts && can_answer(*ip)),
            };
            split(octets, meta.stride).map(move |datagram| (origin, datagram))
        })
    }
}

/// Whether an answer can go out from the address that was asked: not from one that is many hosts'. The kernel would
/// refuse it, and quinn-udp would take that for a network card that cannot send several together.
fn can_answer(asked: IpAddr) -> bool {
    match asked.to_canonical() {
        IpAddr::V4(v4) => !v4.is_broadcast() && !v4.is_multicast(),
        IpAddr::V6(v6) => !v6.is_multicast(),
    }
}

/// Datagrams of this length, the last of which may be shorter; no octets are one empty datagram.
fn split(octets: &[u8], stride: usize) -> impl Iterator<Item = &[u8]> {
    let empty: Option<&[u8]> = octets.is_empty().then_some(&[]);
    empty.into_iter().chain(octets.chunks(stride.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_split_into_its_datagrams_and_nothing_is_an_empty_one() {
        let split = |octets: &'static [u8], stride| split(octets, stride).collect::<Vec<_>>();
        assert_eq!(split(b"aabbc", 2), [&b"aa"[..], b"bb", b"c"]);
        assert_eq!(split(b"aab", 3), [b"aab"]);
        assert_eq!(split(b"", 0), [b""]);
        assert_eq!(split(b"a", 0), [b"a"]);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn long_datagrams_are_fragmented_not_refused() {
        use rustix::net::sockopt;
        for address in ["127.0.0.1:0", "[::]:0"] {
            let Ok(socket) = crate::udp::listen(address.parse().unwrap()) else {
                continue; // a host without IPv6
            };
            let socket = UdpSocket::from_std(socket).unwrap();
            let before = sockopt::ip_mtu_discover(&socket).unwrap();
            let _batch = BatchSocket::new(&socket).unwrap();
            assert_eq!(sockopt::ip_mtu_discover(&socket).unwrap(), before);
            if socket.local_addr().unwrap().is_ipv6() {
                use nix::sys::socket::{getsockopt, sockopt::Ipv6DontFrag};
                let after = sockopt::ipv6_mtu_discover(&socket).unwrap();
                assert_eq!(after, sockopt::Ipv6PathMtuDiscovery::WANT);
                assert!(!getsockopt(&socket, Ipv6DontFrag).unwrap());
            }
        }
    }
}
