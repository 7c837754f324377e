//! Single datagrams to several destinations in one system call.

use std::io;

use crate::datagrams::Peer;

/// Whether this platform can; elsewhere each goes alone.
pub(crate) const ARE_SENT_IN_ONE_CALL: bool = cfg!(target_os = "linux");

/// The most datagrams in one call.
pub(crate) const MOST: usize = 64;

/// A datagram on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Single<'a> {
    pub(crate) to: Peer,
    pub(crate) octets: &'a [u8],
}

/// Whether an error may be the call's and not the first datagram's: what a sandbox answers to a call that it does not let
/// through.
pub(crate) fn may_refuse_call(error: &io::Error) -> bool {
    const EPERM: i32 = 1;
    const ENOSYS: i32 = 38;
    matches!(error.raw_os_error(), Some(EPERM | ENOSYS))
}

impl Single<'_> {
    /// Whether the same call can send it as well: it goes by the same socket, from the same address.
    pub(crate) fn goes_with(&self, other: &Self) -> bool {
        (self.to.socket, self.to.asked) == (other.to.socket, other.to.asked)
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::io::{self, IoSlice};
    use std::net::{IpAddr, SocketAddr};
    use std::os::fd::AsRawFd;

    use nix::cmsg_space;
    use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
    use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};

    use super::{MOST, Single};

    /// Room for what the kernel is told about the datagrams of one call, by the address that they go from: not said, IPv4,
    /// IPv6. Made when it is needed first.
    #[derive(Debug, Default)]
    pub(crate) struct Headers([Option<MultiHeaders<SockaddrStorage>>; 3]);

    /// The address that datagrams go from, as the kernel wants it.
    enum Source {
        V4(in_pktinfo),
        V6(in6_pktinfo),
    }

    /// Sends the first of these, and as many more as go. They all go from the same address. Tells how many went.
    pub(crate) fn send(
        socket: &impl AsRawFd,
        singles: &[Single<'_>],
        address: impl Fn(SocketAddr) -> SocketAddr,
        headers: &mut Headers,
    ) -> io::Result<usize> {
        let Some(first) = singles.first() else {
            return Ok(0);
        };
        let source = first.to.asked.map(Source::of);
        let said: Vec<_> = source.iter().map(Source::message).collect();
        let to: Vec<_> = singles
            .iter()
            .map(|single| Some(SockaddrStorage::from(address(single.to.address))))
            .collect();
        let octets: Vec<_> = singles
            .iter()
            .map(|single| [IoSlice::new(single.octets)])
            .collect();
        let headers = headers.like(source.as_ref());
        // A socket that never waits is never interrupted.
        let flags = MsgFlags::empty();
        let sent = sendmmsg(socket.as_raw_fd(), headers, &octets, &to, &said, flags)?;
        Ok(sent.count())
    }

    impl Headers {
        fn like(&mut self, source: Option<&Source>) -> &mut MultiHeaders<SockaddrStorage> {
            let [unsaid, v4, v6] = &mut self.0;
            let (headers, room) = match source {
                None => (unsaid, None),
                Some(Source::V4(_)) => (v4, Some(cmsg_space!(in_pktinfo))),
                Some(Source::V6(_)) => (v6, Some(cmsg_space!(in6_pktinfo))),
            };
            headers.get_or_insert_with(|| MultiHeaders::preallocate(MOST, room))
        }
    }

    impl Source {
        fn of(ip: IpAddr) -> Self {
            match ip {
                IpAddr::V4(v4) => Self::V4(in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: in_addr {
                        s_addr: u32::from_ne_bytes(v4.octets()),
                    },
                    ipi_addr: in_addr { s_addr: 0 },
                }),
                IpAddr::V6(v6) => Self::V6(in6_pktinfo {
                    ipi6_addr: in6_addr {
                        s6_addr: v6.octets(),
                    },
                    ipi6_ifindex: 0,
                }),
            }
        }

        fn message(&self) -> ControlMessage<'_> {
            match self {
                Self::V4(info) => ControlMessage::Ipv4PacketInfo(info),
                Self::V6(info) => ControlMessage::Ipv6PacketInfo(info),
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;
    use std::net::SocketAddr;

    use super::Single;

    #[derive(Debug, Default)]
    pub(crate) struct Headers;

    pub(crate) fn send<S>(
        _: &S,
        _: &[Single<'_>],
        _: impl Fn(SocketAddr) -> SocketAddr,
        _: &mut Headers,
    ) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

pub(crate) use imp::{Headers, send};
