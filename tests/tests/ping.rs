//! `hii ping` and `hii-server ping`, the built programs, against each other.

use std::fmt::Display;
use std::net::UdpSocket;
use std::time::Duration;

use hii_server::ping::Fate::Answered;
use hii_server::ping::{Dice, Impairments};
use hii_tests::path::{Fate, Path};
use hii_tests::programs::{self, Ended, Server, finish, run, start};
use nix::sys::signal::Signal;
use serde_json::Value;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

fn server(args: &[&str]) -> Server {
    Server::start(
        HII_SERVER,
        &[&["ping", "-b", "127.0.0.1", "--json"], args].concat(),
    )
}

fn ping(target: impl Display, args: &[&str]) -> Ended {
    run(
        HII,
        &[&["ping", &target.to_string(), "--json"], args].concat(),
    )
}

fn count(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no count"))
}

/// The verdicts of a run, in the order of the probes' numbers.
fn verdicts(document: &Value) -> Vec<String> {
    let probes = document["probes"].as_array().expect("probes");
    for (index, probe) in probes.iter().enumerate() {
        assert_eq!(count(&probe["seq"]), index as u64 + 1);
    }
    let verdict = |probe: &Value| probe["verdict"].as_str().expect("a verdict").to_owned();
    probes.iter().map(verdict).collect()
}

/// Checks that what is called late took longer than the interval, and what is called in time did not.
fn assert_deadline_kept(document: &Value, interval: Duration) {
    for probe in document["probes"].as_array().expect("probes") {
        let rtt = probe["rtt_ns"].as_u64().map(Duration::from_nanos);
        match probe["verdict"].as_str() {
            Some("late") => assert!(rtt > Some(interval), "{probe}"),
            Some("in-time") => assert!(rtt <= Some(interval), "{probe}"),
            _ => assert_eq!(rtt, None, "{probe}"),
        }
    }
}

