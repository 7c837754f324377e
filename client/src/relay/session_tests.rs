//! Sessions against relays that answer as they are told, on a clock that goes as fast as it is wanted.

use std::collections::BTreeMap;
use std::time::Duration;

use hii_protocol::relay::{Answer, Content, Forward, Payload, Request, Token};
use hii_protocol::{Code, Endpoint};
use proptest::prelude::*;

use super::compose::{Cannot, Form};
use super::session::{PAUSE, Patience, RENEW, Session, Way};
use super::told::{Event, Outcome, Relay, Stop, Ticket};

const ANSWER: Duration = Duration::from_secs(7);
const MS: Duration = Duration::from_millis(1);
const SENT: &[u8] = b"200, UDP Packet Sent Successfully";
const UNDELIVERABLE: &[u8] = b"405, Could not send the message to the requested address";

fn own() -> Endpoint {
    "192.0.2.7/9000".parse().unwrap()
}

fn peer() -> Endpoint {
    "192.0.2.8/9000".parse().unwrap()
}

fn message(text: &str) -> Vec<u8> {
    let payload = Payload::Content(Content::new(text).unwrap());
    Answer::Forward(Forward::new(peer(), payload).unwrap()).to_vec()
}

/// A session, its clock, and what it has told.
struct Bench {
    session: Session,
    now: Duration,
}

impl Bench {
    fn new(way: Way, retries: u32) -> Self {
        let patience = Patience {
            answer: ANSWER,
            retries,
        };
        Self {
            session: Session::new(way, patience),
            now: Duration::ZERO,
        }
    }

    /// Registered with a relay of this kind, with nothing left to tell.
    fn registered(relay: Relay) -> Self {
        let mut bench = Self::new(Way::Datagrams, 0);
        bench.register(relay);
        bench
    }

    fn register(&mut self, relay: Relay) {
        loop {
            let request = self.asks();
            self.hears(&truth(relay, &request).unwrap());
            if let Some(event) = self.session.poll_event() {
                assert_eq!(event, Event::Registered(own(), relay));
                return;
            }
        }
    }

    /// What is sent now.
    fn asks(&mut self) -> String {
        String::from_utf8(self.session.poll_transmit(self.now).expect("a request")).unwrap()
    }

    fn asks_nothing(&mut self) {
        assert_eq!(self.session.poll_transmit(self.now), None);
    }

    fn hears(&mut self, frame: &[u8]) {
        self.now += MS;
        self.session.receive(frame, self.now);
    }

    fn tells(&mut self) -> Event {
        self.session.poll_event().expect("an event")
    }

    fn tells_nothing(&mut self) {
        assert_eq!(self.session.poll_event(), None);
    }

    /// Goes on to when there is something to do.
    fn waits(&mut self) -> Duration {
        let before = self.now;
        self.now = self.now.max(self.session.next_due());
        self.now.saturating_sub(before)
    }
}

/// What a relay of this kind says to a request.
fn truth(relay: Relay, request: &str) -> Option<Vec<u8>> {
    let answer = match (relay, Request::decode(request.as_bytes()).unwrap()) {
        (Relay::Hii, Request::TokenRequest) => Answer::Token(own(), Token([7; 16])),
        (Relay::Hii, Request::TokenGreeting(token)) if token == Token([7; 16]) => {
            Answer::Address(own())
        }
        (_, Request::Greeting) => Answer::Address(own()),
        (_, Request::Send(_)) => Answer::Sent,
        (_, Request::ExitServer) => return None,
        _ => Answer::Refused(Code::NotARequest),
    };
    Some(answer.to_vec())
}

#[test]
fn a_relay_of_ours_gives_a_token_and_takes_it() {
    let mut bench = Bench::new(Way::Datagrams, 0);
    assert_eq!(bench.asks(), format!("{:<96}", "hii ?"));
    bench.hears(b"('192.0.2.7', 9000) ; token : 07070707070707070707070707070707");
    bench.tells_nothing();
    assert_eq!(bench.asks(), "hii 07070707070707070707070707070707");
    bench.hears(b"('192.0.2.7', 9000)");
    assert_eq!(bench.tells(), Event::Registered(own(), Relay::Hii));
    bench.asks_nothing();
}

