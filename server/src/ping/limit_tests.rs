//! The limits of a ping service, with time passed in.

use std::time::Duration;

use hii_protocol::ping::{Answer, ProbeAnswer};
use hii_transport::datagrams::{Effect, Service as _};

use super::budgets::Limits;
use super::service::{Config, PingService};
use super::service_tests::{PLAIN, assert_balanced, at, service, train};
use super::total_octets::SharedTotal;
use crate::policy::Limit;

pub(super) const STRANGER: &str = "192.0.2.1:5000";

pub(super) fn limited(limits: Limits) -> PingService {
    service(&Config { limits, ..PLAIN })
}

/// A service with the default limits.
pub(super) fn by_default() -> PingService {
    limited(Limits::default())
}

/// The answer to a datagram, in octets.
pub(super) fn answer(
    service: &mut PingService,
    datagram: &[u8],
    from: &str,
    millis: u64,
) -> Option<Vec<u8>> {
    let now = at(millis);
    match service.handle(datagram, &train(from, now)) {
        Effect::Answer(answer) | Effect::AnswerAndStop(answer) => {
            let mut buffer = vec![0; 65_536];
            let len = service.write(&answer, now.monotonic, &mut buffer);
            service.sent(&answer, &Ok(()), 1);
            Some(buffer[..len].to_vec())
        }
        Effect::Nothing => None,
        Effect::Forward(..) | Effect::Stop => panic!("a ping server does no such thing"),
    }
}

pub(super) fn text(service: &mut PingService, datagram: &str, from: &str, millis: u64) -> String {
    let octets = answer(service, datagram.as_bytes(), from, millis).unwrap_or_default();
    String::from_utf8(octets).unwrap()
}

/// The number of answers to `count` datagrams at this moment.
fn answered(
    service: &mut PingService,
    datagram: &[u8],
    from: &str,
    count: usize,
    millis: u64,
) -> usize {
    (0..count)
        .filter(|_| answer(service, datagram, from, millis).is_some())
        .count()
}

fn probe(seq: u64) -> String {
    format!("{:<128}", format!("P 00c0ffee {seq}"))
}

fn probe_answer(service: &mut PingService, seq: u64, millis: u64) -> Option<ProbeAnswer> {
    let octets = answer(service, probe(seq).as_bytes(), STRANGER, millis)?;
    match Answer::decode(&octets) {
        Ok(Answer::Probe(answer)) => Some(answer),
        _ => None,
    }
}

/// A datagram of each kind, as long as its answer.
const TEXT: &[u8] = b"a text of one's own";

#[test]
fn each_kind_has_the_limits_of_the_table() {
    let mut service = by_default();
    let mut count =
        |datagram: &[u8], from, millis| answered(&mut service, datagram, from, 30_000, millis);
    let probe = probe(1);
    assert_eq!(count(probe.as_bytes(), STRANGER, 0), 20_000);
    assert_eq!(count(b"Hello Server", STRANGER, 0), 1_000);
    assert_eq!(count(b"Hello Server.", STRANGER, 0), 0);
    assert_eq!(count(b"C 128", STRANGER, 0), 10);
    assert_eq!(count(b"exit", STRANGER, 0), 0);
    assert_eq!(count(TEXT, STRANGER, 0), 50);
    // Half a second later each has its rate again.
    assert_eq!(count(probe.as_bytes(), STRANGER, 500), 10_000);
    assert_eq!(count(b"Hello Server.", STRANGER, 500), 500);
    assert_eq!(count(TEXT, STRANGER, 500), 0);
    assert_eq!(count(TEXT, STRANGER, 1_000), 1);
    assert_eq!(count(b"exit", STRANGER, 1_000), 1);
    let tally = service.tally();
    assert_eq!(tally.over_rate, 30_000);
    assert_eq!(tally.over_classic_rate, 2 * 30_000 + 30_000 - 1_500);
    assert_eq!(tally.over_message_rate, 6 * 30_000 - 62);
    assert_balanced(&tally);
}

#[test]
fn the_ports_of_one_address_share_what_an_address_has() {
    let mut service = by_default();
    for (datagram, of_address) in [(TEXT, 500), (b"C 128", 200)] {
        let ports = 1024..2048;
        let all: usize = ports
            .map(|port| answered(&mut service, datagram, &format!("192.0.2.1:{port}"), 60, 0))
            .sum();
        assert_eq!(all, of_address);
        // Not with others.
        assert!(answer(&mut service, datagram, "192.0.2.2:5000", 0).is_some());
    }
}

