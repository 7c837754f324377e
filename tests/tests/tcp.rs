//! Ping over TCP: the built server under clients of all kinds.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use hii_tests::classic::echo_client;
use hii_tests::programs::Server;
use serde_json::Value;

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

fn count(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no count"))
}

/// The server's tally, once it has been checked.
fn tally(server: Server) -> Value {
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let tally = ended.json();
    let part = |name: &str| count(&tally[name]);
    let parts = [
        "answered",
        "dropped",
        "ignored",
        "over_rate",
        "queue_full",
        "send_failed",
        "abandoned",
    ];
    assert_eq!(part("received"), parts.map(part).iter().sum::<u64>());
    tally
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
    let tally = tally(server);
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
    assert_eq!(count(&tally(server)["answered"]), 5);
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
    stream.write_all(&[b'x'; 50_000]).unwrap();
    assert_eq!(receive(&mut stream), "400");
    assert!(rest(&mut stream).is_empty());
    assert_eq!(count(&tally(server)["answered"]), 3);
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
    let tally = tally(server);
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
    let served = (0..1000).any(|_| {
        let mut next = connect(server.address());
        let _ = next.write_all(&frame(b"a"));
        !rest_after_shutdown(next).is_empty()
    });
    assert!(served);
    let tally = tally(server);
    assert_eq!(count(&tally["tcp"]["connections"]), 3);
    assert!(count(&tally["tcp"]["refused"]) >= 1);
}

fn rest_after_shutdown(mut stream: TcpStream) -> Vec<u8> {
    let _ = stream.shutdown(Shutdown::Write);
    rest(&mut stream)
}

#[test]
fn an_idle_connection_is_closed_and_one_that_reads_nothing_as_well() {
    let server = server(&["--idle", "200ms"]);
    let mut idle = connect(server.address());
    idle.write_all(&[0, 0]).unwrap();
    assert!(rest(&mut idle).is_empty());
    let mut deaf = connect(server.address());
    // Far more than all buffers on the way hold: it fails when the server closes.
    let probe = frame(format!("{:<60000}", "P 00c0ffee 1").as_bytes());
    while deaf.write_all(&probe).is_ok() {}
    let tally = tally(server);
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
    let tally = tally(server);
    assert_eq!(count(&tally["abandoned"]), 2);
    assert_eq!(count(&tally["answered"]), 2);
}
