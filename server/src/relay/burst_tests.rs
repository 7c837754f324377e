//! What holds for a whole burst, against looking at each of its messages anew.

use std::time::Duration;

use hii_protocol::relay::{Answer, Payload};
use proptest::prelude::*;

use super::access::Access;
use super::rules::{Config, Decision, Rules, Source};
use super::rules_tests::{config, prove, relay_of, said, source};
use crate::args::rate;

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
    let other = prop_oneof!["hii", "400", "to:x", "nonsense"];
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

proptest! {
    #[test]
    fn a_burst_is_decided_as_its_messages_are(runs in runs()) {
        let (mut one, mut other) = (relay(), relay());
        let mut last = None;
        let mut now = Duration::from_secs(1);
        for run in runs {
            now += Duration::from_millis(run.after);
            let from = Source { is_connected: run.is_connected, ..source(PLACES[run.from]) };
            for frame in &run.frames {
                let frame = frame.as_bytes();
                let mut decision = one.decide(frame, from, now);
                if let Decision::Forward { to, way, forward, is_alike } = &mut decision {
                    let is_raw = matches!(forward.payload(), Payload::Raw(_));
                    let passed_on = Some((from, *to, *way, is_raw));
                    prop_assert!(!*is_alike || last == passed_on);
                    last = passed_on;
                    *is_alike = false;
                }
                prop_assert_eq!(decision, other.decide(frame, from, now));
                // This one remembers nothing.
                other.round_done();
            }
            prop_assert_eq!(one.tally(), other.tally());
        }
    }
}

#[test]
fn a_burst_ends_with_what_its_sender_may_send() {
    let mut rules = relay();
    let now = Duration::from_secs(1);
    let from = source(PLACES[0]);
    let mut passed = |now| {
        let decisions = (0..20).map(|_| {
            let send = b"to:[2001:db8::1]/9000;content:x";
            matches!(rules.decide(send, from, now), Decision::Forward { .. })
        });
        decisions.filter(|passed| *passed).count()
    };
    assert_eq!(passed(now), 10);
    // Its rate is charged for all of them.
    assert_eq!(passed(now + Duration::from_millis(500)), 5);
    assert_eq!(passed(now + Duration::from_secs(60)), 10);
}

#[test]
fn a_receiver_that_is_gone_ends_the_burst() {
    let mut rules = relay();
    let now = Duration::from_secs(1);
    let connection = Source {
        is_connected: true,
        ..source(PLACES[3])
    };
    rules.decide(b"hii", connection, now);
    let send = |rules: &mut Rules| {
        let send = b"to:192.0.2.9/9000;content:x";
        rules.decide(send, source(PLACES[0]), now)
    };
    for _ in 0..2 {
        assert!(matches!(send(&mut rules), Decision::Forward { .. }));
    }
    rules.disconnected(connection);
    assert!(matches!(
        send(&mut rules),
        Decision::Reply(Answer::Refused(_))
    ));
}
