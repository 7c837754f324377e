//! Peers over TCP that do not behave.

use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use hii_protocol::relay::Request;
use socket2::{Domain, Socket, Type};

use crate::peers::{Peer, SENT, Tcp, UNDELIVERABLE, Udp, framed, tell_until_full};
use crate::{count, relay, tally};

#[test]
fn who_reads_too_slowly_misses_messages_and_keeps_nobody_waiting() {
    let server = relay(&["--rate", "0", "--error-rate", "0"]);
    let mut deaf = Tcp::of(server.address());
    deaf.greet();
    let mut other = Tcp::of(server.address());
    other.greet();
    let mut udp = Udp::of(server.address());
    udp.greet();
    let long = "x".repeat(60_000);
    // Each has its answer, and others are served meanwhile.
    let (sent, refused) = tell_until_full(&mut udp, &deaf, &mut other, &long);
    // What was accepted is there, and whole, once it is read.
    for _ in 0..sent {
        assert!(deaf.hear_text().ends_with(&long));
    }
    assert_eq!(udp.tell(&deaf.address(), "again"), SENT);
    assert!(deaf.hear_text().ends_with(" ; content : again"));
    let tally = tally(server);
    assert_eq!(count(&tally["queue_full"]), refused);
    assert_eq!(count(&tally["abandoned"]), 0);
}

#[test]
fn a_peer_is_one_as_long_as_its_connection() {
    let server = relay(&["--error-rate", "0"]);
    let mut udp = Udp::of(server.address());
    udp.greet();
    let mut tcp = Tcp::of(server.address());
    let address = tcp.address();
    assert_eq!(udp.tell(&address, "x"), UNDELIVERABLE);
    tcp.greet();
    assert_eq!(udp.tell(&address, "x"), SENT);
    assert!(tcp.hear_text().ends_with('x'));
    // The relay closes its side once it has seen this one's end.
    tcp.0.shutdown(Shutdown::Write).unwrap();
    assert!(tcp.rest().is_empty());
    assert_eq!(udp.tell(&address, "x"), UNDELIVERABLE);
    assert_eq!(count(&tally(server)["tcp"]["ended"]), 1);
}

#[test]
fn what_came_before_the_end_of_a_stream_is_dealt_with() {
    let server = relay(&[]);
    let mut udp = Udp::of(server.address());
    udp.greet();
    let mut tcp = Tcp::of(server.address());
    let message = format!("to:{};content:last words", udp.address());
    let octets = [framed(b"hii"), framed(message.as_bytes()), vec![0, 0, 0]].concat();
    tcp.0.write_all(&octets).unwrap();
    tcp.0.shutdown(Shutdown::Write).unwrap();
    assert!(tcp.hear_text().starts_with("('"));
    assert_eq!(tcp.hear_text(), SENT);
    assert!(tcp.rest().is_empty());
    assert!(udp.hear_text().ends_with("last words"));
}

#[test]
fn a_frame_that_is_too_long_ends_its_connection_and_an_empty_one_does_not() {
    let server = relay(&[]);
    let mut tcp = Tcp::of(server.address());
    tcp.0.write_all(&[0; 4]).unwrap();
    assert_eq!(tcp.hear_text(), "400");
    tcp.greet();
    // Four gibibytes, less one octet, and the beginning of them.
    tcp.0.write_all(&[0xff; 4]).unwrap();
    tcp.0.write_all(&b"x".repeat(50_000)).unwrap();
    assert_eq!(tcp.hear_text(), "400");
    assert!(tcp.rest().is_empty());
    // What is no frame at all is one that is too long.
    let mut browser = Tcp::of(server.address());
    browser.0.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(browser.hear_text(), "400");
    assert!(browser.rest().is_empty());
    let mut longest = Tcp::of(server.address());
    longest.say(&b"x".repeat(65_507));
    assert_eq!(longest.hear_text(), "400");
    longest.greet();
    assert_eq!(count(&tally(server)["refused"]["400"]), 4);
}

#[test]
fn a_connection_over_its_rate_waits_and_others_do_not() {
    let server = relay(&["--rate", "3/s"]);
    let mut tcp = Tcp::of(server.address());
    let requests = framed(&Request::TokenRequest.to_vec()).repeat(100);
    tcp.0.write_all(&requests).unwrap();
    for _ in 0..3 {
        assert!(tcp.hear_text().contains("token"));
    }
    let mut other = Udp::of(server.address());
    other.greet();
    let mut another = Tcp::of(server.address());
    assert!(another.ask(b"hii").starts_with("('"));
    let tally = tally(server);
    assert!(count(&tally["tcp"]["held"]) > 0, "{tally}");
    // Frames that are not read are not lost.
    assert_eq!(
        count(&tally["over_rate"]) + count(&tally["over_error_rate"]),
        0
    );
}

