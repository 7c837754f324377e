//! Ping over TCP: the built programs, against each other and against others of all kinds.

use std::fmt::Display;
use std::io::{BufRead as _, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use hii_tests::classic::echo_client;
use hii_tests::classic::echo_server::EchoServer;
use hii_tests::programs::{Ended, Server, count, finish, output, ping_tally, run, signal, start};
use nix::sys::signal::Signal;
use serde_json::Value;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

/// Guards against a server that hangs; no test depends on how long it is.
const WATCHDOG: Duration = Duration::from_secs(60);

fn server(args: &[&str]) -> Server {
    Server::start(
        HII_SERVER,
        &[&["ping", "-b", "127.0.0.1", "--json"], args].concat(),
    )
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(WATCHDOG)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap();
    [&len.to_be_bytes(), payload].concat()
}

fn send(stream: &mut TcpStream, payload: &[u8]) {
    stream.write_all(&frame(payload)).unwrap();
}

/// The next frame's payload.
fn receive(stream: &mut TcpStream) -> String {
    let mut len = [0; 4];
    stream.read_exact(&mut len).unwrap();
    let mut payload = vec![0; u32::from_be_bytes(len) as usize];
    stream.read_exact(&mut payload).unwrap();
    String::from_utf8(payload).unwrap()
}

/// A request and its answer.
fn ask(stream: &mut TcpStream, payload: &[u8]) -> String {
    send(stream, payload);
    receive(stream)
}

/// Everything up to the end of the stream; a reset is an end as well.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut octets = Vec::new();
    match stream.read_to_end(&mut octets) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => octets,
    }
}

#[test]
fn the_original_client_is_served_over_both_families_by_one_server() {
    let server = Server::start(HII_SERVER, &["ping", "--json"]);
    let port = server.address().port();
    let mut clients = 0;
    for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
        match echo_client::run(SocketAddr::new(ip, port)) {
            Ok(answers) => assert_eq!(answers, ["Acknowledgement"; 5]),
            // This machine has no IPv6.
            Err(_) if ip.is_ipv6() && server.address().is_ipv4() => continue,
            Err(error) => panic!("{error}"),
        }
        clients += 1;
    }
    let tally = ping_tally(server);
    assert_eq!(count(&tally["tcp"]["classic_connections"]), clients);
    assert_eq!(count(&tally["tcp"]["classic_messages"]), 5 * clients);
    assert_eq!(count(&tally["answered"]), 5 * clients);
}

#[test]
fn the_original_client_gets_every_answer_of_a_server_that_loses_datagrams() {
    let server = server(&["--loss", "1", "--delay", "1ms..20ms"]);
    let answers = echo_client::run(server.address()).unwrap();
    assert_eq!(answers, ["Acknowledgement"; 5]);
}

#[test]
fn frames_are_answered_and_exit_closes_its_own_connection_only() {
    let server = server(&[]);
    let mut stays = connect(server.address());
    let mut leaves = connect(server.address());
    let mut classic = connect(server.address());
    assert_eq!(ask(&mut stays, b"hello"), "Packet Acknowledged");
    assert_eq!(ask(&mut stays, b"C 9"), "Buffer Size Calibrated at Server.");
    let answer = ask(&mut leaves, format!("{:<128}", "P 00c0ffee 1").as_bytes());
    assert_eq!(answer.len(), 128);
    assert!(
        answer.starts_with("A 00c0ffee 1 1 0000000000000001 "),
        "{answer}"
    );
    assert_eq!(ask(&mut leaves, b"exit"), "Stopping the Server.");
    assert!(rest(&mut leaves).is_empty());
    classic.write_all(b"exit").unwrap();
    assert!(rest(&mut classic).is_empty());
    assert_eq!(ask(&mut stays, b"hello"), "Packet Acknowledged");
    assert_eq!(count(&ping_tally(server)["answered"]), 5);
}

#[test]
fn malformed_frames_are_refused() {
    let server = server(&[]);
    let mut stream = connect(server.address());
    stream.write_all(&[0; 4]).unwrap();
    assert_eq!(receive(&mut stream), "400");
    assert_eq!(ask(&mut stream, b"still here"), "Packet Acknowledged");
    // Over the limit: an answer, and the end, although more is sent than anyone reads.
    stream.write_all(&65_508_u32.to_be_bytes()).unwrap();
    stream.write_all(&b"x".repeat(50_000)).unwrap();
    assert_eq!(receive(&mut stream), "400");
    assert!(rest(&mut stream).is_empty());
    assert_eq!(count(&ping_tally(server)["answered"]), 3);
}

