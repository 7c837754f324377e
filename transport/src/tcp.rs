//! TCP sockets: a listener that serves both families, connections that send at once, and an end that loses nothing.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::TcpStream;

use crate::options::SocketOptions;
use crate::socket::{self, Kind};
use crate::udp::canonical;

/// Connections that may wait to be accepted; the kernel gives what it allows.
const BACKLOG: i32 = 1024;

/// How long the other side has to close after us.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// From one question whether the other side is still there to the next, while nothing comes.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

const KIND: Kind = Kind {
    ty: Type::STREAM,
    protocol: Protocol::TCP,
    prepare: |socket| {
        // A server that is started again would else have to wait for its old connections. On other systems the option
        // lets a second program take the port.
        if cfg!(unix) {
            socket.set_reuse_address(true)?;
        }
        Ok(())
    },
};

/// A non-blocking listener for a service; `[::]` takes IPv6 only.
///
/// # Errors
/// The address cannot be bound.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    start(socket::bind(KIND, canonical(address))?)
}

/// A listener for all addresses of this host: both families, or IPv4 alone where there is no IPv6.
///
/// # Errors
/// The port cannot be bound.
pub fn listen_everywhere(port: u16) -> io::Result<TcpListener> {
    start(socket::bind_everywhere(KIND, port)?)
}

fn start(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A blocking connection to `target` with these options.
///
/// # Errors
/// It is refused, not made in time, or the platform cannot do what is asked for.
pub fn connect(
    target: SocketAddr,
    time_out: Duration,
    options: &SocketOptions,
) -> io::Result<std::net::TcpStream> {
    let domain = Domain::for_address(target);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    options.apply(&socket, target.is_ipv6())?;
    if options.source.is_some() {
        socket.bind(&options.local(target)?.into())?;
    }
    socket.connect_timeout(&target.into(), time_out)?;
    Ok(socket.into())
}

/// Has a connection send at once, and tell when the other side is gone.
///
/// # Errors
/// The platform cannot do that.
pub fn keep_alive(stream: &std::net::TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let probes = TcpKeepalive::new()
        .with_time(KEEP_ALIVE)
        .with_interval(KEEP_ALIVE);
    SockRef::from(stream).set_tcp_keepalive(&probes)
}

/// Ends a connection so that what was sent arrives: closing with octets unread would take it back.
pub async fn close_gently(stream: TcpStream) {
    if SockRef::from(&stream).shutdown(Shutdown::Write).is_err() {
        return;
    }
    let unread = async {
        let mut buffer = [0; 4096];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    // Whoever goes on sending has had its time.
    let _ = tokio::time::timeout(LAST_WORDS, unread).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn all_of_ipv6_leaves_ipv4_to_others_and_everywhere_does_not() {
        let Ok(v6) = listen((Ipv6Addr::UNSPECIFIED, 0).into()) else {
            // This machine has no IPv6.
            return;
        };
        let port = v6.local_addr().unwrap().port();
        if let Ok(v4) = listen((Ipv4Addr::UNSPECIFIED, port).into()) {
            assert!(v4.local_addr().unwrap().is_ipv4());
        } else {
            // Somebody else has the port, and then not the one above.
            let _ = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port));
            assert!(v6.accept().is_err());
        }
        let both = listen_everywhere(0).unwrap();
        let port = both.local_addr().unwrap().port();
        assert!(listen((Ipv4Addr::UNSPECIFIED, port).into()).is_err());
    }
}
