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
    assert_balanced(&tally);
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
    assert_balanced(&Tally {
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
    assert_balanced(&service.tally());
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
    assert_balanced(&service.tally());
}

#[test]
fn a_full_delay_queue_loses_answers_of_the_senders_that_filled_it() {
    let mut service = service(&Config {
        impairments: Impairments {
            delay: delay_range("10s").unwrap(),
            ..Impairments::NONE
        },
        ..PLAIN
    });
    let probe = |seq: u64| format!("{:<64}", format!("P 00c0ffee {seq}"));
    let mut out = Vec::new();
    for millis in 0..2_500 {
        let now = at(millis);
        for host in 1..=3 {
            let train = train(&format!("198.51.100.{host}:2000"), now);
            for _ in 0..20 {
                service.handle(probe(millis + 1).as_bytes(), &train);
            }
        }
        if millis % 100 == 0 {
            let train = train("192.0.2.1:1024", now);
            service.handle(probe(millis + 1).as_bytes(), &train);
        }
    }
    assert_eq!(service.tally().queue_full, 150_025 - (1 << 17));
    assert_balanced(&service.tally());
    drain(&mut service, Duration::from_secs(13), &mut out);
    let honest = out.iter().filter(|(port, ..)| *port == 1024);
    assert_eq!(honest.count(), 25);
    assert_eq!(out.len(), 1 << 17);
    assert_balanced(&service.tally());
}

/// The address of a flooder's nth answer.
type Flooder = fn(u32) -> String;

#[test]
fn senders_of_many_ports_release_their_own_answers_and_none_is_lost() {
    let flooders: [(&str, Flooder); 3] = [
        ("one address", |number| {
            format!("198.51.100.1:{}", 2000 + number)
        }),
        ("a /24", |number| {
            format!("198.51.100.{}:{}", number % 250 + 1, 2000 + number)
        }),
        ("a /48", |number| format!("[2a00:0:0:{number:x}::1]:2000")),
    ];
    for (name, address) in flooders {
        let mut service = service(&Config {
            impairments: Impairments {
                reorder: 1.0,
                ..Impairments::NONE
            },
            ..PLAIN
        });
        let mut out = Vec::new();
        let mut send = |service: &mut PingService, address: &str, seq| {
            let probe = format!("{:<64}", format!("P 00c0ffee {seq}"));
            let train = train(address, at(0));
            if let Effect::Answer(answer) = service.handle(probe.as_bytes(), &train) {
                out.push(departure(service, peer(address), answer));
            }
            drain(service, Duration::ZERO, &mut out);
        };
        // One holds an answer before, the other after they come.
        let honest = ["192.0.2.1:1024", "192.0.2.2:1025"];
        send(&mut service, honest[0], 1);
        for number in 0..20_000 {
            send(&mut service, &address(number), 1);
        }
        send(&mut service, honest[1], 1);
        for number in 20_000..22_000 {
            send(&mut service, &address(number), 1);
        }
        let released = 22_002 - (1 << 14);
        assert_eq!(service.tally().answered, released, "{name}");
        for address in honest {
            send(&mut service, address, 2);
        }
        let last = out.split_off(out.len() - 4);
        let swapped = [(1024, 2), (1024, 1), (1025, 2), (1025, 1)];
        assert_eq!(
            last,
            swapped.map(|(port, seq)| (port, seq, false)),
            "{name}"
        );
        drain(&mut service, Duration::from_secs(1), &mut out);
        let tally = service.tally();
        assert_eq!((tally.answered, tally.reordered), (22_004, 2), "{name}");
        assert_balanced(&tally);
    }
}