#[test]
fn octets_that_come_one_by_one_are_a_frame_in_the_end() {
    let server = server(&[]);
    let mut slow = connect(server.address());
    let mut other = connect(server.address());
    for octet in frame(b"hello") {
        slow.write_all(&[octet]).unwrap();
        // The answer to another shows that the server has gone on in between.
        assert_eq!(ask(&mut other, b"hi"), "Packet Acknowledged");
    }
    assert_eq!(receive(&mut slow), "Packet Acknowledged");
}

#[test]
fn many_connections_are_served_at_once() {
    let server = server(&[]);
    let mut streams: Vec<_> = (0..200).map(|_| connect(server.address())).collect();
    for stream in &mut streams {
        send(stream, b"hello");
    }
    for stream in &mut streams {
        assert_eq!(receive(stream), "Packet Acknowledged");
    }
    let tally = ping_tally(server);
    assert_eq!(count(&tally["tcp"]["connections"]), 200);
    assert_eq!(count(&tally["tcp"]["messages"]), 200);
}

#[test]
fn connections_over_the_cap_are_closed_and_counted() {
    let server = server(&["--max-connections", "2"]);
    let mut first = connect(server.address());
    let mut second = connect(server.address());
    assert_eq!(ask(&mut first, b"a"), "Packet Acknowledged");
    assert_eq!(ask(&mut second, b"a"), "Packet Acknowledged");
    let mut third = connect(server.address());
    assert!(rest(&mut third).is_empty());
    // A place that was left is free again, as soon as the server knows.
    assert_eq!(ask(&mut first, b"exit"), "Stopping the Server.");
    assert!(rest(&mut first).is_empty());
    drop(first);
    let got_in = (0..1000).any(|_| {
        let mut next = connect(server.address());
        let _ = next.write_all(&frame(b"a"));
        !rest_after_shutdown(next).is_empty()
    });
    assert!(got_in);
    let tally = ping_tally(server);
    assert_eq!(count(&tally["tcp"]["connections"]), 3);
    assert!(count(&tally["tcp"]["refused"]) >= 1);
}

fn rest_after_shutdown(mut stream: TcpStream) -> Vec<u8> {
    let _ = stream.shutdown(Shutdown::Write);
    rest(&mut stream)
}

#[test]
fn an_idle_connection_is_closed_and_one_that_reads_nothing_as_well() {
    let server = server(&["--idle", "2s"]);
    let mut idle = connect(server.address());
    idle.write_all(&[0, 0]).unwrap();
    let mut deaf = connect(server.address());
    // Far more than all buffers on the way hold: it fails when the server closes.
    let probe = frame(format!("{:<60000}", "P 00c0ffee 1").as_bytes());
    while deaf.write_all(&probe).is_ok() {}
    assert!(rest(&mut idle).is_empty());
    let tally = ping_tally(server);
    assert_eq!(count(&tally["tcp"]["idle"]), 1);
    assert_eq!(count(&tally["tcp"]["unread"]), 1);
    assert!(count(&tally["abandoned"]) > 0);
}

#[test]
fn one_connection_s_delays_do_not_delay_another_and_the_tally_knows_what_still_waited() {
    let server = server(&["--delay", "1h"]);
    let mut delayed = connect(server.address());
    send(&mut delayed, b"hello");
    let mut other = connect(server.address());
    send(&mut other, b"hello");
    // Calibration is never delayed.
    assert_eq!(ask(&mut other, b"C 9"), "Buffer Size Calibrated at Server.");
    assert_eq!(
        ask(&mut delayed, b"C 9"),
        "Buffer Size Calibrated at Server."
    );
    let tally = ping_tally(server);
    assert_eq!(count(&tally["abandoned"]), 2);
    assert_eq!(count(&tally["answered"]), 2);
}

#[test]
fn asked_to_stop_the_tally_adds_up_for_who_does_not_read() {
    let server = server(&["--rate", "0"]);
    let mut deaf = connect(server.address());
    let mut other = connect(server.address());
    // Every answer went to the network or is counted as given up, and none is both.
    fill(&mut deaf, &mut other);
    let tally = ping_tally(server);
    assert!(count(&tally["answered"]) > 0, "{tally}");
    assert!(count(&tally["abandoned"]) > 0, "{tally}");
}