#[test]
fn octet_by_octet_is_as_good_as_at_once_and_holds_nobody_up() {
    let server = relay(&[]);
    let mut slow = Tcp::of(server.address());
    let mut other = Udp::of(server.address());
    for octet in framed(b"hii") {
        slow.0.write_all(&[octet]).unwrap();
        other.greet();
    }
    assert!(slow.hear_text().starts_with("('"));
}

#[test]
fn who_is_silent_or_half_way_is_closed_after_a_time() {
    let server = relay(&["--idle", "300ms"]);
    let mut silent = Tcp::of(server.address());
    let mut half_way = Tcp::of(server.address());
    half_way.0.write_all(&[0, 0, 0, 9, b'h']).unwrap();
    let mut greeted = Tcp::of(server.address());
    greeted.greet();
    let mut udp = Udp::of(server.address());
    udp.greet();
    for peer in [&mut silent, &mut half_way, &mut greeted] {
        assert!(peer.rest().is_empty());
    }
    assert_eq!(udp.tell(&greeted.address(), "x"), UNDELIVERABLE);
    let tally = tally(server);
    assert_eq!(count(&tally["tcp"]["idle"]), 3);
}

#[test]
fn an_octet_now_and_then_is_no_sign_of_life() {
    let server = relay(&["--idle", "500ms"]);
    let mut slow = Tcp::of(server.address());
    // A frame of a thousand octets that never gets done: the relay closes, however long it goes on.
    slow.0.write_all(&[0, 0, 3, 0xe8]).unwrap();
    let mut written = 0;
    while slow.0.write_all(b"x").is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(20));
        written += 1;
        assert!(written < 990, "it is still open");
    }
    assert_eq!(count(&tally(server)["tcp"]["idle"]), 1);
}

#[test]
fn connections_have_a_limit() {
    let server = relay(&["--max-connections", "2"]);
    let (mut one, mut two) = (Tcp::of(server.address()), Tcp::of(server.address()));
    one.greet();
    two.greet();
    assert!(Tcp::of(server.address()).rest().is_empty());
    one.greet();
    let tally = tally(server);
    assert_eq!(count(&tally["tcp"]["refused"]), 1);
}

#[test]
fn exit_server_over_a_connection_stops_the_relay_where_it_is_allowed() {
    let server = relay(&["--allow-exit", "never"]);
    let mut tcp = Tcp::of(server.address());
    assert_eq!(tcp.ask(b"exit server"), "400");
    drop(server);
    let server = relay(&[]);
    Tcp::of(server.address()).say(b"exit server");
    assert_eq!(server.wait().code, Some(0));
}

/// Sends these octets over and over, until the other side ends the connection, which it has to.
fn flood(server: SocketAddr, octets: &[u8]) -> (Arc<AtomicBool>, JoinHandle<()>) {
    let mut stream = TcpStream::connect(server).unwrap();
    let block = octets.repeat(4096);
    let flows = Arc::new(AtomicBool::new(false));
    let has_begun = Arc::clone(&flows);
    let thread = std::thread::spawn(move || {
        while stream.write_all(&block).is_ok() {
            has_begun.store(true, Ordering::Relaxed);
        }
    });
    (flows, thread)
}

#[test]
fn who_sends_without_a_pause_keeps_neither_others_nor_the_end_waiting() {
    for octets in [&[0; 4][..], b"\0\0\0\x01x"] {
        let server = relay(&[]);
        let (flows, flooder) = flood(server.address(), octets);
        while !flows.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        let mut udp = Udp::of(server.address());
        udp.greet();
        let mut tcp = Tcp::of(server.address());
        tcp.greet();
        assert_eq!(udp.tell(&tcp.address(), "hello"), SENT);
        assert!(tcp.hear_text().ends_with("hello"));
        // It stops although there is more to read all the time.
        tally(server);
        flooder.join().unwrap();
    }
}

#[test]
fn who_is_denied_takes_no_connection_from_others() {
    let server = relay(&["--deny", "127.0.0.66", "--max-connections", "2"]);
    let denied: Vec<_> = (0..8)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let from: SocketAddr = "127.0.0.66:0".parse().unwrap();
            socket.bind(&from.into()).unwrap();
            socket.connect(&server.address().into()).unwrap();
            Tcp(socket.into())
        })
        .collect();
    for mut one in denied {
        assert!(one.rest().is_empty());
    }
    Tcp::of(server.address()).greet();
    let tally = tally(server);
    assert_eq!(count(&tally["tcp"]["denied"]), 8);
    assert_eq!(count(&tally["tcp"]["connections"]), 1);
}
