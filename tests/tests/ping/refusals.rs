//! What cannot be measured or served, and how the programs say so.

use std::net::UdpSocket;

use hii_tests::programs::run;

use crate::{HII, HII_SERVER, ping};

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
