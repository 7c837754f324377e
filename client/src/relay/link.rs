//! What carries frames to a relay and from it: a UDP socket, or a TCP connection with frames of their own length.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hii_transport::udp::{self, BUFFER_LEN};

use super::session::Way;
use crate::ping::tcp::frames::{Frames, write_frame};

/// How long a relay may take nothing before its connection counts as over.
const STALL: Duration = Duration::from_secs(10);

/// Failures to receive in a row that are borne, each as a port that is closed.
const MOST_FAILURES: u32 = 100;

/// What came.
#[derive(Debug)]
pub enum Incoming {
    /// A frame.
    Frame(Vec<u8>),
    /// The network says that nobody takes what is sent.
    Refused,
    /// The connection is over, for this reason.
    Ended(String),
}

/// A socket to a relay.
#[derive(Debug, Clone)]
pub struct Link(Arc<Socket>);

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Link {
    /// Datagrams to this address and from there.
    ///
    /// # Errors
    /// There is no free port, or no route to the address.
    pub fn udp(address: SocketAddr) -> io::Result<Self> {
        let socket = udp::connect(address)?;
        socket.set_nonblocking(false)?;
        Ok(Self(Arc::new(Socket::Udp(socket))))
    }

    /// Frames on this connection.
    ///
    /// # Errors
    /// The connection is over.
    pub fn tcp(stream: TcpStream) -> io::Result<Self> {
        // A message is short, and is not to wait for the next one.
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(STALL))?;
        Ok(Self(Arc::new(Socket::Tcp(stream))))
    }

    /// What frames travel in.
    #[must_use]
    pub fn way(&self) -> Way {
        match *self.0 {
            Socket::Udp(_) => Way::Datagrams,
            Socket::Tcp(_) => Way::Connection,
        }
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// The network does not take it.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        match &*self.0 {
            Socket::Udp(socket) => socket.send(frame).map(drop),
            Socket::Tcp(stream) => {
                let mut buffer = vec![0; BUFFER_LEN];
                let len = write_frame(&mut buffer, |room| {
                    let room = room.get_mut(..frame.len()).unwrap_or_default();
                    room.copy_from_slice(frame);
                    room.len()
                });
                let mut stream: &TcpStream = stream;
                stream.write_all(buffer.get(..len).unwrap_or_default())
            }
        }
    }

    /// Hands over what comes, on a thread of its own, until that is not wanted any more.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn listen(&self, take: impl Fn(Incoming) -> bool + Send + 'static) -> io::Result<()> {
        let socket = Arc::clone(&self.0);
        let receive = move || match &*socket {
            Socket::Udp(socket) => receive_datagrams(socket, take),
            Socket::Tcp(stream) => receive_frames(stream, take),
        };
        let thread = thread::Builder::new().name("receiver".into());
        thread.spawn(receive).map(drop)
    }
}

fn receive_datagrams(socket: &UdpSocket, take: impl Fn(Incoming) -> bool) {
    let mut buffer = vec![0; BUFFER_LEN];
    let mut failures = 0;
    loop {
        let incoming = match socket.recv(&mut buffer) {
            Ok(len) => {
                failures = 0;
                Incoming::Frame(buffer.get(..len).unwrap_or_default().to_vec())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if failures >= MOST_FAILURES => Incoming::Ended(error.to_string()),
            Err(error) => {
                tracing::debug!(%error, "receive");
                failures += 1;
                Incoming::Refused
            }
        };
        let is_over = matches!(incoming, Incoming::Ended(_));
        if !take(incoming) || is_over {
            return;
        }
    }
}

fn receive_frames(mut stream: &TcpStream, take: impl Fn(Incoming) -> bool) {
    let mut buffer = vec![0; BUFFER_LEN];
    let mut frames = Frames::default();
    let why = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break "it closed the connection".to_owned(),
            Ok(len) => frames.push(buffer.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => break error.to_string(),
        }
        let rest = loop {
            match frames.next_frame() {
                Ok(Some(frame)) => {
                    if !take(Incoming::Frame(frame.to_vec())) {
                        return;
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        if let Some(error) = rest {
            break format!("it sends no frames ({error})");
        }
    };
    take(Incoming::Ended(why));
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::mpsc;

    use super::*;

    /// What comes by a link.
    fn inbox(link: &Link) -> mpsc::Receiver<Incoming> {
        let (inbox, came) = mpsc::channel();
        link.listen(move |incoming| inbox.send(incoming).is_ok())
            .unwrap();
        came
    }

    fn next(came: &mpsc::Receiver<Incoming>) -> Incoming {
        came.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn datagrams_come_and_go_and_a_closed_port_is_told() {
        let relay = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let link = Link::udp(relay.local_addr().unwrap()).unwrap();
        let came = inbox(&link);
        link.send(b"hii").unwrap();
        let mut buffer = [0; 8];
        let (len, from) = relay.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], b"hii");
        relay.send_to(b"400", from).unwrap();
        assert!(matches!(next(&came), Incoming::Frame(frame) if frame == b"400"));
        drop(relay);
        // The answer to this one, or to the next.
        let _ = link.send(b"hii");
        assert!(matches!(next(&came), Incoming::Refused));
    }

    #[test]
    fn frames_come_and_go_and_the_end_is_told() {
        let relay = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream = TcpStream::connect(relay.local_addr().unwrap()).unwrap();
        let (mut other, _) = relay.accept().unwrap();
        let link = Link::tcp(stream).unwrap();
        let came = inbox(&link);
        link.send(b"hii").unwrap();
        let mut frame = [0; 7];
        other.read_exact(&mut frame).unwrap();
        assert_eq!(&frame, b"\0\0\0\x03hii");
        other.write_all(b"\0\0\0\x03400\0\0\0\x03401\0").unwrap();
        assert!(matches!(next(&came), Incoming::Frame(frame) if frame == b"400"));
        assert!(matches!(next(&came), Incoming::Frame(frame) if frame == b"401"));
        drop(other);
        assert!(matches!(next(&came), Incoming::Ended(_)));
    }
}
