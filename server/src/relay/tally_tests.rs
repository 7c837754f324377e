//! Each count of a relay, from its event to its outputs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hii_protocol::relay::{Answer, Request};
use hii_transport::clock::Now;
use hii_transport::datagrams::Service as _;
use hii_transport::packet_info::{Bound, PacketInfo};
use hii_transport::traffic::Traffic;

use super::access::{Access, network};
use super::connection::Connection;
use super::mailbox::Mailboxes;
use super::metrics::Board;
use super::rules::{Config, Rules, Shared, Source};
use super::rules_tests::{config, prove, source};
use super::service::{Outgoing, RelayService};
use super::tally::Tally;
use super::tokens::keys;
use crate::admission::Refusal;
use crate::args::rate;
use crate::policy::local_addrs::LocalAddrs;
use crate::policy::origin::origin;
use crate::streams::{Conversation as _, End, StreamService as _};
use crate::threads::Tallied as _;

/// A count: its path in the JSON document, what the text says of four, and the metric; none is not shown there.
type Row = (
    &'static str,
    fn(&mut Tally) -> &mut u64,
    Option<&'static str>,
    Option<&'static str>,
);

const ROWS: [Row; 30] = [
    (
        "/received",
        |t| &mut t.received,
        Some("4 received: "),
        Some("received_total"),
    ),
    (
        "/addresses",
        |t| &mut t.addresses,
        Some("4 greetings"),
        Some("addresses_total"),
    ),
    (
        "/tokens",
        |t| &mut t.tokens,
        Some("4 tokens"),
        Some("tokens_total"),
    ),
    (
        "/forwarded",
        |t| &mut t.forwarded,
        Some("4 passed on"),
        Some("forwarded_total"),
    ),
    (
        "/ignored",
        |t| &mut t.ignored,
        Some("4 ignored"),
        Some("ignored"),
    ),
    (
        "/too_short",
        |t| &mut t.too_short,
        Some("4 too short for their answer"),
        Some("too_short"),
    ),
    (
        "/denied",
        |t| &mut t.denied,
        Some("4 from denied networks"),
        Some("denied"),
    ),
    (
        "/over_rate",
        |t| &mut t.over_rate,
        Some("4 over a sender's rate"),
        Some("over_rate"),
    ),
    (
        "/over_error_rate",
        |t| &mut t.over_error_rate,
        Some("4 over the rate for strangers and errors"),
        Some("over_error_rate"),
    ),
    ("/exits", |t| &mut t.exits, None, None),
    (
        "/send_failed",
        |t| &mut t.send_failed,
        Some("4 that the network refused"),
        Some("send_failed"),
    ),
    (
        "/over_receiver",
        |t| &mut t.over_receiver,
        Some("4 over a receiver's rate"),
        Some("over_receiver"),
    ),
    (
        "/queue_full",
        |t| &mut t.queue_full,
        Some("4 that a connection had no room for"),
        Some("queue_full"),
    ),
    (
        "/answer_failed",
        |t| &mut t.answer_failed,
        Some("4 answers not sent (network)"),
        Some("answer_failed"),
    ),
    (
        "/abandoned",
        |t| &mut t.abandoned,
        Some("4 left over when a connection ended"),
        Some("abandoned"),
    ),
    (
        "/registered",
        |t| &mut t.registered,
        Some("; 4 peers registered"),
        Some("registered_total"),
    ),
    (
        "/displaced",
        |t| &mut t.displaced,
        Some("4 peers displaced by others"),
        Some("displaced_total"),
    ),
    (
        "/no_room",
        |t| &mut t.no_room,
        Some("4 greetings without room for a peer"),
        Some("no_room"),
    ),
    (
        "/taken",
        |t| &mut t.taken,
        Some("4 greetings for an address that was taken"),
        Some("taken"),
    ),
    (
        "/tcp/connections",
        |t| &mut t.tcp.connections,
        Some("on 4 connections"),
        Some("connections_total"),
    ),
    ("/tcp/ended", |t| &mut t.tcp.ended, None, None),
    (
        "/tcp/frames",
        |t| &mut t.tcp.frames,
        Some("over TCP 4 of them on"),
        Some("connection_frames_total"),
    ),
    (
        "/tcp/held",
        |t| &mut t.tcp.held,
        Some("4 times not read, being over a rate"),
        None,
    ),
    (
        "/tcp/forwarded",
        |t| &mut t.tcp.forwarded,
        Some("4 messages to these"),
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
        "/tcp/denied",
        |t| &mut t.tcp.denied,
        Some("4 connections denied"),
        Some("denied"),
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
        Some("4 connections that took nothing"),
        Some("unread"),
    ),
];

