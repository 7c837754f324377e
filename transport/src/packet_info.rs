//! Which of this host's addresses a datagram came to, so that its answer goes out from there.
//!
//! A socket on all addresses leaves the source of an answer to the routing table, which knows nothing of the question:
//! on a host with several addresses the answer may come from one that the other side never asked, and is dropped there.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A datagram that was received.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received {
    pub(crate) len: usize,
    pub(crate) from: SocketAddr,
    /// The address it came to, where the platform tells it.
    pub(crate) to: Option<IpAddr>,
}

/// Asks for the addresses that datagrams come to. Where that is refused, answers leave as the routing table says.
pub(crate) fn ask(socket: &UdpSocket) {
    if socket
        .local_addr()
        .is_ok_and(|local| local.ip().is_unspecified())
        && let Err(error) = imp::ask(socket)
    {
        tracing::warn!(%error, "answers may leave from another address than was asked");
    }
}

/// Receives a datagram that is there already.
pub(crate) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Received> {
    socket.try_io(Interest::READABLE, || imp::receive(socket, buffer))
}

/// Sends without waiting, from this address of the host if one is given. The destination is of the socket's family.
pub(crate) fn send(
    socket: &UdpSocket,
    datagram: &[u8],
    to: SocketAddr,
    from: Option<IpAddr>,
) -> io::Result<usize> {
    match from {
        Some(from) => socket.try_io(Interest::WRITABLE, || imp::send(socket, datagram, to, from)),
        None => socket.try_send_to(datagram, to),
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::io::{self, IoSlice, IoSliceMut};
    use std::net::{IpAddr, SocketAddr};
    use std::os::fd::AsRawFd as _;

    use nix::libc;
    use nix::sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
        setsockopt, sockopt,
    };
    use tokio::net::UdpSocket;

    use super::Received;

    pub(super) fn ask(socket: &UdpSocket) -> io::Result<()> {
        if socket.local_addr()?.is_ipv6() {
            setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        } else {
            setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        Ok(())
    }

    pub(super) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Received> {
        let mut control = nix::cmsg_space!(libc::in6_pktinfo, libc::in_pktinfo);
        let mut octets = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let message =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut octets, Some(&mut control), flags)?;
        let from = message.address.and_then(|address| socket_addr(&address));
        let to = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(IpAddr::from(
                u32::from_be(info.ipi_addr.s_addr).to_be_bytes(),
            )),
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::from(info.ipi6_addr.s6_addr)),
            _ => None,
        });
        Ok(Received {
            len: message.bytes,
            from: from.ok_or(io::ErrorKind::InvalidData)?,
            to,
        })
    }

    fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = address
            .as_sockaddr_in()
            .map(|v4| SocketAddr::V4((*v4).into()));
        v4.or_else(|| {
            address
                .as_sockaddr_in6()
                .map(|v6| SocketAddr::V6((*v6).into()))
        })
    }

    pub(super) fn send(
        socket: &UdpSocket,
        datagram: &[u8],
        to: SocketAddr,
        from: IpAddr,
    ) -> io::Result<usize> {
        let octets = [IoSlice::new(datagram)];
        let to = SockaddrStorage::from(to);
        let flags = MsgFlags::MSG_DONTWAIT;
        let send = |control: &[ControlMessage<'_>]| {
            sendmsg(socket.as_raw_fd(), &octets, control, flags, Some(&to)).map_err(io::Error::from)
        };
        match from {
            IpAddr::V4(from) => send(&[ControlMessage::Ipv4PacketInfo(&libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from_ne_bytes(from.octets()),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            })]),
            IpAddr::V6(from) => send(&[ControlMessage::Ipv6PacketInfo(&libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: from.octets(),
                },
                ipi6_ifindex: 0,
            })]),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;
    use std::net::{IpAddr, SocketAddr};

    use tokio::net::UdpSocket;

    use super::Received;

    pub(super) fn ask(_: &UdpSocket) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Received> {
        let (len, from) = socket.try_recv_from(buffer)?;
        Ok(Received {
            len,
            from,
            to: None,
        })
    }

    pub(super) fn send(
        socket: &UdpSocket,
        datagram: &[u8],
        to: SocketAddr,
        _: IpAddr,
    ) -> io::Result<usize> {
        socket.try_send_to(datagram, to)
    }
}
