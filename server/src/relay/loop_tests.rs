//! Loops between a relay and services that answer everything.

use std::time::Duration;

use hii_protocol::relay::{Answer, Request};

use super::access::Access;
use super::peers::EXPIRY;
use super::rules::{Config, Decision, Delivery, Rules};
use super::rules_tests::{config, prove, relay_of, source};
use crate::args::rate;
use crate::policy::origin::origin;
use crate::reflectors::Reflector;

/// What a relay sends back to this datagram, with the message that it passes on to where it came from.
fn sends_back(rules: &mut Rules, datagram: &[u8], from: &str, now: Duration) -> Vec<Vec<u8>> {
    let from = source(from);
    let train = rules.train(from, now);
    let decision = rules.decide(datagram, &train);
    let mut sent = Vec::new();
    let answer = match decision {
        Decision::Forward { to, forward, .. } => {
            if from.address() == to.into() {
                sent.push(Answer::Forward(forward).to_vec());
            }
            rules.forwarded(Delivery::Sent)
        }
        other => other,
    };
    if let Decision::Reply(answer) = answer {
        sent.push(answer.to_vec());
    }
    rules.round_done();
    sent
}

#[test]
fn loops_with_what_answers_anything_end_after_few_answers() {
    let open = Access {
        open: true,
        ..Access::default()
    };
    let defaults = |access: Access| Config {
        rate: rate("1000/s").unwrap(),
        error_rate: rate("50/s").unwrap(),
        ..config(access)
    };
    let token_request = Request::TokenRequest.to_vec();
    // Of a stranger, and of one that a greeting makes a peer.
    for (access, from, is_peer) in [
        (Access::default(), "192.0.2.7:5300", false),
        (open.clone(), "192.0.2.7:5300", false),
        (Access::default(), "127.0.0.1:5300", false),
        (Access::default(), "127.0.0.1:5300", true),
        (open, "127.0.0.1:5300", true),
    ] {
        let to_itself = format!("to:{};content:x", from.replace(':', "/"));
        let begins: [&[u8]; 5] = [
            b"nonsense",
            b"hii",
            b"to:1.2.3.4/1;content:x",
            to_itself.as_bytes(),
            &token_request,
        ];
        let new = || {
            let mut rules = relay_of(&defaults(access.clone()));
            if is_peer {
                sends_back(&mut rules, b"hii", from, Duration::ZERO);
            }
            move |datagram: &[u8], now| sends_back(&mut rules, datagram, from, now)
        };
        let is_stranger = !access.trusts(&origin(from.parse().unwrap())) && !access.open;
        Reflector::try_all(&begins, new, |what, outcome| {
            assert!(outcome.has_ended, "{what}");
            // The first message is within the rates of its sender. A non-peer has only these budgets.
            let first = if is_stranger { outcome.first } else { 0 };
            assert!(first + outcome.answers <= 200, "{what}: {outcome:?}");
        });
    }
}

#[test]
fn loops_with_a_proven_peer_end_with_its_proof() {
    // A program has ended that proved its address, and the port is another's now.
    let from = "192.0.2.7:5300";
    let mut rules = relay_of(&config(Access::default()));
    prove(&mut rules, from, 0);
    let round_trip = Duration::from_millis(700);
    let mut last = Duration::ZERO;
    let outcome =
        Reflector::Chargen.goes_round(b"nonsense", 1, false, round_trip, |datagram, now| {
            last = now;
            sends_back(&mut rules, datagram, from, now)
        });
    assert!(outcome.has_ended, "{outcome:?}");
    assert!(
        last > EXPIRY && last < EXPIRY + Duration::from_secs(60),
        "{last:?}"
    );
}
