//! Servers that do not answer all probes because of a limit: these probes are told apart from lost ones.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use hii_protocol::ping::{Answer, Report, Request};
use hii_tests::programs::{self, finish, output, read_until, run, start};
use hii_tests::script::{Memory, Received, Script};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{HII, HII_SERVER, count, ping, server, verdicts};

/// A server that answers one probe in `one_of`; the others are over its limit.
fn limited(
    one_of: u64,
    mut answers: impl FnMut(Received) -> Vec<Vec<u8>> + Send + 'static,
) -> Script {
    let mut of_runs = HashMap::new();
    Script::start(move |mut received| {
        let limited = of_runs.entry(received.probe.run()).or_default();
        if !received.seq().is_multiple_of(one_of) {
            *limited += 1;
            return Vec::new();
        }
        received.report.limited = *limited;
        answers(received)
    })
}

/// A server that answers probes only with notices.
fn only_notices(mut gives_notice: impl FnMut() -> bool + Send + 'static) -> Script {
    Script::start_raw(move |datagram, _| match Request::decode(datagram) {
        Ok(Request::Probe(probe)) if gives_notice() => {
            let notice = probe.limited_notice(None, 0);
            vec![Answer::LimitedNotice(notice).to_vec()]
        }
        _ => Vec::new(),
    })
}

/// Names every limit, since the server's answers do not tell which one was met.
const LIMIT_MET: &str =
    "limit met: the server's, raised there with --rate, --octet-rate or --total-octets;";

fn lost(summary: &Value) -> [u64; 4] {
    ["total", "there", "back", "unknown"].map(|way| count(&summary["lost"][way]))
}

