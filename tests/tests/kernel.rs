//! What the kernel tells of probes and answers, by the built programs.

use std::io::{BufRead as _, Read as _};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use hii_protocol::ping::{Probe, Report, Request, Seq};
use hii_tests::programs::{Ended, Server, count, finish, output, run, signal, start};
use nix::sys::signal::Signal;
use serde_json::Value;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

/// Guards against a test that hangs; none depends on how long it is.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Measures a server of our own for a second.
fn measured(prefix: &str, args: &[&str]) -> Ended {
    let server = Server::start(HII_SERVER, &["ping", "-b", "127.0.0.1", "--json"]);
    let target = format!("{prefix}{}", server.address());
    let ping = ["ping", &target, "-n", "100", "-i", "10ms"];
    run(HII, &[&ping, args].concat())
}

#[test]
fn the_kernel_s_round_trips_stand_beside_the_program_s() {
    // With room for a number, and by port.
    for size in ["128", "5"] {
        let document = measured("", &["--json", "-s", size]).json();
        let summary = &document["summary"];
        assert_eq!(summary["kernel_stamps"], "used", "{summary}");
        let probes = document["probes"].as_array().unwrap();
        let trips: Vec<_> = probes
            .iter()
            .filter_map(|probe| Some((probe["kernel_rtt_ns"].as_u64()?, count(&probe["rtt_ns"]))))
            .collect();
        // The kernel may begin a little later than it is asked to.
        assert!(!trips.is_empty());
        assert_eq!(
            count(&summary["kernel_rtt_ns"]["count"]),
            trips.len() as u64
        );
        assert!(
            trips.iter().all(|(kernel, program)| kernel < program),
            "{trips:?}"
        );
        // A reading of the clocks may be interrupted, and then says nothing.
        let left = count(&summary["answered"]) - trips.len() as u64;
        assert!(count(&summary["unusable_stamps"]) <= 2 * left, "{summary}");
        let is_hii = size == "128";
        assert_eq!(summary["network_rtt_by"] == "kernel", is_hii, "{summary}");
    }
    let text = measured("", &["-q"]).stdout;
    for line in [
        "RTT of 100 answers: ",
        "the same by the kernel, of ",
        "less what the server held, by the kernel: ",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn what_the_kernel_does_not_tell_is_not_available_with_the_reason() {
    let document = measured("tcp://", &["--json"]).json();
    let summary = &document["summary"];
    assert_eq!(summary["kernel_stamps"], "n/a: only of probes over UDP");
    assert_eq!(summary["kernel_rtt_ns"], Value::Null);
    assert_eq!(summary["network_rtt_by"], "program");
    assert!(summary["network_rtt_ns"].is_object(), "{summary}");
    let text = measured("tcp://", &["-q"]).stdout;
    assert!(
        text.contains("times by the kernel: n/a, only of probes over UDP"),
        "{text}"
    );
}

/// A Hii server that keeps its answers to itself until it is told to send them.
struct Reluctant {
    socket: UdpSocket,
    answers: Vec<(Vec<u8>, SocketAddr)>,
    received: Vec<u64>,
}

impl Reluctant {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(WATCHDOG)).unwrap();
        Self {
            socket,
            answers: Vec::new(),
            received: Vec::new(),
        }
    }

    /// Takes the next probe; returns its number and length.
    fn take(&mut self) -> (u64, usize) {
        let mut octets = [0; 2048];
        let (len, from) = self.socket.recv_from(&mut octets).unwrap();
        let Ok(Request::Probe(probe)) = Request::decode(&octets[..len]) else {
            panic!("no probe");
        };
        let answer = self.answer_to(&probe, len);
        self.answers.push((answer, from));
        (probe.seq().get(), len)
    }

    fn answer_to(&mut self, probe: &Probe, len: usize) -> Vec<u8> {
        let seq = probe.seq().get();
        // The question before the run is of a run of its own.
        if len == 128 {
            self.received.push(seq);
        }
        let was = |back: &u64| {
            seq.checked_sub(*back)
                .is_some_and(|seq| self.received.contains(&seq))
        };
        let window = (0..64)
            .filter(was)
            .fold(1, |window, back| window | 1 << back);
        let number = self.received.len().max(1) as u64;
        let answer = probe.answer(&Report {
            count: Seq::new(number).unwrap(),
            window,
            held: 0,
            received: 1_000_000_000 * number,
            limited: 0,
        });
        let mut octets = vec![0; len];
        let len = answer.encode_into(&mut octets).unwrap();
        octets.truncate(len);
        octets
    }

    /// Sends all answers at once.
    fn send(&mut self) {
        for (answer, from) in self.answers.drain(..) {
            self.socket.send_to(&answer, from).unwrap();
        }
    }
}

/// Waits until a program is stopped by a signal.
fn wait_until_stopped(id: u32) {
    loop {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        if status.lines().any(|line| line.starts_with("State:\tT")) {
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn answers_that_this_host_has_no_room_for_are_not_lost() {
    const PROBES: u64 = 50;
    let mut server = Reluctant::new();
    let target = server.socket.local_addr().unwrap().to_string();
    let probes = PROBES.to_string();
    let small = ["--receive-buffer", "1", "--deadline", "5s"];
    let ping = ["ping", &target, "--json", "-n", &probes, "-i", "2ms"];
    let mut child = start(HII, &[&ping[..], &small].concat());
    // The question.
    server.take();
    server.send();
    while server.take() != (PROBES, 128) {}
    // All answers come while nobody takes them.
    signal(child.id(), Signal::SIGSTOP);
    wait_until_stopped(child.id());
    server.send();
    signal(child.id(), Signal::SIGCONT);
    // The probe that settles the end tells of what came before.
    server.take();
    server.send();
    let mut text = String::new();
    let mut stdout = output(child.stdout.take().unwrap());
    stdout.read_line(&mut text).unwrap();
    stdout.read_to_string(&mut text).unwrap();
    let ended = finish(child);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document: Value = serde_json::from_str(&text).unwrap();
    let summary = &document["summary"];
    let dropped = count(&summary["dropped_locally"]);
    assert!(dropped > 0, "{summary}");
    assert_eq!(count(&summary["dropped_here"]), dropped, "{summary}");
    assert_eq!(count(&summary["answered"]) + dropped, PROBES, "{summary}");
    assert_eq!(count(&summary["lost"]["total"]), 0, "{summary}");
    assert_eq!(summary["loss_percent"], 0.0, "{summary}");
    let verdicts = document["probes"].as_array().unwrap().iter();
    let verdicts = verdicts.filter(|probe| probe["verdict"] == "dropped-locally");
    assert_eq!(verdicts.count() as u64, dropped);
}
