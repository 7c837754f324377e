//! Receiving one buffer in one system call, where the kernel or a sandbox refuses to fill several.

#[cfg(target_os = "linux")]
mod imp {
    use std::io::{self, IoSliceMut};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
    use std::os::fd::AsRawFd;

    use nix::cmsg_space;
    use nix::libc::{in_pktinfo, in6_pktinfo};
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
    use quinn_udp::{RecvMeta, UdpSocketState};

    /// Fills the first of these buffers.
    pub(crate) fn receive_one(
        socket: &impl AsRawFd,
        _: &UdpSocketState,
        rooms: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> io::Result<usize> {
        let ([room, ..], [meta, ..]) = (rooms, metas) else {
            return Ok(0);
        };
        // What several datagrams that share the buffer have in length, and the address that they came to, of each family.
        let mut control = cmsg_space!(i32, in_pktinfo, in6_pktinfo);
        let mut rooms = [IoSliceMut::new(room)];
        let flags = MsgFlags::empty();
        let message =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut rooms, Some(&mut control), flags)?;
        let from = message.address.as_ref().and_then(standard);
        *meta = RecvMeta::default();
        meta.addr = from.ok_or(io::ErrorKind::InvalidData)?;
        meta.len = message.bytes;
        meta.stride = message.bytes;
        for control in message.cmsgs().into_iter().flatten() {
            match control {
                ControlMessageOwned::UdpGroSegments(len) => {
                    meta.stride = usize::try_from(len).unwrap_or(message.bytes);
                }
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    let octets = info.ipi_addr.s_addr.to_ne_bytes();
                    meta.dst_ip = Some(IpAddr::V4(Ipv4Addr::from(octets)));
                    meta.interface_index = u32::try_from(info.ipi_ifindex).ok();
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    let octets = info.ipi6_addr.s6_addr;
                    meta.dst_ip = Some(IpAddr::V6(Ipv6Addr::from(octets)));
                    meta.interface_index = Some(info.ipi6_ifindex);
                }
                _ => {}
            }
        }
        Ok(1)
    }

    fn standard(address: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = address.as_sockaddr_in().copied();
        let v6 = address.as_sockaddr_in6().copied();
        let v4 = v4.map(|v4| SocketAddrV4::from(v4).into());
        v4.or_else(|| v6.map(|v6| SocketAddrV6::from(v6).into()))
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io::{self, IoSliceMut};
    use std::net::UdpSocket;

    use quinn_udp::{RecvMeta, UdpSocketState};

    /// Fills the first of these buffers.
    pub(crate) fn receive_one(
        socket: &UdpSocket,
        state: &UdpSocketState,
        rooms: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> io::Result<usize> {
        let room = rooms.get_mut(..1).unwrap_or_default();
        state.recv(socket.into(), room, metas)
    }
}

pub(crate) use imp::receive_one;