#[test]
fn this_host_is_exempt_from_the_limits_of_an_address_unless_a_rate_is_asked_for() {
    let mut service = by_default();
    let probe = probe(1);
    let local = "127.0.0.1:5000";
    assert_eq!(
        answered(&mut service, probe.as_bytes(), local, 30_000, 0),
        30_000
    );
    assert_eq!(
        answered(&mut service, b"Hello Server", local, 30_000, 0),
        30_000
    );
    // A program on this host that answers anything makes a loop like any other.
    assert_eq!(answered(&mut service, TEXT, local, 30_000, 0), 50);
    let mut service = limited(Limits {
        probes: Limit::per_second(10),
        loopback_is_exempt: false,
        ..Limits::default()
    });
    assert_eq!(answered(&mut service, probe.as_bytes(), local, 100, 0), 10);
}

#[test]
fn strangers_kinds_leave_a_victim_s_probes_alone() {
    let mut service = by_default();
    for datagram in [
        TEXT,
        b"C 5",
        b"exit",
        b"",
        b"C",
        b"Hello Server",
        b"Packet Acknowledged",
    ] {
        for port in 1..=u16::MAX {
            answer(&mut service, datagram, &format!("192.0.2.1:{port}"), 0);
        }
    }
    for seq in 1..=1000 {
        assert!(probe_answer(&mut service, seq, seq).is_some());
    }
}

#[test]
fn octets_of_answers_are_limited_for_an_address_and_in_all() {
    let mut service = by_default();
    let long = format!("{:<50000}", "P 00c0ffee 1");
    assert_eq!(
        answered(&mut service, long.as_bytes(), STRANGER, 1000, 0),
        250
    );
    assert_eq!(
        answered(&mut service, long.as_bytes(), "127.0.0.1:5001", 1000, 0),
        1000
    );
    assert_eq!(
        answered(&mut service, long.as_bytes(), STRANGER, 1000, 100),
        25
    );
    let mut service = self::service(&Config {
        total: SharedTotal::new(Limit::per_second(1_000_000)),
        ..PLAIN
    });
    let greedy = answered(&mut service, long.as_bytes(), STRANGER, 1000, 0);
    assert!((17..20).contains(&greedy), "{greedy}");
    assert!(answer(&mut service, probe(1).as_bytes(), "192.0.2.2:5001", 0).is_some());
    assert_eq!(service.tally().over_octets, 1000 - greedy as u64);
    assert_balanced(&service.tally());
}

#[test]
fn what_the_original_clients_send_at_1_ms_is_all_answered() {
    for hello in ["Hello Server", "Hello Server."] {
        let mut service = by_default();
        for millis in 0..20_000 {
            if millis % 2_000 == 0 {
                // A client begins anew.
                let from = format!("192.0.2.1:{}", 5_000 + millis / 2_000);
                assert_ne!(text(&mut service, "C 128", &from, millis), "");
                assert_ne!(text(&mut service, "exit", &from, millis), "");
            }
            assert_eq!(
                text(&mut service, hello, STRANGER, millis),
                "Packet Acknowledged"
            );
        }
    }
}

/// The answer of a service that answers everything.
type Reply = fn(&[u8]) -> Vec<u8>;

/// Connects ours with a service that answers everything, over a path with this round trip, starting with this many forged
/// datagrams. Returns the number of our answers in a day, and whether the last was in its first half.
fn meet(reply: Reply, round_trip_ms: u64, under_way: usize) -> (u64, bool) {
    const DAY_MS: u64 = 86_400_000;
    let mut service = by_default();
    let mut arrivals: std::collections::VecDeque<_> =
        (0..under_way).map(|_| (0, reply(b"anything"))).collect();
    let (mut answers, mut last) = (0, 0);
    // The programs take some time even if the path takes none.
    let hop = Duration::from_micros(round_trip_ms * 1000 + 20);
    while let Some((micros, datagram)) = arrivals.pop_front() {
        if micros >= DAY_MS * 1000 {
            break;
        }
        if let Some(octets) = answer(&mut service, &datagram, "192.0.2.1:5353", micros / 1000) {
            answers += 1;
            last = micros;
            let back = micros + u64::try_from(hop.as_micros()).unwrap();
            arrivals.push_back((back, reply(&octets)));
        }
    }
    (answers, last < DAY_MS * 500)
}

