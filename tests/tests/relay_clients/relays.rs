//! With a relay of ours, over both families and both transports.

use std::net::SocketAddr;

use hii_tests::classic::relay_client::RelayClient;
use hii_tests::path::{Fate, Path};

use super::{Listener, relay, rows, send, with_input};

#[test]
fn messages_go_from_any_transport_to_any_over_both_families() {
    for bind in ["127.0.0.1", "::1"] {
        // So that who has only said hii is nobody, from this host either.
        let (_server, ways) = relay(bind, &["--no-trust-loopback"]);
        for there in &ways {
            let mut listener = Listener::start(there, &["-n", "8"]);
            assert_eq!(listener.relay, "hii");
            for here in &ways {
                // The first is classic, the others cannot be.
                let texts = ["good morning; you", "12:30", " blanks ", ""];
                let input = texts.join("\n") + "\n";
                let args = ["send", here, &listener.address, "--json"];
                let ended = with_input(&args, input.as_bytes());
                assert_eq!(ended.code, Some(0), "{ended:?}");
                let rows = rows(&ended);
                let forms: Vec<_> = rows.iter().map(|row| row["form"].clone()).collect();
                assert_eq!(forms, ["content", "raw", "raw", "content"]);
                for text in texts {
                    assert_eq!(listener.message().1, text);
                }
            }
            assert_eq!(listener.wait().code, Some(0));
        }
    }
}

#[test]
fn lines_of_input_do_not_outrun_a_relay() {
    // A second's worth is taken at once, and what is more goes unanswered.
    let (_server, ways) = relay("127.0.0.1", &["--rate", "20/s"]);
    for way in &ways {
        let mut listener = Listener::start(&ways[0], &["-n", "40"]);
        let args = ["send", way, &listener.address, "--rate", "15/s", "--json"];
        let ended = with_input(&args, "hello\n".repeat(40).as_bytes());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(rows(&ended).len(), 40);
        for _ in 0..40 {
            listener.message();
        }
        assert_eq!(listener.wait().code, Some(0));
    }
}

#[test]
fn nothing_to_send_is_told() {
    let (_server, ways) = relay("127.0.0.1", &[]);
    let ended = send(&ways[0], &["127.0.0.1/9"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
    assert!(ended.stderr.contains("nothing was sent"), "{ended:?}");
}

#[test]
fn octets_that_are_no_text_arrive_as_they_are() {
    let (_server, ways) = relay("127.0.0.1", &[]);
    let mut listener = Listener::start(&ways[0], &["-n", "1"]);
    let args = ["send", &ways[1], &listener.address];
    let ended = with_input(&args, b"\xff\x00:\x1b\n");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let row = listener.row();
    assert_eq!(
        (&row["form"], &row["hex"]),
        (&"raw".into(), &"ff003a1b".into())
    );
}

#[test]
fn the_original_s_client_gets_what_it_can_read_and_nothing_else() {
    let (server, ways) = relay("127.0.0.1", &[]);
    let mut theirs = RelayClient::new(server.address()).unwrap();
    let (ip, port) = theirs.initialise().unwrap();
    let to = format!("{ip}/{port}");
    for way in &ways {
        let ended = send(way, &[&to, "12:30"]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("\":\" at octet 2"), "{ended:?}");
        assert!(ended.stderr.contains("(405)") && ended.stderr.contains("raw form"));
        let args = ["send", way, &to, "--json"];
        let ended = with_input(&args, b"12:30\n x \na\xff\n");
        assert_eq!(rows(&ended).len(), 3);
        for (row, named) in rows(&ended).iter().zip([
            "\":\" at octet 2",
            "' ' at octet 0",
            "UTF-8 only, which octet 1 is not",
        ]) {
            assert_eq!((&row["form"], &row["code"]), (&"raw".into(), &405.into()));
            assert!(row["reason"].as_str().unwrap().contains(named), "{row}");
        }
        assert_eq!(send(way, &[&to, "half past twelve"]).code, Some(0));
        let message = theirs.receive().unwrap();
        assert!(
            message.ends_with(" ; content : half past twelve"),
            "{message}"
        );
    }
    let mut ours = Listener::start(&ways[0], &["-n", "1"]);
    let (our_ip, our_port) = ours.address.split_once('/').unwrap();
    let answer = theirs
        .send(our_ip, our_port.parse().unwrap(), "hello")
        .unwrap();
    assert!(answer.starts_with("200"), "{answer}");
    assert_eq!(ours.message(), (to, "hello".into()));
}

#[test]
fn whom_the_relay_does_not_know_is_not_reached() {
    let (_server, ways) = relay("127.0.0.1", &[]);
    for way in &ways {
        let ended = send(way, &["127.0.0.1/9", "a", "--json"]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let row = &rows(&ended)[0];
        assert_eq!(
            (&row["result"], &row["code"]),
            (&"refused".into(), &405.into())
        );
    }
}

#[test]
fn a_relay_has_a_name_as_well() {
    let (server, _) = relay("127.0.0.1", &[]);
    // It may stand for an IPv6 address first, where nobody listens.
    let name = format!("localhost:{}", server.address().port());
    let mut listener = Listener::start(&name, &["-n", "1"]);
    let ended = send(&format!("tcp://{name}"), &[&listener.address, "hello"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(listener.message().1, "hello");
}

/// A path to a server that loses these datagrams on their way there, by their index.
fn losing(server: SocketAddr, lost: &'static [u64]) -> Path {
    let judge = |index, _: &[u8]| {
        if lost.contains(&index) {
            Fate::Drop
        } else {
            Fate::Pass
        }
    };
    Path::new(server, Box::new(judge), Box::new(|_, _| Fate::Pass)).unwrap()
}

#[test]
fn greetings_that_are_lost_are_sent_again_and_messages_are_not() {
    let (server, ways) = relay("127.0.0.1", &["--no-trust-loopback"]);
    let mut listener = Listener::start(&ways[0], &["-n", "1"]);
    // The first question for a token, and the first proof.
    let path = losing(server.address(), &[0, 2]);
    let relay = path.addr().to_string();
    let ended = send(&relay, &[&listener.address, "12:30"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(listener.message().1, "12:30");
    // The message itself.
    let path = losing(server.address(), &[2]);
    let relay = path.addr().to_string();
    let ended = send(&relay, &["127.0.0.1/9", "lost", "--json", "-W", "2"]);
    assert_eq!(rows(&ended)[0]["result"], "unanswered", "{ended:?}");
    assert_eq!(ended.code, Some(1));
}
