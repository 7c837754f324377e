//! What UDP and TCP sockets of a service have in common: how they are bound, to one address or to all of both families.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// What kind of socket, and what is set before it is bound.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) ty: Type,
    pub(crate) protocol: Protocol,
    pub(crate) prepare: fn(&Socket) -> io::Result<()>,
}

/// A bound, non-blocking socket; `[::]` takes IPv6 only.
pub(crate) fn bind(kind: Kind, address: SocketAddr) -> io::Result<Socket> {
    bind_families(kind, address, true)
}

/// A bound, non-blocking socket for all addresses of this host: both families, or IPv4 alone where there is no IPv6.
pub(crate) fn bind_everywhere(kind: Kind, port: u16) -> io::Result<Socket> {
    match bind_families(kind, (Ipv6Addr::UNSPECIFIED, port).into(), false) {
        Err(error) if lacks_ipv6(&error) => bind(kind, (Ipv4Addr::UNSPECIFIED, port).into()),
        result => result,
    }
}

/// A bound, non-blocking socket; `[::]` takes IPv6 only, or both families.
pub(crate) fn bind_families(kind: Kind, address: SocketAddr, only_v6: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind.ty, Some(kind.protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    (kind.prepare)(&socket)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn lacks_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.kind() == io::ErrorKind::Unsupported
        || cfg!(target_os = "linux") && error.raw_os_error() == Some(EAFNOSUPPORT)
}
