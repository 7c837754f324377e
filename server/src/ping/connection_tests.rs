//! A connection's decisions, without a socket.

use std::time::Duration;

use hii_transport::clock::Now;
use proptest::prelude::*;

use super::budgets::Limits;
use super::connection::Connection;
use super::impairment::Impairments;
use super::service::{Config, PingService};
use super::tally::Tally;
use super::total_octets::SharedTotal;
use crate::allow_exit::AllowExit;
use crate::args::delay_range;
use crate::policy::Limit;
use crate::policy::local_addrs::LocalAddrs;
use crate::policy::origin::origin;
use crate::streams::{Conversation as _, End};

const IDLE: Duration = Duration::from_secs(60);
const START: Duration = Duration::ZERO;
/// More than a connection may have waiting.
const MANY: usize = 5_000;

fn service(impairments: Impairments) -> PingService {
    let config = Config {
        impairments,
        seed: 1,
        allow_exit: AllowExit::Never,
        limits: Limits::NONE,
        total: SharedTotal::NONE,
    };
    PingService::new(&config, LocalAddrs::default())
}

fn connection() -> Connection {
    // Below port 1024, which is silenced on UDP only.
    Connection::new(origin("192.0.2.1:53".parse().unwrap()), IDLE, START)
}

fn at(millis: u64) -> Now {
    Now {
        monotonic: Duration::from_millis(millis),
        wall: 1,
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap();
    [&len.to_be_bytes(), payload].concat()
}

/// What the connection sends at this time to someone who reads it all.
fn sent(connection: &mut Connection, service: &mut PingService, now: Now) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let octets = connection.to_send(now.monotonic).to_vec();
        if octets.is_empty() {
            return all;
        }
        all.extend_from_slice(&octets);
        connection.sent(octets.len(), service, now);
    }
}

/// What a connection answers to these reads at time 0, and its end.
fn answers(service: &mut PingService, reads: &[&[u8]]) -> (Vec<u8>, Option<End>) {
    let mut connection = connection();
    let mut all = Vec::new();
    for read in reads {
        connection.receive(read, service, at(0));
        all.extend(sent(&mut connection, service, at(0)));
    }
    let end = connection.end(START);
    connection.close(None, service);
    (all, end)
}

fn assert_balanced(tally: &Tally) {
    let tally_sum = tally.answered
        + tally.dropped
        + tally.ignored
        + tally.over_rate
        + tally.queue_full
        + tally.send_failed
        + tally.abandoned;
    assert_eq!(tally.received, tally_sum, "{tally:?}");
}

#[test]
fn a_classic_connection_is_acknowledged_read_by_read_until_exit() {
    let mut service = service(Impairments::NONE);
    let (octets, end) = answers(&mut service, &[b"Hii Server", b"exit ", b"C", b"exit"]);
    assert_eq!(octets, b"Acknowledgement".repeat(3));
    assert_eq!(end, Some(End::Done));
    let tally = service.tally();
    assert_eq!((tally.received, tally.tcp.classic_messages), (3, 3));
    assert_eq!(tally.tcp.classic_connections, 1);
    assert_balanced(&tally);
}

#[test]
fn frames_are_answered_as_datagrams_are() {
    let mut service = service(Impairments::NONE);
    for (request, answer) in [
        (&b"Hello Server"[..], &b"Packet Acknowledged"[..]),
        (b"C 128", b"Buffer Size Calibrated at Server."),
        (b"C", b"401"),
        (b"C 0", b"403"),
        (b"P 00c0ffee 7", b"A 00c0ffee 7"),
        // On UDP this one is not answered at all.
        (b"Packet Acknowledged", b"Packet Acknowledged"),
    ] {
        let (octets, end) = answers(&mut service, &[&frame(request)]);
        assert_eq!(octets, frame(answer));
        assert_eq!(end, None);
    }
    assert_balanced(&service.tally());
}

#[test]
fn exit_has_a_last_word_and_nothing_after_it_is_looked_at() {
    let mut service = service(Impairments::NONE);
    let stream = [frame(b"a"), frame(b"exit"), frame(b"b")].concat();
    let (octets, end) = answers(&mut service, &[&stream]);
    let expected = [
        frame(b"Packet Acknowledged"),
        frame(b"Stopping the Server."),
    ];
    assert_eq!(octets, expected.concat());
    assert_eq!(end, Some(End::Done));
    assert_eq!(service.tally().received, 2);
}

#[test]
fn a_length_of_zero_is_refused_and_one_over_the_limit_ends_the_connection() {
    let mut service = service(Impairments::NONE);
    let stream = [&[0, 0, 0, 0][..], &frame(b"a")].concat();
    let (octets, end) = answers(&mut service, &[&stream]);
    assert_eq!(
        octets,
        [frame(b"400"), frame(b"Packet Acknowledged")].concat()
    );
    assert_eq!(end, None);
    let longest = vec![b' '; 65_507];
    let (octets, end) = answers(&mut service, &[&frame(&longest)]);
    assert_eq!((octets, end), (frame(b"Packet Acknowledged"), None));
    for over in [65_508_u32, 0x00ff_ffff] {
        let stream = [&over.to_be_bytes()[..], b"exit"].concat();
        let (octets, end) = answers(&mut service, &[&stream]);
        assert_eq!((octets, end), (frame(b"400"), Some(End::Done)));
    }
    assert_balanced(&service.tally());
}

