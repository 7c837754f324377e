//! The relay's rules, one by one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hii_protocol::Code;
use hii_protocol::relay::{Answer, Request};

use super::access::{Access, network};
use super::peers::Way;
use super::rules::{Config, Decision, Delivery, Rules, Shared, Source};
use crate::allow_exit::AllowExit;
use crate::args::rate;
use crate::policy::fair_share::Class;
use crate::policy::local_addrs::LocalAddrs;
use crate::policy::origin::origin;

const OWN: &str = "[::]:8081";

fn relay(access: Access) -> Rules {
    relay_of(&config(access))
}

pub(super) fn config(access: Access) -> Config {
    Config {
        access,
        rate: rate("100/s").unwrap(),
        error_rate: rate("10/s").unwrap(),
        allow_exit: AllowExit::Loopback,
        peers: 1000,
    }
}

/// A relay on port 8081 of a host with the address 198.51.100.1.
pub(super) fn relay_of(config: &Config) -> Rules {
    let own = [OWN.parse().unwrap(), "198.51.100.1:8081".parse().unwrap()];
    let mut key = 0;
    let draw = Box::new(move || {
        key += 1;
        [key; 16]
    });
    let shared = Shared::new(config, LocalAddrs::fixed(&own, Vec::new()), draw);
    Rules::new(Arc::new(shared))
}

fn trusting(networks: &[&str]) -> Rules {
    relay(Access {
        trust: networks.iter().map(|text| network(text).unwrap()).collect(),
        ..Access::default()
    })
}

pub(super) fn source(address: &str) -> Source {
    Source {
        origin: origin(address.parse().unwrap()),
        way: Way {
            socket: 0,
            asked: None,
        },
        is_connected: false,
    }
}

/// What becomes of a frame.
pub(super) fn decide<'a>(
    rules: &mut Rules,
    frame: &'a [u8],
    from: Source,
    now: Duration,
) -> Decision<'a> {
    let train = rules.train(from, now);
    rules.decide(frame, &train)
}

/// What the relay says to this, in words.
pub(super) fn said(rules: &mut Rules, frame: &[u8], from: &str, at: u64) -> String {
    let now = Duration::from_secs(at);
    let from = source(from);
    match decide(rules, frame, from, now) {
        Decision::Silence => "silence".into(),
        Decision::Stop => "stop".into(),
        Decision::Reply(answer) => answer.to_string(),
        Decision::Forward { to, forward, .. } => {
            let forward = Answer::Forward(forward).to_string();
            let result = rules.forwarded(Delivery::Sent);
            assert_eq!(result, Decision::Reply(Answer::Sent));
            format!("{to} <- {forward}")
        }
    }
}

fn token_request() -> Vec<u8> {
    Request::TokenRequest.to_vec()
}

/// Makes an address a peer by its token.
pub(super) fn prove(rules: &mut Rules, from: &str, at: u64) {
    let answer = said(rules, &token_request(), from, at);
    let (_, token) = answer.split_once("token : ").expect("a token");
    let greeted = said(rules, format!("hii {token}").as_bytes(), from, at);
    assert!(greeted.starts_with("('"), "{greeted}");
}

const UNDELIVERABLE: &str = "405, Could not send the message to the requested address";

#[test]
fn a_message_goes_from_peer_to_peer() {
    let mut rules = relay(Access::default());
    prove(&mut rules, "192.0.2.7:7000", 0);
    prove(&mut rules, "[2001:db8::9]:9000", 0);
    let send = b"to : [2001:db8::9] / 9000 ; content : good morning";
    assert_eq!(
        said(&mut rules, send, "192.0.2.7:7000", 1),
        "[2001:db8::9]/9000 <- 192.0.2.7/7000 ; content : good morning"
    );
    let raw = b"to:192.0.2.7/7000;raw : 12:30";
    assert_eq!(
        said(&mut rules, raw, "[2001:db8::9]:9000", 1),
        "192.0.2.7/7000 <- [2001:db8::9]/9000 ; raw : 12:30"
    );
    assert_eq!(rules.tally().forwarded, 2);
}

