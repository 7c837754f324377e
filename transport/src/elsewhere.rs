//! What comes to a client's port from elsewhere than its target: from a server that answers from another port or another
//! of its addresses, or from a forger.
//!
//! A socket that is connected takes nothing of that. On Linux another one hears it, which is bound to the same address
//! and port and connected to nobody: the kernel gives each datagram to the socket that fits it best, and so all that comes
//! from the target, ICMP errors included, to the one that is connected to it. Nobody waits for what is here, so that it
//! wakes no thread.

use std::net::SocketAddr;

pub use imp::Elsewhere;

/// What came from elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Strays {
    /// How many datagrams.
    pub count: u64,
    /// Where the first one came from.
    pub first: Option<SocketAddr>,
    /// Whether there may have been more: some may have come faster than they were looked at.
    pub may_be_more: bool,
}

#[cfg(target_os = "linux")]
mod imp {
    use std::io::{self, IoSliceMut};
    use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
    use std::os::fd::AsRawFd as _;

    use nix::cmsg_space;
    use nix::errno::Errno;
    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
    };
    use socket2::{Domain, Protocol, Socket, Type};

    use super::Strays;
    use crate::udp::{self, BUFFER};

    /// Datagrams that are taken at one look, in case they never end.
    const MOST_AT_ONCE: usize = 1 << 13;

    /// What a datagram may take of a socket's buffer beside its octets, by the largest rooms that network cards fill.
    const MOST_OVERHEAD: usize = 4096;

    /// A socket that hears what comes from elsewhere.
    #[derive(Debug)]
    pub struct Elsewhere {
        socket: UdpSocket,
        strays: Strays,
        /// The octets of its buffer.
        room: usize,
        /// How many of them this host had no room for, as far as it told.
        dropped: u32,
        control: Vec<u8>,
    }

    impl Elsewhere {
        /// How many descriptors one takes.
        pub const DESCRIPTORS: usize = 1;

        /// Hears what is for none of these sockets, which are all that are bound to their address and port. They are
        /// connected.
        pub(crate) fn beside(sockets: &[&UdpSocket]) -> io::Result<Self> {
            let local = sockets.first().ok_or(io::ErrorKind::InvalidInput)?;
            let domain = Domain::for_address(local.local_addr()?);
            let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
            let _ = socket.set_recv_buffer_size(BUFFER);
            let room = socket.recv_buffer_size()?;
            socket.set_nonblocking(true)?;
            setsockopt(&socket, sockopt::RxqOvfl, &1)?;
            udp::bind_beside(&socket, sockets)?;
            Ok(Self {
                socket: socket.into(),
                strays: Strays::default(),
                room,
                dropped: 0,
                control: cmsg_space!(u32),
            })
        }

        /// Looks at what has come, and tells of all that came so far.
        pub fn look(&mut self) -> Strays {
            let mut filled = 0;
            for _ in 0..MOST_AT_ONCE {
                match self.take() {
                    Ok(len) => filled += 2 * len + MOST_OVERHEAD,
                    Err(Errno::EINTR) => {}
                    Err(_) => break,
                }
            }
            // What there is no room for is told with the next that there is room for, if one comes.
            self.strays.may_be_more |= filled > self.room || self.dropped > 0;
            self.strays
        }

        /// Takes the next one, and counts those before it that there was no room for; returns its length.
        fn take(&mut self) -> nix::Result<usize> {
            // Nobody wants to know what it says.
            let mut octets = [0; 1];
            let mut octets = [IoSliceMut::new(&mut octets)];
            let control = Some(self.control.as_mut_slice());
            let descriptor = self.socket.as_raw_fd();
            let flags = MsgFlags::MSG_TRUNC;
            let message = recvmsg::<SockaddrStorage>(descriptor, &mut octets, control, flags)?;
            let dropped = message.cmsgs().into_iter().flatten().find_map(|control| {
                let ControlMessageOwned::RxqOvfl(dropped) = control else {
                    return None;
                };
                Some(dropped)
            });
            let dropped = dropped.unwrap_or(self.dropped);
            let before = u64::from(dropped.wrapping_sub(self.dropped));
            let from = message.address.as_ref().and_then(standard);
            let len = message.bytes;
            self.dropped = dropped;
            self.strays.count += before + 1;
            self.strays.first = self.strays.first.or(from);
            Ok(len)
        }
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
    use super::Strays;

    /// There is none: where sockets share a port, nothing says which of them gets what comes.
    #[derive(Debug)]
    pub enum Elsewhere {}

    impl Elsewhere {
        /// How many descriptors one takes.
        pub const DESCRIPTORS: usize = 0;

        /// Tells of all that came so far.
        pub fn look(&mut self) -> Strays {
            match *self {}
        }
    }
}
