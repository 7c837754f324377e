//! How many TCP connections a server has, of all and of one source, and which of them give way.

use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, Ipv4Addr, TcpStream};

use hii_tests::programs::{Server, run};
use hii_tests::streams::{ask, connect, is_served};

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

fn local(host: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, host).into()
}

/// Whether the server closes the connection without a further octet.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(len) => len == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn one_source_leaves_room_for_others() {
    let args = "ping -b 127.0.0.1 --json --max-connections 4 --connections-per-source 2";
    let args: Vec<_> = args.split(' ').collect();
    let server = Server::start(HII_SERVER, &args);
    let [one, other, third] = [1, 2, 3].map(local);
    let connect = |from| connect(from, server.address());
    let mut first = connect(one);
    let mut second = connect(one);
    assert!(is_served(&mut first) && is_served(&mut second));
    assert!(!is_served(&mut connect(one)));
    // Who wants to measure is told what is the matter.
    let target = format!("tcp://{}", server.address());
    let ended = run(HII, &["ping", &target, "-n", "1"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended.stderr.contains("as many connections as it allows"),
        "{ended:?}"
    );
    let mut others = [connect(other), connect(other)];
    assert!(others.iter_mut().all(is_served));
    // A place that was left is free again, as soon as the server knows.
    drop(second);
    let mut again = connect(one);
    while !is_served(&mut again) {
        again = connect(one);
    }
    // There are as many as there may be of all: the one that was silent for longest gives way.
    assert!(is_served(&mut connect(third)));
    assert!(is_closed(&mut first) && others.iter_mut().all(is_served));
    let tally = server.stop().json();
    let tcp = &tally["tcp"];
    assert!(tcp["over_source"].as_u64().unwrap() >= 2, "{tally}");
    assert_eq!((&tcp["refused"], &tcp["displaced"]), (&0.into(), &1.into()));
    assert_eq!(tcp["connections"], 6, "{tally}");
}

#[test]
fn this_host_may_have_all_of_them_and_others_an_eighth() {
    let args = ["ping", "-b", "127.0.0.1", "--max-connections", "16"];
    let server = Server::start(HII_SERVER, &args);
    let mut all: Vec<_> = (0..16)
        .map(|_| connect(local(1), server.address()))
        .collect();
    assert!(all.iter_mut().all(is_served));
    let help = run(HII_SERVER, &["ping", "--help"]).stdout;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("--connections-per-source"), "{help}");
    assert!(help.contains("an eighth of the connections"), "{help}");
}

#[test]
fn silent_connections_of_many_addresses_give_way_to_those_of_others() {
    let args = [
        "ping",
        "-b",
        "127.0.0.1",
        "--json",
        "--max-connections",
        "16",
    ];
    let server = Server::start(HII_SERVER, &args);
    let mut established = connect(local(200), server.address());
    assert!(is_served(&mut established));
    let mut silent: Vec<_> = (0..64)
        .map(|number| connect(local(1 + number % 8), server.address()))
        .collect();
    for _ in 0..10 {
        assert!(is_served(&mut connect(local(201), server.address())));
        assert!(is_served(&mut established));
    }
    // Those that came first have gone first.
    assert!(silent[..40].iter_mut().all(is_closed));
    let tally = server.stop().json();
    let displaced = tally["tcp"]["displaced"].as_u64().unwrap();
    let refused = tally["tcp"]["refused"].as_u64().unwrap();
    assert!(displaced >= 40 && displaced + refused <= 64, "{tally}");
    assert_eq!(tally["tcp"]["idle"], 0, "{tally}");
}

#[test]
fn silent_connection_gives_way_before_an_older_one_that_was_served() {
    for service in ["ping", "relay"] {
        let args = "-b 127.0.0.1 --max-connections 2";
        let args: Vec<_> = [service].into_iter().chain(args.split(' ')).collect();
        let server = Server::start(HII_SERVER, &args);
        let [mut older, mut silent] = [1, 1].map(|host| connect(local(host), server.address()));
        assert!(is_served(&mut older));
        assert!(is_served(&mut connect(local(2), server.address())));
        assert!(is_closed(&mut silent), "{service}");
        assert!(is_served(&mut older), "{service}");
    }
}

#[test]
fn displaced_connection_is_no_peer_of_a_relay_any_more() {
    let args = "relay -b 127.0.0.1 --json --max-connections 2 --rate 0";
    let args: Vec<_> = args.split(' ').collect();
    let relay = Server::start(HII_SERVER, &args);
    let ask = |stream: &mut TcpStream, question: &str| {
        let answer = ask(stream, question.as_bytes()).unwrap();
        String::from_utf8(answer).unwrap()
    };
    let mut first = connect(local(1), relay.address());
    ask(&mut first, "hii");
    let message = format!(
        "to:127.0.0.1/{};content:{}",
        first.local_addr().unwrap().port(),
        "x".repeat(60_000)
    );
    let mut second = connect(local(2), relay.address());
    ask(&mut second, "hii");
    // More than the network holds, so that something waits for the first.
    let mut sent = 0;
    while ask(&mut second, &message).starts_with("200") {
        sent += 1;
    }
    // Both have sent frames; the first was silent for longer.
    let mut newcomer = connect(local(3), relay.address());
    ask(&mut newcomer, "hii");
    assert!(ask(&mut second, &message).starts_with("405"));
    let mut taken = 0;
    let mut octets = vec![0; 1 << 16];
    while let Ok(len @ 1..) = first.read(&mut octets) {
        taken += len;
    }
    assert!(taken < sent * message.len());
    let tally = relay.stop().json();
    assert_eq!(tally["tcp"]["displaced"], 1, "{tally}");
    assert!(tally["abandoned"].as_u64().unwrap() > 0, "{tally}");
    // Nothing is left for it that could be counted as full.
    assert_eq!(tally["queue_full"], 1, "{tally}");
}
