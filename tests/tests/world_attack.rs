//! The network of the attack tests: what is on its links, and that nothing of it outlives a test.
#![cfg(target_os = "linux")]

use std::env::{current_exe, var_os};
use std::fs;
use std::io::{BufRead as _, Write as _, stdout};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hii_tests::attack::{Content, Host, Site, ask, probe};
use hii_tests::programs::{output, signal};
use nix::sys::signal::Signal;

const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

/// Set if this program is run by one of its own tests.
const HELD: &str = "HII_TESTS_HELD_SITE";

/// Time-out of a test that hangs; no test depends on its length.
const WATCHDOG: Duration = Duration::from_secs(30);

#[test]
#[ignore = "needs network namespaces"]
fn forged_source_is_answered_over_the_link_of_the_server() {
    let Some(site) = Site::new() else {
        return;
    };
    let capture = site.capture();
    let server = site.serve(HII_SERVER, &["ping"]);
    let port = server.address().port();
    for host in [Host::Near, Host::Far] {
        for (source, [honest, to]) in [
            (
                "198.51.100.7:40000",
                [Host::Honest, Host::Server].map(Host::v4),
            ),
            (
                "[2001:db8::7]:40000",
                [Host::Honest, Host::Server].map(Host::v6),
            ),
        ] {
            let source: SocketAddr = source.parse().unwrap();
            let to = SocketAddr::new(to, port);
            site.attacker(host).send(source, to, b"Hello Server");
            probe(&site.udp(Host::Honest, honest, to), 1);
            let packets = capture.until(|packet| {
                packet.from == Host::Server.mac() && packet.destination() == Some(honest)
            });
            let answer = Content::Datagram {
                source: to,
                destination: source,
                payload: b"Packet Acknowledged".to_vec(),
            };
            let answers = packets.iter().filter(|packet| packet.content == answer);
            assert_eq!(answers.count(), 1, "{host:?}, {source}: {packets:?}");
        }
    }
}

/// Not a test by itself: the next test kills it.
#[test]
#[ignore = "needs network namespaces"]
fn held_site() {
    if var_os(HELD).is_none() {
        return;
    }
    let site = Site::new().expect("a site");
    let server = site.serve(HII_SERVER, &["ping"]);
    let to = SocketAddr::new(Host::Server.v4(), server.address().port());
    probe(&site.udp(Host::Honest, Host::Honest.v4(), to), 1);
    let network = site
        .at(Host::Server)
        .enter(|| fs::read_link("/proc/thread-self/ns/net"));
    println!("held {} {}", server.id(), network.unwrap().display());
    stdout().flush().unwrap();
    // Until it is killed.
    let lonely = site.udp(Host::Honest, Host::Honest.v4(), (Host::Near.v4(), 9).into());
    lonely.set_read_timeout(None).unwrap();
    let _ = lonely.recv(&mut [0]);
}

#[test]
#[ignore = "needs network namespaces"]
fn nothing_outlives_a_test_that_is_killed() {
    if Site::new().is_none() {
        return;
    }
    for end in [Signal::SIGKILL, Signal::SIGINT] {
        let mut child = Command::new(current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "held_site"])
            .env(HELD, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = output(child.stdout.take().unwrap()).lines();
        let held = lines.find_map(|line| {
            line.unwrap()
                .split_once("held ")
                .map(|(_, held)| held.to_owned())
        });
        let held = held.expect("it holds a site");
        let (server, network) = held.split_once(' ').unwrap();
        assert!(is_in_use(network));
        signal(child.id(), end);
        child.wait().unwrap();
        let begin = Instant::now();
        while fs::exists(format!("/proc/{server}")).unwrap() || is_in_use(network) {
            assert!(begin.elapsed() < WATCHDOG, "{held} is still there");
            thread::yield_now();
        }
    }
}

/// Whether a process is in a network namespace, or holds it.
fn is_in_use(network: &str) -> bool {
    let links = |folder: String| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| fs::read_link(entry.path()).ok())
    };
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|octet| octet.is_ascii_digit()))
        .any(|id| {
            links(format!("/proc/{id}/ns"))
                .chain(links(format!("/proc/{id}/fd")))
                .any(|link| link.to_str() == Some(network))
        })
}

#[test]
#[ignore = "needs network namespaces"]
fn hosts_reach_each_other_and_no_other_network() {
    let Some(site) = Site::new() else {
        return;
    };
    let server = site.serve(HII_SERVER, &["ping"]);
    for host in [Host::Honest, Host::Near, Host::Far] {
        for (from, to) in host.addresses().into_iter().zip(Host::Server.addresses()) {
            let to = (to, server.address().port()).into();
            ask(&site.udp(host, from, to), b"Hello Server", |_| true);
        }
    }
}
