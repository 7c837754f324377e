//! The budgets of a relay's senders and receivers, for each kind of frame.

use std::time::Duration;

use hii_protocol::Code;
use hii_protocol::relay::{Answer, Request};

use super::access::{Access, network};
use super::peers::Way;
use super::rules::{Config, Decision, Rules, Source};
use super::rules_tests::{config, decide, prove, relay_of, said, source};
use crate::args::rate;
use crate::policy::Limit;
use crate::policy::limits;

/// A relay whose peers may send 100 messages a second, and whose addresses get 50 errors.
fn relay(access: Access) -> Rules {
    relay_of(&Config {
        error_rate: rate("50/s").unwrap(),
        ..config(access)
    })
}

fn strangers() -> Rules {
    relay(Access::default())
}

fn trusting(networks: &[&str]) -> Access {
    Access {
        trust: networks.iter().map(|text| network(text).unwrap()).collect(),
        ..Access::default()
    }
}

fn connected(address: &str, number: u32) -> Source {
    Source {
        way: Way {
            socket: number,
            asked: None,
        },
        is_connected: true,
        ..source(address)
    }
}

/// The number of answers to `tries` equal frames, each a train of its own.
fn answered(rules: &mut Rules, frame: &[u8], from: Source, tries: u32, at: u64) -> u32 {
    let answers = (0..tries).map(|_| {
        let decision = decide(rules, frame, from, Duration::from_secs(at));
        u32::from(decision != Decision::Silence)
    });
    answers.sum()
}

/// The number of messages forwarded of `tries`.
fn passed_on(rules: &mut Rules, to: &str, from: &str, tries: u32, at: u64) -> u32 {
    passed_on_by(rules, to, source(from), tries, at)
}

fn passed_on_by(rules: &mut Rules, to: &str, from: Source, tries: u32, at: u64) -> u32 {
    let send = format!("to:{to};content:x");
    let forwards = (0..tries).map(|_| {
        let decision = decide(rules, send.as_bytes(), from, Duration::from_secs(at));
        u32::from(matches!(decision, Decision::Forward { .. }))
    });
    forwards.sum()
}

fn token_request() -> Vec<u8> {
    Request::TokenRequest.to_vec()
}

#[test]
fn defaults_are_those_of_the_table() {
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Relay {
        #[command(flatten)]
        args: super::args::Args,
    }
    let config = Relay::parse_from(["relay"]).args.config();
    assert_eq!(Limit::from(config.rate), limits::MESSAGES_OF_PEER);
    assert_eq!(Limit::from(config.error_rate), limits::ERRORS_OF_ADDRESS);
}

#[test]
fn errors_have_a_limit_for_a_port_under_that_for_the_address() {
    for (frame, code) in [
        (&b"nonsense"[..], 1),
        (b"hii", 0),
        (b"to:192.0.2.9/9;content:x", 1),
    ] {
        let mut rules = strangers();
        let from = source("192.0.2.7:7000");
        assert_eq!(answered(&mut rules, frame, from, 1000, 1), 20);
        // A forger of other ports uses up the budget of the address, of which this port had its part.
        let flood = (8000..9000).map(|port| {
            let forged = source(&format!("192.0.2.7:{port}"));
            answered(&mut rules, frame, forged, 10, 1)
        });
        assert_eq!(flood.sum::<u32>(), 30);
        // A second later each port has one more, and the address fifty.
        assert_eq!(answered(&mut rules, frame, from, 1000, 2), 1);
        assert_eq!(
            answered(&mut rules, frame, source("192.0.2.8:7000"), 1000, 2),
            20
        );
        let tally = rules.tally();
        let total = tally.refused.total() * code + tally.addresses * (1 - code);
        assert_eq!((total, tally.over_rate), (71, 0));
        assert_eq!(tally.over_error_rate, tally.received - 71);
    }
}

#[test]
fn an_error_rate_of_zero_is_no_limit_for_a_port_either() {
    let mut rules = relay_of(&Config {
        error_rate: rate("0").unwrap(),
        ..config(Access::default())
    });
    let from = source("192.0.2.7:7000");
    assert_eq!(answered(&mut rules, b"nonsense", from, 1000, 1), 1000);
    // Tokens have theirs all the same.
    assert_eq!(answered(&mut rules, &token_request(), from, 1000, 1), 10);
}

