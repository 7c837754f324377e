//! The original relay client: what its menu does, one entry after the other.
//!
//! It keeps the original's fault: whatever datagram comes next is taken for the answer to what it sent.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// Guards against a relay that never answers; the original would wait for ever.
const WATCHDOG: Duration = Duration::from_secs(60);

/// A client that was started, at its menu.
#[derive(Debug)]
pub struct RelayClient {
    socket: UdpSocket,
    relay: SocketAddr,
    /// What entry 1 has shown: entries 2 and 3 need it.
    own: Option<(String, u16)>,
}

impl RelayClient {
    /// A client of this relay.
    ///
    /// # Errors
    ///
    /// If there is no free port.
    pub fn new(relay: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_read_timeout(Some(WATCHDOG))?;
        Ok(Self {
            socket,
            relay,
            own: None,
        })
    }

    /// Entry 1: greets, and shows the own address and port.
    ///
    /// # Errors
    ///
    /// If nothing comes, or something else than a pair.
    pub fn initialise(&mut self) -> io::Result<(String, u16)> {
        self.socket.send_to(b"hii", self.relay)?;
        let answer = self.next()?;
        let own = pair(&answer).ok_or_else(|| io::Error::other(format!("no pair: {answer:?}")))?;
        self.own = Some(own.clone());
        Ok(own)
    }

    /// Entry 2: sends a text, and shows what came next. It was a success when that begins with `200`.
    ///
    /// # Errors
    ///
    /// If nothing comes, or entry 1 was not used.
    pub fn send(&self, ip: &str, port: u16, text: &str) -> io::Result<String> {
        self.needs_entry_1()?;
        let message = format!("to:{ip}/{port};content:{text}");
        self.socket.send_to(message.as_bytes(), self.relay)?;
        self.next()
    }

    /// Entry 3: waits for one message and shows it.
    ///
    /// # Errors
    ///
    /// If nothing comes, or entry 1 was not used.
    pub fn receive(&self) -> io::Result<String> {
        self.needs_entry_1()?;
        self.next()
    }

    /// Entry 5: closes the relay.
    ///
    /// # Errors
    ///
    /// If it cannot be sent.
    pub fn close_server(&self) -> io::Result<()> {
        self.socket.send_to(b"exit server", self.relay).map(drop)
    }

    fn needs_entry_1(&self) -> io::Result<()> {
        match self.own {
            Some(_) => Ok(()),
            None => Err(io::Error::other("not initialised")),
        }
    }

    /// The next datagram, of which the original takes 1,024 octets.
    fn next(&self) -> io::Result<String> {
        let mut buffer = [0; 1024];
        let (length, _) = self.socket.recv_from(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }
}

/// `('<ip>', <port>)`, which the original reads as the tuple that it is in its language.
fn pair(text: &str) -> Option<(String, u16)> {
    let inner = text.strip_prefix("('")?.strip_suffix(')')?;
    let (ip, port) = inner.split_once("', ")?;
    Some((ip.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_the_original_says_and_believes_what_comes() {
        let relay = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut client = RelayClient::new(relay.local_addr().unwrap()).unwrap();
        assert!(client.receive().is_err());
        let mut buffer = [0; 100];
        let client_address = client.socket.local_addr().unwrap();
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, client_address.port()));
        // What it will take for its answers is there before it asks.
        for text in ["('127.0.0.1', 5000)", "a message", "200"] {
            relay.send_to(text.as_bytes(), to).unwrap();
        }
        assert_eq!(client.initialise().unwrap(), ("127.0.0.1".into(), 5000));
        assert_eq!(client.send("192.0.2.7", 9, "x").unwrap(), "a message");
        assert_eq!(client.receive().unwrap(), "200");
        client.close_server().unwrap();
        for expected in ["hii", "to:192.0.2.7/9;content:x", "exit server"] {
            let length = relay.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected.as_bytes());
        }
    }
}