#[test]
fn only_whole_messages_keep_a_connection() {
    let mut service = service(Impairments::NONE);
    let mut slow = connection();
    for (second, octet) in (0_u64..).zip(frame(&[b'x'; 100])) {
        if let Some(end) = slow.end(Duration::from_secs(second)) {
            assert_eq!((second, end), (60, End::Idle));
            return;
        }
        slow.receive(&[octet], &mut service, at(second * 1000));
    }
    panic!("it was kept");
}

#[test]
fn a_connection_that_takes_no_answers_is_read_no_further_and_then_closed() {
    let mut service = service(Impairments::NONE);
    let mut deaf = connection();
    let mut reads = 0;
    while deaf.wants().is_some() && reads < MANY {
        deaf.receive(&frame(b"a").repeat(10), &mut service, at(1));
        reads += 1;
    }
    assert!(reads < MANY, "it is read for ever");
    assert!(!deaf.to_send(Duration::from_millis(1)).is_empty());
    assert_eq!(deaf.end(Duration::from_secs(60)), None);
    assert_eq!(deaf.end(Duration::from_millis(60_001)), Some(End::Unread));
    assert!(service.tally().abandoned > 0);
    assert_balanced(&service.tally());
    deaf.close(None, &mut service);
    assert_balanced(&service.tally());
}

#[test]
fn what_waits_for_room_is_answered_when_there_is_some_and_at_the_end_of_the_stream_too() {
    let mut service = service(Impairments::NONE);
    let mut connection = connection();
    connection.receive(&frame(b"a").repeat(MANY), &mut service, at(0));
    connection.receive(b"", &mut service, at(0));
    assert_eq!(connection.end(START), None);
    let octets = sent(&mut connection, &mut service, at(0));
    assert_eq!(octets, frame(b"Packet Acknowledged").repeat(MANY));
    assert_eq!(connection.end(START), Some(End::Done));
    assert_eq!(service.tally().answered, MANY as u64);
}

#[test]
fn delayed_answers_come_when_due_and_keep_the_connection() {
    let delay = delay_range("2m").unwrap();
    let mut service = service(Impairments {
        loss: 1.0,
        delay,
        ..Impairments::NONE
    });
    let mut classic = connection();
    // Not lost, whatever the loss: the original would wait for ever.
    classic.receive(b"Hii Server", &mut service, at(5));
    assert_eq!(classic.next_due(), Some(Duration::from_millis(120_005)));
    assert_eq!(classic.closes_at(), None);
    assert!(classic.to_send(Duration::from_secs(120)).is_empty());
    let octets = sent(&mut classic, &mut service, at(120_005));
    assert_eq!(octets, b"Acknowledgement");
    assert_eq!(classic.closes_at(), Some(Duration::from_millis(180_005)));

    let (octets, _) = answers(&mut service, &[&frame(b"lost")]);
    assert!(octets.is_empty());
    assert_eq!(service.tally().dropped, 1);
    assert_balanced(&service.tally());
}

#[test]
fn an_exit_does_not_wait_for_what_is_delayed() {
    let delay = delay_range("2m").unwrap();
    let mut service = service(Impairments {
        delay,
        ..Impairments::NONE
    });
    let stream = [frame(b"a"), frame(b"exit")].concat();
    let (octets, end) = answers(&mut service, &[&stream]);
    assert_eq!(
        (octets, end),
        (frame(b"Stopping the Server."), Some(End::Done))
    );
    assert_eq!(service.tally().abandoned, 1);
    assert_balanced(&service.tally());
}

proptest! {
    #[test]
    fn it_does_not_matter_how_a_stream_is_cut(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20),
        cuts in proptest::collection::vec(1..30_usize, 1..20),
    ) {
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| frame(payload)).collect();
        let whole = answers(&mut service(Impairments::NONE), &[&stream, b""]);
        let mut rest = stream.as_slice();
        let mut reads = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (read, after) = rest.split_at((*cut).min(rest.len()));
            reads.push(read);
            rest = after;
        }
        reads.push(b"");
        let mut service = service(Impairments::NONE);
        prop_assert_eq!(answers(&mut service, &reads), whole);
        assert_balanced(&service.tally());
    }

    #[test]
    fn no_octets_are_too_much(reads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2000), 0..20)) {
        let mut service = service(Impairments::ORIGINAL);
        let reads: Vec<_> = reads.iter().map(Vec::as_slice).collect();
        answers(&mut service, &reads);
        assert_balanced(&service.tally());
    }
}

