//! An attacker with many addresses, whose connections to a sender of files say nothing.
#![cfg(target_os = "linux")]

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use hii_tests::attack::{Host, Site};
use hii_tests::programs::{count, run};
use hii_tests::scratch::Directory;
use hii_tests::streams::connect;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");
const KEY: &str = "AEBAGBAFAYDQQCIKBMGA2DQPCA";

/// Threads of the attacker, and connections that each keeps open as long as it can.
const THREADS: u64 = 4;
const KEPT: usize = 200;

/// Connections of the attacker while an honest one goes a step further: more than the handshakes that there are at once.
const STEP: u64 = 300;

/// How many connections the attacker has opened, and whether it is to end.
#[derive(Default)]
struct Attack {
    opened: AtomicU64,
    is_over: AtomicBool,
}

impl Attack {
    /// Opens connections, each from an address and /64 of its own, until it is to end.
    fn run(&self, to: SocketAddr) {
        let mut open = VecDeque::new();
        while !self.is_over.load(Ordering::Relaxed) {
            let [.., high, low] = self.opened.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            let net = u16::from_be_bytes([high, low]);
            let from = Ipv6Addr::new(0xfd77, 9, 0, net, 0, 0, 0, 1);
            open.push_back(connect(from.into(), to));
            open.drain(..open.len().saturating_sub(KEPT));
        }
    }

    /// Waits until it has opened [`STEP`] more.
    fn step(&self) {
        let before = self.opened.load(Ordering::Relaxed);
        while self.opened.load(Ordering::Relaxed) < before + STEP {
            thread::yield_now();
        }
    }

    /// A slow path for one connection: the first two messages of a handshake arrive a step later each.
    fn delay(&self, listener: &TcpListener, to: SocketAddr) -> io::Result<()> {
        let (mut client, _) = listener.accept()?;
        let mut server = TcpStream::connect(to)?;
        let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
        thread::scope(|scope| {
            scope.spawn(move || {
                let _ = io::copy(&mut from_server, &mut to_client);
                to_client.shutdown(Shutdown::Write)
            });
            for _ in 0..2 {
                let mut octets = [0; 4096];
                let len = client.read(&mut octets)?;
                self.step();
                server.write_all(&octets[..len])?;
            }
            io::copy(&mut client, &mut server)?;
            server.shutdown(Shutdown::Write)
        })
    }
}

#[test]
#[ignore = "needs network namespaces"]
fn silent_connections_of_a_48_prevent_no_transfer() {
    let Some(site) = Site::new() else {
        return;
    };
    // All addresses of the network are the attacker's.
    site.at(Host::Far).set("ipv6/ip_nonlocal_bind", "1");
    site.at(Host::Far).ip("route add local fd77:9::/48 dev lo");
    site.at(Host::Router)
        .ip("route add fd77:9::/48 via fd77:1::2 dev far");
    let files = Directory::new("handshakes");
    let [key, file] = ["key", "file"].map(|name| files.path(name));
    fs::write(&key, KEY).unwrap();
    fs::write(&file, "shared").unwrap();
    let sender = site.serve(HII_SERVER, &["share", "--json", "--key-file", &key, &file]);
    let to = SocketAddr::new(Host::Server.v6(), sender.address().port());
    let attack = Attack::default();
    let honest = || {
        let listener = site
            .at(Host::Honest)
            .enter(|| TcpListener::bind("127.0.0.1:0"));
        let listener = listener.unwrap();
        let path = listener.local_addr().unwrap().to_string();
        for number in 0..25 {
            let into = files.path(&format!("received-{number}"));
            let mut command = site.at(Host::Honest).command().to_vec();
            let get = [HII, "get", &path, "--key-file", &key, "-o", &into];
            command.extend(get.map(str::to_owned));
            let args: Vec<_> = command[1..].iter().map(String::as_str).collect();
            let ended = thread::scope(|scope| {
                scope.spawn(|| {
                    let delay = || attack.delay(&listener, to);
                    site.at(Host::Honest).enter(delay)
                });
                run(&command[0], &args)
            });
            assert_eq!(ended.code, Some(0), "transfer {number}: {ended:?}");
            assert_eq!(fs::read_to_string(&into).unwrap(), "shared");
        }
    };
    thread::scope(|scope| {
        // Whatever the honest find, the attacker ends.
        let attackers: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(|| site.at(Host::Far).enter(|| attack.run(to))))
            .collect();
        let found = scope.spawn(honest).join();
        attack.is_over.store(true, Ordering::Relaxed);
        for attacker in attackers {
            attacker.join().expect("the sender accepts");
        }
        found.expect("25 transfers");
    });
    let tally = sender.stop().json();
    assert_eq!(count(&tally["done"]), 25, "{tally}");
    assert!(count(&tally["connections"]) > 25 * 2 * STEP, "{tally}");
}
