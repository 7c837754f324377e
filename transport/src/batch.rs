//! A service's socket, that takes and sends many datagrams in one system call where the kernel can (GRO and GSO).

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::task::{Context, Poll};

use quinn_udp::{Transmit, UdpSocketState};
use socket2::SockRef;

use crate::arrivals::Arrivals;
use crate::datagrams::Peer;
use crate::offload;
use crate::watched::{Socket, Watched};

/// A socket of a service.
#[derive(Debug)]
pub(crate) struct BatchSocket {
    socket: Watched<Socket>,
    state: UdpSocketState,
    is_ipv6: bool,
    /// Whether it has several addresses, so that an answer has to say from which of them it goes: the routing table
    /// knows nothing of the question, and may choose one that the other side never asked.
    is_everywhere: bool,
}

impl BatchSocket {
    /// Of a socket that is bound and does not block.
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Self> {
        let state = offload::prepare(&SockRef::from(&socket))?;
        let local = socket.local_addr()?;
        Ok(Self {
            socket: Watched::socket(socket)?,
            state,
            is_ipv6: local.is_ipv6(),
            is_everywhere: local.ip().is_unspecified(),
        })
    }

    pub(crate) fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_readable(context)
    }

    /// Takes what is there; the datagrams are then in `arrivals`.
    pub(crate) fn receive(&self, arrivals: &mut Arrivals) {
        let received = arrivals.fill(self.is_everywhere, |rooms, metas| {
            self.socket
                .try_read(|socket| self.state.recv(socket.into(), rooms, metas))
        });
        if received.is_ok() && arrivals.are_all() {
            self.socket.drained();
        }
        match received {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                // An error of an earlier send.
                tracing::debug!(%error, "receive");
            }
            _ => {}
        }
    }

    /// Whether a datagram of this length may go in one call behind so many octets in so many datagrams, the first of
    /// which is so long. The last one may be shorter; it is for the caller to let nothing follow that.
    pub(crate) fn joins(&self, len: usize, octets: usize, segments: usize, first: usize) -> bool {
        offload::joins(&self.state, len, octets, segments, first)
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
        self.state.try_send(self.socket.get_ref().into(), &transmit)
    }
}

/// The address as a dual-stack socket wants it.
fn as_ipv6(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        v6 @ SocketAddr::V6(_) => v6,
    }
}
