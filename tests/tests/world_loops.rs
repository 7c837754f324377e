//! A loop between a server and a service that answers everything, started by a forged datagram, ends by itself.
#![cfg(target_os = "linux")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use hii_tests::attack::{Host, Peer, Site, ask, probe};

const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

/// Maximum number of the server's answers in one loop.
const MOST_ANSWERS: u64 = 200;

/// Rounds without a datagram between the two after which the loop has ended.
const QUIET_ROUNDS: u64 = 100;

/// A service's answer to a datagram.
type Double = (&'static str, fn(&[u8]) -> Vec<u8>);

const DOUBLES: [Double; 8] = [
    ("upper-casing echo", |heard| heard.to_ascii_uppercase()),
    ("echo with a prefix", |heard| {
        // It would grow without bound.
        [b"> ", &heard[..heard.len().min(64)]].concat()
    }),
    ("DNS-like", |heard| {
        // The identifier, "not implemented", and no question.
        let id = [0, 1].map(|at| heard.get(at).copied().unwrap_or_default());
        [&id[..], &[0x80, 4, 0, 0, 0, 0, 0, 0, 0, 0]].concat()
    }),
    // A reset.
    ("CoAP-like", |_| vec![0x70, 0, 0, 0]),
    ("SIP-like", |_| b"SIP/2.0 400 Bad Request\r\n\r\n".to_vec()),
    ("chargen", |_| (b' '..b'h').collect()),
    ("empty", |_| Vec::new()),
    ("calibrating", |_| b"C 64".to_vec()),
];

/// Starts a loop between a service's double and a server with forged datagrams, and waits until it ends.
fn ends(site: &Site, service: &str, (name, answer): Double, under_way: u64) {
    let server = site.serve(HII_SERVER, &[service]);
    let to = SocketAddr::new(Host::Server.v4(), server.address().port());
    // It answers any source.
    let at = site.at(Host::Honest);
    let double = at
        .enter(|| UdpSocket::bind((Host::Honest.v4(), 0)))
        .unwrap();
    let double_at = double.local_addr().unwrap();
    let answers = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&answers);
    let worker = thread::spawn(move || {
        let mut octets = vec![0; 1 << 16];
        while let Ok((len, from)) = double.recv_from(&mut octets) {
            let heard = &octets[..len];
            if heard == b"stop" {
                break;
            }
            if from == to && counted.fetch_add(1, Ordering::SeqCst) >= MOST_ANSWERS {
                // Enough to fail.
                continue;
            }
            let _ = double.send_to(&answer(heard), from);
        }
    });
    let attacker = site.attacker(Host::Near);
    for _ in 0..under_way {
        // Longer than its answer.
        attacker.send(double_at, to, &[b'x'; 100]);
    }
    let marker: Box<dyn Fn()> = if service == "ping" {
        let honest = site.udp(Host::Near, Host::Near.v4(), to);
        Box::new(move || probe(&honest, 1))
    } else {
        let honest = Peer::new(site, Host::Near, Host::Near.v4(), to);
        Box::new(move || assert_eq!(honest.heard_before("marker"), [""; 0]))
    };
    let beside = site.udp(Host::Near, Host::Near.v4(), double_at);
    let (mut seen, mut quiet) = (0, 0);
    while quiet < QUIET_ROUNDS {
        marker();
        ask(&beside, b"marker", |_| true);
        let now = answers.load(Ordering::SeqCst);
        quiet = if now == seen { quiet + 1 } else { 0 };
        seen = now;
        assert!(
            now <= MOST_ANSWERS,
            "{service}, {name}, {under_way} under way"
        );
    }
    assert!(seen > 0, "{service}, {name}: nothing was answered");
    beside.send(b"stop").unwrap();
    worker.join().unwrap();
}

fn all_end(service: &str) {
    let Some(site) = Site::new() else {
        return;
    };
    for double in DOUBLES {
        for under_way in [1, 200] {
            ends(&site, service, double, under_way);
        }
    }
}

#[test]
#[ignore = "needs network namespaces"]
fn loop_with_ping_server_ends() {
    all_end("ping");
}

#[test]
#[ignore = "needs network namespaces"]
fn loop_with_relay_ends() {
    all_end("relay");
}
