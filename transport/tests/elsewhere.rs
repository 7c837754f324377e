//! What comes to a client's port from elsewhere is counted, and none of what comes from its target.
#![cfg(target_os = "linux")]

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread;

use hii_transport::arrivals::Arrivals;
use hii_transport::burst::BurstSocket;
use hii_transport::clock::Clock;
use hii_transport::elsewhere::{Elsewhere, Strays};
use hii_transport::options::SocketOptions;
use hii_transport::probe::{Buffer, Note, ProbeSocket};
use hii_transport::udp;
use socket2::{Domain, Socket, Type};

mod waiting;

use waiting::{WATCHDOG, receive};

/// Which of several sockets at a port gets a datagram may go by chance, that of the port's number.
const PORTS: usize = 60;

fn bind(host: IpAddr) -> UdpSocket {
    let socket = UdpSocket::bind((host, 0)).unwrap();
    socket.set_read_timeout(Some(WATCHDOG)).unwrap();
    socket
}

/// Loopback addresses of this host: where a client is, and where its target and others may be.
fn hosts() -> Vec<(IpAddr, Vec<IpAddr>)> {
    let [v4, other, v6] = ["127.0.0.1", "127.0.0.2", "::1"].map(|host| host.parse().unwrap());
    // A host may be without IPv6.
    let has_v6 = UdpSocket::bind((v6, 0)).is_ok();
    let v6 = has_v6.then(|| (v6, vec![v6]));
    [(v4, vec![v4, other])].into_iter().chain(v6).collect()
}

/// Looks until so many have come, which may take a moment.
fn heard(elsewhere: &mut Elsewhere, count: u64) -> Strays {
    let clock = Clock::start();
    loop {
        let strays = elsewhere.look();
        if strays.count >= count {
            return strays;
        }
        assert!(clock.elapsed() < WATCHDOG, "{strays:?} of {count}");
        thread::yield_now();
    }
}

/// The octets that come next, which may take a moment.
fn octets(socket: &ProbeSocket, buffer: &mut Buffer) -> io::Result<Vec<u8>> {
    receive(socket, buffer).map(|received| buffer.octets(&received).to_vec())
}

/// Has a client's first datagram come to its target; returns where from.
fn port_of(target: &UdpSocket) -> SocketAddr {
    target.recv_from(&mut [0; 64]).unwrap().1
}

#[test]
fn what_the_target_sends_is_never_from_elsewhere_and_all_else_is() {
    for (client, others) in hosts() {
        let target = bind(client);
        let strangers: Vec<_> = others.into_iter().map(bind).collect();
        let options = SocketOptions {
            source: Some(client),
            ..SocketOptions::default()
        };
        let mut buffer = Buffer::for_datagrams();
        for _ in 0..PORTS {
            let socket = ProbeSocket::connect(target.local_addr().unwrap(), &options).unwrap();
            assert_eq!(socket.lacks_stamps(), None);
            let mut elsewhere = socket.hear_elsewhere().unwrap();
            assert_eq!(elsewhere.look(), Strays::default());
            socket.send(b"hello").unwrap();
            let port = port_of(&target);
            let mut count = 0;
            for number in 0..10_u8 {
                for stranger in &strangers {
                    stranger.send_to(b"not from there", port).unwrap();
                    count += 1;
                }
                target.send_to(&[number], port).unwrap();
                assert_eq!(octets(&socket, &mut buffer).unwrap(), [number]);
            }
            let strays = Strays {
                count,
                first: strangers[0].local_addr().ok(),
                may_be_more: false,
            };
            assert_eq!(heard(&mut elsewhere, count), strays);
            let nothing = socket.receive(&mut buffer, &Clock::start()).unwrap_err();
            assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        }
    }
}

#[test]
fn the_same_goes_for_a_socket_for_bursts() {
    for (client, others) in hosts() {
        let target = bind(client);
        let strangers: Vec<_> = others.into_iter().map(bind).collect();
        for _ in 0..PORTS {
            let socket = udp::connect(target.local_addr().unwrap()).unwrap();
            let socket = BurstSocket::new(socket, true).unwrap();
            let mut elsewhere = socket.hear_elsewhere().unwrap();
            socket.send(b"hello", 5).unwrap();
            let port = port_of(&target);
            for stranger in &strangers {
                stranger.send_to(b"not from there", port).unwrap();
            }
            target.send_to(b"from there", port).unwrap();
            let mut arrivals = Arrivals::new();
            while socket.receive(&mut arrivals).is_err() {
                socket.wait(WATCHDOG);
            }
            assert!(arrivals.datagrams().eq([b"from there"]));
            let strays = heard(&mut elsewhere, strangers.len() as u64);
            assert_eq!(strays.count, strangers.len() as u64);
            assert_eq!(strays.first, strangers[0].local_addr().ok());
        }
    }
}

#[test]
fn refusals_still_come_to_who_sent() {
    for (client, _) in hosts() {
        let target = bind(client);
        let address = target.local_addr().unwrap();
        let socket = ProbeSocket::connect(address, &SocketOptions::default()).unwrap();
        let mut elsewhere = socket.hear_elsewhere().unwrap();
        drop(target);
        let mut buffer = Buffer::for_datagrams();
        for number in 0..20_u8 {
            socket.send(&[number]).unwrap();
            octets(&socket, &mut buffer).unwrap_err();
            let note = socket.note_of_receiving(&mut buffer);
            assert!(
                matches!(note, Some(Note::Refused { quoted: [quoted], .. }) if *quoted == number),
                "{note:?}"
            );
        }
        assert_eq!(elsewhere.look(), Strays::default());
    }
}

#[test]
fn nobody_can_join_the_port() {
    type Share = fn(&Socket, bool) -> io::Result<()>;
    let shares: [Share; 2] = [Socket::set_reuse_address, Socket::set_reuse_port];
    for (client, _) in hosts() {
        let target = bind(client);
        let address = target.local_addr().unwrap();
        let socket = ProbeSocket::connect(address, &SocketOptions::default()).unwrap();
        let bursts = BurstSocket::new(udp::connect(address).unwrap(), true).unwrap();
        let _elsewhere = [socket.hear_elsewhere(), bursts.hear_elsewhere()].map(Result::unwrap);
        socket.send(b"hello").unwrap();
        bursts.send(b"hello", 5).unwrap();
        for port in [port_of(&target), port_of(&target)] {
            for share in shares {
                let thief = Socket::new(Domain::for_address(port), Type::DGRAM, None).unwrap();
                share(&thief, true).unwrap();
                let error = thief.bind(&port.into()).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
            }
        }
    }
}

#[test]
fn where_there_was_no_room_there_may_have_been_more() {
    for (client, others) in hosts() {
        let target = bind(client);
        let stranger = bind(others[0]);
        let socket = udp::connect(target.local_addr().unwrap()).unwrap();
        let socket = BurstSocket::new(socket, true).unwrap();
        let mut elsewhere = socket.hear_elsewhere().unwrap();
        socket.send(b"hello", 5).unwrap();
        let port = port_of(&target);
        for _ in 0..2000 {
            stranger.send_to(&[0; 10_000], port).unwrap();
        }
        let some = heard(&mut elsewhere, 1);
        assert!(some.count < 2000 && some.may_be_more, "{some:?}");
        // The next one tells how many there were before it.
        stranger.send_to(b"last", port).unwrap();
        let all = heard(&mut elsewhere, 2001);
        assert_eq!((all.count, all.may_be_more), (2001, true));
    }
}