#[test]
fn an_original_relay_is_greeted_as_its_own_client_does() {
    let mut bench = Bench::new(Way::Datagrams, 0);
    bench.asks();
    bench.hears(b"400");
    assert_eq!(bench.asks(), "hii");
    // The answer to a second copy of the question.
    bench.hears(b"400");
    bench.asks_nothing();
    bench.hears(b"('192.0.2.7', 9000)");
    assert_eq!(bench.tells(), Event::Registered(own(), Relay::Original));
    assert_eq!(bench.waits(), RENEW);
    assert_eq!(bench.asks(), "hii");
}

#[test]
fn a_connection_is_greeted_by_a_short_frame_and_nothing_more_before_its_answer() {
    let mut bench = Bench::new(Way::Connection, 3);
    bench.session.send(peer(), b"a");
    assert_eq!(bench.asks(), "hii");
    bench.asks_nothing();
    bench.hears(b"('192.0.2.7', 9000)");
    assert_eq!(bench.tells(), Event::Registered(own(), Relay::Hii));
    assert_eq!(bench.asks(), "to:192.0.2.8/9000;content:a");
    bench.waits();
    // It is not sent again by us.
    assert_eq!(bench.asks(), "hii");
}

#[test]
fn a_message_is_no_answer_whatever_is_open() {
    for relay in [Relay::Hii, Relay::Original] {
        let mut bench = Bench::new(Way::Datagrams, 0);
        for _ in 0..2 {
            let request = bench.asks();
            bench.hears(&message("early"));
            assert!(matches!(bench.tells(), Event::Message(from, _) if from == peer()));
            bench.hears(&truth(relay, &request).unwrap());
        }
        assert_eq!(bench.tells(), Event::Registered(own(), relay));
        let ticket = bench.session.send(peer(), b"question");
        bench.asks();
        bench.hears(&message("200, UDP Packet Sent Successfully"));
        assert!(matches!(bench.tells(), Event::Message(..)));
        bench.tells_nothing();
        bench.hears(UNDELIVERABLE);
        let refused = Outcome::Refused(Form::Content, Code::Undeliverable);
        assert_eq!(bench.tells(), Event::Settled(ticket, refused));
    }
}

#[test]
fn messages_wait_for_the_answer_to_the_one_before() {
    let mut bench = Bench::registered(Relay::Hii);
    let first = bench.session.send(peer(), b"first");
    let second = bench.session.send(peer(), b"12:30");
    assert_eq!(bench.asks(), "to:192.0.2.8/9000;content:first");
    bench.asks_nothing();
    bench.hears(SENT);
    let sent = |form| Outcome::Sent(form, MS);
    assert_eq!(bench.tells(), Event::Settled(first, sent(Form::Content)));
    assert_eq!(bench.asks(), "to:192.0.2.8/9000;raw : 12:30");
    bench.hears(SENT);
    let colon = Cannot::CarryOctet {
        octet: b':',
        index: 2,
    };
    let raw = sent(Form::Raw(colon));
    assert_eq!(bench.tells(), Event::Settled(second, raw));
}

#[test]
fn a_late_answer_is_not_taken_for_the_next_message_s() {
    for relay in [Relay::Hii, Relay::Original] {
        let mut bench = Bench::registered(relay);
        let first = bench.session.send(peer(), b"first");
        let second = bench.session.send(peer(), b"second");
        bench.asks();
        assert_eq!(bench.waits(), ANSWER);
        // The relay is greeted before anything else is asked.
        let greeting = bench.asks();
        assert!(greeting.starts_with("hii"));
        let unanswered = Outcome::Unanswered(Form::Content, ANSWER);
        assert_eq!(bench.tells(), Event::Settled(first, unanswered));
        bench.hears(UNDELIVERABLE);
        let late = Outcome::Refused(Form::Content, Code::Undeliverable);
        assert_eq!(bench.tells(), Event::SettledLate(first, late));
        bench.hears(&truth(relay, &greeting).unwrap());
        while let Some(request) = bench.session.poll_transmit(bench.now) {
            let request = String::from_utf8(request).unwrap();
            bench.hears(&truth(relay, &request).unwrap());
        }
        let sent = Outcome::Sent(Form::Content, MS);
        assert_eq!(bench.tells(), Event::Settled(second, sent));
        bench.tells_nothing();
    }
}

#[test]
fn a_message_is_sent_again_only_where_that_is_asked_for() {
    let mut bench = Bench::new(Way::Datagrams, 2);
    bench.register(Relay::Hii);
    let ticket = bench.session.send(peer(), b"a");
    for _ in 0..3 {
        assert_eq!(bench.asks(), "to:192.0.2.8/9000;content:a");
        assert_eq!(bench.waits(), ANSWER);
    }
    assert!(bench.asks().starts_with("hii ?"));
    let unanswered = Outcome::Unanswered(Form::Content, 3 * ANSWER);
    assert_eq!(bench.tells(), Event::Settled(ticket, unanswered));
}

