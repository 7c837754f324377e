//! The relay without its checks, for the benchmark: the loop, the parser and the frames of `hii-server relay`, but whoever
//! sends to whomever is served. It keeps no peers and asks nobody who he is, knows no networks, rates, limits or counts, and
//! tells nothing. It listens on this host only, says where, and runs until it is killed.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::thread;
use std::time::Duration;

use hii_protocol::relay::{Answer, Content, Forward, Payload, Prefix, Request};
use hii_protocol::{Code, Endpoint};
use hii_transport::clock::{Clock, Now};
use hii_transport::datagrams::{Effect, Peer, Receipt, Service, serve};
use hii_transport::packet_info::PacketInfo;
use hii_transport::stop::stopper;
use hii_transport::udp;

fn main() -> io::Result<()> {
    let socket = udp::listen((Ipv4Addr::LOCALHOST, 0).into())?;
    writeln!(io::stderr(), "listens on {}", socket.local_addr()?)?;
    let (_stopper, stop) = stopper()?;
    // The relay's loop has a thread of its own too.
    let relay = move || {
        serve(
            vec![socket],
            &mut Unchecked::default(),
            &Clock::start(),
            &stop,
        )
    };
    let served = thread::spawn(relay).join();
    served.unwrap_or_else(|_| Err(io::Error::other("it panicked")))
}

#[derive(Default)]
struct Unchecked {
    /// What a forward begins with, and whose it was: messages come in bursts.
    head: Vec<u8>,
    head_of: Option<SocketAddr>,
    trains: u64,
    /// Of which train the last message was, and what its frame began with.
    last: Option<(u64, Prefix)>,
}

/// Datagrams of one sender in a row.
struct Train {
    from: Peer,
    number: u64,
}

enum Outgoing {
    Reply(Answer<'static>),
    /// The beginning of a message from this sender.
    Forward(Peer),
}

impl Service for Unchecked {
    type Answer = Outgoing;
    type Train = Train;

    fn train(&mut self, from: &PacketInfo, _: Now) -> Train {
        let from = from.peer();
        self.trains += 1;
        let number = self.trains;
        Train { from, number }
    }

    fn alike(&mut self, datagram: &[u8], train: &Train) -> Option<Range<usize>> {
        let (number, prefix) = self.last.as_ref()?;
        if *number != train.number {
            return None;
        }
        place(prefix.payload(datagram)?, datagram)
    }

    fn handle(&mut self, datagram: &[u8], train: &Train) -> Effect<Outgoing> {
        match Prefix::decode(datagram) {
            Ok((Request::Send(message), prefix)) => {
                let Some(place) = place(message.payload(), datagram) else {
                    return Effect::Nothing;
                };
                self.last = prefix.map(|prefix| (train.number, prefix));
                let to = Peer {
                    address: message.to().into(),
                    ..train.from
                };
                Effect::Forward(to, Outgoing::Forward(train.from), place)
            }
            // A greeting; what it says is nobody's business here.
            Ok(_) => match Endpoint::try_from(train.from.address) {
                Ok(address) => Effect::Answer(Outgoing::Reply(Answer::Address(address))),
                Err(_) => Effect::Nothing,
            },
            Err(error) => Effect::Answer(Outgoing::Reply(Answer::Refused(error.code()))),
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
            Outgoing::Forward(from) => {
                if self.head_of != Some(from.address) {
                    self.head = head(from.address).unwrap_or_default();
                    self.head_of = Some(from.address);
                }
                let Some(room) = buffer.get_mut(..self.head.len()) else {
                    return 0;
                };
                room.copy_from_slice(&self.head);
                self.head.len()
            }
        }
    }

    fn sent(
        &mut self,
        outgoing: &Outgoing,
        result: &io::Result<()>,
        times: usize,
    ) -> Option<Receipt<Outgoing>> {
        let Outgoing::Forward(from) = outgoing else {
            return None;
        };
        let answer = match result {
            Ok(()) => Answer::Sent,
            Err(_) => Answer::Refused(Code::Undeliverable),
        };
        Some(Receipt {
            to: *from,
            answer: Outgoing::Reply(answer),
            times,
        })
    }
}

/// Where a content stands: at the end. Nobody sends anything else here.
fn place(payload: Payload<'_>, datagram: &[u8]) -> Option<Range<usize>> {
    let Payload::Content(content) = payload else {
        return None;
    };
    let start = datagram.len().checked_sub(content.as_str().len())?;
    Some(start..datagram.len())
}

/// The whole frame of a message without content.
fn head(from: SocketAddr) -> Option<Vec<u8>> {
    let empty = Payload::Content(Content::new("").ok()?);
    let forward = Forward::new(Endpoint::try_from(from).ok()?, empty).ok()?;
    Some(Answer::Forward(forward).to_vec())
}
