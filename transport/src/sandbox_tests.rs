//! Services under a filter that refuses some of their system calls (seccomp), as a sandbox does.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use nix::libc::{SYS_recvmmsg, SYS_recvmsg, SYS_sendmmsg, SYS_sendmsg};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use crate::arrivals::Arrivals;
use crate::burst::BurstSocket;
use crate::clock::{Clock, Now};
use crate::datagrams::{Effect, Peer, Receipt, Service, serve};
use crate::packet_info::PacketInfo;
use crate::stop::stopper;
use crate::traffic::Traffic;
use crate::udp;

const EPERM: u32 = 1;
const EIO: u32 = 5;
const ENOSYS: u32 = 38;

/// Echoes datagrams until it is asked to stop.
#[derive(Default)]
struct Echo(Traffic);

impl Service for Echo {
    type Answer = Vec<u8>;
    type Train = ();

    fn train(&mut self, _: &PacketInfo, _: Now) {}

    fn handle(&mut self, datagram: &[u8], (): &()) -> Effect<Vec<u8>> {
        match datagram {
            b"stop" => Effect::Stop,
            _ => Effect::Answer(datagram.to_vec()),
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

    fn sent(&mut self, _: &Vec<u8>, _: &io::Result<()>, _: usize) -> Option<Receipt<Vec<u8>>> {
        None
    }

    fn round_done(&mut self, traffic: &Traffic) {
        self.0 = *traffic;
    }
}

/// Makes these system calls fail so, for this thread.
fn refuse(calls: &[(i64, u32)]) {
    for (call, errno) in calls {
        let filter = SeccompFilter::new(
            BTreeMap::from([(*call, Vec::new())]),
            SeccompAction::Allow,
            SeccompAction::Errno(*errno),
            std::env::consts::ARCH.try_into().unwrap(),
        );
        let filter: BpfProgram = filter.unwrap().try_into().unwrap();
        apply_filter(&filter).unwrap();
    }
}

/// Serves where these calls fail so, while `client` runs, and stops. Returns what the service moved.
fn served(calls: &'static [(i64, u32)], client: impl FnOnce(SocketAddr)) -> io::Result<Traffic> {
    let socket = udp::listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    let service = thread::spawn(move || {
        refuse(calls);
        let (_stopper, stop) = stopper().unwrap();
        let mut echo = Echo::default();
        serve(vec![socket], &mut echo, &Clock::start(), &stop).map(|()| echo.0)
    });
    client(address);
    udp::connect(address).unwrap().send(b"stop").unwrap();
    service.join().unwrap()
}

/// A socket of this host's address that ends so.
fn client(host: u8, server: SocketAddr) -> BurstSocket {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.connect(server).unwrap();
    BurstSocket::new(socket, true).unwrap()
}

/// Takes what comes next.
fn receive(socket: &BurstSocket, arrivals: &mut Arrivals) {
    if socket.receive(arrivals).is_err() {
        // So that a test that fails ends.
        socket.wait(Duration::from_secs(10));
        socket.receive(arrivals).expect("an answer");
    }
}

/// Sends this many different datagrams in as few calls as possible, and checks that all come back in order.
fn assert_echoes(socket: &BurstSocket, count: u8) {
    let sent: Vec<_> = (0..count).flat_map(|number| [number; 100]).collect();
    let mut rest = sent.as_slice();
    while !rest.is_empty() {
        let gone = socket.send(rest, 100).unwrap();
        rest = &rest[gone * 100..];
    }
    let mut arrivals = Arrivals::new();
    let mut came = Vec::new();
    while came.len() < sent.len() {
        receive(socket, &mut arrivals);
        for datagram in arrivals.datagrams() {
            assert_eq!(datagram.len(), 100);
            came.extend_from_slice(datagram);
        }
    }
    assert!(came == sent);
}

#[test]
fn datagrams_are_received_one_by_one_where_batches_are_refused() {
    for calls in [&[(SYS_recvmmsg, ENOSYS)], &[(SYS_recvmmsg, EPERM)]] {
        let traffic = served(calls, |server| {
            let client = client(1, server);
            for _ in 0..20 {
                assert_echoes(&client, 40);
            }
        });
        assert_eq!(traffic.unwrap().sent.datagrams(), 800);
    }
}

#[test]
fn service_ends_with_an_error_where_nothing_can_be_received() {
    let calls = &[(SYS_recvmmsg, ENOSYS), (SYS_recvmsg, EPERM)];
    let error = served(calls, |_| {}).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
}

#[test]
fn datagrams_to_several_go_one_by_one_where_one_call_for_all_is_refused() {
    for calls in [&[(SYS_sendmmsg, ENOSYS)], &[(SYS_sendmmsg, EPERM)]] {
        let traffic = served(calls, |server| {
            let clients: Vec<_> = (1..=4).map(|host| client(host, server)).collect();
            for _ in 0..20 {
                for client in &clients {
                    assert_eq!(client.send(&[0; 9], 9).unwrap(), 1);
                }
                for client in &clients {
                    let mut arrivals = Arrivals::new();
                    receive(client, &mut arrivals);
                    assert_eq!(arrivals.datagrams().count(), 1);
                }
            }
        });
        assert_eq!(traffic.unwrap().sent.datagrams(), 80);
    }
}

#[test]
fn batches_pause_on_a_host_that_refuses_them_all() {
    // Batches alone go by this call.
    let traffic = served(&[(SYS_sendmsg, EIO)], |server| {
        for _ in 0..10 {
            for host in 1..=2 {
                assert_echoes(&client(host, server), 30);
            }
        }
    });
    let traffic = traffic.unwrap();
    assert_eq!(traffic.sent.datagrams(), 600);
    // More than one where this takes longer than the pause.
    assert!(traffic.batch_pauses > 0, "{traffic:?}");
}
