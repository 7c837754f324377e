//! How a target is measured: what is sent to it, and what counts as its answer.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hii_protocol::ping::{
    Answer, LimitedNotice, Message, Probe, ProbeAnswer, ProbeSize, Request, Run, Seq,
};
use serde::Serialize;

use super::port_pool::{PortAnswer, PortPool};
use super::quoted;

/// What kind of server a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerKind {
    /// A Hii server: it tells what it received.
    Hii,
    /// An RFC 862 echo: it sends back what it gets.
    Echo,
    /// An original server: always the same text.
    Original,
}

/// How probes and answers are told apart.
#[derive(Debug)]
pub enum Method {
    /// Numbered probes, answered by a Hii server.
    Numbered(Run),
    /// Numbered probes, which come back as they are.
    Echoed(Run),
    /// Messages without a number, each from its own port; the answer is always this text.
    Ports {
        /// Which port carries which probe.
        pool: Mutex<PortPool>,
        /// The answer's octets.
        expected: Vec<u8>,
    },
}

/// Where a probe goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// Which socket.
    pub port: usize,
    /// The earlier probe whose answer could now be taken for this one's: neither can be told.
    pub clash: Option<u64>,
}

/// What a datagram from the target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The answer to a probe, with what a Hii server tells.
    Answer {
        /// The probe's number.
        seq: u64,
        /// The server's report.
        report: Option<ProbeAnswer>,
    },
    /// A notice that probes of this run are over a limit of the server.
    Limited(LimitedNotice),
    /// The answer to a probe, but not as long as the probe.
    WrongLength,
    /// The answer to one of two probes that shared a port.
    Ambiguous,
    /// Nothing that answers a probe of this run.
    Foreign,
}

impl Method {
    /// Writes probe `seq` and returns its length, which is `size`.
    pub fn write_probe(&self, seq: u64, size: ProbeSize, buffer: &mut [u8]) -> usize {
        match self {
            Self::Numbered(run) | Self::Echoed(run) => Seq::new(seq)
                .and_then(|seq| Probe::new(*run, seq, size).ok())
                .and_then(|probe| probe.encode_into(buffer).ok())
                .unwrap_or_default(),
            Self::Ports { .. } => write_hello(size, buffer),
        }
    }

    /// Which socket the probe goes out by.
    pub fn assign(&self, seq: u64, now: Duration) -> Assignment {
        match self {
            Self::Numbered(_) | Self::Echoed(_) => Assignment {
                port: 0,
                clash: None,
            },
            Self::Ports { pool, .. } => lock(pool).assign(seq, now),
        }
    }

    /// What a datagram that came to this socket is, when probes have this size.
    pub fn hear(&self, port: usize, size: ProbeSize, datagram: &[u8]) -> Heard {
        let heard = match self {
            Self::Numbered(run) => match Answer::decode(datagram) {
                Ok(Answer::Probe(answer)) if answer.run() == *run => Some(Heard::Answer {
                    seq: answer.seq().get(),
                    report: Some(answer),
                }),
                Ok(Answer::LimitedNotice(notice)) if notice.run() == *run => {
                    Some(Heard::Limited(notice))
                }
                _ => None,
            },
            Self::Echoed(run) => match Request::decode(datagram) {
                Ok(Request::Probe(probe)) if probe.run() == *run => Some(probe.seq().get()),
                _ => None,
            }
            .map(|seq| Heard::Answer { seq, report: None }),
            Self::Ports { pool, expected } if datagram == expected => {
                match lock(pool).answered(port) {
                    PortAnswer::To(seq) => Some(Heard::Answer { seq, report: None }),
                    PortAnswer::Ambiguous => Some(Heard::Ambiguous),
                    PortAnswer::Nothing => None,
                }
            }
            Self::Ports { .. } => None,
        };
        match heard {
            // An original's answer is a text of its own length.
            Some(Heard::Answer { .. }) if self.is_numbered() && datagram.len() != size.get() => {
                Heard::WrongLength
            }
            heard => heard.unwrap_or(Heard::Foreign),
        }
    }

