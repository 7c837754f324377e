//! `hii ping --rate` and `--flood`: high rates with figures that add up.

use std::io::{BufRead as _, Read as _};
use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::process::{Child, ChildStdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hii_tests::classic::ping_server::{Act, Options, PingServer};
use hii_tests::path::{Fate, Path};
use hii_tests::programs::{Ended, Output, Server, count, finish, output, run, signal, start};
use nix::sys::signal::Signal;
use serde_json::Value;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

/// A server that answers one source without limit.
fn server(args: &[&str]) -> Server {
    let all = [&["ping", "-b", "127.0.0.1", "--rate", "0", "--json"], args].concat();
    Server::start(HII_SERVER, &all)
}

fn ping(target: SocketAddr, args: &[&str]) -> Ended {
    run(HII, &[&["ping", &target.to_string()], args].concat())
}

/// Checks that the client's counts add up, and that they are those of the server. A busy machine may lose some.
fn assert_agree(summary: &Value, tally: &Value) {
    let of = |name: &str| count(&summary[name]);
    let lost = |way: &str| count(&summary["lost"][way]);
    let uncounted = count(&summary["uncounted"]["sent"]);
    let about = format!("{summary} {tally}");
    assert_eq!(of("answered") + lost("total"), of("sent"), "{about}");
    assert_eq!(
        lost("there") + lost("back") + lost("unknown"),
        lost("total"),
        "{about}"
    );
    for strange in [
        "duplicates",
        "foreign",
        "wrong_length",
        "unknown",
        "not_sent",
        "server_forgot",
    ] {
        assert_eq!(of(strange), 0, "{strange}: {about}");
    }
    let within = |name: &str, range: RangeInclusive<u64>| {
        assert!(
            range.contains(&count(&tally[name])),
            "{name} not in {range:?}: {about}"
        );
    };
    // What is known to have come has come, and what is known to be lost on the way there has not.
    within(
        "received",
        of("answered") + lost("back")..=of("sent") - lost("there") + uncounted,
    );
    within(
        "answered",
        of("answered")..=of("sent") - lost("there") + uncounted,
    );
}

#[test]
fn a_rate_sends_every_slot_once_and_none_before_its_time() {
    let server = server(&[]);
    let ended = ping(
        server.address(),
        &["--rate", "30k/s", "-n", "9000", "-s", "80", "--csv"],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mut rows = ended.stdout.lines();
    assert!(
        rows.next()
            .unwrap()
            .starts_with("target,seq,due_ns,sent_ns,verdict")
    );
    let mut first = None;
    let mut probes = 0;
    for (index, row) in (0..).zip(rows) {
        let fields: Vec<_> = row.split(',').collect();
        let [seq, due, sent] = [1, 2, 3].map(|field| fields[field].parse::<u64>().unwrap());
        let first = *first.get_or_insert(due);
        assert_eq!(
            (seq, due),
            (index + 1, first + index * 1_000_000_000 / 30_000),
            "{row}"
        );
        assert!(sent >= due, "{row}");
        probes += 1;
    }
    assert_eq!(probes, 9000);
    let received = count(&server.stop().json()["received"]);
    assert!((1..=9000 + 5 + 3).contains(&received), "{received}");
}

#[test]
fn a_rate_s_figures_are_the_server_s() {
    let server = server(&["--loss", "2%", "--seed", "7"]);
    let args = ["--rate", "20000", "-d", "0.5", "--report", "0.1", "--json"];
    let ended = ping(server.address(), &args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document = ended.json();
    let summary = &document["summary"];
    let tally = server.stop().json();
    assert_eq!(
        (count(&document["rate"]), count(&document["count"])),
        (20_000, 10_000)
    );
    assert_eq!(count(&summary["sent"]), 10_000);
    assert_eq!(count(&summary["schedule_error_ns"]["count"]), 10_000);
    assert_agree(summary, &tally);
    // What was dropped on purpose is lost on the way back, but for what closed the run.
    let back = count(&summary["lost"]["back"]);
    let dropped = count(&tally["dropped"]);
    let unknown = count(&summary["lost"]["unknown"]);
    assert!(back > 0 && dropped > 0, "{summary} {tally}");
    assert!(
        dropped <= back + unknown + count(&summary["uncounted"]["sent"]),
        "{summary} {tally}"
    );
    let rates = &summary["rates"];
    let rate = |name: &str| rates[name].as_f64().unwrap();
    assert!(rate("answered") < rate("offered"), "{rates}");
    let bits = rate("answered") * 128.0 * 16.0;
    assert!(
        (rate("bits_per_second") - bits).abs() < bits * 1e-9,
        "{rates}"
    );
}

#[test]
fn a_flood_ends_and_its_figures_are_the_server_s() {
    for args in [
        ["-n", "30000", "-s", "64"],
        ["-n", "2000", "-s", "1400"],
        ["-d", "0.3", "--window", "10"],
        ["-d", "0.3", "-s", "128"],
    ] {
        let server = server(&["--loss", "1%", "--seed", "7"]);
        let ended = ping(
            server.address(),
            &[&["--flood", "--json"][..], &args].concat(),
        );
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let document = ended.json();
        let summary = &document["summary"];
        assert_agree(summary, &server.stop().json());
        let sent = count(&summary["sent"]);
        if let ["-n", n, ..] = args {
            assert_eq!(sent.to_string(), n);
        } else {
            assert!(document["count"].is_null() && sent > 0, "{document}");
            assert_eq!(document["lasts_ns"], 300_000_000);
        }
        // A flood has no slots.
        assert!(summary["schedule_error_ns"].is_null() && summary["rtt_from_due_ns"].is_null());
        assert!(
            summary["rates"]["offered"].as_f64().unwrap() > 0.0,
            "{summary}"
        );
    }
}

#[test]
fn no_more_are_in_flight_than_the_window_has_places() {
    let server = server(&[]);
    // Nothing of the run arrives, so each place is held until its probe is given up.
    let there = Box::new(|_, datagram: &[u8]| match datagram.len() {
        70 => Fate::Drop,
        _ => Fate::Pass,
    });
    let path = Path::new(server.address(), there, Box::new(|_, _| Fate::Pass)).unwrap();
    let args = ["--flood", "-n", "12", "--window", "5", "-s", "70", "--json"];
    let ended = ping(path.addr(), &args);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let summary = &ended.json()["summary"];
    assert_eq!(count(&summary["sent"]), 12, "{summary}");
    // Before the first answer that takes a second: the sixth had to wait for the first, the eleventh for the sixth.
    let offered = summary["rates"]["offered"].as_f64().unwrap();
    assert!(offered <= 11.0 / 2.0, "{summary}");
}

#[test]
fn one_by_one_is_as_good_as_together() {
    let server = server(&[]);
    for args in [
        ["--rate", "5000"],
        ["--rate=9k", "--precise"],
        ["--flood", "-q"],
    ] {
        let ended = ping(
            server.address(),
            &[&["--no-gso", "--json", "-n", "3000"][..], &args].concat(),
        );
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(count(&ended.json()["summary"]["sent"]), 3000);
    }
    server.stop();
}

/// An RFC 862 echo, until it is dropped.
struct Echo {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let address = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((len, from)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&buffer[..len], from);
                }
            }
        });
        Self {
            address,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn an_echo_server_is_measured_without_direction() {
    let echo = Echo::start();
    for pace in [["--flood", "-q"], ["--rate", "10k"]] {
        let ended = ping(
            echo.address,
            &[&["-n", "2000", "--json"][..], &pace].concat(),
        );
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let document = ended.json();
        let summary = &document["summary"];
        assert_eq!(document["server"], "echo");
        assert_eq!(count(&summary["sent"]), 2000);
        assert!(
            count(&summary["answered"]) > 0 && summary["lost"]["back"].is_null(),
            "{summary}"
        );
    }
}

#[test]
fn what_cannot_be_measured_so_is_refused_with_advice() {
    let original = PingServer::start(Options::default(), Box::new(|_, _, _| Act::Answer)).unwrap();
    let ours = server(&[]);
    let tcp = format!("tcp://{}", ours.address());
    let [original, ours] = [original.addr(), ours.address()].map(|address| address.to_string());
    for (args, reason, advice) in [
        (&["--flood", &original][..], "carry no number", "-i 10ms"),
        (&["--rate", "100", &original], "carry no number", "-i 10ms"),
        (&["--flood", &tcp], "are for UDP", "leave out tcp://"),
        (&["--rate", "1k", &tcp], "are for UDP", "leave out tcp://"),
        (
            &["--flood", "-n", "100", "-s", "13", &ours],
            "do not hold",
            "give -s 14",
        ),
        (
            &["--flood", "--rate", "5", &ours],
            "cannot be used with",
            "",
        ),
        (
            &["--rate", "5", "-i", "1", &ours],
            "cannot be used with",
            "",
        ),
        (
            &["--flood", "--decay", "0.9", &ours],
            "cannot be used with",
            "",
        ),
        (&["--flood", "--precise", &ours], "cannot be used with", ""),
        (&["--rate", "0", &ours], "above 0", ""),
        (&["--rate", "5x", &ours], "50k/s", ""),
        (&["--flood", "--window", "0", &ours], "from 1 to", ""),
    ] {
        let ended = run(HII, &[&["ping"], args].concat());
        assert_eq!(ended.code, Some(2), "{args:?} {ended:?}");
        assert!(ended.stderr.contains(reason), "{args:?} {ended:?}");
        assert!(ended.stderr.contains(advice), "{args:?} {ended:?}");
    }
}

#[test]
fn a_server_s_limit_is_named_when_it_may_be_the_reason() {
    let server = Server::start(HII_SERVER, &["ping", "-b", "127.0.0.1", "--rate", "500"]);
    // Too short for the server to say so.
    let ended = ping(
        server.address(),
        &["--rate", "1M/s", "-n", "100000", "-s", "40"],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let offered = ended
        .stdout
        .lines()
        .find_map(|line| line.split_once(" probes/s offered"))
        .unwrap_or_else(|| panic!("{ended:?}"));
    let offered: f64 = offered.0.parse().unwrap();
    // A machine may be too busy for such a rate, and lose some by itself.
    if offered > 20_000.0 && !ended.stdout.contains(" 0 back, 0 unknown") {
        assert!(ended.stdout.contains("start it with --rate 0"), "{ended:?}");
    }
}

/// A run without end, when it has printed two lines.
fn endless(target: SocketAddr, args: &[&str]) -> (Child, Output<ChildStdout>, String) {
    let target = target.to_string();
    let common = ["ping", &target, "-n", "0", "--report", "0.05"];
    let mut child = start(HII, &[&common[..], args].concat());
    let mut stdout = output(child.stdout.take().unwrap());
    let mut text = String::new();
    while text.lines().count() < 3 {
        assert!(stdout.read_line(&mut text).unwrap() > 0, "{text}");
    }
    (child, stdout, text)
}

#[test]
fn interrupted_it_tells_all_that_was_sent() {
    for pace in [&["--flood"][..], &["--rate", "5000"]] {
        let server = server(&[]);
        let (child, mut stdout, mut text) =
            endless(server.address(), &[pace, &["--json"]].concat());
        signal(child.id(), Signal::SIGINT);
        stdout.read_to_string(&mut text).unwrap();
        let ended = finish(child);
        assert_eq!(ended.code, Some(130), "{ended:?}");
        let document = Ended {
            stdout: text,
            ..ended
        }
        .json();
        let summary = &document["summary"];
        assert_eq!(summary["interrupted"], true);
        let in_flight = count(&summary["in_flight"]);
        let ended = count(&summary["answered"]) + count(&summary["lost"]["total"]) + in_flight;
        assert_eq!(count(&summary["sent"]), ended, "{summary}");
        let received = count(&server.stop().json()["received"]);
        let most = count(&summary["sent"]) + count(&summary["uncounted"]["sent"]);
        assert!(
            (count(&summary["answered"])..=most).contains(&received),
            "{received} {summary}"
        );
        let intervals = document["intervals"].as_array().unwrap();
        let sent: u64 = intervals
            .iter()
            .map(|interval| count(&interval["sent"]))
            .sum();
        assert!(
            intervals.len() >= 2 && sent > 0 && sent <= count(&summary["sent"]),
            "{document}"
        );
    }
}

#[test]
fn interrupted_it_prints_the_summary() {
    let server = server(&[]);
    let (child, mut stdout, mut text) = endless(server.address(), &["--flood"]);
    signal(child.id(), Signal::SIGINT);
    stdout.read_to_string(&mut text).unwrap();
    assert_eq!(finish(child).code, Some(130));
    assert!(
        text.contains("probes of 128 octets, as fast as they are answered, without end"),
        "{text}"
    );
    assert!(text.contains("probes/s offered"), "{text}");
    // No line for each probe.
    assert!(!text.contains("seq "), "{text}");
}

#[test]
fn two_floods_at_once_do_not_mix() {
    let servers = [server(&[]), server(&["--loss", "50%", "--seed", "1"])];
    let [first, second] = [0, 1].map(|index| servers[index].address().to_string());
    let args = ["ping", &first, &second, "--flood", "-n", "3000", "--json"];
    let ended = run(HII, &args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document = ended.json();
    for (index, server) in servers.into_iter().enumerate() {
        let summary = &document["summaries"][index];
        assert_eq!(count(&summary["sent"]), 3000);
        assert_agree(summary, &server.stop().json());
    }
}