#[test]
fn every_probe_is_answered_and_both_sides_agree() {
    let server = server(&[]);
    let ended = ping(server.address(), &["-n", "50", "-i", "0.002", "-s", "1000"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document = ended.json();
    assert_eq!(document["server"], "hii");
    assert_eq!(document["size"], 1000);
    let summary = &document["summary"];
    assert_eq!(
        (count(&summary["sent"]), count(&summary["answered"])),
        (50, 50)
    );
    assert_eq!(summary["loss_percent"], 0.0);
    let rtt = &summary["rtt_ns"];
    let figure = |name: &str| rtt[name].as_f64().expect("a figure");
    assert!(
        figure("min") <= figure("median")
            && figure("median") <= figure("p99")
            && figure("p99") <= figure("max")
    );
    assert!(figure("min") <= figure("mean") && figure("mean") <= figure("max"));
    let tally = server.stop().json();
    // One question more: what am I talking to?
    assert_eq!(
        (count(&tally["received"]), count(&tally["answered"])),
        (51, 51)
    );
}

#[test]
fn what_the_server_drops_on_purpose_is_lost_back() {
    let server = server(&["--simulate", "--seed", "7"]);
    let ended = ping(server.address(), &["-n", "200", "-i", "0.01"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let summary = &ended.json()["summary"];
    let tally = server.stop().json();
    // Questions before the run and closing probes after it are lost as well, without being counted.
    let uncounted = &summary["uncounted"];
    let received = 200 + count(&uncounted["sent"]);
    assert_eq!(count(&tally["received"]), received, "{summary} {tally}");
    let lost = &summary["lost"];
    let elsewhere = (count(&lost["there"]), count(&lost["unknown"]));
    assert_eq!(elsewhere, (0, 0), "{summary}");
    let dropped = count(&lost["back"]) + count(&uncounted["unanswered"]);
    assert_eq!(count(&tally["dropped"]), dropped, "{summary} {tally}");
    assert!(count(&lost["back"]) > 0);
    // Late answers are late, not lost.
    assert_eq!(
        count(&summary["answered"]) + count(&lost["back"]),
        200,
        "{summary}"
    );
    assert!(count(&summary["late"]) > 100, "{summary}");
}

#[test]
fn what_the_server_sends_twice_is_a_duplicate_for_the_client() {
    let impairments = Impairments {
        duplicate: 0.3,
        ..Impairments::NONE
    };
    let twice = |fate| matches!(fate, Answered { twice: true, .. });
    // The client hears no copies of the answers to its questions before the run, 5 at most, and none that come after all
    // is answered: the seed is one with which there are none of either.
    let draws = |seed| {
        let mut dice = Dice::new(impairments, seed);
        (0..55).map(|_| twice(dice.roll())).collect::<Vec<_>>()
    };
    let unheard = |draws: &[bool]| [&draws[..5], &draws[50..]].concat();
    let seed = (1..10_000)
        .find(|seed| !unheard(&draws(*seed)).contains(&true))
        .unwrap();
    let server = server(&["--duplicate", "30%", "--seed", &seed.to_string()]);
    let ended = ping(server.address(), &["-n", "50", "-i", "0.01"]);
    let summary = &ended.json()["summary"];
    let tally = server.stop().json();
    let expected = draws(seed).into_iter().filter(|twice| *twice).count() as u64;
    assert_eq!(count(&tally["duplicated"]), expected, "{tally}");
    assert_eq!(count(&summary["duplicates"]), expected, "{summary}");
    assert_eq!(count(&summary["answered"]), 50, "{summary}");
    let received = 50 + count(&summary["uncounted"]["sent"]);
    assert_eq!(count(&tally["received"]), received, "{tally}");
    assert_eq!(count(&tally["answered"]), received, "{tally}");
}

#[test]
fn what_the_server_reorders_is_answered_all_the_same() {
    let server = server(&["--reorder", "30%", "--duplicate", "10%", "--seed", "7"]);
    let ended = ping(server.address(), &["-n", "50", "-i", "0.01"]);
    let summary = &ended.json()["summary"];
    let tally = server.stop().json();
    assert_eq!(count(&summary["answered"]), 50, "{summary}");
    assert_eq!(count(&summary["lost"]["total"]), 0, "{summary}");
    // The client does not count those of its questions before and after the run.
    let seen = count(&summary["variation"]["reordered"]);
    assert!(
        (1..=count(&tally["reordered"])).contains(&seen),
        "{summary} {tally}"
    );
    assert_eq!(count(&tally["received"]), count(&tally["answered"]));
}

/// A judge that drops the probes of a run with these numbers.
fn drops(seqs: &'static [u64]) -> hii_tests::path::Judge {
    Box::new(|_, datagram| {
        let text = String::from_utf8_lossy(datagram);
        let mut words = text.split_whitespace();
        let is_probe_of_run = datagram.len() == 128;
        match words.nth(2).and_then(|seq| seq.parse::<u64>().ok()) {
            Some(seq) if is_probe_of_run && seqs.contains(&seq) => Fate::Drop,
            _ => Fate::Pass,
        }
    })
}

fn passes() -> hii_tests::path::Judge {
    Box::new(|_, _| Fate::Pass)
}

#[test]
fn loss_on_the_way_there_is_told_from_loss_on_the_way_back() {
    let server = server(&[]);
    // 20 is the last: a closing probe settles it.
    let path = Path::new(server.address(), drops(&[3, 4, 9, 20]), drops(&[5, 12])).unwrap();
    let ended = ping(path.addr(), &["-n", "20", "-i", "0.01"]);
    let document = ended.json();
    assert_deadline_kept(&document, Duration::from_millis(10));
    let verdicts = verdicts(&document);
    for (seq, verdict) in (1..).zip(&verdicts) {
        let expected = match seq {
            3 | 4 | 9 | 20 => "lost-there",
            5 | 12 => "lost-back",
            // A stalled machine may make an answer late.
            _ if verdict == "late" => "late",
            _ => "in-time",
        };
        assert_eq!(verdict, expected, "probe {seq} of {verdicts:?}");
    }
    assert_eq!(document["summary"]["loss_percent"], 30.0);
}

#[test]
fn a_lossy_server_and_a_lossy_path_are_told_apart() {
    let server = server(&["--loss", "20%", "--seed", "3"]);
    let path = Path::new(server.address(), drops(&[5, 6, 7, 50]), passes()).unwrap();
    let ended = ping(path.addr(), &["-n", "60", "-i", "0.005"]);
    let summary = &ended.json()["summary"];
    let tally = server.stop().json();
    assert_eq!(count(&summary["lost"]["there"]), 4, "{summary}");
    let uncounted = &summary["uncounted"];
    let dropped = count(&summary["lost"]["back"]) + count(&uncounted["unanswered"]);
    assert_eq!(count(&tally["dropped"]), dropped, "{summary} {tally}");
    let received = 60 - 4 + count(&uncounted["sent"]);
    assert_eq!(count(&tally["received"]), received, "{summary} {tally}");
}

#[test]
fn what_is_over_the_server_s_rate_is_lost_back_not_there() {
    let server = server(&["--rate", "100"]);
    let ended = ping(server.address(), &["-n", "400", "-i", "0.001"]);
    let summary = &ended.json()["summary"];
    let tally = server.stop().json();
    assert!(count(&tally["over_rate"]) > 0, "{tally}");
    assert_eq!(count(&summary["lost"]["there"]), 0, "{summary} {tally}");
}

#[test]
fn every_address_of_a_server_answers_from_itself() {
    let everywhere = Server::start(HII_SERVER, &["ping", "--json"]);
    let port = everywhere.address().port();
    // An address that the routing table would not choose as a source.
    let ended = ping(format!("127.0.0.2:{port}"), &["-n", "3", "-i", "0.01"]);
    assert_eq!(count(&ended.json()["summary"]["answered"]), 3, "{ended:?}");
}

#[test]
fn several_addresses_are_served_at_once() {
    let server = Server::start(
        HII_SERVER,
        &["ping", "-b", "::1", "-b", "127.0.0.1", "--json"],
    );
    let ended = ping(server.address(), &["-n", "3", "-i", "0.01"]);
    assert_eq!(count(&ended.json()["summary"]["answered"]), 3, "{ended:?}");
}

#[test]
fn a_ramp_shrinks_its_interval() {
    let server = server(&[]);
    let ended = ping(
        server.address(),
        &["-n", "60", "-i", "0.05", "--decay", "0.9"],
    );
    let document = ended.json();
    assert_eq!(count(&document["summary"]["answered"]), 60, "{document}");
    let sent: Vec<_> = document["probes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|probe| count(&probe["sent_ns"]))
        .collect();
    // The slots sum up to ten intervals at most, however many probes there are.
    let last = Duration::from_nanos(sent[59] - sent[0]);
    assert!(sent.is_sorted());
    assert!(last >= Duration::from_millis(490), "{last:?}");
    let ended = ping(server.address(), &["-n", "0", "--decay", "0.9"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

#[test]
fn a_run_without_end_reports_until_it_is_stopped() {
    let server = server(&[]);
    let target = server.address().to_string();
    let mut child = start(
        HII,
        &["ping", &target, "-n", "0", "-i", "0.01", "--report", "0.1"],
    );
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while text.matches(" answered (").count() < 2 {
        std::io::BufRead::read_line(&mut stdout, &mut text).unwrap();
    }
    assert!(!text.contains("seq 1:"), "{text}");
    programs::signal(child.id(), Signal::SIGINT);
    std::io::Read::read_to_string(&mut stdout, &mut text).unwrap();
    assert_eq!(finish(child).code, Some(130));
    assert!(text.contains("RTT of "), "{text}");
}

#[test]
fn two_signals_at_once_are_one_and_the_summary_is_whole() {
    let server = server(&[]);
    let target = server.address().to_string();
    let mut child = start(
        HII,
        &["ping", &target, "-n", "100000", "-i", "0.001", "--json"],
    );
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while text.lines().count() < 2 {
        std::io::BufRead::read_line(&mut stdout, &mut text).unwrap();
    }
    programs::signal(child.id(), Signal::SIGINT);
    programs::signal(child.id(), Signal::SIGINT);
    std::io::Read::read_to_string(&mut stdout, &mut text).unwrap();
    assert_eq!(finish(child).code, Some(130));
    let document: Value = serde_json::from_str(&text).unwrap();
    // All that was sent is told, up to the end.
    let tally = server.stop().json();
    let summary = &document["summary"];
    let received = count(&summary["sent"]) + count(&summary["uncounted"]["sent"]);
    assert_eq!(count(&tally["received"]), received, "{summary} {tally}");
}

#[test]
fn duplicates_and_reordering_change_no_verdict() {
    let server = server(&[]);
    let there = Box::new(|index, _: &[u8]| {
        if index % 5 == 3 {
            Fate::Twice
        } else {
            Fate::Pass
        }
    });
    let back = Box::new(|index, _: &[u8]| {
        if index % 7 == 4 {
            Fate::AfterNext
        } else {
            Fate::Pass
        }
    });
    let path = Path::new(server.address(), there, back).unwrap();
    let ended = ping(path.addr(), &["-n", "41", "-i", "0.005"]);
    let document = ended.json();
    let summary = &document["summary"];
    assert_eq!(count(&summary["answered"]), 41, "{document}");
    assert!(count(&summary["duplicates"]) >= 7, "{summary}");
    assert_eq!(count(&summary["lost"]["total"]), 0, "{summary}");
    assert!(count(&summary["variation"]["reordered"]) > 0, "{summary}");
}

#[test]
fn a_silent_path_ends_with_a_summary_and_code_1() {
    let server = server(&[]);
    let path = Path::new(server.address(), Box::new(|_, _| Fate::Drop), passes()).unwrap();
    let ended = ping(path.addr(), &["-n", "2", "-i", "0.01"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let document = ended.json();
    assert_eq!(document["server"], Value::Null);
    assert_eq!(verdicts(&document), ["lost-unknown", "lost-unknown"]);
    assert!(ended.stderr.contains("no answer"), "{ended:?}");
}

#[test]
fn a_closed_port_is_refused_with_code_3() {
    let port = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let ended = ping(port, &["-n", "2"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("nothing listens at"), "{ended:?}");
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_relay_is_no_ping_server_code_5() {
    let relay = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = relay.local_addr().unwrap();
    let answering = std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        let (_, from) = relay.recv_from(&mut buffer).unwrap();
        relay.send_to(b"400", from).unwrap();
    });
    let ended = ping(address, &[]);
    answering.join().unwrap();
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stderr.contains("relay"), "{ended:?}");
}

#[test]
fn wrong_usage_is_code_2_and_unknown_names_are_code_3() {
    for args in [
        &["ping", "-s", "0"][..],
        &["ping", "-s", "65508"],
        &["ping", "-n", "-1"],
        &["ping", "--decay", "1.5"],
        &["ping", "-i", "0"],
        &["ping", "-i", "-1"],
        &["ping", "host:99999"],
        &["ping", "--no-such-flag"],
        &[],
    ] {
        let ended = run(HII, args);
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        assert!(!ended.stderr.is_empty(), "{args:?}");
    }
    // No resolver is asked about a label this long.
    let ended = ping("x".repeat(64), &[]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    // The kernel refuses to send there.
    let broadcast = ping("255.255.255.255", &[]);
    assert_eq!(broadcast.code, Some(3), "{broadcast:?}");
    assert!(broadcast.stderr.contains("cannot reach"), "{broadcast:?}");
    assert!(
        ended.stderr.contains("cannot find the address"),
        "{ended:?}"
    );
    for args in [
        &["ping", "--loss", "2"][..],
        &["ping", "--delay", "5ms..1ms"],
        &["ping", "-p", "65536"],
    ] {
        assert_eq!(run(HII_SERVER, args).code, Some(2), "{args:?}");
    }
}

#[test]
fn a_port_that_is_taken_is_told_with_code_3() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = run(HII_SERVER, &["ping", "-b", "127.0.0.1", "-p", &port]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended.stderr.contains("another program has the port"),
        "{ended:?}"
    );
}

#[test]
fn without_a_target_the_server_is_inside() {
    let ended = run(HII, &["ping", "-n", "5", "-i", "0.02", "--json"]);
    let document = ended.json();
    let summary = &document["summary"];
    assert_eq!(count(&summary["sent"]), 5);
    assert!(count(&summary["server"]["received"]) >= 5, "{summary}");
    let answered = count(&summary["answered"]);
    assert_eq!(answered + count(&summary["lost"]["total"]), 5);
    assert_eq!(ended.code, Some(i32::from(answered == 0)));
}

#[test]
fn lines_for_people_show_each_probe_and_the_figures() {
    let server = server(&[]);
    let ended = run(
        HII,
        &[
            "ping",
            &server.address().to_string(),
            "-n",
            "3",
            "-i",
            "0.01",
        ],
    );
    for seq in 1..=3 {
        assert!(ended.stdout.contains(&format!("seq {seq}: ")), "{ended:?}");
    }
    assert!(ended.stdout.contains("3 sent, 3 answered"), "{ended:?}");
    assert!(ended.stdout.contains("standard deviation"), "{ended:?}");
}

#[test]
fn ctrl_c_prints_the_summary_and_is_code_130() {
    let server = server(&[]);
    let mut child = start(
        HII,
        &[
            "ping",
            &server.address().to_string(),
            "-n",
            "1000000",
            "-i",
            "0.01",
        ],
    );
    // It is under way when its first line is there.
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("seq 3: ") {
        std::io::BufRead::read_line(&mut stdout, &mut text).unwrap();
    }
    programs::signal(child.id(), Signal::SIGINT);
    std::io::Read::read_to_string(&mut stdout, &mut text).unwrap();
    let ended = finish(child);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(
        text.contains(" sent, ") && text.contains("RTT of "),
        "{text}"
    );
    assert!(text.contains(", 0 lost"), "{text}");
}

#[test]
fn output_that_cannot_be_written_is_code_7_and_the_figures_are_not_lost() {
    let server = server(&[]);
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let child = std::process::Command::new(HII)
        .args([
            "ping",
            &server.address().to_string(),
            "-n",
            "3",
            "-i",
            "0.01",
        ])
        .stdout(full)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let ended = finish(child);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert!(
        ended.stderr.contains("cannot write the output"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains(" sent, "), "{ended:?}");
}

#[test]
fn a_size_too_small_for_numbers_is_measured_by_port() {
    let server = server(&[]);
    let ended = ping(server.address(), &["-n", "10", "-i", "0.01", "-s", "5"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let summary = &ended.json()["summary"];
    assert_eq!(count(&summary["answered"]), 10);
    assert_eq!(summary["lost"]["there"], Value::Null);
}

#[test]
fn the_largest_size_goes_both_ways() {
    let server = server(&[]);
    let ended = ping(server.address(), &["-n", "3", "-i", "0.01", "-s", "65507"]);
    assert_eq!(count(&ended.json()["summary"]["answered"]), 3, "{ended:?}");
}

#[test]
fn stop_shows_the_server_s_last_word() {
    let local = server(&[]);
    let ended = ping(local.address(), &["-n", "1", "--stop"]);
    assert_eq!(ended.json()["summary"]["farewell"], "Stopping the Server.");
    assert_eq!(local.wait().code, Some(0));
    let firm = server(&["--allow-exit", "never"]);
    let ended = ping(firm.address(), &["-n", "1", "--stop"]);
    assert_eq!(ended.json()["summary"]["farewell"], "Packet Acknowledged");
    assert_eq!(firm.stop().code, Some(0));
}

#[test]
fn both_families_reach_a_server_on_all_addresses() {
    let server = Server::start(HII_SERVER, &["ping", "--json"]);
    let port = server.address().port();
    let hosts = if server.address().is_ipv6() {
        &["127.0.0.1", "[::1]"][..]
    } else {
        &["127.0.0.1"]
    };
    for host in hosts {
        let ended = ping(format!("{host}:{port}"), &["-n", "3", "-i", "0.01"]);
        assert_eq!(
            count(&ended.json()["summary"]["answered"]),
            3,
            "{host}: {ended:?}"
        );
    }
    let ended = ping(format!("localhost:{port}"), &["-4", "-n", "1"]);
    assert!(
        ended.json()["address"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );
    assert_eq!(ping("127.0.0.1", &["-6"]).code, Some(3));
}

#[test]
fn a_delayed_answer_delays_nobody_else_and_is_abandoned_at_the_stop() {
    let server = server(&["--delay", "1h"]);
    let slow = UdpSocket::bind("127.0.0.1:0").unwrap();
    slow.send_to(b"Hello Server", server.address()).unwrap();
    let quick = UdpSocket::bind("127.0.0.1:0").unwrap();
    quick.send_to(b"C 128", server.address()).unwrap();
    quick
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut buffer = [0; 100];
    let len = quick
        .recv(&mut buffer)
        .expect("the calibration is answered while the other waits");
    assert_eq!(&buffer[..len], b"Buffer Size Calibrated at Server.");
    let tally = server.stop().json();
    assert_eq!(
        (
            count(&tally["received"]),
            count(&tally["answered"]),
            count(&tally["abandoned"])
        ),
        (2, 1, 1)
    );
}

#[test]
fn answers_are_never_answered() {
    let server = server(&[]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for text in ["Packet Acknowledged", "400", "A 00c0ffee 1", "Hello Server"] {
        socket.send_to(text.as_bytes(), server.address()).unwrap();
    }
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let len = socket.recv(&mut [0; 100]).unwrap();
    assert_eq!(len, "Packet Acknowledged".len());
    let tally = server.stop().json();
    assert_eq!(
        (count(&tally["ignored"]), count(&tally["answered"])),
        (3, 1)
    );
}