fn shared(config: &Config) -> Arc<Shared> {
    let local = LocalAddrs::fixed(&["[::]:8081".parse().unwrap()], Vec::new());
    Arc::new(Shared::new(config, local, Box::new(keys([1; 16]))))
}

/// The series of a relay whose two threads did this, but for the histograms.
fn series(tallies: [&Tally; 2]) -> Vec<String> {
    let board = Board::new(shared(&config(Access::default())));
    for tally in tallies {
        board.seat().publish(*tally, Traffic::default());
    }
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &board.registry()).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// All counts of a JSON document that are not zero, by their paths.
fn counts(value: &serde_json::Value, path: &str, found: &mut Vec<(String, u64)>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                counts(value, &format!("{path}/{name}"), found);
            }
        }
        other => {
            let count = other.as_u64().expect("a count");
            if count > 0 {
                found.push((path.to_owned(), count));
            }
        }
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
            let shown = series([&one, &one]);
            let of_reason = format!("reason=\"{metric}\"}} 4");
            let of_name = format!("hii_relay_{metric} 4");
            let lines = shown
                .iter()
                .filter(|line| line.ends_with(&of_reason) || **line == of_name);
            assert_eq!(lines.count(), 1, "{path}: {shown:#?}");
        }
    }
    // No count is forgotten above. Refusals, of requests and of sources, have tests of their own.
    let mut all = Tally::default();
    for (_, of, ..) in ROWS {
        *of(&mut all) = 1;
    }
    let mut found = Vec::new();
    counts(&serde_json::to_value(all).unwrap(), "", &mut found);
    assert_eq!(found.len(), ROWS.len());
    let zeros = serde_json::to_string(&all).unwrap().matches(":0").count();
    assert_eq!(zeros, 6 + 2 * 4);
}

#[test]
fn refusals_are_counted_by_code() {
    let mut one = Tally::default();
    for code in hii_protocol::Code::ALL {
        one.refused.add(code);
        one.refused.add(code);
    }
    let mut sum = one;
    sum += one;
    assert_eq!(sum.refused.total(), 24);
    let json = serde_json::to_value(sum).unwrap();
    let shown = series([&one, &one]);
    for code in hii_protocol::Code::ALL {
        let code = code.number();
        assert_eq!(json["refused"][code.to_string()], 4);
        assert!(sum.to_string().contains(&format!("4 with {code}")), "{sum}");
        assert!(shown.contains(&format!("hii_relay_refused_total{{code=\"{code}\"}} 4")));
    }
}

const START: Duration = Duration::from_secs(1);
const NOW: Now = Now {
    monotonic: START,
    wall: 0,
};

/// One thread of a relay.
struct Thread {
    service: RelayService,
}

impl Thread {
    fn say(&mut self, frame: &[u8], from: &str) {
        let source: SocketAddr = from.parse().unwrap();
        let info = PacketInfo {
            source,
            destination: Some("198.51.100.1".parse().unwrap()),
            interface: Some(2),
            bound: Bound::to("198.51.100.1".parse().unwrap()),
            socket: 0,
        };
        let train = self.service.train(&info, NOW);
        self.service.handle(frame, &train);
        self.service.round_done(&Traffic::default());
    }

    fn connect(&mut self, from: &str, frames: &[&[u8]]) -> Connection {
        let from = origin(from.parse().unwrap());
        let mut connection = self.service.connect(from, Duration::from_secs(300), START);
        for frame in frames {
            let len = u32::try_from(frame.len()).unwrap();
            let octets = [&len.to_be_bytes(), *frame].concat();
            connection.receive(&octets, &mut self.service, NOW);
        }
        connection
    }
}

/// Two threads of one relay, each of which does this twice.
fn twice_on_two_threads(does: impl Fn(&mut Thread, usize)) -> Tally {
    let config = Config {
        rate: rate("10/s").unwrap(),
        peers: 100,
        ..config(Access {
            deny: vec![network("203.0.113.0/24").unwrap()],
            ..Access::default()
        })
    };
    let shared = shared(&config);
    let mailboxes = Mailboxes::default();
    let mut sum = Tally::default();
    for thread in 0..2 {
        let mut rules = Rules::new(Arc::clone(&shared));
        if thread == 0 {
            prove(&mut rules, "192.0.2.100:9000", 0);
        }
        *rules.tally_mut() = Tally::default();
        let service = RelayService::new(rules, mailboxes.clone());
        let mut one = Thread { service };
        for time in 0..2 {
            does(&mut one, 2 * thread + time);
        }
        sum += one.service.tally();
    }
    sum
}

