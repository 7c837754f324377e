//! The original relay client: the five acts of its menu.
//!
//! It keeps the original's fault: whatever datagram comes next is taken for the answer to what it
//! sent, a message from somebody else too.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// Only keeps a failing test from hanging; the original waits for ever.
const WATCHDOG: Duration = Duration::from_secs(60);

/// A client. Act 4 of the menu, to exit, is to drop it.
#[derive(Debug)]
pub struct RelayClient {
    socket: UdpSocket,
    server: SocketAddr,
    own: Option<(String, u16)>,
}

impl RelayClient {
    /// A client of this server.
    ///
    /// # Errors
    ///
    /// If there is no socket.
    pub fn new(server: SocketAddr) -> io::Result<Self> {
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_read_timeout(Some(WATCHDOG))?;
        Ok(Self {
            socket,
            server,
            own: None,
        })
    }

    /// Act 1, initialise: says `hii`, and shows its own address and port.
    ///
    /// # Errors
    ///
    /// If no answer comes, or none that is an address and a port.
    pub fn initialise(&mut self) -> io::Result<(String, u16)> {
        self.socket.send_to(b"hii", self.server)?;
        let answer = self.receive_any()?;
        let own = parse(&answer).ok_or_else(|| io::Error::other(answer))?;
        self.own = Some(own.clone());
        Ok(own)
    }

    /// Act 2, send a message: shows what came next. It was a success when that begins with `200`.
    ///
    /// # Errors
    ///
    /// If it is not initialised, or no answer comes.
    pub fn send(&self, ip: &str, port: u16, text: &str) -> io::Result<String> {
        self.need_own()?;
        let message = format!("to:{ip}/{port};content:{text}");
        self.socket.send_to(message.as_bytes(), self.server)?;
        self.receive_any()
    }

    /// Act 3, receive: waits for one message and shows it.
    ///
    /// # Errors
    ///
    /// If it is not initialised, or no message comes.
    pub fn receive(&self) -> io::Result<String> {
        self.need_own()?;
        self.receive_any()
    }

    /// Act 5, close the server.
    ///
    /// # Errors
    ///
    /// If the request cannot be sent.
    pub fn close_server(&self) -> io::Result<()> {
        self.socket.send_to(b"exit server", self.server).map(drop)
    }

    fn need_own(&self) -> io::Result<()> {
        match self.own {
            Some(_) => Ok(()),
            None => Err(io::Error::other("initialise first")),
        }
    }

    /// The next datagram, whatever it is. The original dies of what is not UTF-8.
    fn receive_any(&self) -> io::Result<String> {
        let mut buffer = [0; 1024];
        let (length, _) = self.socket.recv_from(&mut buffer)?;
        let text = std::str::from_utf8(&buffer[..length]);
        text.map(str::to_owned).map_err(io::Error::other)
    }
}

/// `('<ip>', <port>)`
fn parse(text: &str) -> Option<(String, u16)> {
    let (ip, port) = text
        .strip_prefix("('")?
        .strip_suffix(')')?
        .split_once("', ")?;
    Some((ip.to_owned(), port.parse().ok()?))
}