#[test]
fn rate_limited_probes_are_counted_and_are_not_lost() {
    let server = limited(5, |received| vec![received.truth()]);
    let ended = ping(server.address(), &["-n", "20", "-i", "20ms"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document = ended.json();
    for (seq, verdict) in (1..).zip(verdicts(&document)) {
        let expected = if seq % 5 == 0 {
            "in-time"
        } else {
            "rate-limited"
        };
        assert_eq!(verdict, expected, "{seq}");
    }
    let summary = &document["summary"];
    assert_eq!(count(&summary["rate_limited"]), 16, "{summary}");
    assert_eq!(lost(summary), [0; 4], "{summary}");
    assert_eq!(summary["loss_percent"], 0.0, "{summary}");

    let target = server.address().to_string();
    let ended = run(HII, &["ping", &target, "-n", "20", "-i", "20ms"]);
    let out = &ended.stdout;
    assert!(
        out.contains("16 rate-limited by the server, 0 lost (0.0 %)"),
        "{out}"
    );
    assert!(out.contains(LIMIT_MET), "{out}");
    let ended = run(HII, &["ping", &target, "-n", "20", "-i", "20ms", "--csv"]);
    assert_eq!(
        ended.stdout.matches(",rate-limited,").count(),
        16,
        "{ended:?}"
    );
}

#[test]
fn loss_beside_a_limit_is_still_counted() {
    let server = limited(5, |received| {
        let is_lost = received.seq() == 10;
        if is_lost {
            Vec::new()
        } else {
            vec![received.truth()]
        }
    });
    let ended = ping(server.address(), &["-n", "20", "-i", "20ms"]);
    let document = ended.json();
    let summary = &document["summary"];
    assert_eq!(count(&summary["rate_limited"]), 16, "{summary}");
    assert_eq!(lost(summary)[0], 1, "{summary}");
    assert_eq!(summary["loss_percent"], 5.0, "{summary}");
    // It is not known to which of these the answer was lost.
    let open = "limited-or-lost";
    let expected = |seq| match seq {
        5 | 15 | 20 => "in-time",
        6..15 => open,
        _ => "rate-limited",
    };
    for (seq, verdict) in (1..).zip(verdicts(&document)) {
        assert_eq!(verdict, expected(seq), "{seq}");
    }
}

#[test]
fn run_without_answers_because_of_a_limit_reports_the_limit() {
    let server = only_notices(|| true);
    let ended = ping(server.address(), &["-n", "3", "-i", "5ms"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let document = ended.json();
    assert_eq!(document["server"], "hii", "{document}");
    assert_eq!(verdicts(&document), ["rate-limited"; 3]);
    assert_eq!(count(&document["summary"]["foreign"]), 0);

    let target = server.address().to_string();
    let ended = run(HII, &["ping", &target, "-n", "3", "-i", "5ms"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let out = &ended.stdout;
    assert!(
        out.contains("nothing answered: a limit of the server is met"),
        "{out}"
    );
    assert!(out.contains(LIMIT_MET), "{out}");
    assert!(!ended.stderr.contains("no answer"), "{ended:?}");
}

#[test]
fn loss_is_unknown_if_notices_have_no_counts() {
    let mut asked = 0;
    // To the detection of the server, and to the first probe.
    let server = only_notices(move || {
        asked += 1;
        asked <= 2
    });
    let ended = ping(server.address(), &["-n", "4", "-i", "5ms"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let document = ended.json();
    let open = "limited-or-lost";
    assert_eq!(verdicts(&document), ["rate-limited", open, open, open]);
    let summary = &document["summary"];
    assert_eq!(summary["loss_percent"], Value::Null, "{summary}");
    assert_eq!(summary["loss_percent_range"][0], 0.0, "{summary}");
    assert_eq!(summary["loss_percent_range"][1], 75.0, "{summary}");
}

#[test]
fn limits_that_cannot_be_true_are_implausible() {
    let server = Script::start(|received| {
        let report = received.report;
        let lie = Report {
            limited: u64::from(report.count) + 1,
            ..report
        };
        vec![received.says(lie), received.truth()]
    });
    let ended = ping(server.address(), &["-n", "10", "-i", "5ms"]);
    let summary = &ended.json()["summary"];
    assert_eq!(count(&summary["answered"]), 10, "{summary}");
    assert_eq!(count(&summary["implausible"]), 10, "{summary}");
    assert_eq!(count(&summary["rate_limited"]), 0, "{summary}");
}

#[test]
fn answers_over_tcp_delayed_by_a_limit_are_left_out_of_network_times() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, from) = listener.accept().unwrap();
        let mut memory = Memory::new();
        let mut limited = 0;
        let mut len = [0; 4];
        while stream.read_exact(&mut len).is_ok() {
            let mut probe = vec![0; u32::from_be_bytes(len) as usize];
            stream.read_exact(&mut probe).unwrap();
            let mut received = memory.receive(&probe, from).unwrap();
            limited += u64::from(probe.len() == 128 && received.seq().is_multiple_of(4));
            received.report.limited = limited;
            // The client may have ended with all answers.
            let _ = stream.write_all(&[&len[..], &received.truth()].concat());
        }
    });
    let ended = ping(format!("tcp://{address}"), &["-n", "20", "-i", "5ms"]);
    serving.join().unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let summary = &ended.json()["summary"];
    assert_eq!(count(&summary["waited_for_limit"]), 5, "{summary}");
    assert_eq!(count(&summary["rtt_ns"]["count"]), 20, "{summary}");
    assert_eq!(count(&summary["network_rtt_ns"]["count"]), 15, "{summary}");
    assert_eq!(count(&summary["rate_limited"]), 0, "{summary}");
}

#[test]
fn hii_server_over_its_rate_is_reported_as_rate_limited() {
    let server = server(&["--rate", "100"]);
    let ended = ping(server.address(), &["-n", "400", "-i", "1ms"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let summary = &ended.json()["summary"];
    let tally = server.stop().json();
    let limited = count(&summary["rate_limited"]);
    assert!(limited > 0, "{summary} {tally}");
    assert_eq!(lost(summary), [0; 4], "{summary} {tally}");
    assert_eq!(
        count(&summary["answered"]) + limited,
        400,
        "{summary} {tally}"
    );
    // Closing probes may be among those.
    assert!(count(&tally["over_rate"]) >= limited, "{summary} {tally}");
}

#[test]
fn flood_reports_the_limit_of_the_server() {
    let server = programs::Server::start(
        HII_SERVER,
        &["ping", "-b", "127.0.0.1", "--rate", "2000", "--json"],
    );
    let target = server.address().to_string();
    let ended = run(HII, &["ping", &target, "--flood", "-n", "50000"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let out = &ended.stdout;
    assert!(out.contains(" rate-limited by the server, "), "{out}");
    assert!(out.contains(LIMIT_MET), "{out}");
}

#[test]
fn interrupted_run_over_a_limit_reports_no_loss() {
    let server = server(&["--rate", "2000"]);
    let target = server.address().to_string();
    let mut child = start(
        HII,
        &["ping", &target, "--flood", "-d", "600", "--report", "0.5"],
    );
    // Probes without an answer have been given up, and others are waited for.
    let mut stdout = output(child.stdout.take().unwrap());
    let given_up = |text: &str| text.matches("rate-limited or lost").count() >= 2;
    let mut text = read_until(&mut stdout, given_up);
    programs::signal(child.id(), Signal::SIGINT);
    stdout.read_to_string(&mut text).unwrap();
    assert_eq!(finish(child).code, Some(130));
    assert!(text.contains("still in flight: "), "{text}");
    assert!(
        text.contains(" rate-limited by the server, 0 lost"),
        "{text}"
    );
}
