//! What goes from peer to peer.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use hii_tests::classic::relay_client::RelayClient;
use hii_tests::programs::Server;

use crate::peers::{Peer, SENT, Tcp, UNDELIVERABLE, Udp};
use crate::{HII_SERVER, count, relay, tally};

fn converse(one: &mut dyn Peer, other: &mut dyn Peer) {
    let (here, there) = (one.address(), other.address());
    assert_eq!(one.tell(&there, "good morning"), SENT);
    assert_eq!(
        other.hear_text(),
        format!("{here} ; content : good morning")
    );
    assert_eq!(other.tell(&here, " ü;/ "), SENT);
    assert_eq!(one.hear_text(), format!("{there} ; content : ü;/"));
}

#[test]
fn every_kind_of_peer_reaches_every_other() {
    let server = Server::start(HII_SERVER, &["relay", "--json"]);
    let port = server.address().port();
    let v4 = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    let v6 = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port);
    let mut peers: Vec<Box<dyn Peer>> = vec![
        Box::new(Udp::of(v4)),
        Box::new(Tcp::of(v4)),
        Box::new(Udp::of(v4)),
        Box::new(Tcp::of(v4)),
    ];
    // This machine may have no IPv6.
    if server.address().is_ipv6() && UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        peers.push(Box::new(Udp::of(v6)));
        peers.push(Box::new(Tcp::of(v6)));
    }
    for peer in &mut peers {
        peer.greet();
    }
    let mut conversations = 0;
    for index in 1..peers.len() {
        let (before, rest) = peers.split_at_mut(index);
        for one in before {
            converse(one.as_mut(), rest[0].as_mut());
            conversations += 1;
        }
    }
    let tally = tally(server);
    assert_eq!(count(&tally["forwarded"]), 2 * conversations);
    assert_eq!(count(&tally["registered"]), peers.len() as u64);
}

#[test]
fn octets_that_are_no_text_go_to_those_who_showed_that_they_are_ours() {
    let server = relay(&["--no-trust-loopback"]);
    let (mut udp, mut tcp) = (Udp::of(server.address()), Tcp::of(server.address()));
    udp.prove();
    tcp.greet();
    let payload = b" \xff;:12:30\0\r\n ";
    let raw = |to: String| [format!("to:{to};raw : ").as_bytes(), payload].concat();
    let expected = |from: String| [format!("{from} ; raw : ").as_bytes(), payload].concat();
    assert_eq!(udp.ask(&raw(tcp.address())), SENT);
    assert_eq!(tcp.hear(), expected(udp.address()));
    assert_eq!(tcp.ask(&raw(udp.address())), SENT);
    assert_eq!(udp.hear(), expected(tcp.address()));
    // A plain greeting makes no peer here, and none that takes raw octets anywhere.
    for args in [&["--no-trust-loopback"][..], &[]] {
        let server = relay(args);
        let mut plain = Udp::of(server.address());
        plain.greet();
        let mut proven = Udp::of(server.address());
        proven.prove();
        assert_eq!(proven.ask(&raw(plain.address())), UNDELIVERABLE);
    }
}

