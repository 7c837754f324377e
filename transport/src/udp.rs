//! UDP sockets: one that serves both families, one that is connected to a target.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::socket::{self, Kind};

/// What a socket asks to buffer; the kernel gives what it allows.
const BUFFER: usize = 4 << 20;

/// Octets that hold any datagram.
pub const BUFFER_LEN: usize = 65_536;

const KIND: Kind = Kind {
    ty: Type::DGRAM,
    protocol: Protocol::UDP,
    prepare: |socket| {
        // A smaller buffer than asked for costs datagrams under load, and nothing else.
        let _ = socket.set_recv_buffer_size(BUFFER);
        let _ = socket.set_send_buffer_size(BUFFER);
        Ok(())
    },
};

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

/// A non-blocking socket from a free port that sends to `target` and takes datagrams from there alone.
///
/// # Errors
/// There is no free port, or no route to the target.
pub fn connect(target: SocketAddr) -> io::Result<UdpSocket> {
    let local: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let local = SocketAddr::new(local, 0);
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    // A burst of answers is not to be lost here and be taken for the path's loss.
    let _ = socket.set_recv_buffer_size(BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    socket.connect(&target.into())?;
    Ok(socket.into())
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
