//! Probes that are sent back by a host without a server; `world_network` has those that routers send back.

use std::net::UdpSocket;
use std::time::Duration;

use hii_tests::programs::{count, run};
use serde_json::Value;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");

/// Guards against a test that hangs; none depends on how long it is.
const WATCHDOG: Duration = Duration::from_secs(60);

/// The verdict of each probe, in their order, with the reason of a refusal.
fn verdicts(document: &Value) -> Vec<String> {
    let probes = document["probes"].as_array().expect("probes");
    let verdict = |probe: &Value| match probe["refused_by"].as_str() {
        Some(reason) => reason.to_owned(),
        None => probe["verdict"].as_str().expect("a verdict").to_owned(),
    };
    probes.iter().map(verdict).collect()
}

/// A socket that some probe will reach.
fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(WATCHDOG)).unwrap();
    socket
}

/// Sends so many datagrams back, takes another, and is gone.
fn echo(socket: &UdpSocket, times: usize) {
    let mut octets = [0; 2048];
    for _ in 0..times {
        let (len, from) = socket.recv_from(&mut octets).unwrap();
        socket.send_to(&octets[..len], from).unwrap();
    }
    socket.recv_from(&mut octets).unwrap();
}

#[test]
fn a_server_that_goes_away_refuses_each_probe_by_its_number() {
    // With room for a number, and by port.
    for size in ["128", "5"] {
        let socket = socket();
        let target = socket.local_addr().unwrap().to_string();
        // A question comes first.
        let echo = std::thread::spawn(move || echo(&socket, 6));
        let args = ["ping", &target, "-n", "60", "-i", "10ms", "-s", size];
        let ended = run(HII, &[&args[..], &["--json"]].concat());
        echo.join().unwrap();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let document = ended.json();
        let verdicts = verdicts(&document);
        let (answered, rest) = verdicts.split_at(5);
        assert!(
            answered.iter().all(|one| one == "in-time" || one == "late"),
            "{verdicts:?}"
        );
        // The last that was taken is lost, and those that came while the socket was being closed.
        let lost = rest.iter().take_while(|one| *one == "lost-unknown").count();
        assert!(lost >= 1, "{verdicts:?}");
        let refused = &rest[lost..];
        assert!(!refused.is_empty(), "{verdicts:?}");
        assert!(
            refused.iter().all(|one| one == "port-unreachable"),
            "{verdicts:?}"
        );
        let summary = &document["summary"];
        let expected = refused.len() as u64;
        assert_eq!(count(&summary["refused"]), expected);
        assert_eq!(count(&summary["refused_by"]["port-unreachable"]), expected);
        assert_eq!(count(&summary["refused_unknown"]), 0);
        assert_eq!(count(&summary["lost"]["total"]), lost as u64);
        assert_eq!(count(&summary["sent"]), 60, "none was kept from being sent");
    }
}

#[test]
fn nothing_but_refusals_is_code_3_and_each_is_shown() {
    let socket = socket();
    let target = socket.local_addr().unwrap().to_string();
    // Takes the questions, answers none, and is gone before the first probe.
    let silent = std::thread::spawn(move || {
        for _ in 0..5 {
            socket.recv_from(&mut [0; 2048]).unwrap();
        }
    });
    let ended = run(HII, &["ping", &target, "-n", "3", "-i", "10ms"]);
    silent.join().unwrap();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    for seq in 1..=3 {
        let line = format!("seq {seq}: refused: port unreachable");
        assert_eq!(ended.stdout.matches(&line).count(), 1, "{ended:?}");
    }
    let sum = "refused (ICMP): 3: 3 port unreachable";
    assert!(ended.stdout.contains(sum), "{ended:?}");
}
