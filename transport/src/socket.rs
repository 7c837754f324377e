//! What UDP and TCP sockets of a service have in common: one socket for both families.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// A socket that is not bound yet. `[::]` takes IPv4 too, other IPv6 addresses do not.
pub(crate) fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        let everywhere = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        socket.set_only_v6(!everywhere)?;
    }
    Ok(socket)
}

/// Listens on all addresses of this host: both families, or IPv4 alone where there is no IPv6.
pub(crate) fn everywhere<S>(
    port: u16,
    listen: impl Fn(SocketAddr) -> io::Result<S>,
) -> io::Result<S> {
    match listen((Ipv6Addr::UNSPECIFIED, port).into()) {
        Err(error) if lacks_ipv6(&error) => listen((Ipv4Addr::UNSPECIFIED, port).into()),
        result => result,
    }
}

fn lacks_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.kind() == io::ErrorKind::Unsupported
        || cfg!(target_os = "linux") && error.raw_os_error() == Some(EAFNOSUPPORT)
}