#[test]
fn loopback_and_trusted_networks_have_no_limit_for_the_address() {
    let count = |access: Access, ip: &str| {
        let mut rules = relay(access);
        let ports = (8000..8040).map(|port| {
            let from = source(&format!("{ip}:{port}"));
            answered(&mut rules, b"nonsense", from, 100, 1)
        });
        ports.sum::<u32>()
    };
    assert_eq!(count(Access::default(), "127.0.0.1"), 800);
    assert_eq!(count(trusting(&["192.0.2.0/24"]), "192.0.2.7"), 800);
    assert_eq!(count(Access::default(), "192.0.2.7"), 50);
    // Behind a proxy everybody seems to be on this host.
    let behind_proxy = Access {
        distrusts_loopback: true,
        ..Access::default()
    };
    assert_eq!(count(behind_proxy, "127.0.0.1"), 50);
}

#[test]
fn tokens_have_a_budget_of_their_own() {
    let mut rules = strangers();
    let request = token_request();
    // Neither errors in its name nor requests of other ports keep a host from a token.
    let flood = (8000..9000).map(|port| {
        let forged = source(&format!("192.0.2.7:{port}"));
        answered(&mut rules, b"nonsense", forged, 2, 1);
        answered(&mut rules, &request, forged, 1, 1)
    });
    assert_eq!(flood.sum::<u32>(), 1000);
    let mut rules = strangers();
    for port in 8000..8099 {
        let forged = source(&format!("192.0.2.7:{port}"));
        answered(&mut rules, &request, forged, 100, 1);
    }
    let from = source("192.0.2.7:7000");
    assert_eq!(answered(&mut rules, &request, from, 1000, 1), 10);
    assert_eq!(answered(&mut rules, &request, from, 1000, 2), 10);
    // That was all that the address had.
    let other = source("192.0.2.7:7001");
    assert_eq!(answered(&mut rules, &request, other, 10, 1), 0);
    // Its errors are another matter.
    assert_eq!(answered(&mut rules, b"nonsense", from, 1000, 1), 20);
}

#[test]
fn errors_of_a_proven_peer_are_paid_from_its_own_rate() {
    let mut rules = strangers();
    prove(&mut rules, "192.0.2.7:7000", 0);
    // A forger of the address spends what strangers there get.
    for port in 8000..8100 {
        let forged = source(&format!("192.0.2.7:{port}"));
        answered(&mut rules, b"nonsense", forged, 20, 1);
    }
    let peer = source("192.0.2.7:7000");
    assert_eq!(answered(&mut rules, b"nonsense", peer, 60, 1), 60);
    // The forty that its rate has left go for messages, whether they arrive or not.
    prove(&mut rules, "192.0.2.9:9000", 1);
    assert_eq!(
        passed_on(&mut rules, "192.0.2.9/9000", "192.0.2.7:7000", 10, 1),
        10
    );
    let nobody = b"to:192.0.2.8/8000;content:x";
    assert_eq!(answered(&mut rules, nobody, peer, 100, 1), 30);
    let before = rules.tally();
    assert_eq!(answered(&mut rules, b"nonsense", peer, 100, 1), 0);
    assert_eq!(rules.tally().over_rate, before.over_rate + 100);
    assert_eq!(rules.tally().over_error_rate, before.over_error_rate);
}

#[test]
fn errors_of_a_peer_that_only_greeted_have_the_budget_for_errors() {
    let mut rules = strangers();
    said(&mut rules, b"hii", "127.0.0.1:5000", 0);
    let peer = source("127.0.0.1:5000");
    assert_eq!(answered(&mut rules, b"nonsense", peer, 1000, 1), 20);
    // Its messages are paid from its rate, and so are their answers.
    let nobody = b"to:127.0.0.1/8000;content:x";
    assert_eq!(answered(&mut rules, nobody, peer, 1000, 1), 100);
}