#[test]
fn what_an_original_relay_cannot_carry_is_not_sent() {
    let mut bench = Bench::registered(Relay::Original);
    let ticket = bench.session.send(peer(), b"12:30");
    let next = bench.session.send(peer(), b"half past twelve");
    assert!(bench.asks().ends_with("half past twelve"));
    let cannot = Cannot::CarryOctet {
        octet: b':',
        index: 2,
    };
    assert_eq!(
        bench.tells(),
        Event::Settled(ticket, Outcome::Cannot(cannot))
    );
    bench.hears(SENT);
    assert!(matches!(bench.tells(), Event::Settled(ticket, _) if ticket == next));
}

#[test]
fn the_registration_is_kept_alive_for_hours() {
    for relay in [Relay::Hii, Relay::Original] {
        let mut bench = Bench::registered(relay);
        let mut proven = bench.now;
        while bench.now < Duration::from_secs(4 * 3600) {
            bench.waits();
            let request = bench.asks();
            let is_last = request.len() < 96;
            bench.hears(&truth(relay, &request).unwrap());
            if is_last {
                assert!(bench.now.saturating_sub(proven) < RENEW + 10 * MS);
                proven = bench.now;
            }
        }
        bench.tells_nothing();
    }
}

#[test]
fn another_address_is_told() {
    let mut bench = Bench::registered(Relay::Original);
    bench.waits();
    bench.asks();
    bench.hears(b"('192.0.2.7', 9001)");
    let moved = "192.0.2.7/9001".parse().unwrap();
    assert_eq!(bench.tells(), Event::Registered(moved, Relay::Original));
    bench.session.greet();
    bench.asks();
    bench.hears(b"('192.0.2.7', 9001)");
    assert_eq!(bench.tells(), Event::Registered(moved, Relay::Original));
}

#[test]
fn silence_is_told_once_and_the_relay_is_asked_until_it_answers() {
    let mut bench = Bench::registered(Relay::Hii);
    bench.waits();
    let begin = bench.now;
    for gap in [1, 2, 4] {
        assert!(bench.asks().starts_with("hii ?"));
        assert_eq!(bench.waits(), Duration::from_secs(gap));
    }
    assert_eq!(bench.now.saturating_sub(begin), ANSWER);
    bench.asks_nothing();
    assert_eq!(bench.tells(), Event::Silent);
    let ticket = bench.session.send(peer(), b"a");
    assert_eq!(bench.tells(), Event::Settled(ticket, Outcome::NoRelay));
    for _ in 0..3 {
        assert!(bench.waits() <= PAUSE);
        while bench.session.poll_transmit(bench.now).is_some() {
            bench.waits();
        }
    }
    bench.tells_nothing();
    bench.waits();
    // Another relay may answer there.
    bench.register(Relay::Original);
}

#[test]
fn a_closed_port_settles_what_is_open_and_what_waits() {
    let mut bench = Bench::registered(Relay::Hii);
    let tickets = [b"a", b"b"].map(|text| bench.session.send(peer(), text));
    bench.asks();
    bench.session.refused(bench.now);
    let told: Vec<_> = std::iter::from_fn(|| bench.session.poll_event()).collect();
    let settled = tickets.map(|ticket| Event::Settled(ticket, Outcome::NoRelay));
    assert_eq!(
        told,
        [settled[0].clone(), Event::Silent, settled[1].clone()]
    );
    bench.asks_nothing();
    assert_eq!(bench.waits(), PAUSE);
    bench.register(Relay::Hii);
}

#[test]
fn asking_a_relay_to_stop_tells_what_came_of_it() {
    let stopping = |relay| {
        let mut bench = Bench::registered(relay);
        bench.session.stop_relay();
        assert_eq!(bench.asks(), "exit server");
        bench
    };
    let mut bench = stopping(Relay::Hii);
    bench.hears(b"400");
    assert_eq!(bench.tells(), Event::Stop(Stop::Refused));

    let mut bench = stopping(Relay::Hii);
    bench.session.refused(bench.now);
    assert_eq!(bench.tells(), Event::Stop(Stop::Stopped));

    let mut bench = stopping(Relay::Original);
    assert!(bench.waits() <= Duration::from_secs(1));
    while bench.session.poll_transmit(bench.now).is_some() {
        bench.waits();
    }
    assert_eq!(bench.tells(), Event::Stop(Stop::Stopped));

    let mut bench = stopping(Relay::Original);
    bench.waits();
    assert_eq!(bench.asks(), "hii");
    bench.hears(b"('192.0.2.7', 9000)");
    assert_eq!(bench.tells(), Event::Stop(Stop::StillRuns));
    bench.tells_nothing();
}

