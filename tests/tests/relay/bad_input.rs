//! What strangers may send over UDP: anything, in any number.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use hii_protocol::relay::Request;
use hii_protocol::{Code, is_answer};
use hii_tests::classic::decision::{Decision, decide};
use hii_tests::programs::{Server, count};
use serde_json::Value;

use crate::peers::{Peer, SENT, UNDELIVERABLE, Udp};
use crate::{HII_SERVER, relay, tally};

/// A sender that knows when an answer will not come: the next greeting's does.
struct Prober(Udp);

impl Prober {
    fn new(relay: SocketAddr) -> Self {
        let mut udp = Udp::of(relay);
        udp.greet();
        Self(udp)
    }

    /// All answers to a datagram.
    fn probe(&mut self, datagram: &[u8]) -> Vec<String> {
        self.0.say(datagram);
        self.0.say(b"HII");
        let own = self.0.0.local_addr().unwrap();
        let end = format!("('{}', {})", own.ip(), own.port());
        let mut answers = Vec::new();
        loop {
            let answer = self.0.hear_text();
            if answer == end {
                return answers;
            }
            answers.push(answer);
        }
    }
}

const UNLIMITED: [&str; 6] = ["--rate", "0", "--error-rate", "0", "--allow-exit", "never"];

fn unlimited() -> Server {
    relay(&UNLIMITED)
}

/// The vectors' requests to a relay, as octets.
fn vectors() -> Vec<Vec<u8>> {
    let text = include_str!("../../../protocol/vectors/relay.json");
    let cases: Vec<Value> = serde_json::from_str(text).expect("JSON");
    let requests = cases.iter().filter(|case| case["direction"] == "request");
    let octets = requests.map(|case| {
        if let Some(hex) = case["hex"].as_str() {
            return unhex(hex);
        }
        let parts = case["parts"].as_array().expect("parts");
        let part = |part: &Value| {
            let times = usize::try_from(count(&part[1])).expect("few");
            unhex(part[0].as_str().expect("hex")).repeat(times)
        };
        parts.iter().flat_map(part).collect()
    });
    octets.filter(|octets| octets.len() <= 65_507).collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let octet = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).expect("ASCII");
        u8::from_str_radix(text, 16).expect("hex")
    };
    digits.map(octet).collect()
}

#[test]
fn every_corner_of_the_grammar_has_the_answer_that_the_tables_say() {
    let server = unlimited();
    let mut prober = Prober::new(server.address());
    let mut codes = Vec::new();
    for datagram in vectors() {
        let request = Request::decode(&datagram);
        if matches!(request, Ok(Request::Greeting)) {
            // Its answer is what ends a probe.
            continue;
        }
        let answers = prober.probe(&datagram);
        let shown = String::from_utf8_lossy(&datagram[..datagram.len().min(100)]).into_owned();
        let expected = match request {
            _ if is_answer(&datagram) => None,
            // The answer would be longer, or more than twice as long.
            Err(_) if datagram.len() < 3 => None,
            Err(error) if error.code() == Code::Undeliverable && datagram.len() < 14 => None,
            Err(error) => Some(error.code()),
            Ok(Request::ExitServer | Request::TokenGreeting(_)) => Some(Code::NotARequest),
            // Nobody there is a peer.
            Ok(Request::Send(_)) => Some(Code::Undeliverable),
            Ok(Request::Greeting | Request::TokenRequest) => {
                assert!(answers.len() == 1 && answers[0].contains(" ; token : "));
                continue;
            }
        };
        let expected: Vec<_> = expected.iter().map(|code| code.answer()).collect();
        assert_eq!(answers, expected, "{shown}");
        codes.extend(expected);
    }
    for code in Code::ALL {
        assert!(codes.contains(&code.answer()), "{code}");
    }
    tally(server);
}

#[test]
fn what_an_original_decides_is_decided_the_same() {
    let server = unlimited();
    let mut prober = Prober::new(server.address());
    let mut peer = Udp::of(server.address());
    peer.greet();
    let to = peer.0.local_addr().unwrap().port();
    let mut sent = 0;
    for (header, data) in [
        ("to", "content"),
        ("TO", " Content "),
        ("\tto ", "content\r\n"),
        ("from", "content"),
        ("to", "text"),
        ("", ""),
    ] {
        for ip in ["127.0.0.1", " 127.0.0.1\n", "127.1", "localhost", "", "::1"] {
            for port in [
                to.to_string(),
                format!("00{to}"),
                "x".into(),
                "+1".into(),
                "70000".into(),
            ] {
                for text in ["hello", "a:b", ";", "", " "] {
                    for [colon, slash, separator] in [
                        [":", "/", ";"],
                        ["", "/", ";"],
                        [":", "", ";"],
                        [":", "/", ""],
                    ] {
                        let datagram =
                            format!("{header}{colon}{ip}{slash}{port}{separator}{data}:{text}");
                        let answers = prober.probe(datagram.as_bytes());
                        let expected = match decide(datagram.as_bytes()) {
                            Decision::Code(405) => UNDELIVERABLE.to_owned(),
                            Decision::Code(code) => code.to_string(),
                            Decision::Send { content, .. } => {
                                sent += 1;
                                let here = prober.0.address();
                                assert_eq!(
                                    peer.hear_text(),
                                    format!("{here} ; content : {content}")
                                );
                                SENT.to_owned()
                            }
                            other => panic!("{other:?}"),
                        };
                        assert_eq!(answers, [expected], "{datagram:?}");
                    }
                }
            }
        }
    }
    assert!(sent > 20, "{sent}");
}

