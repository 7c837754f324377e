//! Destinations that the kernel refuses, beside others.

use std::net::{IpAddr, Ipv4Addr};

use nix::sys::socket::{getsockopt, sockopt};

use super::*;
use crate::parcels::Parcels;
use crate::traffic::Traffic;
use crate::udp;

/// Datagrams of a batch.
const BATCH: usize = 30;

/// Sends a batch to each of these in turn. Returns which of them went.
fn send(carriers: &mut Carriers<'_>, to: &[Peer], traffic: &mut Traffic) -> Vec<bool> {
    let mut parcels = Parcels::new();
    for to in to {
        for _ in 0..BATCH {
            parcels.room()[..100].fill(b'a');
            if !parcels.join(carriers, to, 100) {
                parcels.begin(*to, 100);
            }
        }
    }
    let mut went = Vec::new();
    parcels.send(carriers, traffic, |places, result| {
        went.extend(places.map(|_| result.is_ok()));
    });
    went
}

/// How many datagrams are there, all of them from this address.
fn taken(receiver: &UdpSocket, from: IpAddr) -> usize {
    let mut taken = 0;
    while let Ok((len, peer)) = receiver.recv_from(&mut [0; 200]) {
        assert_eq!((len, peer.ip()), (100, from));
        taken += 1;
    }
    taken
}

#[test]
fn refused_destination_changes_nothing_for_others() {
    let socket = udp::listen((Ipv4Addr::UNSPECIFIED, 0).into()).unwrap();
    let receiver = udp::listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let asked: IpAddr = Ipv4Addr::new(127, 0, 0, 9).into();
    let good = Peer {
        address: receiver.local_addr().unwrap(),
        socket: 0,
        asked: Some(asked),
    };
    // Nothing goes to port 0 (EINVAL), nor to a broadcast address without being allowed (EACCES); and nothing comes from an
    // address that this host does not have (EINVAL).
    let refused = [
        Peer {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            ..good
        },
        Peer {
            address: (Ipv4Addr::new(127, 0, 0, 2), 0).into(),
            asked: None,
            ..good
        },
        Peer {
            address: (Ipv4Addr::BROADCAST, 9).into(),
            ..good
        },
        Peer {
            asked: Some(Ipv4Addr::new(192, 0, 2, 1).into()),
            ..good
        },
    ];
    let sockets = [BatchSocket::new(socket).unwrap()];
    let clock = Clock::start();
    let mut carriers = Carriers::new(&sockets, &clock);
    for round in 0..20 {
        let mut traffic = Traffic::default();
        let went = send(&mut carriers, &refused, &mut traffic);
        assert_eq!(went, vec![false; BATCH * refused.len()]);
        assert_eq!((traffic.sent.datagrams(), traffic.batch_pauses), (0, 0));
        let mut traffic = Traffic::default();
        let went = send(&mut carriers, &[good], &mut traffic);
        assert_eq!(went, vec![true; BATCH], "round {round}");
        assert_eq!(traffic.batched, BATCH as u64, "round {round}");
        assert_eq!(taken(&receiver, asked), BATCH);
    }
}

#[test]
fn refused_message_of_a_call_costs_no_other() {
    let socket = udp::listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let from = socket.local_addr().unwrap().ip();
    let receiver = udp::listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let good = Peer {
        address: receiver.local_addr().unwrap(),
        socket: 0,
        asked: None,
    };
    let bad = Peer {
        address: (Ipv4Addr::LOCALHOST, 0).into(),
        ..good
    };
    let sockets = [BatchSocket::new(socket).unwrap()];
    let clock = Clock::start();
    let mut carriers = Carriers::new(&sockets, &clock);
    for order in [
        &[good, bad, good][..],
        &[bad, good],
        &[good, good, bad],
        &[bad, bad, good],
    ] {
        let mut parcels = Parcels::new();
        for to in order {
            parcels.room()[..100].fill(b'a');
            parcels.begin(*to, 100);
        }
        let mut went = Vec::new();
        parcels.send(&mut carriers, &mut Traffic::default(), |places, result| {
            went.extend(places.map(|_| result.is_ok()));
        });
        let expected: Vec<_> = order.iter().map(|to| *to == good).collect();
        assert_eq!(went, expected);
        let goes = expected.iter().filter(|goes| **goes).count();
        assert_eq!(taken(&receiver, from), goes);
    }
}

#[test]
fn interface_is_known_of_what_came_before_the_service_began() {
    for address in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
        let Ok(socket) = udp::listen(address.parse().unwrap()) else {
            continue; // a host without IPv6
        };
        assert_first_has_interface(socket);
    }
    assert_first_has_interface(udp::listen_everywhere(0).unwrap());
    let everywhere = udp::listen_everywhere(0).unwrap();
    if everywhere.local_addr().unwrap().is_ipv6() {
        // It is reported once.
        assert_eq!(getsockopt(&everywhere, sockopt::Ipv4PacketInfo), Ok(false));
    }
    for socket in udp::listen_shared((Ipv4Addr::LOCALHOST, 0).into(), 2).unwrap() {
        assert_eq!(getsockopt(&socket, sockopt::Ipv4PacketInfo), Ok(true));
    }
}

fn assert_first_has_interface(socket: UdpSocket) {
    let mut to = socket.local_addr().unwrap();
    if to.ip().is_unspecified() {
        to.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    udp::connect(to).unwrap().send(b"early").unwrap();
    let socket = BatchSocket::new(socket).unwrap();
    let mut arrivals = Arrivals::new();
    assert!(socket.receive(&mut arrivals, &Clock::start()).unwrap());
    let arrival = arrivals.buffers().next().unwrap();
    assert!(
        arrival.interface.is_some_and(|interface| interface > 0),
        "{to}"
    );
}