#[test]
fn a_source_over_its_rate_is_not_read_until_it_is_within_it_again() {
    let config = Config {
        impairments: Impairments::NONE,
        seed: 1,
        allow_exit: AllowExit::Never,
        limits: Limits {
            probes: Limit::with_burst(10, 2),
            ..Limits::NONE
        },
        total: SharedTotal::NONE,
    };
    let mut service = PingService::new(&config, LocalAddrs::default());
    let mut connection = connection();
    let probes = (1..=4).flat_map(|seq| frame(format!("P 00c0ffee {seq:<100}").as_bytes()));
    let probes: Vec<_> = probes.collect();
    let texts = |octets: &[u8]| {
        let frames = octets.chunks(4 + 111);
        let text = |frame: &[u8]| String::from_utf8(frame[4..].to_vec()).unwrap();
        frames
            .map(|frame| text(frame).trim_end().to_owned())
            .collect::<Vec<_>>()
    };
    connection.receive(&probes, &mut service, at(0));
    let answers = texts(&sent(&mut connection, &mut service, at(0)));
    assert_eq!(answers.len(), 2);
    assert!(answers[1].ends_with(" 0"), "{answers:?}");
    // What was sent and not looked at stays with its sender.
    assert_eq!(connection.wants(), None);
    assert_eq!(connection.resumes_at(), Some(Duration::from_millis(100)));
    assert_eq!(connection.closes_at(), None);
    // Its end may come meanwhile.
    connection.receive(&[], &mut service, at(50));
    assert_eq!(connection.end(at(50).monotonic), None);
    for (millis, limited) in [(100, " 1"), (200, " 2")] {
        connection.resume(&mut service, at(millis));
        let answers = texts(&sent(&mut connection, &mut service, at(millis)));
        assert_eq!(answers.len(), 1);
        assert!(answers[0].ends_with(limited), "{answers:?}");
    }
    assert_eq!(connection.end(at(200).monotonic), Some(End::Done));
    connection.close(None, &mut service);
    let tally = service.tally();
    assert_eq!((tally.received, tally.answered, tally.over_rate), (4, 4, 0));
    assert_eq!(tally.tcp.held, 2);
    assert_balanced(&tally);
}

#[test]
fn a_classic_connection_over_its_rate_is_not_read_either() {
    let config = Config {
        impairments: Impairments::NONE,
        seed: 1,
        allow_exit: AllowExit::Never,
        limits: Limits {
            octets: Limit::with_burst(15, 15),
            ..Limits::NONE
        },
        total: SharedTotal::NONE,
    };
    let mut service = PingService::new(&config, LocalAddrs::default());
    let mut connection = connection();
    connection.receive(b"Hii Server", &mut service, at(0));
    assert_eq!(
        sent(&mut connection, &mut service, at(0)),
        b"Acknowledgement"
    );
    assert_eq!(connection.wants(), None);
    let resumes_at = connection.resumes_at().unwrap();
    assert!((Duration::from_millis(60)..=Duration::from_millis(70)).contains(&resumes_at));
    let later = Now {
        monotonic: resumes_at,
        wall: 1,
    };
    connection.resume(&mut service, later);
    assert!(connection.wants().is_some());
    assert_eq!(connection.resumes_at(), None);
}

#[test]
fn connections_of_a_source_over_its_rate_wake_the_server_seldom_and_get_its_rate() {
    const COUNT: usize = 128;
    let config = Config {
        impairments: Impairments::NONE,
        seed: 1,
        allow_exit: AllowExit::Never,
        limits: Limits::default(),
        total: SharedTotal::NONE,
    };
    let mut service = PingService::new(&config, LocalAddrs::default());
    let flood = frame(b"P 00c0ffee 1").repeat(500);
    let mut connections: Vec<_> = (0..COUNT).map(|_| connection()).collect();
    // A second's worth at once, and then the rate for two.
    let end = Duration::from_secs(2);
    let (mut now, mut wakes) = (START, 0);
    for connection in &mut connections {
        connection.receive(&flood, &mut service, at(0));
    }
    while now < end {
        let next = connections.iter().enumerate();
        let next = next.filter_map(|(index, one)| Some((one.resumes_at()?, index)));
        let (resumes_at, index) = next.min().expect("all of them send too much");
        now = resumes_at;
        wakes += 1;
        let moment = Now {
            monotonic: now,
            wall: 1,
        };
        let connection = &mut connections[index];
        connection.resume(&mut service, moment);
        sent(connection, &mut service, moment);
        // What it has sent meanwhile.
        if connection.wants().is_some() || connection.held() < 1000 {
            connection.receive(&flood, &mut service, moment);
        }
    }
    let received = service.tally().received;
    assert!((57_000..=60_100).contains(&received), "{received}");
    assert!(wakes <= 2 * 5_000 + COUNT, "{wakes}");
    for connection in connections {
        connection.close(None, &mut service);
    }
    assert!(service.holds_none());
}
