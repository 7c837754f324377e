//! In which order a ping service's answers go out when it doubles and reorders them.

use std::time::Duration;

use hii_protocol::ping::Answer;
use hii_transport::datagrams::{Effect, Peer, Service as _};

use super::service_tests::{PLAIN, answer, assert_balanced, at, peer, service, train};
use super::*;

/// Sends probes from these ports, 1 ms apart, and gives each answer as it goes out: port, number, whether it is a copy.
fn departures(service: &mut PingService, ports: &[u16]) -> Vec<(u16, u64, bool)> {
    let mut out = Vec::new();
    for (millis, port) in (0..).zip(ports) {
        let probe = format!("{:<128}", format!("P 00c0ffee {}", millis + 1));
        let address = format!("192.0.2.1:{port}");
        let train = train(&address, at(millis));
        if let Effect::Answer(answer) = service.handle(probe.as_bytes(), &train) {
            out.push(departure(service, peer(&address), answer));
        }
        drain(service, at(millis).monotonic, &mut out);
    }
    out
}

fn drain(service: &mut PingService, now: Duration, out: &mut Vec<(u16, u64, bool)>) {
    while service.next_due().is_some_and(|due| due <= now) {
        if let Some((to, answer)) = service.take_due(now) {
            out.push(departure(service, to, answer));
        }
    }
}

fn departure(service: &mut PingService, to: Peer, answer: Outgoing) -> (u16, u64, bool) {
    service.sent(&answer, &Ok(()), 1);
    let Answer::Probe(probe) = answer.reply.at(Duration::ZERO) else {
        panic!()
    };
    (to.address.port(), probe.seq().get(), answer.copy)
}

#[test]
fn an_answer_sent_twice_is_answered_once_and_duplicated_once() {
    let mut service = service(&Config {
        impairments: Impairments {
            duplicate: 1.0,
            ..Impairments::NONE
        },
        ..PLAIN
    });
    assert_eq!(
        departures(&mut service, &[1024, 1025]),
        [
            (1024, 1, false),
            (1024, 1, true),
            (1025, 2, false),
            (1025, 2, true)
        ]
    );
    let tally = service.tally();
    assert_eq!((tally.answered, tally.duplicated), (2, 2));
    assert_balanced(tally);
}

#[test]
fn a_reordered_answer_goes_right_after_the_next_to_the_same_sender() {
    let mut service = service(&Config {
        impairments: Impairments {
            reorder: 1.0,
            duplicate: 1.0,
            ..Impairments::NONE
        },
        ..PLAIN
    });
    // Another sender's answers, and answers that are never impaired, overtake nothing.
    answer(&mut service, b"C 5", "192.0.2.1:1024");
    assert_eq!(departures(&mut service, &[1024, 1025]), []);
    assert_eq!(service.tally().abandoned, 2);
    assert_balanced(Tally {
        answered: 1,
        ..service.tally()
    });
    answer(&mut service, b"C x", "192.0.2.1:1024");
    let out = departures(&mut service, &[1024]);
    assert_eq!(
        out,
        [
            (1024, 1, false),
            (1024, 1, true),
            (1024, 1, false),
            (1024, 1, true)
        ]
    );
    assert_eq!(
        (service.tally().reordered, service.tally().abandoned),
        (1, 1)
    );
}

#[test]
fn what_nothing_overtakes_goes_after_a_second_and_is_not_reordered() {
    let mut service = service(&Config {
        impairments: Impairments {
            reorder: 1.0,
            ..Impairments::NONE
        },
        ..PLAIN
    });
    assert_eq!(departures(&mut service, &[1024]), []);
    assert_eq!(service.next_due(), Some(Duration::from_secs(1)));
    let mut out = Vec::new();
    drain(&mut service, Duration::from_millis(999), &mut out);
    assert_eq!(out, []);
    drain(&mut service, Duration::from_secs(1), &mut out);
    assert_eq!(out, [(1024, 1, false)]);
    assert_eq!(
        (service.tally().answered, service.tally().reordered),
        (1, 0)
    );
    assert_eq!(service.next_due(), None);
    assert_balanced(service.tally());
}

#[test]
fn reordering_swaps_pairs_after_their_delay() {
    let mut service = service(&Config {
        impairments: Impairments {
            reorder: 1.0,
            delay: delay_range("20ms").unwrap(),
            ..Impairments::NONE
        },
        ..PLAIN
    });
    assert_eq!(departures(&mut service, &[1024; 4]), []);
    let mut out = Vec::new();
    drain(&mut service, Duration::from_millis(100), &mut out);
    let order: Vec<_> = out.iter().map(|(_, seq, _)| *seq).collect();
    assert_eq!(order, [2, 1, 4, 3]);
    assert_eq!(
        (service.tally().answered, service.tally().reordered),
        (4, 2)
    );
    assert_balanced(service.tally());
}
