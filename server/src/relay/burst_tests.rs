//! What holds for a whole burst, against looking at each of its messages anew.

use std::io;
use std::time::Duration;

use hii_protocol::relay::{Answer, Payload};
use hii_protocol::{Endpoint, MAX_DATAGRAM};
use hii_transport::clock::Now;
use hii_transport::datagrams::{Effect, Peer, Service as _};
use hii_transport::packet_info::{Bound, PacketInfo};
use hii_transport::traffic::Traffic;
use proptest::prelude::*;

use super::access::Access;
use super::burst::Train;
use super::mailbox::Mailboxes;
use super::peers;
use super::rules::{Config, Decision, Rules, Source};
use super::rules_tests::{config, decide, prove, relay_of, said, source};
use super::service::{Outgoing, RelayService};
use crate::args::rate;
use crate::threads::Tallied as _;

/// The first two prove that they are there, the third greets as an original does, the last is nobody.
const PLACES: [&str; 4] = [
    "192.0.2.1:9000",
    "[2001:db8::1]:9000",
    "127.0.0.1:9000",
    "192.0.2.9:9000",
];

/// A relay with three peers, each of which may send ten messages a second; no other budget is in the way.
fn relay() -> Rules {
    let mut rules = relay_of(&Config {
        rate: rate("10/s").unwrap(),
        error_rate: rate("0").unwrap(),
        ..config(Access::default())
    });
    for proves in &PLACES[..2] {
        prove(&mut rules, proves, 0);
    }
    said(&mut rules, b"hii", PLACES[2], 0);
    rules
}

/// Frames of one sender, and the time in milliseconds before them.
#[derive(Debug, Clone)]
struct Run {
    from: usize,
    is_connected: bool,
    frames: Vec<String>,
    after: u64,
}

fn runs() -> impl Strategy<Value = Vec<Run>> {
    let place = 0..PLACES.len();
    let messages = (place.clone(), prop::collection::vec(any::<bool>(), 1..8));
    let messages = messages.prop_map(|(to, are_raw)| {
        let (ip, port) = PLACES[to].rsplit_once(':').unwrap();
        let data = |is_raw| if is_raw { "raw : x" } else { "content:x" };
        let message = |is_raw| format!("to:{ip}/{port};{}", data(is_raw));
        are_raw.into_iter().map(message).collect()
    });
    // Its forward is too long for a datagram.
    let long = format!("to:1.2.3.4/5;content:{}", "x".repeat(65_480));
    let other = prop_oneof!["hii", "400", "to:x", "nonsense", Just(long)];
    let frames = prop_oneof![8 => messages, 1 => other.prop_map(|frame| vec![frame])];
    let connected = prop::bool::weighted(0.2);
    let run = (place, connected, frames, prop_oneof![Just(0), 0..400_u64]);
    let run = run.prop_map(|(from, is_connected, frames, after)| Run {
        from,
        is_connected,
        frames,
        after,
    });
    prop::collection::vec(run, 1..60)
}

/// What a message that is passed on was found to be.
#[derive(Debug, PartialEq, Eq)]
enum Went {
    Alone,
    /// As the one before it.
    Alike,
}

/// How a message goes, if it does.
fn went(rules: &mut Rules, frame: &[u8], train: &Train) -> Option<Went> {
    if rules.alike(frame, train).is_some() {
        return Some(Went::Alike);
    }
    let decision = rules.decide(frame, train);
    matches!(decision, Decision::Forward { .. }).then_some(Went::Alone)
}

/// From whom to whom a message goes, how, and whether it is raw.
fn passed_on(
    from: Source,
    decision: &Decision<'_>,
) -> Option<(Source, Endpoint, Option<peers::Peer>, bool)> {
    match decision {
        Decision::Forward { to, way, forward } => {
            let is_raw = matches!(forward.payload(), Payload::Raw(_));
            Some((from, *to, *way, is_raw))
        }
        _ => None,
    }
}

