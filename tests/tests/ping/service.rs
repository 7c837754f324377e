//! What the server does, whoever asks.

use std::net::UdpSocket;
use std::time::Duration;

use crate::{count, ping, server};

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