/// Sends probes and reads no answer, until the buffers in both directions are full and the server reads no more.
///
/// Full buffers at one moment do not show that: the server may not have run. An answer on the other connection shows that it
/// has, and that it read what it wanted from this one: some 16 KiB, of which the kernel need not
/// make room at once.
fn fill(deaf: &mut TcpStream, other: &mut TcpStream) {
    const TURNS: u32 = 500;
    let probes = frame(b"hello").repeat(4096);
    deaf.set_nonblocking(true).unwrap();
    let mut turns_without_room = 0;
    while turns_without_room < TURNS {
        turns_without_room += 1;
        while deaf.write(&probes).is_ok() {
            turns_without_room = 0;
        }
        assert_eq!(ask(other, b"hello"), "Packet Acknowledged");
    }
}

fn ping(target: impl Display, args: &[&str]) -> Ended {
    run(
        HII,
        &[&["ping", &format!("tcp://{target}"), "--json"], args].concat(),
    )
}

fn answered(summary: &Value) -> (u64, u64) {
    (count(&summary["sent"]), count(&summary["answered"]))
}

#[test]
fn our_client_measures_our_server_with_frames() {
    let server = server(&[]);
    let ended = ping(server.address(), &["-n", "50", "-i", "2ms", "-s", "2000"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document = ended.json();
    assert_eq!(document["server"], "hii");
    assert_eq!(document["size"], 2000);
    assert_eq!(document["tcp"]["resolution_ns"], Value::Null);
    assert!(count(&document["tcp"]["connect_ns"]) > 0);
    let summary = &document["summary"];
    assert_eq!(answered(summary), (50, 50));
    assert_eq!(summary["loss_percent"], 0.0);
    assert_eq!(summary["lost"]["there"], 0);
    assert_eq!(summary["rtt_ns"]["count"], 50);
    let tally = ping_tally(server);
    // One question more, on the connection that is measured.
    assert_eq!(count(&tally["tcp"]["messages"]), 51);
    assert_eq!(count(&tally["tcp"]["connections"]), 1);
    assert_eq!(count(&tally["answered"]), 51);
}

#[test]
fn names_are_resolved_and_people_are_told_each_step() {
    let server = Server::start(HII_SERVER, &["ping"]);
    let target = format!("tcp://localhost:{}", server.address().port());
    let ended = run(HII, &["ping", &target, "-n", "2", "-i", "1ms"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("name resolved in "), "{ended:?}");
    assert!(ended.stdout.contains("; connected in "), "{ended:?}");
    assert!(ended.stdout.contains("2 sent, 2 answered"), "{ended:?}");
    let server = server.stop();
    assert!(
        server.stdout.contains("over TCP 3 of them on 1 connection"),
        "{server:?}"
    );
}

#[test]
fn what_the_server_drops_on_purpose_is_lost_back_over_tcp_too() {
    let server = server(&["--loss", "0.3", "--seed", "3"]);
    let ended = ping(server.address(), &["-n", "100", "-i", "1ms"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document = ended.json();
    let summary = &document["summary"];
    let tally = ping_tally(server);
    let lost = &summary["lost"];
    assert!(count(&lost["back"]) > 0, "{summary}");
    assert_eq!(count(&lost["total"]), count(&lost["back"]), "{summary}");
    let unanswered = count(&summary["uncounted"]["unanswered"]);
    let dropped = count(&lost["back"]) + unanswered;
    assert_eq!(count(&tally["dropped"]), dropped, "{summary} {tally}");
}

#[test]
fn the_original_server_is_measured_one_message_at_a_time() {
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(server) = EchoServer::start(bind.parse().unwrap()) else {
            assert!(bind.starts_with('['), "only IPv6 may be missing");
            continue;
        };
        let ended = ping(server.addr(), &["-n", "5", "-i", "1ms"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let document = ended.json();
        assert_eq!(document["server"], "original");
        let summary = &document["summary"];
        assert_eq!(answered(summary), (5, 5));
        assert_eq!(summary["lost"]["there"], Value::Null);
        // The original takes the next connection when it has read the `exit` of this one.
        assert_eq!(echo_client::run(server.addr()).unwrap().len(), 5);
        let log = server.log();
        assert!(log[0].starts_with("\0\0\0\u{40}P "), "{log:?}");
        let expected = ["Hii Server"; 5].into_iter().chain(["exit"]);
        let classic: Vec<_> = log[1..7].iter().map(String::as_str).collect();
        assert_eq!(classic, expected.collect::<Vec<_>>());
    }
}

#[test]
fn a_connection_that_the_server_ends_has_a_summary() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // The question and two probes are answered, the third ends it.
        for _ in 0..3 {
            let probe = receive(&mut stream);
            send(&mut stream, probe.replacen('P', "A", 1).as_bytes());
        }
        receive(&mut stream);
    });
    let ended = ping(address, &["-n", "1000000", "-i", "5ms"]);
    thread.join().unwrap();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let document = ended.json();
    let summary = &document["summary"];
    assert_eq!(count(&summary["answered"]), 2, "{summary}");
    assert!(count(&summary["lost"]["total"]) >= 1, "{summary}");
    let how = summary["connection_ended"].as_str();
    assert!(matches!(how, Some("closed" | "broken")), "{summary}");
}

#[test]
fn an_interrupted_run_has_its_summary() {
    let server = server(&[]);
    let target = format!("tcp://{}", server.address());
    let mut child = start(HII, &["ping", &target, "-n", "1000000", "-i", "1ms"]);
    let mut lines = output(child.stdout.take().unwrap());
    let mut seen = String::new();
    while !seen.contains("seq 3") {
        assert!(lines.read_line(&mut seen).unwrap() > 0, "{seen}");
    }
    signal(child.id(), Signal::SIGINT);
    lines.read_to_string(&mut seen).unwrap();
    assert_eq!(finish(child).code, Some(130));
    assert!(seen.contains(" answered ("), "{seen}");
}

#[test]
fn a_run_that_waits_for_room_can_be_interrupted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tcp://{}", listener.local_addr().unwrap());
    let args = ["ping", &target, "-i", "1ms", "-n", "100000", "-s", "65000"];
    let child = start(HII, &args);
    let (mut stream, _) = listener.accept().unwrap();
    let question = receive(&mut stream);
    send(&mut stream, question.replacen('P', "A", 1).as_bytes());
    // Nothing more is read, so the client soon waits for room; a good part of its first probe is here.
    let mut waiting = vec![0; 1 << 20];
    while stream.peek(&mut waiting).unwrap() < 32_000 {
        std::thread::yield_now();
    }
    signal(child.id(), Signal::SIGINT);
    let ended = finish(child);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stdout.contains("still in flight"), "{ended:?}");
    assert!(!ended.stdout.contains("ended early"), "{ended:?}");
}

#[test]
fn the_figures_of_a_schedule_are_there_over_tcp_too() {
    let server = server(&[]);
    let args = ["-n", "40", "-i", "4ms", "--decay", "0.99", "-W", "1"];
    let ended = ping(server.address(), &args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document = ended.json();
    assert_eq!(document["decay"], 0.99);
    let summary = &document["summary"];
    assert_eq!(answered(summary), (40, 40));
    for figures in ["rtt_from_due_ns", "schedule_error_ns", "network_rtt_ns"] {
        assert_eq!(summary[figures]["count"], 40, "{figures}: {summary}");
    }
}

#[test]
fn what_cannot_be_measured_is_said_in_a_line() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = nobody.local_addr().unwrap();
    drop(nobody);
    for (target, args, code, what) in [
        (refused.to_string(), &[][..], 3, "nothing listens at"),
        // No resolver is asked about a label this long.
        ("x".repeat(64), &[], 3, "cannot find"),
        ("127.0.0.1".into(), &["--stop"], 2, "--stop"),
        ("127.0.0.1".into(), &["-s", "5"], 2, "give -s"),
    ] {
        let ended = ping(target, args);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains(what), "{ended:?}");
        assert!(ended.stdout.is_empty(), "{ended:?}");
    }
}

#[test]
fn a_stranger_is_shown_what_it_says() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"SSH-2.0-\x1b[31m\r\n").unwrap();
        rest(&mut stream);
    });
    let ended = ping(address, &[]);
    thread.join().unwrap();
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stderr.contains("SSH-2.0"), "{ended:?}");
    assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
}

#[test]
fn a_server_that_takes_connections_and_says_nothing_cannot_be_measured() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let ended = ping(silent.local_addr().unwrap(), &[]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("answers nothing"), "{ended:?}");
}