#[test]
fn only_peers_send_and_only_to_peers() {
    let mut rules = relay(Access::default());
    prove(&mut rules, "192.0.2.7:7000", 0);
    let stranger = said(
        &mut rules,
        b"to:192.0.2.7/7000;content:x",
        "192.0.2.8:8000",
        1,
    );
    assert_eq!(stranger, UNDELIVERABLE);
    let to_stranger = said(
        &mut rules,
        b"to:192.0.2.8/8000;content:x",
        "192.0.2.7:7000",
        1,
    );
    assert_eq!(to_stranger, UNDELIVERABLE);
    // To greet is not enough from elsewhere, though it is answered.
    assert_eq!(
        said(&mut rules, b"hii", "192.0.2.8:8000", 1),
        "('192.0.2.8', 8000)"
    );
    assert_eq!(
        said(
            &mut rules,
            b"to:192.0.2.8/8000;content:x",
            "192.0.2.7:7000",
            1
        ),
        UNDELIVERABLE
    );
    // A peer expires unless it proves itself again.
    prove(&mut rules, "192.0.2.9:9000", 200);
    let late = said(
        &mut rules,
        b"to:192.0.2.9/9000;content:x",
        "192.0.2.7:7000",
        300,
    );
    assert_eq!(late, UNDELIVERABLE);
}

#[test]
fn a_bare_greeting_is_enough_from_loopback_and_trusted_networks() {
    let mut rules = trusting(&["10.0.0.0/8"]);
    for (one, other) in [("127.0.0.1", "127.0.0.2"), ("10.0.0.1", "10.9.9.9")] {
        let [from, to] = [one, other].map(|ip| format!("{ip}:5000"));
        said(&mut rules, b"HII", &from, 0);
        said(&mut rules, b"hii", &to, 0);
        let send = format!("to:{other}/5000;content:x");
        // However long it listens.
        let passed = said(&mut rules, send.as_bytes(), &from, 1_000_000);
        assert!(passed.starts_with(&format!("{other}/5000 <- ")), "{passed}");
        // It may be an original program, which raw octets would end.
        let raw = format!("to:{other}/5000;raw : x");
        assert_eq!(
            said(&mut rules, raw.as_bytes(), &from, 1_000_000),
            UNDELIVERABLE
        );
    }
    let mut distrusting = relay(Access {
        distrusts_loopback: true,
        ..Access::default()
    });
    said(&mut distrusting, b"hii", "127.0.0.1:5000", 0);
    let send = b"to:127.0.0.1/5000;content:x";
    assert_eq!(
        said(&mut distrusting, send, "127.0.0.1:5000", 0),
        UNDELIVERABLE
    );
}

#[test]
fn an_open_relay_lets_anyone_send_to_anyone_but_never_everywhere() {
    let mut rules = relay(Access {
        open: true,
        deny: vec![network("203.0.113.0/24").unwrap()],
        ..Access::default()
    });
    let from = "192.0.2.8:8000";
    let passed = said(&mut rules, b"to:192.0.2.9/9;content:x", from, 0);
    assert_eq!(passed, "192.0.2.9/9 <- 192.0.2.8/8000 ; content : x");
    for never in [
        "127.0.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "169.254.9.9",
        "203.0.113.9",
        "[::1]",
        "[fe80::1]",
        "[::ffff:127.0.0.1]",
        "[2002:cb00:7109::1]",
    ] {
        let mut rules = relay(Access {
            open: true,
            deny: vec![network("203.0.113.0/24").unwrap()],
            ..Access::default()
        });
        let send = format!("to:{never}/9;content:x");
        assert_eq!(
            said(&mut rules, send.as_bytes(), from, 0),
            UNDELIVERABLE,
            "{never}"
        );
    }
    assert_eq!(
        said(&mut rules, b"to:198.51.100.1/8081;content:x", from, 0),
        UNDELIVERABLE
    );
    // Octets that are no text go to nobody who has not shown that they are wanted.
    assert_eq!(
        said(&mut rules, b"to:192.0.2.9/9;raw : x", from, 0),
        UNDELIVERABLE
    );
}

