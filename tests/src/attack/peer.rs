//! A peer of a relay and a client of a ping server, which return what reaches them.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use hii_protocol::relay::{Answer, Request};

use super::{Host, Site, WATCHDOG};

/// Time after which a question is asked again.
const PATIENCE: Duration = Duration::from_secs(2);

/// A relay's answer to a message that it forwarded.
pub const SENT: &str = "200, UDP Packet Sent Successfully";

/// A peer of a relay, over UDP.
#[derive(Debug)]
pub struct Peer {
    socket: UdpSocket,
}

impl Peer {
    /// A peer that has proved its address.
    ///
    /// # Panics
    /// The relay does not let it.
    #[must_use]
    pub fn new(site: &Site, host: Host, ip: IpAddr, relay: SocketAddr) -> Self {
        let peer = Self {
            socket: site.udp(host, ip, relay),
        };
        peer.prove();
        peer
    }

    /// Proves it again.
    ///
    /// # Panics
    /// The relay does not let it.
    pub fn prove(&self) {
        let is_token = |answer: &[u8]| matches!(Answer::decode(answer), Ok(Answer::Token(..)));
        let answer = ask(&self.socket, &Request::TokenRequest.to_vec(), is_token);
        let Ok(Answer::Token(_, token)) = Answer::decode(&answer) else {
            panic!("a token")
        };
        let greeting = Request::TokenGreeting(token).to_vec();
        let is_address = |answer: &[u8]| matches!(Answer::decode(answer), Ok(Answer::Address(_)));
        ask(&self.socket, &greeting, is_address);
    }

    /// Its socket, connected to the relay.
    #[must_use]
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Its address.
    ///
    /// # Panics
    /// Never: it has one.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("an address")
    }

    /// Sends a text to an address.
    ///
    /// # Panics
    /// The relay is gone.
    pub fn tell(&self, to: SocketAddr, text: &str) {
        let message = message(to, text);
        self.socket.send(&message).expect("the relay is there");
    }

    /// Returns all frames that came before a text that it sends to itself now.
    ///
    /// # Panics
    /// The relay is gone, or passes nothing on.
    #[must_use]
    pub fn heard_before(&self, text: &str) -> Vec<String> {
        self.tell(self.address(), text);
        let end = format!("content : {text}");
        let mut heard = Vec::new();
        let mut octets = vec![0; 1 << 16];
        loop {
            let len = self.socket.recv(&mut octets).expect("the relay is there");
            let frame = String::from_utf8_lossy(&octets[..len]).into_owned();
            if frame.ends_with(&end) {
                // Its answer follows.
                let len = self.socket.recv(&mut octets).expect("the relay is there");
                assert_eq!(&octets[..len], SENT.as_bytes());
                return heard;
            }
            heard.push(frame);
        }
    }
}

/// A message with a text to an address.
#[must_use]
pub fn message(to: SocketAddr, text: &str) -> Vec<u8> {
    let ip = match to.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    format!("to:{ip}/{};content:{text}", to.port()).into_bytes()
}

/// Sends a probe with this number until it is answered.
///
/// # Panics
/// It is not.
#[track_caller]
pub fn probe(socket: &UdpSocket, seq: u64) {
    let question = format!("P 5eaf00d5 {seq:<20}");
    let answer = format!("A 5eaf00d5 {seq} ");
    ask(socket, question.as_bytes(), |octets| {
        octets.starts_with(answer.as_bytes())
    });
}

/// Sends this once, and returns what has come by the time that `sync` returns. `sync` has to wait for the same server's
/// answer to a later question.
///
/// # Panics
/// The server is gone.
#[must_use]
pub fn at_once(socket: &UdpSocket, question: &[u8], sync: impl Fn()) -> Vec<Vec<u8>> {
    socket.send(question).expect("the server is there");
    // Answers to one client go together: after the second `sync`, all from before the first has been sent.
    sync();
    sync();
    waiting(socket)
}

/// All datagrams that have come.
///
/// # Panics
/// The socket fails.
#[must_use]
pub fn waiting(socket: &UdpSocket) -> Vec<Vec<u8>> {
    socket.set_nonblocking(true).expect("a socket");
    let mut octets = vec![0; 1 << 16];
    let mut all = Vec::new();
    while let Ok(len) = socket.recv(&mut octets) {
        all.push(octets[..len].to_vec());
    }
    socket.set_nonblocking(false).expect("a socket");
    all
}

/// Asks until `is_answer` accepts an answer, and returns it; others are left out.
///
/// # Panics
/// The server is gone, or does not answer.
#[track_caller]
pub fn ask(socket: &UdpSocket, question: &[u8], is_answer: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let times = WATCHDOG.as_secs() / PATIENCE.as_secs();
    let mut octets = vec![0; 1 << 16];
    for _ in 0..times {
        if let Err(error) = socket.send(question) {
            panic!("the server is gone: {error}");
        }
        loop {
            match socket.recv(&mut octets) {
                Ok(len) if is_answer(&octets[..len]) => {
                    socket.set_read_timeout(Some(WATCHDOG)).expect("a time-out");
                    return octets[..len].to_vec();
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("the server is gone: {error}"),
            }
        }
    }
    panic!("no answer to {:?}", String::from_utf8_lossy(question));
}
