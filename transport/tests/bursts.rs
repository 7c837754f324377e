//! The receive loop under bursts that the kernel hands over together.
#![cfg(target_os = "linux")]

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread::JoinHandle;
use std::time::Duration;

use hii_transport::clock::{Clock, Now};
use hii_transport::datagrams::{Effect, Peer, Receipt, Service, serve};
use hii_transport::packet_info::PacketInfo;
use hii_transport::stop::stopper;
use hii_transport::traffic::Traffic;
use hii_transport::udp;
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};

/// Answers every datagram with itself, and stops at `stop`.
#[derive(Default)]
struct Echo {
    sent: usize,
    failed: usize,
    traffic: Traffic,
}

impl Service for Echo {
    type Answer = Vec<u8>;
    type Train = ();

    fn train(&mut self, _: &PacketInfo, _: Now) {}

    fn handle(&mut self, datagram: &[u8], (): &()) -> Effect<Vec<u8>> {
        if datagram == b"stop" {
            Effect::AnswerAndStop(datagram.to_vec())
        } else {
            Effect::Answer(datagram.to_vec())
        }
    }

    fn next_due(&self) -> Option<Duration> {
        None
    }

    fn take_due(&mut self, _: Duration) -> Option<(Peer, Vec<u8>)> {
        None
    }

    fn write(&mut self, answer: &Vec<u8>, _: Duration, buffer: &mut [u8]) -> usize {
        buffer[..answer.len()].copy_from_slice(answer);
        answer.len()
    }

    fn sent(
        &mut self,
        _: &Vec<u8>,
        result: &io::Result<()>,
        times: usize,
    ) -> Option<Receipt<Vec<u8>>> {
        *if result.is_ok() {
            &mut self.sent
        } else {
            &mut self.failed
        } += times;
        None
    }

    fn round_done(&mut self, traffic: &Traffic) {
        self.traffic = *traffic;
    }
}

fn echo(at: SocketAddr) -> (SocketAddr, JoinHandle<Echo>) {
    let socket = if at.ip().is_unspecified() {
        udp::listen_everywhere(at.port()).unwrap()
    } else {
        udp::listen(at).unwrap()
    };
    let address = socket.local_addr().unwrap();
    (address, start(socket))
}

fn start(socket: UdpSocket) -> JoinHandle<Echo> {
    std::thread::spawn(move || {
        let (_stopper, stop) = stopper().unwrap();
        let mut echo = Echo::default();
        serve(vec![socket], &mut echo, &Clock::start(), &stop).unwrap();
        echo
    })
}

fn client() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    socket
}

/// A datagram of this length that tells its number.
fn numbered(number: usize, len: usize) -> Vec<u8> {
    format!("{number:<len$}").into_bytes()
}

#[test]
fn answers_of_all_lengths_come_whole_and_in_order() {
    let (address, thread) = echo((Ipv4Addr::LOCALHOST, 0).into());
    let client = client();
    // More in a row than the loop sends of one kind at a time: none may fall between two rounds.
    let mut lengths = vec![100; 80];
    lengths.extend([
        50, 50, 100, 100, 99, 100, 5000, 5000, 1232, 1232, 1233, 1233, 3, 20_000,
    ]);
    for _ in 0..20 {
        for (number, len) in lengths.iter().enumerate() {
            client.send_to(&numbered(number, *len), address).unwrap();
        }
        client.send_to(b"", address).unwrap();
        let mut buffer = vec![0; 65_536];
        for (number, len) in lengths.iter().enumerate() {
            let received = client.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..received], numbered(number, *len));
        }
        assert_eq!(client.recv(&mut buffer).unwrap(), 0);
    }
    client.send_to(b"stop", address).unwrap();
    assert_eq!(client.recv(&mut [0; 10]).unwrap(), 4);
    let echo = thread.join().unwrap();
    assert_eq!((echo.sent, echo.failed), (20 * (lengths.len() + 1) + 1, 0));
}

