//! Each count of a ping server, from its event to its outputs.

use std::io;

use hii_transport::datagrams::{Effect, Service as _};

use super::metrics::{Board, Snapshot};
use super::service_tests::{PLAIN, at, from, service, train};
use super::*;
use crate::admission::Refusal;
use crate::streams::{Conversation as _, End, StreamService as _};

/// A count: its path in the JSON document, what the text says of four, and the metric; none is not shown there.
type Row = (
    &'static str,
    fn(&mut Tally) -> &mut u64,
    Option<&'static str>,
    Option<&'static str>,
);

const ROWS: [Row; 25] = [
    (
        "/received",
        |t| &mut t.received,
        Some("4 received: "),
        Some("received_total"),
    ),
    (
        "/answered",
        |t| &mut t.answered,
        Some(" 4 answered"),
        Some("answered_total"),
    ),
    (
        "/dropped",
        |t| &mut t.dropped,
        Some("4 dropped on purpose"),
        Some("dropped"),
    ),
    (
        "/ignored",
        |t| &mut t.ignored,
        Some("4 ignored"),
        Some("ignored"),
    ),
    (
        "/over_rate",
        |t| &mut t.over_rate,
        Some("4 over rate"),
        Some("over_rate"),
    ),
    (
        "/over_classic_rate",
        |t| &mut t.over_classic_rate,
        Some("4 over the rate of original clients"),
        Some("over_classic_rate"),
    ),
    (
        "/over_message_rate",
        |t| &mut t.over_message_rate,
        Some("4 over the rate of other messages"),
        Some("over_message_rate"),
    ),
    (
        "/over_octets",
        |t| &mut t.over_octets,
        Some("4 over the octets for answers"),
        Some("over_octets"),
    ),
    (
        "/too_short",
        |t| &mut t.too_short,
        Some("4 not answered, being shorter than their answer"),
        Some("too_short"),
    ),
    (
        "/queue_full",
        |t| &mut t.queue_full,
        Some("4 over the delay queue's cap"),
        Some("queue_full"),
    ),
    (
        "/send_failed",
        |t| &mut t.send_failed,
        Some("4 not sent (network)"),
        Some("send_failed"),
    ),
    (
        "/abandoned",
        |t| &mut t.abandoned,
        Some("4 still waiting at the end"),
        Some("abandoned"),
    ),
    (
        "/notices",
        |t| &mut t.notices,
        Some("4 notices of a limit"),
        Some("notices_total"),
    ),
    (
        "/duplicated",
        |t| &mut t.duplicated,
        Some("4 answered twice on purpose"),
        Some("duplicated_total"),
    ),
    (
        "/reordered",
        |t| &mut t.reordered,
        Some("4 overtaken on purpose"),
        Some("reordered_total"),
    ),
    (
        "/tcp/connections",
        |t| &mut t.tcp.connections,
        Some("on 4 connections"),
        Some("connections_total"),
    ),
    (
        "/tcp/classic_connections",
        |t| &mut t.tcp.classic_connections,
        Some("4 connections without frames"),
        None,
    ),
    (
        "/tcp/refused",
        |t| &mut t.tcp.refused,
        Some("4 connections over the limit"),
        Some("limit"),
    ),
    (
        "/tcp/over_source",
        |t| &mut t.tcp.over_source,
        Some("4 connections over the limit of one source"),
        Some("source_limit"),
    ),
    (
        "/tcp/displaced",
        |t| &mut t.tcp.displaced,
        Some("4 connections displaced by others"),
        Some("displaced"),
    ),
    (
        "/tcp/idle",
        |t| &mut t.tcp.idle,
        Some("4 connections idle too long"),
        Some("idle"),
    ),
    (
        "/tcp/unread",
        |t| &mut t.tcp.unread,
        Some("4 connections that took no answers"),
        Some("unread"),
    ),
    (
        "/tcp/held",
        |t| &mut t.tcp.held,
        Some("4 times not read, being over a limit"),
        None,
    ),
    (
        "/tcp/messages",
        |t| &mut t.tcp.messages,
        Some("over TCP 4 of them on"),
        None,
    ),
    (
        "/tcp/classic_messages",
        |t| &mut t.tcp.classic_messages,
        None,
        None,
    ),
];