    /// Which probe a message is about that came to this socket and has this much of it.
    pub fn refused(&self, port: usize, size: ProbeSize, quoted: &[u8]) -> Option<u64> {
        match self {
            Self::Numbered(run) | Self::Echoed(run) => quoted::seq(*run, size, quoted),
            Self::Ports { pool, .. } => lock(pool).refused(port),
        }
    }

    /// Which probe a packet is that went out, where it tells.
    pub fn transmitted(&self, size: ProbeSize, packet: &[u8]) -> Option<u64> {
        match self {
            Self::Numbered(run) | Self::Echoed(run) => quoted::seq(*run, size, packet),
            Self::Ports { .. } => None,
        }
    }

    /// Whether probes carry their number, so that one socket will do.
    pub fn is_numbered(&self) -> bool {
        matches!(self, Self::Numbered(_) | Self::Echoed(_))
    }

    /// Whether the target tells which way a probe was lost.
    #[must_use]
    pub fn tells_direction(&self) -> bool {
        matches!(self, Self::Numbered(_))
    }
}

fn lock(pool: &Mutex<PortPool>) -> MutexGuard<'_, PortPool> {
    // The pool is whole between calls, whatever thread ended early.
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The originals' message, padded or cut to the size.
pub fn write_hello(size: ProbeSize, buffer: &mut [u8]) -> usize {
    let hello = Message::HELLO
        .as_bytes()
        .iter()
        .copied()
        .chain(std::iter::repeat(b' '));
    let room = buffer.get_mut(..size.get()).unwrap_or_default();
    for (octet, of_hello) in room.iter_mut().zip(hello) {
        *octet = of_hello;
    }
    room.len()
}

/// A target that is known to answer, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Where it is.
    pub address: SocketAddr,
    /// What it is.
    pub kind: ServerKind,
    /// What an original answers.
    pub text: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_has_the_size_asked_for() {
        for size in [1, 12, 13, 65507] {
            let mut buffer = vec![0; 65536];
            let size = ProbeSize::new(size).unwrap();
            let len = write_hello(size, &mut buffer);
            assert_eq!(len, size.get());
            assert!(matches!(
                Request::decode(&buffer[..len]),
                Ok(Request::Message(_))
            ));
        }
    }

    /// The length of the probes below.
    const SIZE: ProbeSize = match ProbeSize::new(12) {
        Ok(size) => size,
        Err(_) => ProbeSize::MAX,
    };

    #[test]
    fn only_answers_of_this_run_count() {
        let method = Method::Numbered(Run(1));
        let answer = |seq| Heard::Answer { seq, report: None };
        for (datagram, own) in [
            ("A 00000001 3", true),
            ("A 00000002 3", false),
            ("P 00000001 3", false),
            ("400", false),
            ("L 00000001 3 9 8", true),
            ("L 00000002 3 9 8", false),
        ] {
            assert_eq!(
                method.hear(0, SIZE, datagram.as_bytes()) != Heard::Foreign,
                own,
                "{datagram}"
            );
        }
        let method = Method::Echoed(Run(1));
        assert_eq!(method.hear(0, SIZE, b"P 00000001 3"), answer(3));
        assert_eq!(method.hear(0, SIZE, b"A 00000001 3"), Heard::Foreign);
        assert_eq!(method.hear(0, SIZE, b"P 00000001 3 "), Heard::WrongLength);
        let method = Method::Ports {
            pool: Mutex::new(PortPool::new(2, Duration::from_secs(1))),
            expected: b"ok".to_vec(),
        };
        let Assignment { port, .. } = method.assign(7, Duration::ZERO);
        assert_eq!(method.hear(port, SIZE, b"no"), Heard::Foreign);
        assert_eq!(method.hear(1 - port, SIZE, b"ok"), Heard::Foreign);
        assert_eq!(method.hear(port, SIZE, b"ok"), answer(7));
    }
}
