//! A connection's side of the relay, without a socket.

use std::sync::Arc;
use std::time::Duration;

use hii_transport::clock::Now;
use proptest::prelude::*;

use super::access::Access;
use super::connection::Connection;
use super::mailbox::Mailboxes;
use super::rules::{Config, Rules, Shared};
use super::service::RelayService;
use super::tokens::keys;
use crate::allow_exit::AllowExit;
use crate::args::{Rate, rate};
use crate::policy::local_addrs::LocalAddrs;
use crate::policy::origin::origin;
use crate::streams::{Conversation as _, End, StreamService as _};
use crate::threads::Tallied as _;

const IDLE: Duration = Duration::from_secs(300);
const START: Duration = Duration::ZERO;

/// What a connection may hold: a frame that is not whole, a read, answers and all of a mailbox.
const MOST_HELD: usize = 65_511 + 2 * 16 * 1024 + 128 * 1024;

fn relay() -> RelayService {
    relay_with(Rate(None))
}

fn relay_with(rate: Rate) -> RelayService {
    let config = Config {
        access: Access::default(),
        rate,
        error_rate: Rate(None),
        allow_exit: AllowExit::Loopback,
        peers: 100,
    };
    let draw = Box::new(keys([1; 16]));
    let shared = Shared::new(&config, LocalAddrs::default(), draw);
    RelayService::new(Rules::new(Arc::new(shared)), Mailboxes::default())
}

fn connect(relay: &mut RelayService, port: u16) -> Connection {
    relay.connect(origin(([192, 0, 2, 7], port).into()), IDLE, START)
}

fn at(monotonic: Duration) -> Now {
    Now { monotonic, wall: 1 }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap();
    [&len.to_be_bytes(), payload].concat()
}

/// Gives the relay octets and takes all that it sends.
fn say(relay: &mut RelayService, connection: &mut Connection, octets: &[u8]) -> Vec<u8> {
    connection.receive(octets, relay, at(START));
    hear(relay, connection, START, usize::MAX)
}

/// Takes what it sends, so many octets at a time.
fn hear(
    relay: &mut RelayService,
    connection: &mut Connection,
    now: Duration,
    each: usize,
) -> Vec<u8> {
    let mut heard = Vec::new();
    loop {
        let octets = connection.to_send(now);
        if octets.is_empty() {
            return heard;
        }
        let taken = each.min(octets.len());
        heard.extend_from_slice(&octets[..taken]);
        connection.sent(taken, relay, at(now));
    }
}

#[test]
fn connections_reach_each_other_and_one_that_ends_is_gone() {
    let mut relay = relay();
    let (mut one, mut two) = (connect(&mut relay, 1000), connect(&mut relay, 2000));
    let greeted = say(&mut relay, &mut one, &frame(b"hii"));
    assert_eq!(greeted, frame(b"('192.0.2.7', 1000)"));
    say(&mut relay, &mut two, &frame(b"hii"));
    let message = frame(b"to:192.0.2.7/2000;content:hello");
    let sent = frame(b"200, UDP Packet Sent Successfully");
    assert_eq!(say(&mut relay, &mut one, &message), sent);
    let heard = hear(&mut relay, &mut two, START, 3);
    assert_eq!(heard, frame(b"192.0.2.7/1000 ; content : hello"));
    // A message that it has not taken when it ends is counted.
    assert_eq!(say(&mut relay, &mut one, &message), sent);
    two.close(None, &mut relay);
    let refused = frame(b"405, Could not send the message to the requested address");
    assert_eq!(say(&mut relay, &mut one, &message), refused);
    assert_eq!(relay.tally().abandoned, 1);
    assert_eq!(relay.tally().forwarded, 2);
}

#[test]
fn a_connection_is_given_its_time_and_no_more() {
    let mut relay = relay();
    let secs = Duration::from_secs;
    let silent = connect(&mut relay, 1000);
    assert_eq!(silent.end(secs(59)), None);
    assert_eq!(silent.end(secs(60)), Some(End::Idle));
    let mut greeted = connect(&mut relay, 2000);
    say(&mut relay, &mut greeted, &frame(b"hii"));
    assert_eq!(greeted.end(secs(299)), None);
    assert_eq!(greeted.end(secs(300)), Some(End::Idle));
    // From when there is something for it that it does not take, it has less.
    let mut other = connect(&mut relay, 3000);
    say(&mut relay, &mut other, &frame(b"hii"));
    say(
        &mut relay,
        &mut other,
        &frame(b"to:192.0.2.7/2000;content:hello"),
    );
    assert!(!greeted.to_send(secs(290)).is_empty());
    assert_eq!(greeted.end(secs(349)), None);
    assert_eq!(greeted.end(secs(350)), Some(End::Unread));
}