proptest! {
    #[test]
    fn a_burst_is_decided_as_its_messages_are(runs in runs()) {
        let (mut one, mut other) = (relay(), relay());
        let mut last = None;
        let mut now = Duration::from_secs(1);
        for run in runs {
            now += Duration::from_millis(run.after);
            let from = Source { is_connected: run.is_connected, ..source(PLACES[run.from]) };
            let train = one.train(from, now);
            for frame in &run.frames {
                let frame = frame.as_bytes();
                let alike = one.alike(frame, &train);
                let anew = decide(&mut other, frame, from, now);
                match (alike, anew) {
                    (Some(payload), Decision::Forward { forward, .. }) => {
                        prop_assert_eq!(payload, forward.payload());
                        prop_assert_eq!(last, passed_on(from, &anew));
                    }
                    (Some(_), _) => prop_assert!(false, "it does not go: {:?}", anew),
                    (None, _) => prop_assert_eq!(one.decide(frame, &train), anew),
                }
                if !from.is_connected {
                    last = passed_on(from, &anew).or(last);
                }
                // This one remembers nothing.
                other.round_done();
            }
            prop_assert_eq!(one.tally(), other.tally());
        }
    }
}

#[test]
fn the_second_of_two_messages_is_like_the_first() {
    let mut rules = relay();
    let now = Duration::from_secs(1);
    let send = b"to:[2001:db8::1]/9000;content:x";
    let trains = [0, 1, 0].map(|place| rules.train(source(PLACES[place]), now));
    for (train, how) in [
        (0, Went::Alone),
        (0, Went::Alike),
        (1, Went::Alone),
        (2, Went::Alone),
    ] {
        assert_eq!(went(&mut rules, send, &trains[train]), Some(how));
    }
    rules.round_done();
    assert_eq!(went(&mut rules, send, &trains[2]), Some(Went::Alone));
}

#[test]
fn what_goes_of_a_message_that_is_like_the_last_is_its_payload() {
    let mut service = RelayService::new(relay(), Mailboxes::default());
    let from = PacketInfo {
        source: PLACES[0].parse().unwrap(),
        destination: None,
        interface: None,
        bound: Bound::to("192.0.2.8".parse().unwrap()),
        socket: 0,
    };
    let now = Now {
        monotonic: Duration::from_secs(1),
        wall: 0,
    };
    let train = service.train(&from, now);
    for (begins, rest, payload) in [
        ("to:[2001:db8::1]/9000;content:", " b  c ", 1..5),
        ("to:[2001:db8::1]/9000;content:", "", 0..0),
        ("to : [2001:db8::1]/9000; raw : ", " b: c ", 0..6),
    ] {
        let first = format!("{begins}a");
        assert_eq!(service.alike(first.as_bytes(), &train), None);
        let effect = service.handle(first.as_bytes(), &train);
        assert!(matches!(effect, Effect::Forward(..)));
        let second = format!("{begins}{rest}");
        let place = service.alike(second.as_bytes(), &train).unwrap();
        assert_eq!(second[place], rest[payload]);
        service.round_done(&Traffic::default());
    }
}

#[test]
fn each_message_of_a_burst_that_the_network_refuses_is_answered() {
    let rules = relay_of(&config(Access::default()));
    let mut service = RelayService::new(rules, Mailboxes::default());
    let sender = Peer {
        address: PLACES[0].parse().unwrap(),
        socket: 0,
        asked: None,
    };
    let forward = Outgoing::Forward {
        sender,
        is_raw: false,
    };
    let failed: io::Result<()> = Err(io::ErrorKind::WouldBlock.into());
    let receipt = service.sent(&forward, &failed, 25).unwrap();
    assert_eq!((receipt.to, receipt.times), (sender, 25));
    let receipt = service.sent(&forward, &Ok(()), 25).unwrap();
    assert_eq!((receipt.to, receipt.times), (sender, 25));
    // The result of sending an answer is not reported.
    let answer = Outgoing::Reply(Answer::Sent);
    assert!(service.sent(&answer, &failed, 3).is_none());
    assert!(service.sent(&answer, &Ok(()), 4).is_none());
    let tally = service.tally();
    assert_eq!((tally.forwarded, tally.send_failed), (25, 25));
    assert_eq!((tally.refused.total(), tally.answer_failed), (25, 3));
}

#[test]
fn a_burst_ends_with_what_its_sender_may_send() {
    let mut rules = relay();
    let now = Duration::from_secs(1);
    let from = source(PLACES[0]);
    let mut passed = |now| {
        let train = rules.train(from, now);
        let decisions = (0..20).map(|_| {
            let send = b"to:[2001:db8::1]/9000;content:x";
            went(&mut rules, send, &train).is_some()
        });
        decisions.filter(|passed| *passed).count()
    };
    assert_eq!(passed(now), 10);
    // Its rate is charged for all of them.
    assert_eq!(passed(now + Duration::from_millis(500)), 5);
    assert_eq!(passed(now + Duration::from_secs(60)), 10);
}