#[test]
fn an_open_relay_has_a_rate_for_those_who_never_greeted() {
    let mut rules = relay(Access {
        open: true,
        ..Access::default()
    });
    let passed = |rules: &mut Rules, from| {
        let send = b"to:192.0.2.9/9;content:x";
        (0..1000)
            .filter(|_| said(rules, send, from, 0) != "silence")
            .count()
    };
    assert_eq!(passed(&mut rules, "192.0.2.7:7000"), 100);
    assert_eq!(rules.tally().over_rate, 900);
}

#[test]
fn what_is_denied_gets_nothing_and_says_nothing() {
    let mut rules = relay(Access {
        open: true,
        trust: vec![network("203.0.113.0/24").unwrap()],
        deny: vec![network("203.0.113.7").unwrap()],
        ..Access::default()
    });
    assert_eq!(said(&mut rules, b"hii", "203.0.113.7:5000", 0), "silence");
    assert_eq!(
        said(&mut rules, b"nonsense", "[::ffff:203.0.113.7]:5000", 0),
        "silence"
    );
    assert_eq!(rules.tally().denied, 2);
}

#[test]
fn a_token_of_another_address_or_time_is_refused() {
    let mut rules = relay(Access::default());
    let answer = said(&mut rules, &token_request(), "192.0.2.7:7000", 0);
    let (_, token) = answer.split_once("token : ").expect("a token");
    let greeting = format!("hii {token}");
    assert_eq!(
        said(&mut rules, greeting.as_bytes(), "192.0.2.7:7001", 0),
        "400"
    );
    assert_eq!(
        said(&mut rules, greeting.as_bytes(), "192.0.2.7:7000", 120),
        "400"
    );
    assert_eq!(rules.tally().registered, 0);
}

#[test]
fn answers_are_never_answered_and_neither_are_low_ports_nor_the_relay() {
    let mut rules = relay(Access::default());
    for answer in [
        "400",
        "405, Could not send the message to the requested address",
        "200, UDP Packet Sent Successfully",
        "('192.0.2.7', 9000)",
        "Packet Acknowledged",
    ] {
        assert_eq!(
            said(&mut rules, answer.as_bytes(), "192.0.2.7:7000", 0),
            "silence"
        );
    }
    assert_eq!(said(&mut rules, b"nonsense", "192.0.2.7:53", 0), "silence");
    assert_eq!(said(&mut rules, b"hii", "198.51.100.1:8081", 0), "silence");
    assert_eq!(rules.tally().ignored, 7);
}

#[test]
fn strangers_and_errors_have_a_budget_and_peers_a_rate() {
    let mut rules = relay(Access::default());
    let count = |rules: &mut Rules, frame: &[u8], from: &str, at, tries| {
        (0..tries)
            .filter(|_| said(rules, frame, from, at) != "silence")
            .count()
    };
    assert_eq!(count(&mut rules, b"nonsense", "192.0.2.7:7000", 0, 100), 10);
    // Another port is the same source.
    assert_eq!(count(&mut rules, b"hii", "192.0.2.7:7001", 0, 100), 0);
    assert_eq!(count(&mut rules, b"hii", "192.0.2.7:7001", 10, 100), 10);
    assert_eq!(rules.tally().over_error_rate, 90 + 100 + 90);
    prove(&mut rules, "192.0.2.9:9000", 100);
    prove(&mut rules, "192.0.2.10:9000", 100);
    let send = b"to:192.0.2.10/9000;content:x";
    // One of its hundred greeted.
    assert_eq!(count(&mut rules, send, "192.0.2.9:9000", 100, 200), 99);
    assert_eq!(rules.tally().over_rate, 101);
}

#[test]
fn errors_in_a_host_s_name_keep_it_from_no_token() {
    let mut rules = relay(Access::default());
    prove(&mut rules, "192.0.2.7:7000", 0);
    // Whoever forges these uses up what the host gets for errors.
    let heard = (0..100).map(|_| said(&mut rules, b"nonsense", "192.0.2.7:9000", 5));
    assert_eq!(heard.filter(|answer| answer == "silence").count(), 90);
    for _ in 0..50 {
        // A peer proves itself anew from its own rate.
        prove(&mut rules, "192.0.2.7:7000", 5);
    }
    prove(&mut rules, "192.0.2.7:7001", 5);
}