#[test]
fn a_loop_with_a_service_that_answers_anything_ends() {
    let services: [Reply; 6] = [
        <[u8]>::to_vec,
        <[u8]>::to_ascii_uppercase,
        // DNS-like: the question with a header that says what is wrong.
        |query| [b"\x00\x01\x81\x82\x00\x00\x00\x00\x00\x00\x00\x00", query].concat(),
        // CoAP-like: a short reset.
        |_| b"\x70\x00\x12\x34".to_vec(),
        // SIP-like.
        |_| b"SIP/2.0 400 Bad Request\r\n\r\n".to_vec(),
        // chargen.
        |_| vec![b'x'; 500],
    ];
    for service in services {
        for round_trip in [0, 1, 20, 150, 700] {
            for under_way in [1, 200] {
                let (answers, has_ended) = meet(service, round_trip, under_way);
                assert!(answers <= 200 && has_ended, "{answers} at {round_trip} ms");
            }
        }
    }
}

#[test]
fn a_run_over_the_rate_is_recorded_and_its_answers_say_how_many_were_limited() {
    let mut service = limited(Limits {
        probes: Limit::per_second(2),
        loopback_is_exempt: false,
        ..Limits::NONE
    });
    for seq in 1..=4 {
        assert_eq!(probe_answer(&mut service, seq, 0).is_some(), seq <= 2);
    }
    let answer = probe_answer(&mut service, 5, 600).unwrap();
    assert_eq!(
        (answer.window(), answer.limited()),
        (Some(0b1_1111), Some(2))
    );
    assert_eq!(answer.count().unwrap().get(), 5);
    assert_eq!(service.tally().over_rate, 2);
    assert_balanced(&service.tally());
}

#[test]
fn run_without_answers_gets_a_notice_a_second_and_no_entry() {
    let mut service = limited(Limits {
        probes: Limit::Nothing,
        ..Limits::NONE
    });
    let mut notices = Vec::new();
    for millis in 0..3_000 {
        notices.extend(answer(
            &mut service,
            probe(millis + 1).as_bytes(),
            STRANGER,
            millis,
        ));
    }
    let texts: Vec<_> = notices
        .iter()
        .map(|octets| String::from_utf8_lossy(octets))
        .collect();
    assert_eq!(
        texts,
        ["L 00c0ffee 1", "L 00c0ffee 1001", "L 00c0ffee 2001"]
    );
    let tally = service.tally();
    assert_eq!(
        (tally.over_rate, tally.notices, tally.answered),
        (3_000, 3, 0)
    );
    assert_balanced(&tally);
    assert!(service.remembers_nothing());
    // Of all ports of an address.
    let mut all = 0;
    for port in 1024..60_000 {
        let from = format!("192.0.2.1:{port}");
        all += usize::from(answer(&mut service, probe(1).as_bytes(), &from, 10_000).is_some());
    }
    assert_eq!(all, 10);
}

#[test]
fn a_run_that_is_over_the_rate_for_long_is_sent_notices_with_its_counts() {
    let mut service = limited(Limits {
        // One probe, and then none for a long time.
        probes: Limit::with_burst(1, 1),
        loopback_is_exempt: false,
        ..Limits::NONE
    });
    assert!(probe_answer(&mut service, 1, 0).is_some());
    // Another program of the same source takes what there is.
    let other = "192.0.2.1:6000";
    for second in 1..=3_u64 {
        assert_ne!(text(&mut service, &probe(second), other, second * 1000), "");
        let notice = text(&mut service, &probe(second + 1), STRANGER, second * 1000);
        assert_eq!(
            notice,
            format!("L 00c0ffee {} {} {second}", second + 1, second + 1)
        );
    }
    // The first was answered, so its duplicate is not counted as limited.
    assert_ne!(text(&mut service, &probe(9), other, 4_000), "");
    assert_eq!(
        answer(&mut service, probe(1).as_bytes(), STRANGER, 4_000),
        None
    );
}
