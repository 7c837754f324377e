//! `hii-server ping --metrics`: what a monitoring system reads, and what strangers can do to it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use hii_tests::metrics::{exchange, get, serve};
use hii_tests::programs::{finish, run, signal};
use nix::sys::signal::Signal;

const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

#[test]
fn the_metrics_agree_with_the_tally() {
    let (child, ping, metrics) = serve(HII_SERVER, "ping", &["--loss", "50%", "--seed", "7"]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    for seq in 1..=20 {
        socket
            .send_to(format!("P 00c0ffee {seq}").as_bytes(), ping)
            .unwrap();
    }
    // Its answer is never lost, so all the others were judged before it.
    socket.send_to(b"C 5", ping).unwrap();
    let mut buffer = [0; 100];
    while socket.recv(&mut buffer).is_ok_and(|_| buffer[0] != b'B') {}
    // The counts are told when the round of datagrams is done, which is after the answer.
    let received = r#"hii_ping_received_total{transport="udp"} 21"#;
    let text = loop {
        let text = get(metrics);
        if text.contains(received) {
            break text;
        }
        std::thread::yield_now();
    };
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.contains("application/openmetrics-text"), "{text}");
    assert!(
        text.contains("hii_ping_runs{transport=\"udp\"} 1\n"),
        "{text}"
    );
    signal(child.id(), Signal::SIGTERM);
    let tally = finish(child).json();
    let figure = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name}: {text}")).trim()
    };
    assert_eq!(
        figure(r#"hii_ping_answered_total{transport="udp"}"#),
        tally["answered"].to_string()
    );
    assert_eq!(
        figure(r#"hii_ping_unanswered_total{transport="udp",reason="dropped"}"#),
        tally["dropped"].to_string()
    );
    assert!(tally["dropped"].as_u64().unwrap() > 0, "{tally}");
}

#[test]
fn what_comes_over_tcp_is_told_apart() {
    let (child, ping, metrics) = serve(HII_SERVER, "ping", &[]);
    let mut stream = TcpStream::connect(ping).unwrap();
    stream.write_all(b"\0\0\0\x0cP 00c0ffee 1").unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    // The counts are told right after the answer is sent.
    let text = loop {
        let text = get(metrics);
        if text.contains("hii_ping_answered_total{transport=\"tcp\"} 1\n") {
            break text;
        }
        std::thread::yield_now();
    };
    for line in [
        r#"hii_ping_received_total{transport="tcp"} 1"#,
        r#"hii_ping_received_total{transport="udp"} 0"#,
        r#"hii_ping_waiting{transport="tcp"} 0"#,
        r#"hii_ping_runs{transport="tcp"} 1"#,
        "hii_ping_connections_total 1",
        r#"hii_ping_connections_closed_total{reason="source_limit"} 0"#,
    ] {
        assert!(text.lines().any(|told| told == line), "{line}: {text}");
    }
    signal(child.id(), Signal::SIGTERM);
    assert_eq!(finish(child).json()["tcp"]["messages"], 1);
}

#[test]
fn anything_but_get_metrics_is_refused_and_idlers_keep_nobody_out() {
    let (mut child, _, metrics) = serve(HII_SERVER, "ping", &[]);
    for (request, status) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
        (b"\xff\xfe\r\n\r\n", "400"),
        (&[b'a'; 16_000], "431"),
    ] {
        let answer = exchange(metrics, request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
    // More than are served at once, and none of them says anything.
    let idlers: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(metrics).unwrap())
        .collect();
    assert!(get(metrics).starts_with("HTTP/1.1 200 OK"));
    drop(idlers);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_address_that_is_taken_is_told_with_code_3() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = ["ping", "-b", "127.0.0.1", "-p", "0", "--metrics", &address];
    let ended = run(HII_SERVER, &args);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended.stderr.contains("cannot serve metrics on"),
        "{ended:?}"
    );
    assert!(
        ended.stderr.contains("another one with --metrics"),
        "{ended:?}"
    );
    assert_eq!(
        run(HII_SERVER, &["ping", "--metrics", "9100"]).code,
        Some(2)
    );
}
