//! What the kernel tells of a client's datagrams.
#![cfg(target_os = "linux")]

use std::io;
use std::net::{SocketAddr, UdpSocket};

use hii_transport::clock::Clock;
use hii_transport::options::SocketOptions;
use hii_transport::probe::{Buffer, Icmp, IcmpVersion, Note, ProbeSocket, Received, StampClock};
use mio::{Events, Poll, Token};

mod waiting;

use waiting::{WATCHDOG, receive};

/// Loopback addresses of this host.
fn hosts() -> Vec<UdpSocket> {
    let bind = |host| UdpSocket::bind((host, 0));
    // A host may be without IPv6.
    let v6 = bind("::1").ok();
    [bind("127.0.0.1").unwrap()]
        .into_iter()
        .chain(v6)
        .inspect(|socket| socket.set_read_timeout(Some(WATCHDOG)).unwrap())
        .collect()
}

fn connect(target: &UdpSocket, options: &SocketOptions) -> ProbeSocket {
    ProbeSocket::connect(target.local_addr().unwrap(), options).unwrap()
}

/// Sends back what comes next; returns from where it came.
fn echo(socket: &UdpSocket) -> SocketAddr {
    let mut octets = [0; 2048];
    let (len, from) = socket.recv_from(&mut octets).unwrap();
    socket.send_to(&octets[..len], from).unwrap();
    from
}

/// The next note that comes from the network.
fn refusal(socket: &ProbeSocket) -> (Icmp, Vec<u8>) {
    let mut buffer = Buffer::for_datagrams();
    receive(socket, &mut buffer).unwrap_err();
    match socket.note_of_receiving(&mut buffer) {
        Some(Note::Refused { icmp, quoted }) => (icmp, quoted.to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tells_when_a_datagram_went_and_when_its_answer_came() {
    for target in hosts() {
        let socket = connect(&target, &SocketOptions::default());
        assert_eq!(socket.lacks_stamps(), None);
        let clock = Clock::start();
        let mut stamps = StampClock::start(clock);
        let mut buffer = Buffer::for_datagrams();
        let mut notes = Buffer::for_notes();
        let mut told = 0;
        // The kernel may begin to stamp what comes a little later than it is asked to.
        for number in (0..1000).map(|number| format!("number {number}")) {
            let sent = clock.elapsed();
            socket.send(number.as_bytes()).unwrap();
            echo(&target);
            let received = receive(&socket, &mut buffer).unwrap();
            let at = clock.elapsed();
            assert_eq!(buffer.octets(&received), number.as_bytes());
            let Some(Note::Transmitted { stamp, packet }) = socket.note_of_sending(&mut notes)
            else {
                panic!("no note of {number}");
            };
            assert!(packet.ends_with(number.as_bytes()), "{packet:?}");
            assert_eq!(socket.note_of_sending(&mut notes), None);
            assert_eq!(socket.note_of_receiving(&mut notes), None);
            let there = stamps.stamp(stamp);
            let Some(back) = received.stamp.map(|stamp| stamps.stamp(stamp)) else {
                continue;
            };
            // A reading of the clocks may be interrupted, and then says nothing.
            if there.is_within(sent, at) && back.is_within(sent, at) {
                assert!(there.at <= back.at, "{there:?} {back:?}");
                told += 1;
            }
            if told == 100 {
                break;
            }
        }
        assert_eq!(told, 100);
    }
}

#[test]
fn a_long_packet_s_note_has_its_beginning() {
    for target in hosts() {
        let socket = connect(&target, &SocketOptions::default());
        let mut probe = vec![b' '; 60_000];
        probe[..7].copy_from_slice(b"P 1 2 3");
        socket.send(&probe).unwrap();
        let mut notes = Buffer::for_notes();
        let Some(Note::Transmitted { packet, .. }) = socket.note_of_sending(&mut notes) else {
            panic!("no note");
        };
        assert!(packet.windows(7).any(|octets| octets == b"P 1 2 3"));
    }
}

#[test]
fn what_strangers_send_to_the_port_is_refused() {
    for target in hosts() {
        let socket = connect(&target, &SocketOptions::default());
        socket.send(b"hello").unwrap();
        let port = echo(&target);
        let stranger = UdpSocket::bind((target.local_addr().unwrap().ip(), 0)).unwrap();
        stranger.set_read_timeout(Some(WATCHDOG)).unwrap();
        stranger.connect(port).unwrap();
        stranger.send(b"not for you").unwrap();
        let error = stranger.recv(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let mut buffer = Buffer::for_datagrams();
        let received = receive(&socket, &mut buffer).unwrap();
        assert_eq!(buffer.octets(&received), b"hello");
        let error = socket.receive(&mut buffer, &Clock::start()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}

#[test]
fn nobody_can_join_the_port() {
    for target in hosts() {
        let socket = connect(&target, &SocketOptions::default());
        socket.send(b"hello").unwrap();
        let port = echo(&target);
        let domain = socket2::Domain::for_address(port);
        let thief = socket2::Socket::new(domain, socket2::Type::DGRAM, None).unwrap();
        thief.set_reuse_address(true).unwrap();
        thief.set_reuse_port(true).unwrap();
        let error = thief.bind(&port.into()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}

#[test]
fn each_refusal_names_its_datagram_and_none_keeps_the_next_from_being_sent() {
    for target in hosts() {
        let socket = connect(&target, &SocketOptions::default());
        let is_ipv6 = target.local_addr().unwrap().is_ipv6();
        drop(target);
        for number in (0..20).map(|number| format!("number {number}")) {
            socket.send(number.as_bytes()).unwrap();
            let (icmp, quoted) = refusal(&socket);
            assert_eq!(quoted, number.as_bytes());
            let expected = if is_ipv6 {
                (IcmpVersion::V6, 1, 4)
            } else {
                (IcmpVersion::V4, 3, 3)
            };
            assert_eq!((icmp.version, icmp.kind, icmp.code), expected);
        }
    }
}

#[test]
fn counts_what_there_was_no_room_for() {
    for target in hosts() {
        let options = SocketOptions {
            receive_buffer: Some(1),
            ..SocketOptions::default()
        };
        let socket = connect(&target, &options);
        socket.send(b"hello").unwrap();
        let from = echo(&target);
        for _ in 0..99 {
            target.send_to(&[0; 1000], from).unwrap();
        }
        let mut buffer = Buffer::for_datagrams();
        let mut came = 0;
        while let Ok(Received { drops, .. }) = socket.receive(&mut buffer, &Clock::start()) {
            assert_eq!(drops, 0, "those that came were first");
            came += 1;
        }
        assert!((1..50).contains(&came), "{came}");
        target.send_to(b"last", from).unwrap();
        let received = receive(&socket, &mut buffer).unwrap();
        assert_eq!(received.drops, 100 - came);
    }
}

#[test]
fn what_watches_a_socket_learns_of_each_datagram() {
    for target in hosts() {
        let mut socket = connect(&target, &SocketOptions::default());
        let mut poll = Poll::new().unwrap();
        socket.register(poll.registry(), Token(7)).unwrap();
        let mut buffer = Buffer::for_datagrams();
        let mut ready = Events::with_capacity(8);
        for number in (0..3).map(|number| format!("number {number}")) {
            socket.send(number.as_bytes()).unwrap();
            echo(&target);
            poll.poll(&mut ready, Some(WATCHDOG)).unwrap();
            assert!(ready.iter().any(|event| event.token() == Token(7)));
            let received = receive(&socket, &mut buffer).unwrap();
            assert_eq!(buffer.octets(&received), number.as_bytes());
        }
    }
}