#[test]
fn a_burst_has_no_message_whose_forward_is_longer_than_a_datagram() {
    let mut rules = relay();
    let now = Duration::from_secs(1);
    let train = rules.train(source(PLACES[1]), now);
    let begins = "to:192.0.2.1/9000;content:";
    let mut sends = |len| went(&mut rules, format!("{begins:x<len$}").as_bytes(), &train);
    assert_eq!(sends(100), Some(Went::Alone));
    // The forward begins with the sender's longer address, and has blanks.
    assert_eq!(sends(MAX_DATAGRAM - 5), Some(Went::Alike));
    assert_eq!(sends(MAX_DATAGRAM - 4), None);
}

#[test]
fn a_receiver_that_is_put_out_ends_the_burst() {
    let mut rules = relay_of(&Config {
        peers: 3,
        ..config(Access::default())
    });
    let now = Duration::from_secs(1);
    for name in [PLACES[1], PLACES[0]] {
        prove(&mut rules, name, 1);
    }
    let send = b"to:[2001:db8::1]/9000;content:x";
    let train = rules.train(source(PLACES[0]), now);
    let sends = |rules: &mut Rules| went(rules, send, &train).is_some();
    assert!(sends(&mut rules) && sends(&mut rules));
    // These take its place.
    for name in ["192.0.2.11:9000", "192.0.2.12:9000"] {
        prove(&mut rules, name, 1);
    }
    assert!(!sends(&mut rules));
}

/// How many of so many messages go, as one train.
fn burst(rules: &mut Rules, to: &str, from: &str, messages: u32, now: Duration) -> u32 {
    let send = format!("to:{to};content:x");
    let train = rules.train(source(from), now);
    let gone = (0..messages).map(|_| u32::from(went(rules, send.as_bytes(), &train).is_some()));
    gone.sum()
}

#[test]
fn a_burst_is_charged_when_its_round_is_done() {
    let mut rules = relay();
    let now = Duration::from_secs(1);
    assert_eq!(
        burst(&mut rules, "[2001:db8::1]/9000", PLACES[0], 7, now),
        7
    );
    rules.round_done();
    assert_eq!(
        burst(&mut rules, "[2001:db8::1]/9000", PLACES[0], 20, now),
        3
    );
    rules.round_done();
    let later = now + Duration::from_millis(500);
    assert_eq!(
        burst(&mut rules, "[2001:db8::1]/9000", PLACES[0], 20, later),
        5
    );
}

#[test]
fn a_burst_is_bounded_by_what_its_address_may_send_and_charged_to_it() {
    let mut rules = relay();
    let now = Duration::from_secs(1);
    // To a receiver each, so that only the address is in the way.
    let peers = (1..=6).map(|n| {
        (
            format!("203.0.113.7:{}", 7000 + n),
            format!("198.51.100.{}", 10 + n),
        )
    });
    let mut gone = Vec::new();
    for (from, to) in peers {
        prove(&mut rules, &from, 0);
        prove(&mut rules, &format!("{to}:9000"), 0);
        // The last but two finds less than it may send itself.
        let messages = if gone.len() == 3 { 7 } else { 20 };
        gone.push(burst(
            &mut rules,
            &format!("{to}/9000"),
            &from,
            messages,
            now,
        ));
        rules.round_done();
    }
    assert_eq!(gone, [10, 10, 10, 7, 3, 0]);
}

#[test]
fn a_burst_is_bounded_by_what_its_receiver_may_be_sent_and_charged_to_it() {
    let mut rules = relay();
    let now = Duration::from_secs(1);
    let mut gone = Vec::new();
    for n in 1..=6 {
        let mut of_address = Vec::new();
        for port in 7000..7004 {
            let from = format!("203.0.113.{n}:{port}");
            prove(&mut rules, &from, 0);
            of_address.push(burst(&mut rules, "[2001:db8::1]/9000", &from, 8, now));
            rules.round_done();
        }
        gone.push(of_address);
    }
    // A quarter from one address, and then no more from all.
    assert_eq!(gone[..4], [[8, 8, 8, 1]; 4]);
    assert_eq!(gone[4..], [[0; 4]; 2]);
    // The bounds are of each message too, not of the first of a train alone.
    let tally = rules.tally();
    assert_eq!((tally.over_receiver, tally.over_rate), (4 * 7 + 2 * 32, 0));
}