#[test]
fn an_open_relay_sends_strangers_to_no_other_service_of_its_host() {
    let open = Access {
        open: true,
        ..Access::default()
    };
    let mut rules = relay(open);
    let send = b"to:198.51.100.1/5300;content:x";
    assert_eq!(said(&mut rules, send, "192.0.2.7:7000", 0), UNDELIVERABLE);
    let mapped = b"to:[2002:c633:6401::1]/5300;content:x";
    assert_eq!(said(&mut rules, mapped, "192.0.2.7:7000", 0), UNDELIVERABLE);
    // From the host itself it is what any program there may do.
    let passed = said(&mut rules, send, "127.0.0.1:7000", 0);
    assert!(passed.starts_with("198.51.100.1/5300 <- "), "{passed}");
    // A peer there wants to hear from others.
    prove(&mut rules, "198.51.100.1:5300", 0);
    let passed = said(&mut rules, send, "192.0.2.7:7000", 0);
    assert!(passed.starts_with("198.51.100.1/5300 <- "), "{passed}");
}

#[test]
fn a_peer_over_its_rate_may_still_greet_and_others_are_not_taken_for_it() {
    let mut rules = relay(Access::default());
    prove(&mut rules, "192.0.2.9:9000", 0);
    prove(&mut rules, "192.0.2.10:9000", 0);
    let send = b"to:192.0.2.10/9000;content:x";
    for _ in 0..200 {
        said(&mut rules, send, "192.0.2.9:9000", 1);
    }
    assert_eq!(said(&mut rules, send, "192.0.2.9:9000", 1), "silence");
    assert!(said(&mut rules, send, "192.0.2.10:9000", 1).contains(" <- "));
    assert!(said(&mut rules, &token_request(), "192.0.2.9:9000", 1).contains("token"));
    assert!(said(&mut rules, send, "192.0.2.9:9000", 2).contains(" <- "));
}

#[test]
fn a_million_forged_greetings_hold_no_more_than_the_table_may() {
    let mut rules = trusting(&["10.0.0.0/8"]);
    let nth = |net: u8, n: u32| {
        let [_, a, b, c] = n.to_be_bytes();
        SocketAddr::from(([net, a, b, c], 2000))
    };
    let mut answered = 0;
    for n in 0..500_000 {
        // Half of them from where a greeting is enough, half from elsewhere.
        for net in [10, 11] {
            let from = Source {
                origin: origin(nth(net, n)),
                ..source("192.0.2.7:7000")
            };
            let decision = decide(&mut rules, b"hii", from, Duration::from_secs(1));
            answered += u64::from(decision != Decision::Silence);
        }
    }
    assert_eq!(rules.peers(), 1000);
    assert_eq!(rules.tally().registered, 500_000);
    // Those who are no peers share the budget's buckets, of which there is a fixed number.
    let over = rules.tally().over_error_rate;
    assert_eq!(answered + over, 1_000_000);
    assert!(answered <= 500_000 + 65_536 * 10);
    // The last that greeted are peers, and what was there before them is gone.
    let to = |n| {
        let SocketAddr::V4(to) = nth(10, n) else {
            unreachable!()
        };
        format!("to:{}/2000;content:x", to.ip())
    };
    let last = nth(10, 499_999).to_string();
    let passed = said(&mut rules, to(499_998).as_bytes(), &last, 2);
    assert!(passed.contains(" <- "), "{passed}");
    assert_eq!(said(&mut rules, to(7).as_bytes(), &last, 2), UNDELIVERABLE);
}