#[test]
fn greetings_of_a_peer_over_its_rate_are_not_answered() {
    let mut rules = strangers();
    said(&mut rules, b"hii", "127.0.0.1:5000", 0);
    assert_eq!(
        answered(&mut rules, b"hii", source("127.0.0.1:5000"), 150, 5),
        100
    );
    assert_eq!(
        (rules.tally().over_rate, rules.tally().addresses),
        (50, 101)
    );
}

#[test]
fn a_connection_pays_from_its_own_rate_whatever_datagrams_come_in_its_name() {
    for frame in [b"nonsense".to_vec(), token_request()] {
        let mut rules = strangers();
        for port in 7000..8000 {
            let forged = source(&format!("192.0.2.7:{port}"));
            answered(&mut rules, &frame, forged, 20, 1);
        }
        let before = rules.tally();
        let connection = connected("192.0.2.7:7000", 1);
        assert_eq!(answered(&mut rules, &frame, connection, 300, 1), 100);
        assert_eq!(rules.tally().over_rate, before.over_rate + 200);
        assert_eq!(rules.tally().over_error_rate, before.over_error_rate);
        // Another one has its own, and as a peer a new one.
        assert_eq!(
            answered(&mut rules, &frame, connected("192.0.2.7:7001", 2), 300, 1),
            100
        );
        assert_eq!(answered(&mut rules, b"hii", connection, 1, 1), 1);
        assert_eq!(answered(&mut rules, &frame, connection, 300, 1), 99);
    }
}

#[test]
fn a_connection_over_its_rate_is_silent_to_messages_and_to_what_begins_like_one() {
    let mut rules = strangers();
    let connection = connected("192.0.2.7:7000", 1);
    assert_eq!(answered(&mut rules, b"hii", connection, 1, 1), 1);
    prove(&mut rules, "192.0.2.9:9000", 1);
    assert_eq!(
        passed_on_by(&mut rules, "192.0.2.9/9000", connection, 150, 1),
        99
    );
    assert_eq!(rules.tally().over_rate, 51);
    // A datagram with its address is not from the connection.
    let forged = source("192.0.2.7:7000");
    assert_eq!(answered(&mut rules, b"to nobody", forged, 1, 1), 1);
    let malformed = rules.malformed(connection, Duration::from_secs(1));
    assert_eq!(malformed, Decision::Silence);
    assert_eq!(answered(&mut rules, b"to nobody", connection, 1, 1), 0);
    assert_eq!(rules.tally().over_rate, 53);
    assert_eq!(answered(&mut rules, b"to nobody", connection, 1, 2), 1);
}

#[test]
fn all_peers_of_an_address_have_four_times_the_rate_of_one() {
    let mut rules = strangers();
    // To a receiver each, so that no receiver's budget is in the way.
    for n in 0..10 {
        prove(&mut rules, &format!("192.0.2.7:{}", 7000 + n), 0);
        prove(&mut rules, &format!("198.51.100.{}:9000", 10 + n), 0);
    }
    let mut passed = 0;
    for n in 0..10 {
        let to = format!("198.51.100.{}/9000", 10 + n);
        passed += passed_on(&mut rules, &to, &format!("192.0.2.7:{}", 7000 + n), 1000, 5);
    }
    assert_eq!((passed, rules.tally().over_rate), (400, 9600));
    // What the address is refused is not charged to its peers.
    assert_eq!(
        passed_on(&mut rules, "198.51.100.10/9000", "192.0.2.7:7009", 1000, 6),
        100
    );
    // One /64 is one address.
    let mut rules = strangers();
    prove(&mut rules, "198.51.100.10:9000", 0);
    let mut passed = 0;
    for n in 1..10 {
        let from = format!("[2001:db8::{n}]:7000");
        let to = format!("198.51.100.{}", 10 + n);
        prove(&mut rules, &from, 0);
        prove(&mut rules, &format!("{to}:9000"), 0);
        passed += passed_on(&mut rules, &format!("{to}/9000"), &from, 1000, 5);
    }
    assert_eq!(passed, 400);
}