#[test]
fn a_relay_that_refuses_its_own_tokens_is_left_alone_for_a_while() {
    let mut bench = Bench::new(Way::Datagrams, 0);
    for _ in 0..3 {
        bench.tells_nothing();
        bench.asks();
        bench.hears(b"('192.0.2.7', 9000) ; token : 07070707070707070707070707070707");
        bench.asks();
        bench.hears(b"400");
    }
    assert_eq!(bench.tells(), Event::Rejected);
    assert_eq!(bench.waits(), PAUSE);
}

#[test]
fn what_no_relay_says_is_told_as_it_is() {
    let mut bench = Bench::new(Way::Datagrams, 0);
    bench.asks();
    bench.hears(b"Packet Acknowledged");
    assert!(matches!(bench.tells(), Event::Foreign(said, _) if said == b"Packet Acknowledged"));
}

/// What happens in a random run.
#[derive(Debug, Clone)]
enum Step {
    Send(Vec<u8>),
    Hear(Vec<u8>),
    /// The relay's true answer to the last request, if it has one.
    Truth,
    Refused,
    Wait,
    Greet,
    Stop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let frame = prop_oneof![
        Just(b"400".to_vec()),
        Just(SENT.to_vec()),
        Just(UNDELIVERABLE.to_vec()),
        Just(b"('192.0.2.7', 9000)".to_vec()),
        Just(message("hello")),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    let step = prop_oneof![
        3 => "[a-c:]{0,3}".prop_map(|text| Step::Send(text.into_bytes())),
        2 => frame.prop_map(Step::Hear),
        6 => Just(Step::Truth),
        1 => Just(Step::Refused),
        4 => Just(Step::Wait),
        1 => Just(Step::Greet),
        1 => Just(Step::Stop),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// Whatever comes when: each message is settled once, at most once more when its answer is late, what comes from
    /// others is told, and what is sent is always a request.
    #[test]
    fn every_message_is_settled_once(
        steps in steps(),
        relay in prop_oneof![Just(Relay::Hii), Just(Relay::Original)],
        way in prop_oneof![Just(Way::Datagrams), Just(Way::Connection)],
        retries in 0..3_u32,
    ) {
        let mut bench = Bench::new(way, retries);
        let mut last = None;
        let mut settled: BTreeMap<Ticket, usize> = BTreeMap::new();
        let mut tickets = 0;
        let mut messages = 0;
        let after = std::iter::repeat_n(Step::Wait, 100);
        for step in steps.into_iter().chain(after) {
            match step {
                Step::Send(text) => {
                    bench.session.send(peer(), &text);
                    tickets += 1;
                }
                Step::Hear(frame) => {
                    messages += usize::from(matches!(Answer::decode(&frame), Ok(Answer::Forward(_))));
                    bench.hears(&frame);
                }
                Step::Truth => {
                    let answer = last.take().and_then(|request: String| truth(relay, &request));
                    if let Some(answer) = answer {
                        bench.hears(&answer);
                    }
                }
                Step::Refused => bench.session.refused(bench.now),
                Step::Wait => drop(bench.waits()),
                Step::Greet => bench.session.greet(),
                Step::Stop => bench.session.stop_relay(),
            }
            let mut sent = 0;
            while let Some(request) = bench.session.poll_transmit(bench.now) {
                prop_assert!(Request::decode(&request).is_ok());
                last = Some(String::from_utf8(request).unwrap());
                sent += 1;
                prop_assert!(sent <= 2, "it does not stop sending");
            }
            prop_assert!(bench.session.next_due() > bench.now);
            while let Some(event) = bench.session.poll_event() {
                match event {
                    Event::Settled(ticket, _) => *settled.entry(ticket).or_default() += 1,
                    Event::SettledLate(ticket, _) => prop_assert_eq!(settled[&ticket], 1),
                    Event::Message(..) => messages -= 1,
                    _ => {}
                }
            }
        }
        prop_assert_eq!(messages, 0);
        prop_assert_eq!(settled.len(), tickets);
        prop_assert!(settled.values().all(|times| *times == 1));
    }
}