#[test]
fn the_original_clients_talk_through_it_and_close_it() {
    let server = relay(&[]);
    let mut one = RelayClient::new(server.address()).unwrap();
    let mut other = RelayClient::new(server.address()).unwrap();
    let (here, port) = one.initialise().unwrap();
    let (there, other_port) = other.initialise().unwrap();
    let answer = one.send(&there, other_port, "good morning").unwrap();
    assert_eq!(answer, SENT);
    assert_eq!(
        other.receive().unwrap(),
        format!("{here}/{port} ; content : good morning")
    );
    let answer = one.send(&there, other_port, "12:30").unwrap();
    assert_eq!(answer, "401");
    let mut ours = Tcp::of(server.address());
    ours.greet();
    let (ip, tcp_port) = ours.address().split_once('/').map_or_else(
        || panic!("no address"),
        |(ip, port)| (ip.to_owned(), port.parse().unwrap()),
    );
    assert_eq!(one.send(&ip, tcp_port, "to you too").unwrap(), SENT);
    assert_eq!(
        ours.hear_text(),
        format!("{here}/{port} ; content : to you too")
    );
    one.close_server().unwrap();
    let ended = server.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// More than one batch, of different lengths, to two destinations in turn, but less than buffers hold.
const ROUNDS: usize = 8;
const EACH: usize = 16;

#[test]
fn messages_of_one_pair_keep_their_order_and_have_an_answer_each() {
    let server = relay(&["--rate", "0"]);
    let (mut from, mut to) = (Udp::of(server.address()), Udp::of(server.address()));
    let mut stream = Tcp::of(server.address());
    from.greet();
    to.greet();
    stream.greet();
    let (udp, tcp) = (to.address(), stream.address());
    for round in 0..ROUNDS {
        for n in 0..EACH {
            let n = round * EACH + n;
            let text = format!("{n} {}", "x".repeat(n % 7));
            from.say(format!("to:{udp};content:{text}").as_bytes());
            from.say(format!("to:{tcp};content:{text}").as_bytes());
        }
        for _ in 0..2 * EACH {
            assert_eq!(from.hear_text(), SENT);
        }
    }
    for peer in [&mut to as &mut dyn Peer, &mut stream] {
        for n in 0..ROUNDS * EACH {
            let text = peer.hear_text();
            let expected = format!("{} ; content : {n} {}", from.address(), "x".repeat(n % 7));
            assert_eq!(text, expected.trim_end());
        }
    }
    assert!(from.has_nothing() && to.has_nothing());
    let tally = tally(server);
    assert_eq!(count(&tally["forwarded"]), 2 * (ROUNDS * EACH) as u64);
    assert_eq!(count(&tally["tcp"]["forwarded"]), (ROUNDS * EACH) as u64);
}

#[cfg(target_os = "linux")]
#[test]
fn peers_on_different_threads_reach_each_other() {
    let server = relay(&["--threads", "3", "--error-rate", "0"]);
    let mut peers: Vec<_> = (0..30).map(|_| Udp::of(server.address())).collect();
    let mut stream = Tcp::of(server.address());
    stream.greet();
    for peer in &mut peers {
        peer.prove();
    }
    for index in 0..peers.len() {
        let to = peers[(index + 7) % peers.len()].address();
        let here = peers[index].address();
        assert_eq!(peers[index].tell(&to, "hello"), SENT);
        let there = (index + 7) % peers.len();
        assert_eq!(
            peers[there].hear_text(),
            format!("{here} ; content : hello")
        );
        assert_eq!(peers[index].tell(&stream.address(), "hello"), SENT);
        assert_eq!(stream.hear_text(), format!("{here} ; content : hello"));
        assert_eq!(stream.tell(&here, "hello"), SENT);
        let expected = format!("{} ; content : hello", stream.address());
        assert_eq!(peers[index].hear_text(), expected);
    }
    let tally = tally(server);
    assert_eq!(count(&tally["forwarded"]), 90);
    assert_eq!(count(&tally["registered"]), 31);
}

#[test]
fn a_message_as_long_as_a_datagram_arrives_whole_and_one_longer_is_refused() {
    let server = relay(&[]);
    let (mut from, mut to) = (Udp::of(server.address()), Udp::of(server.address()));
    let mut stream = Tcp::of(server.address());
    from.greet();
    to.greet();
    stream.greet();
    for receiver in [&mut to as &mut dyn Peer, &mut stream] {
        let there = receiver.address();
        let in_forward = format!("{} ; content : ", from.address()).len();
        let in_request = format!("to:{there};content:").len();
        let most = 65_507 - in_forward.max(in_request);
        let text = "y".repeat(most);
        assert_eq!(from.tell(&there, &text), SENT);
        assert_eq!(
            receiver.hear_text(),
            format!("{} ; content : {text}", from.address())
        );
        if in_forward > in_request {
            let text = "y".repeat(most + 1);
            assert_eq!(from.tell(&there, &text), UNDELIVERABLE);
        }
    }
}

#[test]
fn an_answer_comes_from_the_address_that_was_greeted() {
    // On all addresses of the host, of which loopback has many.
    let server = Server::start(HII_SERVER, &["relay", "--json"]);
    let port = server.address().port();
    let mut seen = HashSet::new();
    let mut peers = Vec::new();
    for last in 2..6 {
        let asked = SocketAddr::new(IpAddr::from([127, 0, 0, last]), port);
        // A connected socket takes nothing from another address.
        let mut peer = Udp::new(IpAddr::from([127, 0, 1, last]), asked);
        peer.greet();
        assert!(seen.insert(peer.address()));
        peers.push(peer);
    }
    let mut stream = Tcp::of(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    stream.greet();
    for index in 0..peers.len() {
        let next = (index + 1) % peers.len();
        let to = peers[next].address();
        assert_eq!(peers[index].tell(&to, "hello"), SENT);
        assert!(peers[next].hear_text().ends_with("hello"));
        assert_eq!(stream.tell(&to, "hello"), SENT);
        assert!(peers[next].hear_text().ends_with("hello"));
    }
}

#[test]
fn only_peers_send_only_to_peers_and_never_to_where_nothing_is_sent() {
    let server = relay(&["--deny", "127.0.0.9", "--error-rate", "0"]);
    let mut peer = Udp::of(server.address());
    let mut stranger = Udp::of(server.address());
    peer.greet();
    assert_eq!(stranger.tell(&peer.address(), "x"), UNDELIVERABLE);
    assert_eq!(peer.tell(&stranger.address(), "x"), UNDELIVERABLE);
    let own = server.address().port();
    for to in [
        format!("127.0.0.1/{own}"),
        format!("[::ffff:127.0.0.1]/{own}"),
        "0.0.0.0/9000".into(),
        "255.255.255.255/9000".into(),
        "224.0.0.1/9000".into(),
        "[ff02::1]/9000".into(),
    ] {
        assert_eq!(peer.tell(&to, "x"), UNDELIVERABLE, "{to}");
    }
    let mut denied = Udp::new(IpAddr::from([127, 0, 0, 9]), server.address());
    denied.say(b"hii");
    // It would have had its answer by the time that this one is there.
    peer.greet();
    assert!(denied.has_nothing());
    assert!(peer.has_nothing() && stranger.has_nothing());
    let tally = tally(server);
    assert_eq!(count(&tally["denied"]), 1);
    assert_eq!(count(&tally["refused"]["405"]), 8);
}

#[test]
fn an_open_relay_sends_to_whoever_listens() {
    let server = relay(&["--open"]);
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = format!("127.0.0.1/{}", receiver.local_addr().unwrap().port());
    let mut buffer = [0; 100];
    for sender in [
        &mut Udp::of(server.address()) as &mut dyn Peer,
        &mut Tcp::of(server.address()),
    ] {
        assert_eq!(sender.tell(&to, "hello"), SENT);
        let (len, from) = receiver.recv_from(&mut buffer).unwrap();
        assert_eq!(from, server.address());
        let expected = format!("{} ; content : hello", sender.address());
        assert_eq!(&buffer[..len], expected.as_bytes());
    }
}