#[test]
fn what_a_peer_is_refused_is_not_charged_to_its_address() {
    let mut rules = strangers();
    for from in ["192.0.2.7:7000", "192.0.2.7:7001", "198.51.100.10:9000"] {
        prove(&mut rules, from, 0);
    }
    assert_eq!(
        passed_on(
            &mut rules,
            "198.51.100.10/9000",
            "192.0.2.7:7000",
            10_000,
            5
        ),
        100
    );
    assert_eq!(
        passed_on(
            &mut rules,
            "198.51.100.10/9000",
            "192.0.2.7:7001",
            10_000,
            5
        ),
        100
    );
}

#[test]
fn peers_of_this_host_and_of_trusted_networks_have_their_own_rates_alone() {
    let trusted = trusting(&["192.0.2.0/24"]);
    for ip in ["127.0.0.1", "192.0.2.7"] {
        let mut rules = relay(trusted.clone());
        let mut passed = 0;
        for n in 0..8 {
            let from = format!("{ip}:{}", 7000 + n);
            said(&mut rules, b"hii", &from, 0);
            passed += passed_on(&mut rules, &format!("{ip}/7000"), &from, 1000, 5);
        }
        assert_eq!(passed, 800, "{ip}");
    }
}

#[test]
fn a_receiver_is_sent_ten_times_the_rate_of_a_peer_and_a_quarter_of_it_by_one_address() {
    let mut rules = strangers();
    prove(&mut rules, "198.51.100.10:9000", 0);
    prove(&mut rules, "198.51.100.11:9000", 0);
    let mut passed = Vec::new();
    for n in 1..=6 {
        let mut of_address = 0;
        for port in 7000..7004 {
            let from = format!("192.0.2.{n}:{port}");
            prove(&mut rules, &from, 0);
            of_address += passed_on(&mut rules, "198.51.100.10/9000", &from, 100, 5);
        }
        passed.push(of_address);
    }
    assert_eq!(passed, [250, 250, 250, 250, 0, 0]);
    let tally = rules.tally();
    assert_eq!((tally.over_receiver, tally.over_rate), (1400, 0));
    assert_eq!(tally.refused.total(), 1400);
    // The sender gets 405, as for an unreachable receiver.
    let send = b"to:198.51.100.10/9000;content:x";
    prove(&mut rules, "192.0.2.7:7000", 5);
    let answer = decide(
        &mut rules,
        send,
        source("192.0.2.7:7000"),
        Duration::from_secs(5),
    );
    assert_eq!(
        answer,
        Decision::Reply(Answer::Refused(Code::Undeliverable))
    );
    // Another receiver has lost nothing, nor has this one a second later.
    assert_eq!(
        passed_on(&mut rules, "198.51.100.11/9000", "192.0.2.7:7000", 50, 5),
        50
    );
    assert_eq!(
        passed_on(&mut rules, "198.51.100.10/9000", "192.0.2.7:7000", 100, 6),
        100
    );
}

#[test]
fn what_is_not_passed_on_is_not_charged_to_its_receiver() {
    let mut rules = relay(trusting(&["198.51.100.0/24"]));
    // It greeted plainly, and so gets no raw octets.
    said(&mut rules, b"hii", "198.51.100.10:9000", 0);
    for n in 1..=12 {
        let from = format!("192.0.2.{n}:7000");
        prove(&mut rules, &from, 0);
        let raw = b"to:198.51.100.10/9000;raw : x";
        answered(&mut rules, raw, source(&from), 100, 5);
    }
    assert_eq!(rules.tally().over_receiver, 0);
    prove(&mut rules, "203.0.113.7:7000", 0);
    assert_eq!(
        passed_on(&mut rules, "198.51.100.10/9000", "203.0.113.7:7000", 100, 5),
        100
    );
}

