//! A peer of a relay, and a client of a ping server, that tell what reaches them.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use hii_protocol::relay::{Answer, Request};

use super::{Host, Site, WATCHDOG};

/// A question is asked again after so long.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a relay says of a message that it passed on.
pub const SENT: &str = "200, UDP Packet Sent Successfully";

/// A peer of a relay, over UDP.
#[derive(Debug)]
pub struct Peer {
    socket: UdpSocket,
}

impl Peer {
    /// One that has shown that it gets what is sent to its address.
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

    /// Shows it again.
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

    /// Sends a text to somebody.
    ///
    /// # Panics
    /// The relay is gone.
    pub fn tell(&self, to: SocketAddr, text: &str) {
        let message = message(to, text);
        self.socket.send(&message).expect("the relay is there");
    }

    /// All frames that came before a text that it sends to itself now.
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

/// A message of a text to somebody.
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

/// Sends this once, and returns what has come by the time that `sync` returns, which is to wait for an answer to something
/// later of the same server's.
///
/// # Panics
/// Nobody is there.
#[must_use]
pub fn at_once(socket: &UdpSocket, question: &[u8], sync: impl Fn()) -> Vec<Vec<u8>> {
    socket.send(question).expect("the server is there");
    // What is for one goes together: the second time all that came before the first has gone.
    sync();
    sync();
    waiting(socket)
}

/// All datagrams that have come.
///
/// # Panics
/// The socket is of no use any more.
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

/// Asks until there is an answer that is one, and returns it; whatever else comes before is left out.
///
/// # Panics
/// Nobody is there, or no answer comes.
#[track_caller]
pub fn ask(socket: &UdpSocket, question: &[u8], is_answer: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let times = WATCHDOG.as_secs() / PATIENCE.as_secs();
    let mut octets = vec![0; 1 << 16];
    for _ in 0..times {
        if let Err(error) = socket.send(question) {
            panic!("nobody is there: {error}");
        }
        loop {
            match socket.recv(&mut octets) {
                Ok(len) if is_answer(&octets[..len]) => {
                    socket.set_read_timeout(Some(WATCHDOG)).expect("a time-out");
                    return octets[..len].to_vec();
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("nobody is there: {error}"),
            }
        }
    }
    panic!("no answer to {:?}", String::from_utf8_lossy(question));
}