#[test]
fn nonsense_of_any_size_gets_at_most_one_short_answer() {
    let server = unlimited();
    let mut prober = Prober::new(server.address());
    let lengths = (0..300)
        .chain((300..65_507).step_by(1_777))
        .chain(65_500..=65_507);
    for len in lengths {
        let octet = [b'x', b';', b':', b'/', b' ', 0, 0xff, b'h'][len % 8];
        let answers = prober.probe(&vec![octet; len]);
        // An answer would be longer than this.
        let answered = usize::from(len >= 3);
        assert_eq!(answers.len(), answered, "{len} times {octet:?}");
        let is_short = |answer: &String| ["400", "401"].contains(&answer.as_str());
        assert!(answers.iter().all(is_short), "{answers:?}");
    }
}

#[test]
fn a_message_cut_at_any_octet_or_with_any_octet_bent_is_none_or_a_shorter_one() {
    let server = unlimited();
    let mut prober = Prober::new(server.address());
    let own = prober.0.address();
    let head = format!("to:{own};content:");
    let whole = format!("{head}{}", "x".repeat(500));
    for len in 0..whole.len() {
        let answers = prober.probe(&whole.as_bytes()[..len]);
        if let Some(content) = whole[..len].strip_prefix(&head) {
            let message = format!("{own} ; content : {content}");
            assert_eq!(answers, [message.as_str(), SENT], "{len} octets");
        } else {
            assert_eq!(answers.len(), usize::from(len >= 3), "{len} octets");
            let is_short = |answer: &String| ["400", "401"].contains(&answer.as_str());
            assert!(answers.iter().all(is_short), "{answers:?}");
        }
        let mut bent = whole.clone().into_bytes();
        bent[len] ^= 0x80;
        assert_eq!(prober.probe(&bent), ["400"], "octet {len}");
    }
}

#[test]
fn what_ipv6_alone_can_carry_is_too_long() {
    let args = [&["relay", "-b", "::1", "--json"], &UNLIMITED[..]].concat();
    let server = Server::start(HII_SERVER, &args);
    let mut prober = Prober::new(server.address());
    let own = prober.0.address();
    for head in [
        String::new(),
        format!("to:{own};content:"),
        format!("to:{own};raw : "),
        "hii ?".into(),
    ] {
        // All beyond the longest payload over IPv4, up to the longest over IPv6.
        for len in 65_508..=65_527 {
            let datagram = format!("{head}{}", "x".repeat(len - head.len()));
            assert_eq!(prober.probe(datagram.as_bytes()), ["400"], "{head}: {len}");
        }
    }
    assert_eq!(count(&tally(server)["refused"]["400"]), 4 * 20);
}

#[test]
fn answers_and_low_ports_have_no_answer() {
    let server = unlimited();
    let mut prober = Prober::new(server.address());
    let answers = [
        "400",
        "401",
        UNDELIVERABLE,
        SENT,
        "('127.0.0.1', 9000)",
        "('::1', 9000) ; token : 000102030405060708090a0b0c0d0e0f",
        "Packet Acknowledged",
        "Acknowledgement",
        "Stopping the Server.",
        "Buffer Size Calibrated at Server.",
        "A 00c0ffee 7 6 000000000000005f 1200 1789000000000000000",
    ];
    for answer in answers {
        assert!(prober.probe(answer.as_bytes()).is_empty(), "{answer}");
    }
    assert_eq!(count(&tally(server)["ignored"]), answers.len() as u64);
}

#[test]
fn two_relays_made_to_talk_to_each_other_fall_silent_at_once() {
    let one = relay(&["--open", "--error-rate", "0"]);
    let other = relay(&["--open", "--error-rate", "0"]);
    let mut peer = Udp::of(one.address());
    let to = |server: SocketAddr| format!("{}/{}", server.ip(), server.port());
    assert_eq!(peer.tell(&to(other.address()), "hello"), SENT);
    // It does not even send to itself.
    assert_eq!(peer.tell(&to(one.address()), "hello"), UNDELIVERABLE);
    // What the other one got is nonsense to it, and its answer to that an answer to the first.
    assert_eq!(
        peer.tell("127.0.0.1/9", "is there still nothing more?"),
        SENT
    );
    peer.greet();
    let tallies = [tally(other), tally(one)];
    let [received, refused] = ["received", "refused"].map(|name| &tallies[0][name]);
    assert_eq!((count(received), count(&refused["401"])), (1, 1));
    assert_eq!(count(&tallies[1]["received"]), 5);
    assert_eq!(count(&tallies[1]["ignored"]), 1);
}

#[test]
fn strangers_without_number_are_answered_little_and_hold_little() {
    let server = relay(&["--no-trust-loopback", "--peers", "100", "--rate", "0"]);
    let port = server.address().port();
    let to = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    let mut peer = Udp::of(server.address());
    peer.prove();
    let before = resident(server.id());
    // Each from another address: this host's own network has sixteen million.
    for n in 0..30_000_u32 {
        let [_, _, high, low] = n.to_be_bytes();
        let from = UdpSocket::bind((IpAddr::from([127, 1, high, low]), 0)).unwrap();
        from.send_to(b"hii", to).unwrap();
        if n % 50 == 0 {
            // The peer is served all the same, and no more wait than the relay's socket holds. A message goes before its
            // answer.
            assert!(peer.tell(&peer.address(), "still here").ends_with("here"));
            assert_eq!(peer.hear_text(), SENT);
        }
    }
    assert!(peer.tell(&peer.address(), "still here").ends_with("here"));
    assert_eq!(peer.hear_text(), SENT);
    let grown = resident(server.id()).saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB more");
    let tally = tally(server);
    assert_eq!(count(&tally["registered"]), 1);
    assert!(count(&tally["received"]) > 30_000, "{tally}");
}

/// The memory that a process has in use, in KiB.
fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse().ok()).unwrap_or_default()
}