#[test]
fn a_burst_sent_together_is_answered_together() {
    for (at, asked) in [
        ("127.0.0.1:0", [127, 0, 0, 1]),
        // Addresses that the routing table would not choose as a source.
        ("0.0.0.0:0", [127, 0, 0, 2]),
        ("[::]:0", [127, 0, 0, 2]),
    ] {
        let (address, thread) = echo(at.parse().unwrap());
        let address = SocketAddr::from((asked, address.port()));
        let client = client();
        // What comes from elsewhere is not for this socket.
        client.connect(address).unwrap();
        let state = UdpSocketState::new((&client).into()).unwrap();
        client.set_nonblocking(false).unwrap();
        let burst: Vec<u8> = (0..50).flat_map(|number| numbered(number, 64)).collect();
        let transmit = Transmit {
            destination: address,
            ecn: None,
            contents: &burst,
            segment_size: Some(64),
            src_ip: None,
        };
        state.try_send((&client).into(), &transmit).unwrap();
        let mut buffer = vec![0; 65_536];
        let mut answer = Vec::new();
        let mut calls = 0;
        while answer.len() < burst.len() {
            let mut metas = [RecvMeta::default()];
            let mut room = [IoSliceMut::new(&mut buffer)];
            let count = state.recv((&client).into(), &mut room, &mut metas);
            assert_eq!(count.unwrap(), 1);
            assert_eq!(metas[0].stride, 64);
            answer.extend_from_slice(&buffer[..metas[0].len]);
            calls += 1;
        }
        assert_eq!(answer, burst);
        // One, unless the kernel cut the burst somewhere on the way.
        assert!(calls < 25, "{calls} calls");
        client.send_to(b"stop", address).unwrap();
        assert_eq!(thread.join().unwrap().sent, 51);
    }
}

#[test]
fn many_clients_at_once_get_each_their_own_answers() {
    let (address, thread) = echo((Ipv4Addr::LOCALHOST, 0).into());
    let clients: Vec<_> = (0..30).map(|_| client()).collect();
    for round in 0..20 {
        for (index, client) in clients.iter().enumerate() {
            let number = 100 * index + round;
            client.send_to(&numbered(number, 40), address).unwrap();
        }
    }
    for (index, client) in clients.iter().enumerate() {
        for round in 0..20 {
            let mut buffer = [0; 100];
            let len = client.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..len], numbered(100 * index + round, 40));
        }
    }
    clients[0].send_to(b"stop", address).unwrap();
    assert_eq!(thread.join().unwrap().failed, 0);
}

#[test]
fn several_clients_are_answered_in_one_call_from_the_address_that_they_asked() {
    for at in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        let at: SocketAddr = at.parse().unwrap();
        let socket = if at.ip().is_unspecified() && at.is_ipv6() {
            udp::listen_everywhere(0).unwrap()
        } else {
            udp::listen(at).unwrap()
        };
        let port = socket.local_addr().unwrap().port();
        // The loop takes one first and then eight at a time, and each eight ask one address. All are there before the first
        // is looked at.
        let mut clients = Vec::new();
        for index in 0..17 {
            let is_second = at.ip().is_unspecified() && index >= 9;
            let address = SocketAddr::from(([127, 0, 0, 1 + u8::from(is_second)], port));
            let client = client();
            // What comes from elsewhere is not for this socket.
            client.connect(address).unwrap();
            let message = match index {
                16 => b"stop".to_vec(),
                _ => numbered(index, 40),
            };
            client.send(&message).unwrap();
            clients.push((client, message));
        }
        let echo = start(socket).join().unwrap();
        for (client, message) in &clients {
            let mut buffer = [0; 100];
            let len = client.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..len], message);
        }
        assert_eq!((echo.sent, echo.failed), (17, 0));
        // One for the first, and one for each eight.
        assert_eq!(echo.traffic.sent.calls[..4], [1, 0, 0, 2], "{at}");
    }
}
