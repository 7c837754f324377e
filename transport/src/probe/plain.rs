//! The socket where the kernel tells nothing but that the target refused.
#![allow(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "it has the calls of the socket on Linux"
)]

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use super::{Buffer, Icmp, Note, Received};
use crate::clock::Clock;
use crate::elsewhere::Elsewhere;
use crate::options::SocketOptions;
use crate::udp;

/// A socket that sends to a target and takes datagrams from there alone.
#[derive(Debug)]
pub struct ProbeSocket {
    socket: UdpSocket,
    /// Refusals that have not been told of.
    refusals: AtomicU32,
}

impl ProbeSocket {
    /// How many descriptors one takes.
    pub const DESCRIPTORS: usize = 1;

    /// A socket from a free port.
    ///
    /// # Errors
    /// There is no free port, no route to the target, or the platform cannot do what is asked for.
    pub fn connect(target: SocketAddr, options: &SocketOptions) -> io::Result<Self> {
        Ok(Self {
            socket: UdpSocket::from_std(udp::connect_with(target, options)?),
            refusals: AtomicU32::new(0),
        })
    }

    /// Why the kernel tells no times, where it does not.
    #[must_use]
    pub fn lacks_stamps(&self) -> Option<&str> {
        Some("this system does not tell them")
    }

    /// Hears what comes to its port from elsewhere.
    ///
    /// # Errors
    /// Always: the platform has nothing for it.
    pub fn hear_elsewhere(&self) -> io::Result<Elsewhere> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Watches for datagrams.
    ///
    /// # Errors
    /// The platform refuses.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    /// Sends a datagram, without waiting for room.
    ///
    /// # Errors
    /// It was not sent.
    pub fn send(&self, datagram: &[u8]) -> io::Result<()> {
        let Err(error) = self.note(self.socket.send(datagram)) else {
            return Ok(());
        };
        if error.kind() == io::ErrorKind::WouldBlock {
            return Err(error);
        }
        // The error may be about an earlier one, and has kept this one from being sent.
        self.note(self.socket.send(datagram)).map(drop)
    }

    /// Takes a datagram that is there, and the time on this clock.
    ///
    /// # Errors
    /// There is none, or there are notes first.
    pub fn receive(&self, buffer: &mut Buffer, clock: &Clock) -> io::Result<Received> {
        let len = self.note(self.socket.recv(&mut buffer.octets))?;
        Ok(Received {
            len,
            at: clock.elapsed(),
            ..Received::default()
        })
    }

    /// The next note about what was sent.
    pub fn note_of_sending<'a>(&self, _: &'a mut Buffer) -> Option<Note<'a>> {
        None
    }

    /// The next note that came from the network.
    pub fn note_of_receiving<'a>(&self, _: &'a mut Buffer) -> Option<Note<'a>> {
        let less = |refusals: u32| refusals.checked_sub(1);
        let relaxed = Ordering::Relaxed;
        self.refusals.fetch_update(relaxed, relaxed, less).ok()?;
        Some(Note::Refused {
            icmp: Icmp::PORT_UNREACHABLE,
            quoted: &[],
        })
    }

    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        use io::ErrorKind::{ConnectionRefused, ConnectionReset};
        if let Err(error) = &result
            && matches!(error.kind(), ConnectionRefused | ConnectionReset)
        {
            self.refusals.fetch_add(1, Ordering::Relaxed);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_once_and_keeps_nothing_from_being_sent() {
        let target = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = target.local_addr().unwrap();
        drop(target);
        let socket = ProbeSocket::connect(address, &SocketOptions::default()).unwrap();
        let mut buffer = Buffer::for_datagrams();
        for _ in 0..5 {
            // On loopback the refusal is there when the call returns.
            socket.send(b"hello").unwrap();
        }
        socket.receive(&mut buffer, &Clock::start()).unwrap_err();
        for _ in 0..5 {
            let note = socket.note_of_receiving(&mut buffer);
            assert!(matches!(note, Some(Note::Refused { quoted: [], .. })));
        }
        assert_eq!(socket.note_of_receiving(&mut buffer), None);
        assert!(socket.lacks_stamps().is_some());
    }

    #[test]
    fn datagrams_come_and_go_without_stamps() {
        let target = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = target.local_addr().unwrap();
        let socket = ProbeSocket::connect(address, &SocketOptions::default()).unwrap();
        socket.send(b"hello").unwrap();
        let mut octets = [0; 8];
        let (len, from) = target.recv_from(&mut octets).unwrap();
        target.send_to(&octets[..len], from).unwrap();
        let mut buffer = Buffer::for_datagrams();
        let received = socket.receive(&mut buffer, &Clock::start()).unwrap();
        assert_eq!(buffer.octets(&received), b"hello");
        assert_eq!((received.stamp, received.drops), (None, 0));
        assert_eq!(socket.note_of_sending(&mut buffer), None);
    }
}
