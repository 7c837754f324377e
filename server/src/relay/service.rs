//! The relay as a datagram service: its rules' decisions as what the loop sends.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use hii_protocol::Endpoint;
use hii_protocol::relay::Answer;
use hii_transport::clock::Now;
use hii_transport::datagrams::{Effect, Peer, Service};

use super::peers::Way;
use super::rules::{Decision, Rules, Source};

/// What the loop sends for the relay.
#[derive(Debug, Clone)]
pub enum Outgoing {
    /// An answer to a sender.
    Reply(Answer<'static>),
    /// A message on its way, and its sender, who is told what became of it.
    Forward {
        /// Where it stands among the forwards of this round.
        frame: Range<usize>,
        /// Who sent it.
        sender: Peer,
    },
}

/// The relay on datagram sockets.
pub struct RelayService {
    rules: Rules,
    /// The forwards of this round, one behind the other.
    frames: Vec<u8>,
    now: Duration,
}

impl RelayService {
    /// A relay with these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            frames: Vec::new(),
            now: Duration::ZERO,
        }
    }

    /// The rules, and what they decided so far.
    pub fn rules(&mut self) -> &mut Rules {
        &mut self.rules
    }

    /// Keeps a forward's frame until the round ends.
    fn keep(&mut self, forward: &Answer<'_>) -> Range<usize> {
        let start = self.frames.len();
        let end = start + forward.encoded_len();
        self.frames.resize(end, 0);
        if let Some(room) = self.frames.get_mut(start..end) {
            // The room is as long as the frame.
            let _ = forward.encode_into(room);
        }
        start..end
    }
}

impl Service for RelayService {
    type Answer = Outgoing;

    fn handle(&mut self, datagram: &[u8], from: Peer, now: Now) -> Effect<Outgoing> {
        self.now = now.monotonic;
        match self.rules.decide(datagram, source(from), now.monotonic) {
            Decision::Silence => Effect::Nothing,
            Decision::Stop => Effect::Stop,
            Decision::Reply(answer) => Effect::Answer(Outgoing::Reply(answer)),
            Decision::Forward { to, way, forward } => {
                let frame = self.keep(&Answer::Forward(forward));
                let peer = way.map_or_else(|| stranger(to, from), |peer| reached(to, peer.way));
                Effect::Forward(
                    peer,
                    Outgoing::Forward {
                        frame,
                        sender: from,
                    },
                )
            }
        }
    }

    fn next_due(&self) -> Option<Duration> {
        None
    }

    fn take_due(&mut self, _: Duration) -> Option<(Peer, Outgoing)> {
        None
    }

    fn write(&mut self, outgoing: &Outgoing, _: Duration, buffer: &mut [u8]) -> usize {
        match outgoing {
            Outgoing::Reply(answer) => answer.encode_into(buffer).unwrap_or_default(),
            Outgoing::Forward { frame, .. } => {
                let frame = self.frames.get(frame.clone()).unwrap_or_default();
                match buffer.get_mut(..frame.len()) {
                    Some(room) => room.copy_from_slice(frame),
                    None => return 0,
                }
                frame.len()
            }
        }
    }

    fn sent(&mut self, outgoing: &Outgoing, result: &io::Result<()>) -> Option<(Peer, Outgoing)> {
        let Outgoing::Forward { sender, .. } = outgoing else {
            if result.is_err() {
                self.rules.answer_failed();
            }
            return None;
        };
        let endpoint = Endpoint::try_from(sender.address).ok()?;
        match self.rules.forwarded(result.is_ok(), endpoint, self.now) {
            Decision::Reply(answer) => Some((*sender, Outgoing::Reply(answer))),
            _ => None,
        }
    }

    fn round_done(&mut self) {
        self.frames.clear();
    }
}

fn source(from: Peer) -> Source {
    Source {
        address: from.address,
        way: Way {
            socket: u32::try_from(from.socket).unwrap_or(u32::MAX),
            asked: from.asked,
        },
        is_connected: false,
    }
}

/// A peer is reached by the socket and from the address that it greeted: what is between may let nothing else through.
fn reached(to: Endpoint, way: Way) -> Peer {
    Peer {
        address: SocketAddr::new(to.ip(), to.port()),
        socket: usize::try_from(way.socket).unwrap_or(usize::MAX),
        asked: way.asked,
    }
}

/// Somebody who never greeted is reached by the socket that the message came to, from whatever address the route gives.
fn stranger(to: Endpoint, by: Peer) -> Peer {
    Peer {
        address: SocketAddr::new(to.ip(), to.port()),
        socket: by.socket,
        asked: None,
    }
}