#[test]
fn who_does_not_take_its_answers_is_not_read() {
    let mut relay = relay();
    let mut deaf = connect(&mut relay, 1000);
    let nonsense = frame(b"x").repeat(1000);
    let mut read = 0;
    while deaf.wants().is_some() {
        deaf.receive(&nonsense, &mut relay, at(START));
        read += nonsense.len();
        assert!(read < 1024 * 1024, "it reads on");
        assert!(deaf.held() <= MOST_HELD, "{}", deaf.held());
    }
    // All of it is answered in the end.
    let heard = hear(&mut relay, &mut deaf, START, 1000);
    assert_eq!(heard.len(), read / frame(b"x").len() * frame(b"400").len());
    assert!(deaf.wants().is_some());
    assert_eq!(deaf.held(), 0);
}

#[test]
fn a_relay_that_stops_lets_what_waits_go_out() {
    let mut relay = relay();
    let mut one = connect(&mut relay, 1000);
    one.receive(&frame(b"hii"), &mut relay, at(START));
    one.hang_up(&mut relay);
    assert_eq!(one.end(START), None);
    assert!(!hear(&mut relay, &mut one, START, 5).is_empty());
    assert_eq!(one.end(START), Some(End::Done));
    let mut local = relay.connect(origin(([127, 0, 0, 1], 1000).into()), IDLE, START);
    local.receive(&frame(b"exit server"), &mut relay, at(START));
    assert_eq!(local.end(START), Some(End::Stops));
}

fn payloads() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"hii".to_vec()),
        Just(b"to:192.0.2.7/1000;content:to myself".to_vec()),
        Just(b"to:192.0.2.9/1000;content:to nobody".to_vec()),
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 1..50),
    ]
}

proptest! {
    #[test]
    fn however_a_stream_is_cut_it_says_the_same(
        payloads in prop::collection::vec(payloads(), 0..20),
        cuts in prop::collection::vec(1..40_usize, 1..10),
    ) {
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| frame(payload)).collect();
        let converse = |cuts: &[usize]| {
            let mut relay = relay();
            let mut connection = connect(&mut relay, 1000);
            let mut heard = Vec::new();
            let mut rest = &stream[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                rest = after;
                connection.receive(piece, &mut relay, at(START));
                heard.extend(hear(&mut relay, &mut connection, START, *cut));
                assert!(connection.held() <= MOST_HELD);
            }
            connection.receive(&[], &mut relay, at(START));
            heard.extend(hear(&mut relay, &mut connection, START, 1));
            assert_eq!(connection.end(START), Some(End::Done));
            connection.close(Some(End::Done), &mut relay);
            (heard, relay.tally())
        };
        let (whole, tally) = converse(&[usize::MAX]);
        let (pieces, same) = converse(&cuts);
        prop_assert_eq!(tally, same);
        // Answers and messages to oneself may stand in another order.
        prop_assert_eq!(sorted(&whole), sorted(&pieces));
    }
}

/// The frames of a stream, in an order that does not depend on how they came.
fn sorted(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut rest = stream;
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let (payload, after) = after.split_at(u32::from_be_bytes(*len) as usize);
        frames.push(payload.to_vec());
        rest = after;
    }
    assert!(rest.is_empty());
    frames.sort();
    frames
}

#[test]
fn a_connection_over_its_rate_is_not_read_until_it_is_within_it_again() {
    let mut relay = relay_with(rate("2/s").unwrap());
    let mut connection = connect(&mut relay, 1000);
    let greetings = frame(b"hii").repeat(4);
    let address = frame(b"('192.0.2.7', 1000)");
    // Two are within its rate as a stranger, or as a peer from the first on.
    let heard = say(&mut relay, &mut connection, &greetings);
    assert_eq!(heard.len() % address.len(), 0);
    let read = heard.len() / address.len();
    assert!((1..4).contains(&read), "{read}");
    assert_eq!(connection.wants(), None);
    // Its end may come meanwhile.
    connection.receive(&[], &mut relay, at(START));
    let mut all = read;
    while let Some(resumes_at) = connection.resumes_at() {
        assert_eq!(connection.end(resumes_at), None);
        connection.resume(&mut relay, at(resumes_at));
        let heard = hear(&mut relay, &mut connection, resumes_at, usize::MAX);
        all += heard.len() / address.len();
    }
    assert_eq!(all, 4);
    assert_eq!(connection.end(Duration::from_secs(2)), Some(End::Done));
    connection.close(None, &mut relay);
    let tally = relay.tally();
    assert_eq!(
        (tally.received, tally.addresses, tally.over_rate),
        (4, 4, 0)
    );
    assert_eq!(tally.tcp.held, 4 - read as u64);
}

#[test]
fn all_connections_of_an_address_have_its_rate_whatever_they_send() {
    let mut relay = relay_with(rate("10/s").unwrap());
    for what in [&b"hii"[..], b"nonsense", b"to:192.0.2.9/1;content:x"] {
        let before = relay.tally().received;
        let flood = frame(what).repeat(100);
        let mut connections: Vec<_> = (0..50)
            .map(|port| connect(&mut relay, 2000 + port))
            .collect();
        for connection in &mut connections {
            connection.receive(&flood, &mut relay, at(START));
        }
        // Four times the rate, a second's worth at once.
        let read = relay.tally().received - before;
        assert!(read <= 40, "{read}");
        for connection in connections {
            connection.close(None, &mut relay);
        }
    }
    assert!(relay.tally().received >= 40);
}
