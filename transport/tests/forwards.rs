//! The receive loop passes on parts of datagrams, whichever of its sockets they came to.
#![cfg(target_os = "linux")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::time::Duration;

use hii_transport::clock::{Clock, Now};
use hii_transport::datagrams::{Effect, Peer, Receipt, Service, serve};
use hii_transport::packet_info::PacketInfo;
use hii_transport::stop::stopper;
use hii_transport::udp;

/// Passes on what is behind the first octet, to whom that octet names, and stops when it was asked to.
struct Passes {
    receivers: Vec<SocketAddr>,
    /// From whom the last one came, and the octet that named its receiver.
    last: Option<(Peer, u8)>,
}

enum Outgoing {
    Begin(Peer),
    Result(&'static [u8]),
}

impl Service for Passes {
    type Answer = Outgoing;
    type Train = Peer;

    fn train(&mut self, from: &PacketInfo, _: Now) -> Peer {
        from.peer()
    }

    fn alike(&mut self, datagram: &[u8], from: &Peer) -> Option<Range<usize>> {
        let (first, rest) = datagram.split_first()?;
        (self.last == Some((*from, *first))).then_some(1..1 + rest.len())
    }

    fn handle(&mut self, datagram: &[u8], from: &Peer) -> Effect<Outgoing> {
        let Some((first, rest)) = datagram.split_first() else {
            return Effect::Stop;
        };
        let to = Peer {
            address: self.receivers[usize::from(*first)],
            ..*from
        };
        self.last = Some((*from, *first));
        Effect::Forward(to, Outgoing::Begin(*from), 1..1 + rest.len())
    }

    fn next_due(&self) -> Option<Duration> {
        None
    }

    fn take_due(&mut self, _: Duration) -> Option<(Peer, Outgoing)> {
        None
    }

    fn write(&mut self, outgoing: &Outgoing, _: Duration, buffer: &mut [u8]) -> usize {
        let text = match outgoing {
            Outgoing::Begin(from) => begins(from.address),
            Outgoing::Result(text) => text.to_vec(),
        };
        buffer[..text.len()].copy_from_slice(&text);
        text.len()
    }

    fn sent(
        &mut self,
        outgoing: &Outgoing,
        result: &io::Result<()>,
        times: usize,
    ) -> Option<Receipt<Outgoing>> {
        let Outgoing::Begin(from) = outgoing else {
            return None;
        };
        let text: &[u8] = if result.is_ok() { b"sent" } else { b"failed" };
        Some(Receipt {
            to: *from,
            answer: Outgoing::Result(text),
            times,
        })
    }
}

/// What a message from this sender begins with.
fn begins(from: SocketAddr) -> Vec<u8> {
    format!("from {}: ", from.port()).into_bytes()
}

fn client() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let len = socket.recv(&mut buffer).unwrap();
    buffer.truncate(len);
    buffer
}

/// The part of a message of this number: most are alike in length, some are not, and some are long.
fn part(number: usize) -> Vec<u8> {
    let len = match number % 7 {
        5 => 300,
        6 => 20_000,
        _ => 200,
    };
    format!("{number:<len$}").into_bytes()
}

/// Which of three receivers a message goes to: some of them in a row to one.
fn receiver_of(number: usize) -> usize {
    number / 4 % 3
}

#[test]
fn each_part_arrives_whole_and_in_order_from_whichever_socket() {
    const MESSAGES: usize = 40;
    let at = (Ipv4Addr::LOCALHOST, 0);
    let sockets = [(); 2].map(|()| udp::listen(at.into()).unwrap());
    let addresses = sockets
        .each_ref()
        .map(|socket| socket.local_addr().unwrap());
    let receivers = [(); 3].map(|()| client());
    let senders = [client(), client()];
    // All are there before the first is looked at, on both sockets.
    for number in 0..MESSAGES {
        for (index, (sender, address)) in senders.iter().zip(addresses).enumerate() {
            let to = u8::try_from(receiver_of(number)).unwrap();
            let mut message = vec![to];
            message.extend(part(2 * number + index));
            sender.send_to(&message, address).unwrap();
        }
    }
    senders[0].send_to(b"", addresses[1]).unwrap();
    let mut passes = Passes {
        receivers: receivers
            .iter()
            .map(|receiver| receiver.local_addr().unwrap())
            .collect(),
        last: None,
    };
    let (_stopper, stop) = stopper().unwrap();
    serve(sockets.into(), &mut passes, &Clock::start(), &stop).unwrap();
    for sender in &senders {
        for _ in 0..MESSAGES {
            assert_eq!(receive(sender), b"sent");
        }
    }
    let begins = senders
        .each_ref()
        .map(|sender| begins(sender.local_addr().unwrap()));
    for (to, receiver) in receivers.iter().enumerate() {
        // The messages of each sender in their order.
        let mut expected = [0, 1].map(|index| {
            let numbers = (0..MESSAGES).filter(|number| receiver_of(*number) == to);
            numbers
                .map(|number| [&begins[index][..], &part(2 * number + index)].concat())
                .collect::<Vec<_>>()
        });
        for messages in &mut expected {
            messages.reverse();
        }
        while expected.iter().any(|messages| !messages.is_empty()) {
            let received = receive(receiver);
            let of = expected
                .iter_mut()
                .find(|messages| messages.last() == Some(&received));
            assert!(of.and_then(Vec::pop).is_some(), "{:?}", &received[..20]);
        }
    }
}
