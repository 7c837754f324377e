//! With the original relay and its client, which know nothing of tokens, raw octets and IPv6.

use std::net::UdpSocket;

use hii_tests::classic::relay_client::RelayClient;
use hii_tests::classic::relay_server::{Act, RelayServer};

use super::{Listener, rows, send, with_input};

fn original(act: impl FnMut(&[u8]) -> Act + Send + 'static) -> (RelayServer, String) {
    let server = RelayServer::start(Box::new(act)).unwrap();
    let address = server.addr().to_string();
    (server, address)
}

fn is_send(datagram: &[u8]) -> bool {
    datagram.starts_with(b"to:")
}

#[test]
fn ours_and_the_original_s_client_talk_by_an_original_relay() {
    let (server, relay) = original(|_| Act::Serve);
    let mut theirs = RelayClient::new(server.addr()).unwrap();
    let (ip, port) = theirs.initialise().unwrap();
    let mut ours = Listener::start(&relay, &["-n", "1"]);
    assert_eq!(ours.relay, "original");

    let (our_ip, our_port) = ours.address.split_once('/').unwrap();
    let answer = theirs.send(our_ip, our_port.parse().unwrap(), " hello; you ");
    assert!(answer.unwrap().starts_with("200"));
    assert_eq!(
        ours.message(),
        (format!("{ip}/{port}"), "hello; you".into())
    );
    assert_eq!(ours.wait().code, Some(0));

    let ended = send(&relay, &[&format!("{ip}/{port}"), "good morning"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        theirs
            .receive()
            .unwrap()
            .ends_with(" ; content : good morning")
    );
    assert!(server.runs());
}

#[test]
fn what_the_classic_form_cannot_carry_is_named_and_not_sent() {
    let (server, relay) = original(|_| Act::Serve);
    let to = "127.0.0.1/9";
    let long = "x".repeat(1020);
    let input = [b"12:30\n two\n\xff\n", long.as_bytes(), b"\nfine\n"].concat();
    let ended = with_input(&["send", &relay, to, "--json"], &input);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let rows = rows(&ended);
    let results: Vec<_> = rows
        .iter()
        .map(|row| row["result"].as_str().unwrap())
        .collect();
    assert_eq!(
        results,
        ["not-sent", "not-sent", "not-sent", "not-sent", "sent"]
    );
    for (row, reason) in rows
        .iter()
        .zip(["\":\" at octet 2", "blank", "UTF-8", "1024"])
    {
        assert!(row["reason"].as_str().unwrap().contains(reason), "{row}");
    }
    let ended = send(&relay, &["[::1]/9", "a"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("IPv6"), "{ended:?}");
    // None of it went out, and nothing that would have ended the relay.
    let sent: Vec<_> = server
        .log()
        .into_iter()
        .filter(|datagram| is_send(datagram))
        .collect();
    assert_eq!(sent, [b"to:127.0.0.1/9;content:fine"]);
    assert!(server.runs());
}

#[test]
fn a_message_before_the_answer_is_not_taken_for_it_and_not_lost() {
    // The first greeting and the first message have one, each.
    let (mut greetings, mut messages) = (0, 0);
    let (server, relay) = original(move |datagram| {
        greetings += i32::from(datagram == b"hii");
        messages += i32::from(is_send(datagram));
        let early = b"127.0.0.1/9 ; content : 200, UDP Packet Sent Successfully";
        let is_first = datagram == b"hii" && greetings == 1 || is_send(datagram) && messages == 1;
        if is_first {
            Act::Before(early.to_vec())
        } else {
            Act::Serve
        }
    });
    let mut listener = Listener::start(&relay, &["-n", "2"]);
    let mut theirs = RelayClient::new(server.addr()).unwrap();
    theirs.initialise().unwrap();
    // Nobody may send to that address, whatever the message in between says.
    let ended = send(&relay, &["255.255.255.255/9", "a", "--json"]);
    assert_eq!(rows(&ended)[0]["code"], 405, "{ended:?}");
    let (ip, port) = listener.address.split_once('/').unwrap();
    theirs.send(ip, port.parse().unwrap(), "later").unwrap();
    assert_eq!(listener.message().0, "127.0.0.1/9");
    assert_eq!(listener.message().1, "later");
    assert_eq!(listener.wait().code, Some(0));
}

#[test]
fn a_message_without_an_answer_is_sent_again_only_where_that_is_asked_for() {
    let is_lost = || {
        let mut lost = 0;
        move |datagram: &[u8]| {
            lost += i32::from(is_send(datagram));
            if is_send(datagram) && lost <= 1 {
                Act::LoseAnswer
            } else {
                Act::Serve
            }
        }
    };
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = receiver.local_addr().unwrap().to_string().replace(':', "/");
    let sendings = |server: &RelayServer| {
        server
            .log()
            .iter()
            .filter(|datagram| is_send(datagram))
            .count()
    };

    let (server, relay) = original(is_lost());
    let ended = send(&relay, &[&to, "a", "-W", "2"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("no answer in"), "{ended:?}");
    assert_eq!(sendings(&server), 1);

    let (server, relay) = original(is_lost());
    let ended = send(&relay, &[&to, "a", "-W", "2", "--retry", "100"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(sendings(&server) >= 2);
}

#[test]
fn a_late_answer_is_not_taken_for_the_next_message_s() {
    // The first message's answer comes after the next datagram, and the second message is lost.
    let mut messages = 0;
    let (_server, relay) = original(move |datagram| {
        messages += i32::from(is_send(datagram));
        match (is_send(datagram), messages) {
            (true, 1) => Act::HoldAnswer,
            (true, _) => Act::Lose,
            _ => Act::Serve,
        }
    });
    let args = ["send", &relay, "127.0.0.1/9", "--json", "-W", "2"];
    let ended = with_input(&args, b"first\nsecond\n");
    let rows = rows(&ended);
    let results: Vec<_> = rows.iter().map(|row| row["result"].clone()).collect();
    assert_eq!(results, ["unanswered", "unanswered"], "{ended:?}");
}
