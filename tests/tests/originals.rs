//! Ours and the original programs, both ways. The doubles know nothing of our crates.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hii_tests::classic::ping_client;
use hii_tests::classic::ping_server::{Act, Options, PingServer};
use hii_tests::programs::{Ended, Server, run};
use serde_json::Value;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

const INTERVAL: Duration = Duration::from_millis(50);

fn ping(target: SocketAddr, args: &[&str]) -> Ended {
    run(
        HII,
        &[&["ping", &target.to_string(), "--json"], args].concat(),
    )
}

fn verdicts(ended: &Ended) -> Vec<String> {
    let document = ended.json();
    let verdict = |probe: &Value| probe["verdict"].as_str().expect("a verdict").to_owned();
    document["probes"]
        .as_array()
        .expect("probes")
        .iter()
        .map(verdict)
        .collect()
}

#[test]
fn the_original_client_is_served_over_both_families() {
    for bind in ["127.0.0.1", "::1"] {
        let server = Server::start(HII_SERVER, &["ping", "-b", bind, "--json"]);
        let report = ping_client::run(server.address(), 5, INTERVAL * 10, 1000).unwrap();
        assert_eq!(
            report.calibration.as_deref(),
            Some("Buffer Size Calibrated at Server.")
        );
        for answer in &report.answers {
            assert_eq!(answer.as_deref(), Some("Packet Acknowledged"));
        }
        assert_eq!(report.farewell.as_deref(), Some("Stopping the Server."));
        let ended = server.wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.json()["answered"], 7);
    }
}

#[test]
fn the_original_client_sees_the_original_s_loss_and_delay() {
    let server = Server::start(
        HII_SERVER,
        &["ping", "-b", "127.0.0.1", "--simulate", "--json"],
    );
    let report = ping_client::run(server.address(), 6, Duration::from_secs(1), 100).unwrap();
    assert!(report.calibration.is_some() && report.farewell.is_some());
    let tally = server.wait().json();
    let lost = report.rtts.iter().filter(|rtt| rtt.is_none()).count() as u64;
    // The interval is twice the longest delay, so only what was dropped is missing.
    assert_eq!(Some(lost), tally["dropped"].as_u64(), "{report:?} {tally}");
}

/// An original server that does this with the nth probe of a run, whatever came before the run.
fn original(options: Options, act: impl Fn(u64) -> Act + Send + 'static) -> PingServer {
    let mut probes = 0;
    let script = Box::new(move |_, message: &[u8], _| {
        if !message.starts_with(b"Hello Server") {
            return Act::Answer;
        }
        probes += 1;
        act(probes)
    });
    PingServer::start(options, script).unwrap()
}

const LIVELY: Options = Options {
    bind: SocketAddr::V4(std::net::SocketAddrV4::new(
        std::net::Ipv4Addr::LOCALHOST,
        0,
    )),
    blocking: false,
    calibrates: true,
};

#[test]
fn each_verdict_comes_out_right_against_an_original_server() {
    let mut server = original(LIVELY, |probe| match probe {
        2 => Act::Drop,
        // Past the deadline, and past the next probe.
        4 => Act::AnswerAfter(INTERVAL * 3),
        6 => Act::AnswerTwice,
        8 => Act::HoldUntilNext,
        _ => Act::Answer,
    });
    let ended = ping(server.addr(), &["-n", "12", "-i", "50ms", "-s", "100"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document = ended.json();
    assert_eq!(document["server"], "original");
    let found = verdicts(&ended);
    for (probe, verdict) in (1..).zip(&found) {
        let expected = match probe {
            2 => "lost-unknown",
            4 => "late",
            // Held until the next one was answered, an interval later; or a stalled machine made an answer late.
            _ if verdict == "late" => "late",
            _ => "in-time",
        };
        assert_eq!(verdict, expected, "probe {probe} of {found:?}");
    }
    // The late answer is its own probe's.
    let rtt = document["probes"][3]["rtt_ns"].as_u64().unwrap();
    assert!(u128::from(rtt) >= (INTERVAL * 3).as_nanos(), "{rtt}");
    let summary = &document["summary"];
    assert_eq!(summary["duplicates"], 1, "{summary}");
    // What cannot be known is not 0.
    assert_eq!(summary["lost"]["there"], Value::Null);
    server.stop();
    let log = server.log();
    let probes: Vec<_> = log
        .iter()
        .filter(|message| message.octets.starts_with(b"Hello"))
        .collect();
    assert_eq!(probes.len(), 12);
    assert!(
        probes.iter().all(|probe| probe.octets.len() == 100),
        "probes have the size that was asked for"
    );
    assert!(
        log.iter().any(|message| message.octets == b"C 100"),
        "an original is told the size"
    );
}

#[test]
fn a_blocking_original_is_measured_too() {
    let server = original(Options::default(), |probe| {
        if probe == 2 {
            Act::AnswerAfter(INTERVAL * 2)
        } else {
            Act::Answer
        }
    });
    let ended = ping(server.addr(), &["-n", "6", "-i", "50ms"]);
    let found = verdicts(&ended);
    assert_eq!(found[1], "late", "{found:?}");
    assert_eq!(ended.json()["summary"]["answered"], 6);
}

#[test]
fn an_unanswered_calibration_is_a_warning() {
    let server = original(
        Options {
            calibrates: false,
            ..LIVELY
        },
        |_| Act::Answer,
    );
    let ended = ping(server.addr(), &["-n", "2", "-i", "50ms"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("calibration"), "{ended:?}");
    let asked = server
        .log()
        .iter()
        .filter(|message| message.octets == b"C 128")
        .count();
    assert_eq!(asked, 3);
}

#[test]
fn another_text_is_no_answer() {
    let server = original(LIVELY, |probe| {
        if probe == 2 {
            Act::Text(b"Something Else".to_vec())
        } else {
            Act::Answer
        }
    });
    let ended = ping(server.addr(), &["-n", "3", "-i", "50ms"]);
    assert_eq!(verdicts(&ended)[1], "lost-unknown");
    assert_eq!(ended.json()["summary"]["foreign"], 1);
}

#[test]
fn stop_stops_an_original_server() {
    let server = original(LIVELY, |_| Act::Answer);
    let ended = ping(server.addr(), &["-n", "1", "--stop"]);
    assert_eq!(ended.json()["summary"]["farewell"], "Stopping the Server.");
}

#[test]
fn an_echo_server_is_measured_by_number() {
    let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = echo.local_addr().unwrap();
    echo.set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while !stopped.load(Ordering::SeqCst) {
            if let Ok((len, from)) = echo.recv_from(&mut buffer) {
                // Of the run, whose probes have 200 octets, the third is lost.
                if len != 200 || !buffer[..len].trim_ascii_end().ends_with(b" 3") {
                    echo.send_to(&buffer[..len], from).unwrap();
                }
            }
        }
    });
    let ended = ping(address, &["-n", "5", "-i", "50ms", "-s", "200"]);
    stop.store(true, Ordering::SeqCst);
    thread.join().unwrap();
    assert_eq!(ended.json()["server"], "echo");
    let found = verdicts(&ended);
    assert_eq!(found[2], "lost-unknown", "{found:?}");
    assert_eq!(ended.json()["summary"]["answered"], 4);
}
