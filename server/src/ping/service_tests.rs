//! The ping service's decisions, one rule after the other, without a socket.

use std::time::Duration;

use hii_protocol::ping::{Answer, ProbeAnswer};
use hii_transport::clock::Now;
use hii_transport::datagrams::{Effect, Peer, Service as _};

use super::*;
use crate::policy::origin::{Origin, origin};

pub(super) const PLAIN: Config = Config {
    impairments: Impairments::NONE,
    seed: 1,
    allow_exit: AllowExit::Loopback,
    limits: Limits::NONE,
    total: SharedTotal::NONE,
};

pub(super) fn service(config: &Config) -> PingService {
    let bound = ["[::]:8080".parse().unwrap()];
    PingService::new(config, LocalAddrs::fixed(&bound, Vec::new()))
}

pub(super) fn from(address: &str) -> Origin {
    origin(address.parse().unwrap())
}

pub(super) fn peer(address: &str) -> Peer {
    from(address).reply_to()
}

/// Datagrams from there at this moment.
pub(super) fn train(address: &str, now: Now) -> Train {
    Train {
        origin: Ok(from(address)),
        now,
    }
}

pub(super) fn at(millis: u64) -> Now {
    Now {
        monotonic: Duration::from_millis(millis),
        wall: 1_789_000_000_000_000_000 + millis * 1_000_000,
    }
}

/// The answer's text to a datagram at time 0, and whether the service stops.
pub(super) fn answer(service: &mut PingService, datagram: &[u8], from: &str) -> (String, bool) {
    match service.handle(datagram, &train(from, at(0))) {
        Effect::Nothing => (String::new(), false),
        Effect::Answer(answer) => (answer.reply.at(Duration::ZERO).to_string(), false),
        Effect::AnswerAndStop(answer) => (answer.reply.at(Duration::ZERO).to_string(), true),
        Effect::Forward(..) | Effect::Stop => {
            panic!("a ping server does no such thing")
        }
    }
}

pub(super) fn assert_balanced(tally: &Tally) {
    let Tally {
        received,
        answered,
        dropped,
        ignored,
        refused_sources,
        over_rate,
        over_classic_rate,
        over_message_rate,
        over_octets,
        too_short,
        queue_full,
        send_failed,
        abandoned,
        notices: _,
        duplicated: _,
        reordered: _,
        tcp: _,
    } = tally;
    let refused = refused_sources.total() + ignored + too_short;
    let over = over_rate + over_classic_rate + over_message_rate + over_octets;
    let lost = dropped + queue_full + send_failed + abandoned;
    assert_eq!(*received, answered + refused + over + lost, "{tally:?}");
}

#[test]
fn answers_the_classic_table() {
    let mut service = service(&PLAIN);
    for (datagram, expected) in [
        (&b"C 128"[..], "Buffer Size Calibrated at Server."),
        (b"Hello Server", "Packet Acknowledged"),
        (b"Hello Server.", "Packet Acknowledged"),
        (b"", "Packet Acknowledged"),
        (b"\xff\xfe", "Packet Acknowledged"),
        (b"exit ", "Packet Acknowledged"),
        (b"C", "401"),
        (b"Cat", "401"),
        (b"C x", "403"),
        (b"C 65508", "403"),
    ] {
        let text = answer(&mut service, datagram, "127.0.0.1:5000").0;
        assert_eq!(text, expected, "{datagram:?}");
    }
}

#[test]
fn exit_is_honoured_from_those_allowed_and_acknowledged_from_others() {
    let stops = |allow_exit, from: &str| {
        let (text, stop) = answer(
            &mut service(&Config {
                allow_exit,
                ..PLAIN
            }),
            b"exit",
            from,
        );
        let expected = if stop {
            "Stopping the Server."
        } else {
            "Packet Acknowledged"
        };
        assert_eq!(text, expected);
        stop
    };
    for loopback in ["127.0.0.1:5000", "[::1]:5000", "[::ffff:127.0.0.1]:5000"] {
        assert!(stops(AllowExit::Loopback, loopback));
        assert!(!stops(AllowExit::Never, loopback));
    }
    assert!(!stops(AllowExit::Loopback, "192.0.2.1:5000"));
    assert!(stops(AllowExit::Any, "192.0.2.1:5000"));
}

#[test]
fn calibration_refusals_and_exit_are_never_lost_or_delayed() {
    let all_lost = Impairments {
        loss: 1.0,
        ..Impairments::ORIGINAL
    };
    let mut service = service(&Config {
        impairments: all_lost,
        ..PLAIN
    });
    for datagram in [&b"C 5"[..], b"C x", b"exit"] {
        assert_ne!(answer(&mut service, datagram, "192.0.2.1:5000").0, "");
    }
    assert_eq!(
        answer(&mut service, b"Hello Server", "192.0.2.1:5000").0,
        ""
    );
    assert_eq!(service.tally().dropped, 1);
}

