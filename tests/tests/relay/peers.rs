//! Peers of a relay, over either transport.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hii_protocol::relay::{Answer, Request};

/// Guards against a relay that hangs; no test depends on how long it is.
const WATCHDOG: Duration = Duration::from_secs(60);

pub(crate) const UNDELIVERABLE: &str = "405, Could not send the message to the requested address";
pub(crate) const SENT: &str = "200, UDP Packet Sent Successfully";

/// Somebody who talks to a relay.
pub(crate) trait Peer {
    /// Its address, as messages to it have it: `<ip>/<port>`.
    fn address(&self) -> String;

    /// Sends a frame.
    fn say(&mut self, frame: &[u8]);

    /// The next frame.
    fn hear(&mut self) -> Vec<u8>;

    /// The next frame, as text.
    fn hear_text(&mut self) -> String {
        String::from_utf8(self.hear()).expect("a text")
    }

    /// Sends a frame and takes the next one.
    fn ask(&mut self, frame: &[u8]) -> String {
        self.say(frame);
        self.hear_text()
    }

    /// Greets.
    fn greet(&mut self) {
        let answer = self.ask(b"hii");
        let (ip, port) = self.address().split_once('/').map_or_else(
            || panic!("no address"),
            |(ip, port)| (ip.trim_matches(['[', ']']).to_owned(), port.to_owned()),
        );
        assert_eq!(answer, format!("('{ip}', {port})"));
    }

    /// Asks for a token and returns it.
    fn prove(&mut self) {
        let answer = self.ask(&Request::TokenRequest.to_vec());
        let token = match Answer::decode(answer.as_bytes()) {
            Ok(Answer::Token(_, token)) => token,
            other => panic!("{other:?}"),
        };
        let answer = self.ask(&Request::TokenGreeting(token).to_vec());
        assert!(answer.starts_with("('"), "{answer}");
    }

    /// Sends a text to another and takes the relay's answer.
    fn tell(&mut self, to: &str, text: &str) -> String {
        self.ask(format!("to:{to};content:{text}").as_bytes())
    }
}

pub(crate) struct Udp(pub(crate) UdpSocket);

impl Udp {
    pub(crate) fn new(ip: IpAddr, relay: SocketAddr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.connect(relay).unwrap();
        socket.set_read_timeout(Some(WATCHDOG)).unwrap();
        Self(socket)
    }

    /// On the relay's own address.
    pub(crate) fn of(relay: SocketAddr) -> Self {
        Self::new(relay.ip(), relay)
    }

    /// Whether nothing has come. What the relay sent before it answered something is there by then.
    pub(crate) fn has_nothing(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let result = self.0.recv(&mut [0; 1]);
        self.0.set_nonblocking(false).unwrap();
        result.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Peer for Udp {
    fn address(&self) -> String {
        text(self.0.local_addr().unwrap())
    }

    fn say(&mut self, frame: &[u8]) {
        self.0.send(frame).unwrap();
    }

    fn hear(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 65_536];
        let len = self.0.recv(&mut buffer).expect("an answer");
        buffer.truncate(len);
        buffer
    }
}

pub(crate) struct Tcp(pub(crate) TcpStream);

impl Tcp {
    pub(crate) fn of(relay: SocketAddr) -> Self {
        let stream = TcpStream::connect(relay).unwrap();
        stream.set_read_timeout(Some(WATCHDOG)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Everything up to the end of the stream; a reset is an end as well.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        match self.0.read_to_end(&mut octets) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
            _ => octets,
        }
    }
}

impl Peer for Tcp {
    fn address(&self) -> String {
        text(self.0.local_addr().unwrap())
    }

    fn say(&mut self, frame: &[u8]) {
        self.0.write_all(&framed(frame)).unwrap();
    }

    fn hear(&mut self) -> Vec<u8> {
        let mut len = [0; 4];
        self.0.read_exact(&mut len).expect("a frame");
        let mut payload = vec![0; u32::from_be_bytes(len) as usize];
        self.0.read_exact(&mut payload).expect("a whole frame");
        payload
    }
}

/// Sends this text to a peer that does not read until all buffers on the way and the relay's queue are full. Returns how
/// many messages were accepted, and how many refused.
///
/// The relay's thread for datagrams refuses messages as soon as the queue is full, even if the thread for connections has
/// not run and the buffers have room. So each message is followed by one to `other` over its connection: once that has
/// come, the thread for connections has run.
pub(crate) fn tell_until_full(
    from: &mut Udp,
    deaf: &Tcp,
    other: &mut Tcp,
    text: &str,
) -> (u64, u64) {
    let (mut sent, mut refused) = (0, 0);
    let mut refused_in_a_row = 0;
    while refused_in_a_row < 100 {
        match from.tell(&deaf.address(), text).as_str() {
            SENT => {
                sent += 1;
                refused_in_a_row = 0;
            }
            UNDELIVERABLE => {
                refused += 1;
                refused_in_a_row += 1;
            }
            other => panic!("{other}"),
        }
        assert!(sent < 10_000, "it takes everything");
        assert_eq!(from.tell(&other.address(), "hello"), SENT);
        assert!(other.hear_text().ends_with(" ; content : hello"));
    }
    (sent, refused)
}

/// A frame on a stream.
pub(crate) fn framed(payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap();
    [&len.to_be_bytes(), payload].concat()
}

fn text(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) => format!("{ip}/{}", address.port()),
        IpAddr::V6(ip) => format!("[{ip}]/{}", address.port()),
    }
}
