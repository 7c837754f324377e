//! UDP sockets: one that serves both families, one that is connected to a target.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// What a service's socket asks to buffer; the kernel gives what it allows.
const BUFFER: usize = 4 << 20;

/// Octets that hold any datagram.
pub const MAX_DATAGRAM: usize = 65_536;

/// A bound, non-blocking socket for a service. `[::]` takes IPv4 too.
///
/// # Errors
/// The address cannot be bound.
pub fn listen(address: SocketAddr) -> io::Result<UdpSocket> {
    bind(address, |_| Ok(()))
}

fn bind(address: SocketAddr, prepare: impl Fn(&Socket) -> io::Result<()>) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        let everywhere = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        socket.set_only_v6(!everywhere)?;
    }
    // A smaller buffer than asked for costs datagrams under load, and nothing else.
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    socket.set_nonblocking(true)?;
    prepare(&socket)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// A socket for all addresses of this host: both families, or IPv4 alone where there is no IPv6.
///
/// # Errors
/// The port cannot be bound.
pub fn listen_everywhere(port: u16) -> io::Result<UdpSocket> {
    everywhere(port, listen)
}

/// Whether several sockets can share an address, each with peers of its own.
pub const CAN_SHARE: bool = cfg!(target_os = "linux");

/// So many sockets on one address. A peer's datagrams all go to the same one, by a hash of both addresses, as long as
/// the sockets live.
///
/// # Errors
/// The address cannot be bound, or the platform has no such sharing.
pub fn listen_shared(address: SocketAddr, sockets: usize) -> io::Result<Vec<UdpSocket>> {
    // This one does not share yet, so that an address that another program shares is refused, not joined.
    let first = listen(address)?;
    if sockets <= 1 {
        return Ok(vec![first]);
    }
    share(&socket2::SockRef::from(&first))?;
    let address = first.local_addr()?;
    let mut all = vec![first];
    while all.len() < sockets {
        all.push(bind(address, share)?);
    }
    Ok(all)
}

/// The same for all addresses of this host.
///
/// # Errors
/// The port cannot be bound, or the platform has no such sharing.
pub fn listen_everywhere_shared(port: u16, sockets: usize) -> io::Result<Vec<UdpSocket>> {
    everywhere(port, |address| listen_shared(address, sockets))
}

fn everywhere<T>(port: u16, listen: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    match listen((Ipv6Addr::UNSPECIFIED, port).into()) {
        Err(error) if lacks_ipv6(&error) => listen((Ipv4Addr::UNSPECIFIED, port).into()),
        result => result,
    }
}

#[cfg(target_os = "linux")]
fn share(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(target_os = "linux"))]
fn share(_: &Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn lacks_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.kind() == io::ErrorKind::Unsupported
        || cfg!(target_os = "linux") && error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// A non-blocking socket from a free port that sends to `target` and takes datagrams from there alone.
///
/// # Errors
/// There is no free port, or no route to the target.
pub fn connect(target: SocketAddr) -> io::Result<UdpSocket> {
    let local: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((local, 0))?;
    socket.set_nonblocking(true)?;
    socket.connect(target)?;
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
    fn a_shared_address_cannot_be_joined_by_another_server() {
        let sockets = listen_shared((Ipv4Addr::LOCALHOST, 0).into(), 2).unwrap();
        let address = sockets[0].local_addr().unwrap();
        for count in 1..3 {
            let error = listen_shared(address, count).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        }
    }
}
