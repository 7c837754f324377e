//! Groups that are cut off: by full parcels, or by a full outbox.

use std::io;

use super::*;
use crate::arrivals::Arrivals;
use crate::batch::BatchSocket;
use crate::burst::BurstSocket;
use crate::clock::Now;
use crate::datagrams::Effect;
use crate::packet_info::PacketInfo;
use crate::udp;

/// An answer is who a forward is from; what became of those is kept.
#[derive(Default)]
struct Senders {
    sent: Vec<(char, usize)>,
}

impl Service for Senders {
    type Answer = char;
    type Train = ();

    fn train(&mut self, _: &PacketInfo, _: Now) {}

    fn handle(&mut self, _: &[u8], (): &()) -> Effect<char> {
        Effect::Nothing
    }

    fn next_due(&self) -> Option<Duration> {
        None
    }

    fn take_due(&mut self, _: Duration) -> Option<(Peer, char)> {
        None
    }

    fn write(&mut self, from: &char, _: Duration, buffer: &mut [u8]) -> usize {
        from.encode_utf8(buffer).len()
    }

    fn sent(
        &mut self,
        from: &char,
        result: &io::Result<()>,
        times: usize,
    ) -> Option<Receipt<char>> {
        result.as_ref().unwrap();
        self.sent.push((*from, times));
        None
    }
}

/// Passes on parts of this length, so many of each sender in a row, and checks that each arrives behind its sender, in order,
/// and that it is known to have gone.
fn assert_all_arrive(len: usize, senders: [(char, usize); 2]) {
    let socket = udp::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let receiver = udp::connect(socket.local_addr().unwrap()).unwrap();
    let to = Peer {
        address: receiver.local_addr().unwrap(),
        socket: 0,
        asked: None,
    };
    let receiver = BurstSocket::new(receiver, true).unwrap();
    let sockets = [BatchSocket::new(socket).unwrap()];
    let clock = Clock::start();
    let mut outbox = Outbox::new(Carriers::new(&sockets, &clock), &clock);
    let mut service = Senders::default();

    let all = senders.iter().map(|(_, messages)| messages).sum::<usize>();
    let parts: Vec<_> = (0..all).map(|n| format!("{n:0len$}")).collect();
    let came = parts.concat().into_bytes();
    let mut starts = (0..all).map(|n| n * len);
    for (from, messages) in senders {
        for (nth, start) in (0..messages).zip(starts.by_ref()) {
            let kept = start..start + len;
            if nth == 0 {
                outbox.push_forward(&mut service, to, from, kept, &came);
            } else {
                outbox.push_forward_alike(&mut service, kept, &came);
            }
        }
    }
    outbox.flush(&mut service, &came);

    let froms = senders
        .iter()
        .flat_map(|(from, messages)| [*from].repeat(*messages));
    let expected: Vec<_> = froms
        .zip(&parts)
        .map(|(from, part)| format!("{from}{part}"))
        .collect();
    let mut arrivals = Arrivals::new();
    let mut arrived = Vec::new();
    // Loopback has delivered all of it by now.
    while receiver.receive(&mut arrivals).is_ok() {
        let texts = arrivals
            .datagrams()
            .map(|octets| String::from_utf8_lossy(octets).into_owned());
        arrived.extend(texts);
    }
    assert!(arrived == expected, "{} of {all} arrived", arrived.len());
    for (from, messages) in senders {
        let of_it = service.sent.iter().filter(|(of, _)| *of == from);
        assert_eq!(of_it.map(|(_, times)| times).sum::<usize>(), messages);
    }
}

#[test]
fn what_begins_alike_goes_on_where_the_parcels_are_full() {
    // A round of calls takes four of them.
    assert_all_arrive(20_000, [('a', 6), ('b', 4)]);
}

#[test]
fn what_begins_alike_goes_on_where_the_outbox_is_full() {
    assert_all_arrive(4, [('a', CAPACITY - 100), ('b', 200)]);
    assert_all_arrive(4, [('a', CAPACITY), ('b', CAPACITY + 100)]);
}