/// What a thread does, and the count of it.
type Event = (fn(&mut Thread, usize), fn(&mut Tally) -> &mut u64);

const EVENTS: [Event; 19] = [
    (
        |t, n| t.say(b"hii", &format!("192.0.2.{n}:7000")),
        |t| &mut t.addresses,
    ),
    (
        |t, n| {
            t.say(
                &Request::TokenRequest.to_vec(),
                &format!("192.0.2.{n}:7000"),
            );
        },
        |t| &mut t.tokens,
    ),
    (|t, _| t.say(b"400", "192.0.2.1:7000"), |t| &mut t.ignored),
    (|t, _| t.say(b"x", "192.0.2.1:7000"), |t| &mut t.too_short),
    (
        |t, _| t.say(b"nonsense", "203.0.113.1:7000"),
        |t| &mut t.denied,
    ),
    (
        |t, n| {
            t.connect(&format!("192.0.2.{n}:7000"), &[&b"hii"[..]; 12]);
        },
        |t| &mut t.tcp.held,
    ),
    (
        |t, n| {
            let connection = Source {
                is_connected: true,
                ..source(&format!("192.0.2.{n}:7000"))
            };
            for _ in 0..11 {
                t.service.handle_frame(b"hii", connection, START);
            }
        },
        |t| &mut t.over_rate,
    ),
    (
        |t, n| {
            for _ in 0..11 {
                t.say(b"nonsense", &format!("192.0.2.{n}:7000"));
            }
        },
        |t| &mut t.over_error_rate,
    ),
    (
        |t, _| {
            let forward = Outgoing::Reply(Answer::Sent);
            t.service
                .sent(&forward, &Err(io::ErrorKind::WouldBlock.into()), 1);
        },
        |t| &mut t.answer_failed,
    ),
    (
        |t, n| {
            t.connect(&format!("192.0.2.{n}:7000"), &[b"hii"]);
        },
        |t| &mut t.registered,
    ),
    (
        |t, _| {
            t.connect("192.0.2.100:9000", &[b"hii"]);
        },
        |t| &mut t.taken,
    ),
    (
        |t, n| {
            // Without a socket nothing goes out.
            t.connect(
                &format!("192.0.2.{n}:7000"),
                &[b"hii", b"to:192.0.2.100/9000;content:x"],
            );
        },
        |t| &mut t.send_failed,
    ),
    (
        |t, _| t.service.refused(Refusal::All),
        |t| &mut t.tcp.refused,
    ),
    (
        |t, _| t.service.refused(Refusal::Source),
        |t| &mut t.tcp.over_source,
    ),
    (
        |t, _| {
            t.connect("192.0.2.1:7000", &[])
                .close(Some(End::Idle), &mut t.service);
        },
        |t| &mut t.tcp.idle,
    ),
    (
        |t, _| {
            t.connect("192.0.2.1:7000", &[])
                .close(Some(End::Unread), &mut t.service);
        },
        |t| &mut t.tcp.unread,
    ),
    (
        |t, _| {
            t.connect("192.0.2.1:7000", &[])
                .close(Some(End::Displaced), &mut t.service);
        },
        |t| &mut t.tcp.displaced,
    ),
    (
        |t, _| t.connect("192.0.2.1:7000", &[]).close(None, &mut t.service),
        |t| &mut t.tcp.ended,
    ),
    (
        |t, n| {
            let own = format!("192.0.2.{n}:7000");
            let send = format!("to:{};content:x", own.replace(':', "/"));
            t.connect(&own, &[b"hii", send.as_bytes()])
                .close(None, &mut t.service);
        },
        |t| &mut t.abandoned,
    ),
];
#[test]
fn what_happens_twice_on_two_threads_is_counted_four_times() {
    for (row, (does, of)) in EVENTS.into_iter().enumerate() {
        let mut tally = twice_on_two_threads(does);
        let count = *of(&mut tally);
        assert_eq!(count, 4, "row {row}: {tally:?}");
    }
}
