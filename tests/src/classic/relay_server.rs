//! The original relay, with a script where a network would lose and reorder.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::decision::{Decision, decide};

/// What the original reads of a datagram; the rest is cut off.
const READS: usize = 1024;

/// How long the server waits before it looks whether it is to end. Only a backstop: who ends it
/// sends it a datagram too.
const IDLE: Duration = Duration::from_secs(1);

/// What the server does about a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// What the original does.
    Serve,
    /// The same, but the answer is lost.
    LoseAnswer,
    /// Nothing: the datagram is lost.
    Lose,
    /// This goes to the sender first, and then what the original does.
    Before(Vec<u8>),
    /// The answer goes out when the next datagram has been dealt with, before its answer.
    HoldAnswer,
}

/// Says what to do about a datagram: its octets as the server read them.
pub type Script = Box<dyn FnMut(&[u8]) -> Act + Send>;

/// A running relay. It stops when it is dropped, is sent `exit server`, or something that is not
/// UTF-8, which ends the original.
#[derive(Debug)]
pub struct RelayServer {
    /// Kept when the server has stopped: its port may not become that of another test's server.
    socket: Arc<UdpSocket>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    log: Mutex<Vec<Vec<u8>>>,
}

impl RelayServer {
    /// Starts a relay on any free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// If no port can be bound.
    pub fn start(script: Script) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(IDLE))?;
        let addr = socket.local_addr()?;
        let (socket, shared) = (Arc::new(socket), Arc::new(Shared::default()));
        let (its_socket, its_shared) = (Arc::clone(&socket), Arc::clone(&shared));
        let thread = thread::Builder::new().spawn(move || {
            let closing = Closing(&its_socket, addr);
            serve(closing.0, &its_shared, script);
        })?;
        Ok(Self {
            socket,
            shared,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    ///
    /// # Panics
    /// Never: it is bound.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.socket.local_addr().expect("it is bound")
    }

    /// Every datagram so far, as the server read it, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<Vec<u8>> {
        lock(&self.shared.log).clone()
    }

    /// Whether it still runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for RelayServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // If this fails, the server sees it when its wait is over.
        let _ = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|socket| socket.send_to(b"hii", self.addr()));
        if let Some(Err(cause)) = self.thread.take().map(JoinHandle::join)
            && !thread::panicking()
        {
            std::panic::resume_unwind(cause);
        }
    }
}

/// Makes a port as a closed one to all others at the end, also of a script that panics.
struct Closing<'a>(&'a UdpSocket, SocketAddr);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let _ = self.0.connect(self.1);
    }
}

fn serve(socket: &UdpSocket, shared: &Shared, mut script: Script) {
    let mut buffer = [0; READS];
    let mut held: Vec<(SocketAddr, Vec<u8>)> = Vec::new();
    while !shared.stop.load(Ordering::SeqCst) {
        // A client that went away shows as an error.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let datagram = &buffer[..length];
        lock(&shared.log).push(datagram.to_vec());
        let act = script(datagram);
        let before = std::mem::take(&mut held);
        if act == Act::Lose {
            flush(socket, before);
            continue;
        }
        if let Act::Before(first) = &act {
            let _ = socket.send_to(first, from);
        }
        if str::from_utf8(datagram).is_err() {
            return;
        }
        let answer = match decide(datagram) {
            Decision::Greeting => format!("('{}', {})", from.ip(), from.port()),
            Decision::ExitServer => return,
            Decision::Code(code) => error(code),
            Decision::Send { ip, port, content } => {
                let forward = format!("{}/{} ; content : {content}", from.ip(), from.port());
                match socket.send_to(forward.as_bytes(), (IpAddr::V4(ip), port)) {
                    Ok(_) => "200, UDP Packet Sent Successfully".into(),
                    Err(_) => error(405),
                }
            }
        };
        flush(socket, before);
        match act {
            Act::LoseAnswer => {}
            Act::HoldAnswer => held.push((from, answer.into_bytes())),
            _ => {
                let _ = socket.send_to(answer.as_bytes(), from);
            }
        }
    }
}

fn flush(socket: &UdpSocket, answers: Vec<(SocketAddr, Vec<u8>)>) {
    for (to, answer) in answers {
        let _ = socket.send_to(&answer, to);
    }
}

fn error(code: u16) -> String {
    match code {
        405 => "405, Could not send the message to the requested address".into(),
        code => code.to_string(),
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::relay_client::RelayClient;
    use super::*;

    #[test]
    fn serves_the_original_client_s_menu() {
        let server = RelayServer::start(Box::new(|_| Act::Serve)).expect("a server");
        let mut one = RelayClient::new(server.addr()).expect("a client");
        let mut two = RelayClient::new(server.addr()).expect("a client");
        let (_, own_port) = one.initialise().expect("an address");
        let (ip, port) = two.initialise().expect("an address");
        let sent = "200, UDP Packet Sent Successfully";
        for (text, answer) in [(" good;morning ", sent), ("12:30", "401"), ("a", sent)] {
            assert_eq!(one.send(&ip, port, text).expect("an answer"), answer);
        }
        let forward = format!("127.0.0.1/{own_port} ; content : good;morning");
        assert_eq!(two.receive().expect("a message"), forward);
        one.close_server().expect("sent");
        while server.runs() {
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn dies_of_what_is_no_text_and_cuts_what_is_long() {
        let server = RelayServer::start(Box::new(|_| Act::Serve)).expect("a server");
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        socket.send_to(&[b'x'; 2000], server.addr()).expect("sent");
        let mut buffer = [0; 10];
        let (length, _) = socket.recv_from(&mut buffer).expect("an answer");
        assert_eq!(&buffer[..length], b"400");
        assert_eq!(server.log()[0].len(), READS);
        socket.send_to(b"\xff", server.addr()).expect("sent");
        while server.runs() {
            thread::sleep(Duration::from_millis(1));
        }
    }

    // Elsewhere a connected socket may take what comes from others.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_port_of_one_that_has_stopped_is_closed_and_nobody_else_s() {
        let server = RelayServer::start(Box::new(|_| Act::Serve)).unwrap();
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client.connect(server.addr()).unwrap();
        client.send(b"exit server").unwrap();
        while server.runs() {
            thread::yield_now();
        }
        client.send(b"hii").unwrap();
        let refused = client.recv(&mut [0; 9]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(UdpSocket::bind(server.addr()).is_err());
    }
}
