//! TCP connections from a chosen address.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// Time-out of a test that hangs; no test depends on its length.
const WATCHDOG: Duration = Duration::from_secs(60);

/// A connection from this address of this host.
///
/// # Panics
/// There is nobody to connect to.
#[must_use]
pub fn connect(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).expect("a socket");
    let from = SocketAddr::new(from, 0).into();
    socket.bind(&from).expect("an address of this host");
    socket.connect(&to.into()).expect("a listener");
    let stream = TcpStream::from(socket);
    let timeout = stream.set_read_timeout(Some(WATCHDOG));
    timeout.expect("a time-out");
    stream
}

/// Whether a connection to `hii-server ping` is served: a message on it is answered.
pub fn is_served(stream: &mut TcpStream) -> bool {
    ask(stream, b"hello").is_ok()
}

/// Sends a frame, and returns the next one that comes.
///
/// # Errors
/// The server closes the connection.
pub fn ask(stream: &mut TcpStream, question: &[u8]) -> io::Result<Vec<u8>> {
    let len = u32::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&len.to_be_bytes(), question].concat())?;
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let len = usize::try_from(u32::from_be_bytes(len)).map_err(io::Error::other)?;
    let mut answer = vec![0; len];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