/// The series of a server of which two threads did this.
fn series(tally: &Tally) -> Vec<String> {
    let board = Board::default();
    for _ in 0..2 {
        board.seat("udp").publish(Snapshot {
            tally: *tally,
            ..Snapshot::default()
        });
    }
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &board.registry()).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// All counts of a JSON document that are not zero, by their paths.
fn counts(value: &serde_json::Value, path: &str, found: &mut Vec<(String, u64)>) {
    if let serde_json::Value::Object(fields) = value {
        for (name, value) in fields {
            counts(value, &format!("{path}/{name}"), found);
        }
        return;
    }
    let count = value.as_u64().expect("a count");
    if count > 0 {
        found.push((path.to_owned(), count));
    }
}

#[test]
fn each_count_of_two_threads_is_summed_and_shown_everywhere() {
    for (path, of, text, metric) in ROWS {
        let mut one = Tally::default();
        *of(&mut one) = 2;
        let mut sum = one;
        sum += one;
        let mut found = Vec::new();
        counts(&serde_json::to_value(sum).unwrap(), "", &mut found);
        assert_eq!(found, [(path.to_owned(), 4)]);
        if let Some(text) = text {
            // The counts of TCP are printed if there was a connection.
            let mut told = sum;
            told.tcp.connections = told.tcp.connections.max(1);
            assert!(told.to_string().contains(text), "{path}: {told}");
        }
        if let Some(metric) = metric {
            let shown = series(&one);
            let of_reason = format!("reason=\"{metric}\"}} 4");
            let of_name = format!("hii_ping_{metric}");
            let lines = shown.iter().filter(|line| {
                line.ends_with(&of_reason) || line.starts_with(&of_name) && line.ends_with(" 4")
            });
            assert_eq!(lines.count(), 1, "{path}: {shown:#?}");
        }
    }
    // No count is forgotten above. Refused sources have tests of their own.
    let mut all = Tally::default();
    for (_, of, ..) in ROWS {
        *of(&mut all) = 1;
    }
    let mut found = Vec::new();
    counts(&serde_json::to_value(all).unwrap(), "", &mut found);
    assert_eq!(found.len(), ROWS.len());
    let zeros = serde_json::to_string(&all).unwrap().matches(":0").count();
    assert_eq!(zeros, 2 * 4);
}

/// What a thread does, and the count of it.
type Event = (fn(&mut PingService), fn(&mut Tally) -> &mut u64);

const SENDER: &str = "192.0.2.7:7000";

fn sends(service: &mut PingService, datagram: &[u8], result: &io::Result<()>) {
    if let Effect::Answer(answer) = service.handle(datagram, &train(SENDER, at(0))) {
        service.sent(&answer, result, 1);
    }
}

const EVENTS: [Event; 10] = [
    (|s| sends(s, b"Hello Server", &Ok(())), |t| &mut t.received),
    (|s| sends(s, b"Hello Server", &Ok(())), |t| &mut t.answered),
    (
        |s| sends(s, b"Packet Acknowledged", &Ok(())),
        |t| &mut t.ignored,
    ),
    (
        |s| sends(s, b"Hello Server", &Err(io::ErrorKind::WouldBlock.into())),
        |t| &mut t.send_failed,
    ),
    (|s| s.refused(Refusal::All), |t| &mut t.tcp.refused),
    (|s| s.refused(Refusal::Source), |t| &mut t.tcp.over_source),
    (
        |s| {
            let connection = s.connect(from(SENDER), Duration::MAX, Duration::ZERO);
            connection.close(Some(End::Displaced), s);
        },
        |t| &mut t.tcp.displaced,
    ),
    (
        |s| {
            s.handle_classic(&from(SENDER), at(0));
            s.answered_on_stream(1);
        },
        |t| &mut t.answered,
    ),
    (
        |s| {
            s.handle_classic(&from(SENDER), at(0));
            s.abandoned_on_stream(1);
        },
        |t| &mut t.abandoned,
    ),
    (
        |s| {
            s.handle_classic(&from(SENDER), at(0));
        },
        |t| &mut t.tcp.classic_messages,
    ),
];

#[test]
fn what_happens_twice_on_two_threads_is_counted_four_times() {
    for (row, (does, of)) in EVENTS.into_iter().enumerate() {
        let mut sum = Tally::default();
        for _ in 0..2 {
            let mut service = service(&PLAIN);
            does(&mut service);
            does(&mut service);
            sum += service.tally();
        }
        let count = *of(&mut sum);
        assert_eq!(count, 4, "row {row}: {sum:?}");
    }
}