#[test]
fn proven_strangers_do_not_displace_peers_of_a_trusted_network() {
    let mut rules = trusting(&["10.0.0.0/8"]);
    let nth = |net: u8, n: u16| {
        let [high, low] = n.to_be_bytes();
        format!("{net}.{high}.{low}.1:2000")
    };
    for n in 0..500 {
        said(&mut rules, b"hii", &nth(10, n), 0);
    }
    for n in 0..3000 {
        prove(&mut rules, &nth(11, n), 0);
    }
    let sender = "192.0.2.9:9000";
    prove(&mut rules, sender, 0);
    for n in 0..500 {
        let to = format!("to:{};content:x", nth(10, n).replace(':', "/"));
        let passed = said(&mut rules, to.as_bytes(), sender, u64::from(n) / 50);
        assert!(passed.contains(" <- "), "{n}: {passed}");
    }
    assert_eq!(rules.peers(), 1000);
    let tally = rules.tally();
    let counts = (tally.registered, tally.displaced, tally.no_room);
    assert_eq!(counts, (3501, 2501, 0));
}

#[test]
fn exit_server_is_obeyed_from_where_it_is_allowed() {
    let mut rules = relay(Access::default());
    assert_eq!(said(&mut rules, b"exit server", "192.0.2.7:7000", 0), "400");
    assert_eq!(
        said(&mut rules, b"exit server", "[::ffff:127.0.0.1]:7000", 0),
        "stop"
    );
}

#[test]
fn a_connection_is_a_peer_while_it_is_open() {
    let mut rules = relay(Access::default());
    prove(&mut rules, "192.0.2.9:9000", 0);
    let connection = Source {
        is_connected: true,
        ..source("192.0.2.7:7000")
    };
    let now = Duration::from_secs(1);
    let greeted = decide(&mut rules, b"hii", connection, now);
    assert!(matches!(greeted, Decision::Reply(Answer::Address(_))));
    let send = b"to:192.0.2.7/7000;raw : x";
    assert!(said(&mut rules, send, "192.0.2.9:9000", 1).contains(" <- "));
    // Its address is its own: no datagram takes it.
    prove(&mut rules, "192.0.2.7:7000", 2);
    assert_eq!(rules.tally().taken, 1);
    // Nor does anybody send in its name.
    let back = b"to:192.0.2.9/9000;content:x";
    assert_eq!(said(&mut rules, back, "192.0.2.7:7000", 2), UNDELIVERABLE);
    rules.disconnected(connection);
    assert_eq!(said(&mut rules, send, "192.0.2.9:9000", 3), UNDELIVERABLE);
}

#[test]
fn connections_of_trusted_networks_are_counted_apart_from_those_of_strangers() {
    let class = |rules: &Rules, ip: &str| {
        let address = SocketAddr::new(ip.parse().unwrap(), 9);
        rules.holder(&origin(address)).class()
    };
    let rules = trusting(&["192.0.2.0/24"]);
    for trusted in ["127.0.0.1", "::1", "192.0.2.7"] {
        assert_eq!(class(&rules, trusted), Class::Trusted, "{trusted}");
    }
    assert_eq!(class(&rules, "192.0.3.7"), Class::Stranger);
    // Behind a proxy everybody comes from loopback.
    let rules = relay(Access {
        distrusts_loopback: true,
        ..Access::default()
    });
    assert_eq!(class(&rules, "127.0.0.1"), Class::Stranger);
}

#[test]
fn what_the_network_refuses_reads_like_what_the_relay_refuses() {
    let mut rules = relay(Access::default());
    let refused = rules.forwarded(Delivery::Failed);
    assert_eq!(
        refused,
        Decision::Reply(Answer::Refused(Code::Undeliverable))
    );
    assert_eq!(
        (rules.tally().send_failed, rules.tally().refused.total()),
        (1, 1)
    );
}

#[test]
fn an_ipv4_mapped_address_is_the_ipv4_address() {
    let mut rules = relay(Access::default());
    prove(&mut rules, "[::ffff:192.0.2.7]:7000", 0);
    let address: SocketAddr = "192.0.2.7:7000".parse().unwrap();
    let said = said(
        &mut rules,
        b"to:[::ffff:192.0.2.7]/7000;content:x",
        "192.0.2.7:7000",
        0,
    );
    assert_eq!(
        said, "192.0.2.7/7000 <- 192.0.2.7/7000 ; content : x",
        "{address}"
    );
}
