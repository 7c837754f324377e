//! UDP sockets: one that serves both families, one that is connected to a target.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::offload;
use crate::options::SocketOptions;
use crate::socket::{self, Kind};

/// What a socket asks to buffer; the kernel gives what it allows.
pub(crate) const BUFFER: usize = 4 << 20;

/// Octets that hold any datagram.
pub const BUFFER_LEN: usize = 65_536;

const KIND: Kind = Kind {
    ty: Type::DGRAM,
    protocol: Protocol::UDP,
    prepare: |socket| {
        enlarge(socket);
        offload::report_destination(socket);
        Ok(())
    },
};

/// The same, sharing its address from the start.
const SHARED: Kind = Kind {
    prepare: |socket| {
        enlarge(socket);
        offload::report_destination(socket);
        share(socket)
    },
    ..KIND
};

fn enlarge(socket: &Socket) {
    // A smaller buffer than asked for costs datagrams under load, and nothing else.
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
}

/// A bound, non-blocking socket for a service; `[::]` takes IPv6 only.
///
/// # Errors
/// The address cannot be bound.
pub fn listen(address: SocketAddr) -> io::Result<UdpSocket> {
    Ok(socket::bind(KIND, canonical(address))?.into())
}

/// A socket for all addresses of this host: both families, or IPv4 alone where there is no IPv6.
///
/// # Errors
/// The port cannot be bound.
pub fn listen_everywhere(port: u16) -> io::Result<UdpSocket> {
    Ok(socket::bind_everywhere(KIND, port)?.into())
}

/// Whether several sockets can share an address, each with peers of its own.
pub const CAN_SHARE: bool = cfg!(target_os = "linux");

/// So many sockets on one address. A peer's datagrams all go to the same one, by a hash of both addresses, as long as
/// the sockets live.
///
/// # Errors
/// The address cannot be bound, or the platform has no such sharing.
pub fn listen_shared(address: SocketAddr, sockets: usize) -> io::Result<Vec<UdpSocket>> {
    shared(listen(address)?, sockets)
}

/// The same for all addresses of this host.
///
/// # Errors
/// The port cannot be bound, or the platform has no such sharing.
pub fn listen_everywhere_shared(port: u16, sockets: usize) -> io::Result<Vec<UdpSocket>> {
    shared(listen_everywhere(port)?, sockets)
}

/// This socket and others like it. The first does not share at first, so that an address that another program shares is
/// refused, not joined.
fn shared(first: UdpSocket, sockets: usize) -> io::Result<Vec<UdpSocket>> {
    if sockets <= 1 {
        return Ok(vec![first]);
    }
    let like = socket2::SockRef::from(&first);
    share(&like)?;
    let address = first.local_addr()?;
    let only_v6 = address.is_ipv6() && like.only_v6()?;
    let others = (1..sockets).map(|_| Ok(socket::bind_families(SHARED, address, only_v6)?.into()));
    let others = others.collect::<io::Result<Vec<_>>>()?;
    Ok(std::iter::once(first).chain(others).collect())
}

#[cfg(target_os = "linux")]
fn share(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(target_os = "linux"))]
fn share(_: &Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Binds a socket to the very address and port of these, which are all that are bound to it. Each of them but the new one
/// is connected, and keeps what comes from its peer.
///
/// The port is theirs alone before and after. While it is opened, Linux lets nobody join but this user (`SO_REUSEPORT`,
/// unlike `SO_REUSEADDR`); and as they share no longer once it is done, none of what comes is spread over them.
#[cfg(target_os = "linux")]
pub(crate) fn bind_beside(socket: &Socket, others: &[&UdpSocket]) -> io::Result<SocketAddr> {
    let first = others.first().ok_or(io::ErrorKind::InvalidInput)?;
    let local = first.local_addr()?;
    let others: Vec<_> = others.iter().map(socket2::SockRef::from).collect();
    let all = || others.iter().map(|other| &**other).chain([socket]);
    let bound = all()
        .try_for_each(|socket| socket.set_reuse_port(true))
        .and_then(|()| socket.bind(&local.into()));
    all().try_for_each(|socket| socket.set_reuse_port(false))?;
    bound.map(|()| local)
}

/// A non-blocking socket from a free port that sends to `target` and takes datagrams from there alone.
///
/// # Errors
/// There is no free port, or no route to the target.
pub fn connect(target: SocketAddr) -> io::Result<UdpSocket> {
    connect_with(target, &SocketOptions::default())
}

/// The same with these options.
///
/// # Errors
/// There is no free port, no route to the target, or the platform cannot do what is asked for.
pub fn connect_with(target: SocketAddr, options: &SocketOptions) -> io::Result<UdpSocket> {
    let socket = for_client(target, options)?;
    socket.bind(&options.local(target)?.into())?;
    socket.connect(&target.into())?;
    Ok(socket.into())
}

/// A non-blocking socket with these options that is not bound yet.
pub(crate) fn for_client(target: SocketAddr, options: &SocketOptions) -> io::Result<Socket> {
    let domain = Domain::for_address(target);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    // A burst of answers is not to be lost here and be taken for the path's loss.
    let _ = socket.set_recv_buffer_size(options.receive_buffer.unwrap_or(BUFFER));
    options.apply(&socket, target.is_ipv6())?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The address with an IPv4-mapped IPv6 address as the IPv4 address that it is.
#[must_use]
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        // Keeps the scope of a link-local address.
        IpAddr::V6(_) => address,
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn peers_spread_over_shared_sockets_and_each_stays_on_its_own() {
        let sockets = listen_shared((Ipv4Addr::LOCALHOST, 0).into(), 4).unwrap();
        let address = sockets[0].local_addr().unwrap();
        let peers: Vec<_> = (0..200)
            .map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
            .collect();
        for _ in 0..3 {
            for peer in &peers {
                peer.send_to(b"hello", address).unwrap();
            }
        }
        let mut seen = HashSet::new();
        for socket in &sockets {
            let mut datagrams = 0;
            let mut mine = HashSet::new();
            while let Ok((_, from)) = socket.recv_from(&mut [0; 8]) {
                datagrams += 1;
                mine.insert(from);
            }
            // That one of four gets none of 200 has a chance of 4 in 10 to the 25th.
            assert!(!mine.is_empty());
            assert_eq!(datagrams, 3 * mine.len());
            seen.extend(mine);
        }
        assert_eq!(seen.len(), peers.len());
    }

    #[test]
    fn sockets_that_share_all_addresses_take_the_same_families() {
        for count in [1, 3] {
            let sockets = listen_everywhere_shared(0, count).unwrap();
            assert_eq!(sockets.len(), count);
            let only_v6 = |socket| socket2::SockRef::from(socket).only_v6();
            for socket in sockets.iter().filter(|socket| is_ipv6(socket)) {
                assert!(!only_v6(socket).unwrap());
            }
        }
        let Ok(sockets) = listen_shared((Ipv6Addr::UNSPECIFIED, 0).into(), 3) else {
            return; // a host without IPv6
        };
        for socket in &sockets {
            assert!(socket2::SockRef::from(socket).only_v6().unwrap());
        }
    }

    fn is_ipv6(socket: &UdpSocket) -> bool {
        socket.local_addr().unwrap().is_ipv6()
    }

    #[test]
    fn a_shared_address_cannot_be_joined_by_another_server() {
        let sockets = listen_shared((Ipv4Addr::LOCALHOST, 0).into(), 2).unwrap();
        let address = sockets[0].local_addr().unwrap();
        for count in 1..3 {
            let error = listen_shared(address, count).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        }
    }
}
