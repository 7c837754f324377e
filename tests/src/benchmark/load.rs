//! A client for servers: so many datagrams under way, one system call for each.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::figures::median;
use super::trouble::Outcome;

/// Octets of each datagram.
const OCTETS: usize = 64;

/// When nothing came for so long, what was under way is lost.
const LOST: Duration = Duration::from_millis(200);

/// Probes of one run towards a server.
#[derive(Debug)]
pub struct Load {
    socket: UdpSocket,
    seq: u64,
    octets: [u8; OCTETS],
}

impl Load {
    /// From a free port to this server.
    ///
    /// # Errors
    /// There is none.
    pub fn new(server: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(LOST))?;
        Ok(Self {
            socket,
            seq: 0,
            octets: [b' '; OCTETS],
        })
    }

    fn send(&mut self) -> io::Result<()> {
        self.seq += 1;
        write!(self.octets.as_mut_slice(), "P 00c0ffee {}", self.seq)?;
        self.socket.send(&self.octets).map(drop)
    }

    /// Whether an answer came before what is under way was lost.
    fn receive(&self) -> io::Result<bool> {
        match self.socket.recv(&mut [0; 2 * OCTETS]) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Keeps so many datagrams under way for so long. Returns how many answers came a second.
    ///
    /// # Errors
    /// Nothing listens there.
    pub fn keep(&mut self, under_way: u32, time: Duration) -> Outcome<f64> {
        let mut answers = 0_u64;
        let start = Instant::now();
        let mut due = under_way;
        while start.elapsed() < time {
            for _ in 0..due {
                self.send()?;
            }
            due = if self.receive()? {
                answers += 1;
                1
            } else {
                under_way
            };
        }
        Ok(answers as f64 / start.elapsed().as_secs_f64())
    }

    /// The median of round trips one after the other, in nanoseconds.
    ///
    /// # Errors
    /// Nothing answers.
    pub fn round_trips(&mut self, time: Duration) -> Outcome<f64> {
        let mut trips = Vec::new();
        let end = Instant::now() + time;
        while Instant::now() < end {
            let sent = Instant::now();
            self.send()?;
            if self.receive()? {
                trips.push(sent.elapsed().as_nanos() as f64);
            }
        }
        median(&trips).ok_or_else(|| "nothing answers".into())
    }
}