#[test]
fn an_open_relay_has_the_same_budgets_for_strangers() {
    let open = Access {
        open: true,
        ..Access::default()
    };
    let mut rules = relay(open.clone());
    let one = passed_on(&mut rules, "203.0.113.1/9", "192.0.2.7:7000", 1000, 1);
    assert_eq!((one, rules.tally().over_rate), (100, 900));
    // All ports of an address.
    let mut passed = one;
    for port in 7001..7010 {
        let to = format!("203.0.113.{}/9", port - 7000);
        passed += passed_on(&mut rules, &to, &format!("192.0.2.7:{port}"), 1000, 1);
    }
    assert_eq!(passed, 400);
    // A receiver, from all and from one address.
    let mut rules = relay(open.clone());
    let mut passed = Vec::new();
    for n in 1..=6 {
        let of_address = (7000..7004).map(|port| {
            let from = format!("192.0.2.{n}:{port}");
            passed_on(&mut rules, "203.0.113.1/9", &from, 100, 1)
        });
        passed.push(of_address.sum::<u32>());
    }
    assert_eq!(passed, [250, 250, 250, 250, 0, 0]);
    assert_eq!(rules.tally().over_receiver, 1400);
    // Who becomes a peer has a rate of its own.
    let mut rules = relay(open.clone());
    let passed = passed_on(&mut rules, "203.0.113.1/9", "192.0.2.7:7000", 99, 1);
    prove(&mut rules, "192.0.2.7:7000", 1);
    let passed_since = passed_on(&mut rules, "203.0.113.1/9", "192.0.2.7:7000", 99, 1);
    assert_eq!((passed, passed_since), (99, 99));
    // Errors, of messages too.
    let mut rules = relay(open);
    let from = source("192.0.2.7:7000");
    assert_eq!(
        answered(&mut rules, b"to:224.0.0.1/9;content:x", from, 100, 1),
        20
    );
    assert_eq!(answered(&mut rules, b"nonsense", from, 1000, 1), 0);
}

#[test]
fn a_denied_connection_gets_nothing_for_what_is_malformed() {
    let mut rules = relay(Access {
        deny: vec![network("203.0.113.0/24").unwrap()],
        ..Access::default()
    });
    let now = Duration::from_secs(1);
    let denied = rules.malformed(connected("203.0.113.7:7000", 1), now);
    assert_eq!(denied, Decision::Silence);
    assert_eq!(
        (rules.tally().denied, rules.tally().refused.total()),
        (1, 0)
    );
    let other = rules.malformed(connected("192.0.2.7:7000", 2), now);
    assert_eq!(other, Decision::Reply(Answer::Refused(Code::NotARequest)));
    assert_eq!(
        (rules.tally().denied, rules.tally().refused.total()),
        (1, 1)
    );
}

#[test]
fn an_address_that_is_taken_is_counted_and_answered_from_the_budget_for_strangers() {
    let mut rules = strangers();
    prove(&mut rules, "192.0.2.7:7000", 0);
    let connection = connected("192.0.2.7:7000", 1);
    assert_eq!(answered(&mut rules, b"hii", connection, 300, 1), 100);
    let tally = rules.tally();
    assert_eq!(
        (tally.taken, tally.registered, tally.over_rate),
        (300, 1, 200)
    );
}

#[test]
fn a_datagram_that_is_much_shorter_than_its_answer_has_none() {
    let mut rules = strangers();
    for frame in [&b""[..], b"x", b"to", b"to:/1;raw: "] {
        assert_eq!(said(&mut rules, frame, "192.0.2.7:7000", 1), "silence");
    }
    assert_eq!(rules.tally().too_short, 4);
    assert_eq!(said(&mut rules, b"to:", "192.0.2.7:7000", 1), "400");
    let shortest = said(&mut rules, b"to:/1;content:", "192.0.2.7:7000", 1);
    assert!(shortest.starts_with("405"), "{shortest}");
    // Over a connection nothing is forged.
    let connection = connected("192.0.2.7:7000", 1);
    assert_eq!(answered(&mut rules, b"", connection, 1, 1), 1);
}

#[test]
fn strangers_of_an_open_relay_use_up_nothing_of_the_peers_of_their_address() {
    let mut rules = relay(Access {
        open: true,
        ..Access::default()
    });
    prove(&mut rules, "192.0.2.9:7000", 0);
    let to = "203.0.113.1/9000";
    // More than an address has, to receivers of their own, from ports that anybody may have forged.
    for port in 8000..8010 {
        let receiver = format!("203.0.113.2/{port}");
        passed_on(&mut rules, &receiver, &format!("192.0.2.9:{port}"), 100, 1);
    }
    assert_eq!(passed_on(&mut rules, to, "192.0.2.9:8100", 1, 1), 0);
    assert_eq!(passed_on(&mut rules, to, "192.0.2.9:7000", 100, 1), 100);
}
