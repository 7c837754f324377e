use super::*;
use std::net::{Ipv4Addr, SocketAddr};

use crate::backoff::MIN_PAUSE;
use crate::batch_pause::{BatchPause, REFUSALS};

/// Notes what is to be sent, and answers as the test says.
struct Notes<F> {
    calls: Vec<String>,
    kernel: F,
    /// Whether what is refused together begins a pause, where that is decided as it is for sockets.
    pause: BatchPause,
    now: Duration,
}

impl<F: FnMut(&str) -> io::Result<usize>> Notes<F> {
    fn note(&mut self, call: String) -> io::Result<usize> {
        let result = (self.kernel)(&call);
        self.calls.push(call);
        result
    }
}

fn shown(to: Peer, octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    format!("{}: {text}", to.address.port())
}

impl<F: FnMut(&str) -> io::Result<usize>> Carrier for Notes<F> {
    fn joins(&self, _: &Peer, len: usize, _: usize, datagrams: usize, first: usize) -> bool {
        datagrams < 3 && len <= first && !self.pause.is_on(|| self.now)
    }

    fn send_together(&mut self, to: Peer, octets: &[u8], len: usize) -> io::Result<()> {
        self.note(format!("{}/{len}", shown(to, octets))).map(drop)
    }

    fn send_singles(&mut self, singles: &[Single<'_>]) -> io::Result<usize> {
        let each = singles.iter().map(|single| shown(single.to, single.octets));
        self.note(each.collect::<Vec<_>>().join(", "))
    }

    fn went_together(&mut self, _: &Peer) {
        self.pause.went();
    }

    fn refused_together(&mut self, to: &Peer, len: usize, error: &io::Error) -> Option<Duration> {
        self.pause.refused(to.address.ip(), len, error, self.now)
    }
}

fn peer(port: u16, asked: Option<u8>) -> Peer {
    Peer {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        socket: 0,
        asked: asked.map(|last| Ipv4Addr::new(127, 0, 0, last).into()),
    }
}

/// What is sent of these, and which of them are told to have gone, when the kernel answers so.
fn sent(
    datagrams: &[(u16, &'static str)],
    kernel: impl FnMut(&str) -> io::Result<usize>,
) -> (Vec<String>, Vec<(usize, bool)>, Traffic) {
    let mut notes = Notes::new(kernel);
    let mut traffic = Traffic::default();
    let to = |(port, text): &(u16, &'static str)| (peer(*port, None), *text);
    let told = notes.send(datagrams.iter().map(to), &mut traffic);
    (notes.calls, told, traffic)
}

impl<F: FnMut(&str) -> io::Result<usize>> Notes<F> {
    fn new(kernel: F) -> Self {
        Self {
            calls: Vec::new(),
            kernel,
            pause: BatchPause::default(),
            now: Duration::ZERO,
        }
    }

    /// Sends these, and returns which of them are reported as sent.
    fn send(
        &mut self,
        datagrams: impl IntoIterator<Item = (Peer, &'static str)>,
        traffic: &mut Traffic,
    ) -> Vec<(usize, bool)> {
        let mut parcels = Parcels::new();
        for (to, text) in datagrams {
            parcels.room()[..text.len()].copy_from_slice(text.as_bytes());
            if !parcels.join(self, &to, text.len()) {
                parcels.begin(to, text.len());
            }
        }
        let mut told = Vec::new();
        parcels.send(self, traffic, |places, result| {
            told.extend(places.map(|place| (place, result.is_ok())));
        });
        told
    }
}

/// As many as there are.
fn all(call: &str) -> usize {
    call.split(", ").count()
}

#[test]
fn a_group_goes_in_one_call_and_those_that_are_alone_in_one_in_their_order() {
    let datagrams = [
        (1, "aa"),
        (2, "bb"),
        (3, "cc"),
        (3, "dd"),
        (3, "e"),
        (3, "ff"),
        (4, "gg"),
        (5, ""),
    ];
    let (calls, told, traffic) = sent(&datagrams, |call| Ok(all(call)));
    assert_eq!(calls, ["1: aa, 2: bb", "3: ccdde/2", "3: ff, 4: gg, 5: "]);
    let expected: Vec<_> = (0..8).map(|place| (place, true)).collect();
    assert_eq!(told, expected);
    assert_eq!((traffic.sent.ipv4, traffic.taken_apart), (8, 0));
    assert_eq!(traffic.batched, 3);
    assert_eq!(traffic.sent.calls[..3], [0, 1, 2]);
}

#[test]
fn a_group_that_is_refused_goes_one_by_one() {
    for errno in [5, 22, 90] {
        let datagrams = [(1, "aa"), (1, "bb"), (1, "c"), (2, "d")];
        let (calls, told, traffic) = sent(&datagrams, |call| match call {
            "1: aabbc/2" | "1: bb, 1: c" => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(1),
        });
        let expected = [
            "1: aabbc/2",
            "1: aa, 1: bb, 1: c",
            "1: bb, 1: c",
            "1: c",
            "2: d",
        ];
        assert_eq!(calls, expected);
        assert_eq!(told, [(0, true), (1, false), (2, true), (3, true)]);
        assert_eq!((traffic.sent.ipv4, traffic.taken_apart), (3, 1));
    }
}

/// A batch to each of two addresses, by turns.
fn batch_to(host: usize) -> [(Peer, &'static str); 2] {
    let address = SocketAddr::from((Ipv4Addr::new(192, 0, 2, u8::from(host % 2 == 1)), 9));
    let to = Peer {
        address,
        ..peer(9, None)
    };
    [(to, "aa"), (to, "bb")]
}

#[test]
fn host_that_refuses_batches_pauses_them_and_tries_again() {
    let mut notes = Notes::new(|call: &str| match call.split_once('/') {
        Some(_) => Err(io::Error::from_raw_os_error(5)),
        None => Ok(all(call)),
    });
    let mut traffic = Traffic::default();
    let refusals = REFUSALS as usize;
    for batch in 0..2 * refusals {
        assert_eq!(
            notes.send(batch_to(batch), &mut traffic),
            [(0, true), (1, true)]
        );
    }
    // No batch is tried in the pause, and the datagrams go all the same.
    let batches = |notes: &Notes<_>| notes.calls.iter().filter(|call| call.contains('/')).count();
    let counted =
        |traffic: &Traffic| (traffic.taken_apart, traffic.batch_pauses, traffic.sent.ipv4);
    assert_eq!(batches(&notes), refusals);
    assert_eq!(counted(&traffic), (8, 1, 32));
    notes.now += MIN_PAUSE;
    notes.send(batch_to(0), &mut traffic);
    assert_eq!(batches(&notes), refusals + 1);
    assert_eq!(counted(&traffic), (9, 1, 34));
}

#[test]
fn destinations_that_take_nothing_pause_no_batches() {
    // The network refuses what goes to one address alone, and takes one part of what goes to the other.
    for errno in [5, 22, 90] {
        let mut notes = Notes::new(|call: &str| match call {
            "9: aabb/2" | "9: aa, 9: bb" => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(1),
        });
        let mut traffic = Traffic::default();
        for batch in 0..100 {
            let told = notes.send(batch_to(batch), &mut traffic);
            assert_eq!(told, [(0, false), (1, true)]);
        }
        assert_eq!((traffic.taken_apart, traffic.batch_pauses), (100, 0));
    }
}

#[test]
fn full_card_queue_pauses_no_batches() {
    const ENOBUFS: i32 = 105;
    let mut notes = Notes::new(|_: &str| Err(io::Error::from_raw_os_error(ENOBUFS)));
    let mut traffic = Traffic::default();
    for batch in 0..100 {
        let told = notes.send(batch_to(batch), &mut traffic);
        assert_eq!(told, [(0, false), (1, false)]);
    }
    assert_eq!(notes.calls.len(), 100);
    assert_eq!((traffic.taken_apart, traffic.batch_pauses), (0, 0));
}

#[test]
fn a_full_send_buffer_costs_the_group() {
    let datagrams = [(1, "aa"), (1, "bb"), (1, "c")];
    let (calls, told, _) = sent(&datagrams, |_| Err(io::ErrorKind::WouldBlock.into()));
    assert_eq!(calls, ["1: aabbc/2"]);
    assert_eq!(told, [(0, false), (1, false), (2, false)]);
}

#[test]
fn one_that_cannot_be_sent_costs_no_other() {
    let datagrams = [(1, "aa"), (2, "bb"), (3, "cc"), (4, "dd")];
    let (calls, told, _) = sent(&datagrams, |call| match call.as_bytes()[0] {
        b'1' => Ok(2),
        b'3' => Err(io::ErrorKind::PermissionDenied.into()),
        _ => Ok(all(call)),
    });
    let expected = ["1: aa, 2: bb, 3: cc, 4: dd", "3: cc, 4: dd", "4: dd"];
    assert_eq!(calls, expected);
    assert_eq!(told, [(0, true), (1, true), (2, false), (3, true)]);
}

#[test]
fn what_goes_from_another_address_or_by_another_socket_goes_in_another_call() {
    let goes = |one, other| {
        let [one, other] = [one, other].map(|to| Single { to, octets: b"a" });
        one.goes_with(&other)
    };
    assert!(goes(peer(1, None), peer(2, None)));
    assert!(goes(peer(1, Some(3)), peer(2, Some(3))));
    assert!(!goes(peer(1, Some(3)), peer(2, Some(4))));
    let by_another = Peer {
        socket: 1,
        ..peer(1, None)
    };
    assert!(!goes(by_another, peer(2, None)));
}

#[test]
fn the_datagram_that_was_just_written_is_kept() {
    let mut parcels = Parcels::new();
    parcels.room()[..2].copy_from_slice(b"aa");
    parcels.begin(peer(1, None), 2);
    parcels.room()[..3].copy_from_slice(b"bbb");
    parcels.clear(3);
    assert_eq!(&parcels.room()[..3], b"bbb");
    parcels.begin(peer(2, None), 3);
    assert_eq!(parcels.parcels[0].octets, 0..3);
}