#[test]
fn answers_are_never_answered() {
    let mut service = service(&PLAIN);
    for datagram in [
        "Packet Acknowledged",
        "400",
        "A 00c0ffee 7",
        "('192.0.2.7', 9000)",
    ] {
        assert_eq!(
            answer(&mut service, datagram.as_bytes(), "192.0.2.1:5000").0,
            ""
        );
    }
    assert_eq!(answer(&mut service, b"hi", "192.0.2.1:53").0, "");
    assert_eq!(answer(&mut service, b"hi", "127.0.0.1:8080").0, "");
    assert_eq!(service.tally().ignored, 6);
}

fn probe_answer(service: &mut PingService, seq: u64) -> Option<ProbeAnswer> {
    let probe = format!("{:<128}", format!("P 00c0ffee {seq}"));
    let text = answer(service, probe.as_bytes(), "192.0.2.1:5000").0;
    match Answer::decode(text.as_bytes()) {
        Ok(Answer::Probe(answer)) => Some(answer),
        _ => None,
    }
}

#[test]
fn a_probe_s_answer_tells_what_came_before() {
    let mut service = service(&PLAIN);
    for seq in [1, 2, 4] {
        probe_answer(&mut service, seq).unwrap();
    }
    let answer = probe_answer(&mut service, 5).unwrap();
    assert_eq!(answer.count().unwrap().get(), 4);
    assert_eq!(answer.window(), Some(0b11011));
    assert_eq!(answer.received(), Some(at(0).wall));
    assert_eq!(
        probe_answer(&mut service, 5)
            .unwrap()
            .count()
            .unwrap()
            .get(),
        5
    );
}

#[test]
fn a_lost_answer_is_still_in_the_next_window() {
    let half_lost = Impairments {
        loss: 0.5,
        ..Impairments::NONE
    };
    let mut service = service(&Config {
        impairments: half_lost,
        ..PLAIN
    });
    let answers: Vec<_> = (1..=64)
        .map(|seq| probe_answer(&mut service, seq))
        .collect();
    assert!(answers.iter().any(Option::is_none));
    for answer in answers.into_iter().flatten() {
        let seq = answer.seq().get();
        assert_eq!(answer.window(), Some(u64::MAX >> (64 - seq)));
    }
}

#[test]
fn delayed_answers_come_when_due_with_the_time_they_were_held() {
    let delay = delay_range("20ms").unwrap();
    let slow = Impairments {
        delay,
        ..Impairments::NONE
    };
    let mut service = service(&Config {
        impairments: slow,
        ..PLAIN
    });
    let probe = format!("{:<128}", "P 00c0ffee 1");
    assert_eq!(
        service.handle(probe.as_bytes(), &train("192.0.2.1:5000", at(5))),
        Effect::Nothing
    );
    assert_eq!(service.next_due(), Some(Duration::from_millis(25)));
    assert!(service.take_due(Duration::from_millis(24)).is_none());
    let (to, outgoing) = service.take_due(Duration::from_millis(25)).unwrap();
    assert_eq!(to, peer("192.0.2.1:5000"));
    let Answer::Probe(answer) = outgoing.reply.at(Duration::from_millis(26)) else {
        panic!()
    };
    assert_eq!(answer.held(), Some(21_000_000));
}

#[test]
fn a_hundred_thousand_delayed_answers_wait_and_what_exceeds_the_cap_is_counted() {
    let mut service = service(&Config {
        impairments: Impairments {
            loss: 0.0,
            ..Impairments::ORIGINAL
        },
        ..PLAIN
    });
    let datagrams = 150_000;
    for seq in 1..=datagrams {
        let datagram = format!("P 00c0ffee {seq}");
        let effect = service.handle(datagram.as_bytes(), &train("192.0.2.1:5000", at(0)));
        assert_eq!(effect, Effect::Nothing);
    }
    let tally = service.tally();
    assert!(tally.abandoned >= 100_000);
    assert_eq!(tally.queue_full, datagrams - tally.abandoned);
    assert_balanced(&tally);
    // What one waiting answer costs, times the cap: the bound on the queue's memory.
    assert!(size_of::<(Duration, u64, Peer, Reply, [bool; 2])>() * (1 << 17) <= 24 << 20);

    while let Some((_, answer)) = service.take_due(Duration::from_secs(1)) {
        assert!(service.write(&answer, Duration::from_secs(1), &mut [0; 128]) > 0);
        service.sent(&answer, &Ok(()), 1);
    }
    assert_eq!(service.tally().answered, tally.abandoned);
    assert_balanced(&service.tally());
}
