//! A ping server's tally and tables as metrics. Their labels are fixed: nothing that a stranger sends makes a new series.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hii_transport::traffic::Traffic;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::tally::Tally;
use crate::traffic;

/// How a part of the server stands: what it did, and what it remembers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// What it did.
    pub tally: Tally,
    /// Answers that wait for their time, or for room; the tally counts them as abandoned.
    pub waiting: u64,
    /// Runs that it remembers.
    pub runs: u64,
    /// What its UDP sockets moved.
    pub traffic: Traffic,
}

/// Where the parts of a server leave how they stand, for whoever asks.
#[derive(Debug, Clone, Default)]
pub struct Board {
    seats: Arc<Mutex<Vec<Seat>>>,
}

/// One part's place on the board.
#[derive(Debug, Clone)]
pub struct Seat {
    transport: &'static str,
    snapshot: Arc<Mutex<Snapshot>>,
}

impl Board {
    /// A place for a part that serves this transport. Parts with the same one are summed.
    #[must_use]
    pub fn seat(&self, transport: &'static str) -> Seat {
        let seat = Seat {
            transport,
            snapshot: Arc::default(),
        };
        lock(&self.seats).push(seat.clone());
        seat
    }

    /// The board as a registry of metrics.
    #[must_use]
    pub fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("hii_ping");
        registry.register_collector(Box::new(self.clone()));
        registry
    }

    fn by_transport(&self) -> BTreeMap<&'static str, Snapshot> {
        let mut sums = BTreeMap::<_, Snapshot>::new();
        for seat in lock(&self.seats).iter() {
            *sums.entry(seat.transport).or_default() += *lock(&seat.snapshot);
        }
        sums
    }
}

impl Seat {
    /// Leaves how the part stands now.
    pub fn publish(&self, snapshot: Snapshot) {
        *lock(&self.snapshot) = snapshot;
    }
}

/// Nothing is done under these locks that could leave their content half written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AddAssign for Snapshot {
    fn add_assign(&mut self, other: Self) {
        self.tally += other.tally;
        self.waiting += other.waiting;
        self.runs += other.runs;
        self.traffic += other.traffic;
    }
}

type Figure = fn(&Snapshot) -> u64;

const COUNTERS: [(&str, &str, Figure); 5] = [
    ("received", "Messages received", |now| now.tally.received),
    ("answered", "Messages answered, refusals included", |now| {
        now.tally.answered
    }),
    ("notices", "Notices that a run is over a limit", |now| {
        now.tally.notices
    }),
    ("duplicated", "Answers sent twice on purpose", |now| {
        now.tally.duplicated
    }),
    ("reordered", "Answers overtaken on purpose", |now| {
        now.tally.reordered
    }),
];

const UNANSWERED: [(&str, Figure); 10] = [
    ("dropped", |now| now.tally.dropped),
    ("ignored", |now| now.tally.ignored),
    ("over_rate", |now| now.tally.over_rate),
    ("over_classic_rate", |now| now.tally.over_classic_rate),
    ("over_message_rate", |now| now.tally.over_message_rate),
    ("over_octets", |now| now.tally.over_octets),
    ("too_short", |now| now.tally.too_short),
    ("queue_full", |now| now.tally.queue_full),
    ("send_failed", |now| now.tally.send_failed),
    // Those whose connection ended.
    ("abandoned", |now| {
        now.tally.abandoned.saturating_sub(now.waiting)
    }),
];

const CLOSED: [(&str, Figure); 5] = [
    ("limit", |now| now.tally.tcp.refused),
    ("source_limit", |now| now.tally.tcp.over_source),
    ("displaced", |now| now.tally.tcp.displaced),
    ("idle", |now| now.tally.tcp.idle),
    ("unread", |now| now.tally.tcp.unread),
];

const GAUGES: [(&str, &str, Figure); 2] = [
    ("waiting", "Answers that wait for their time", |now| {
        now.waiting
    }),
    ("runs", "Runs of probes remembered", |now| now.runs),
];

impl Collector for Board {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let sums = self.by_transport();
        let count = |encoder: MetricEncoder<'_>, value| ConstCounter::new(value).encode(encoder);
        for (name, help, figure) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (transport, now) in &sums {
                let labels = [("transport", *transport)];
                count(family.encode_family(&labels)?, figure(now))?;
            }
        }
        let help = "Messages not answered, by reason";
        let mut family =
            encoder.encode_descriptor("unanswered", help, None, MetricType::Counter)?;
        for (transport, now) in &sums {
            for (reason, figure) in UNANSWERED {
                let labels = [("transport", *transport), ("reason", reason)];
                count(family.encode_family(&labels)?, figure(now))?;
            }
        }
        let mut all = Snapshot::default();
        for now in sums.values() {
            all += *now;
        }
        all.tally.all_refused_sources().encode(&mut encoder)?;
        traffic::encode(&mut encoder, &all.traffic)?;
        let help = "TCP connections served";
        let served = encoder.encode_descriptor("connections", help, None, MetricType::Counter)?;
        count(served, all.tally.tcp.connections)?;
        let help = "TCP connections closed by the server, at once or later, by reason";
        let mut family =
            encoder.encode_descriptor("connections_closed", help, None, MetricType::Counter)?;
        for (reason, figure) in CLOSED {
            count(family.encode_family(&[("reason", reason)])?, figure(&all))?;
        }
        for (name, help, figure) in GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (transport, now) in &sums {
                let labels = [("transport", *transport)];
                ConstGauge::new(figure(now)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::Connections;
    use crate::policy::source_validation::RefusedSources;

    #[test]
    fn parts_with_one_transport_are_summed_and_all_of_the_tally_is_there() {
        let board = Board::default();
        let tally = Tally {
            received: 1,
            answered: 2,
            dropped: 3,
            ignored: 4,
            refused_sources: RefusedSources {
                disguised: 17,
                ..RefusedSources::default()
            },
            over_rate: 5,
            over_classic_rate: 18,
            over_message_rate: 19,
            over_octets: 20,
            too_short: 21,
            notices: 22,
            queue_full: 6,
            send_failed: 7,
            abandoned: 8,
            duplicated: 9,
            reordered: 10,
            tcp: Connections {
                connections: 12,
                refused: 13,
                over_source: 14,
                displaced: 23,
                idle: 15,
                unread: 16,
                ..Connections::default()
            },
        };
        for _ in 0..2 {
            board.seat("udp").publish(Snapshot {
                tally,
                waiting: 6,
                runs: 11,
                traffic: Traffic {
                    batched: 17,
                    taken_apart: 18,
                    batch_pauses: 19,
                    ..Traffic::default()
                },
            });
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &board.registry()).unwrap();
        let moved = ["hii_ping_datagrams_total", "hii_ping_batch_size"];
        let shown = |line: &&str| {
            !moved
                .iter()
                .chain(&["#"])
                .any(|name| line.starts_with(name))
        };
        let series: Vec<_> = text.lines().filter(shown).collect();
        assert_eq!(
            series,
            [
                r#"hii_ping_received_total{transport="udp"} 2"#,
                r#"hii_ping_answered_total{transport="udp"} 4"#,
                r#"hii_ping_notices_total{transport="udp"} 44"#,
                r#"hii_ping_duplicated_total{transport="udp"} 18"#,
                r#"hii_ping_reordered_total{transport="udp"} 20"#,
                r#"hii_ping_unanswered_total{transport="udp",reason="dropped"} 6"#,
                r#"hii_ping_unanswered_total{transport="udp",reason="ignored"} 8"#,
                r#"hii_ping_unanswered_total{transport="udp",reason="over_rate"} 10"#,
                r#"hii_ping_unanswered_total{transport="udp",reason="over_classic_rate"} 36"#,
                r#"hii_ping_unanswered_total{transport="udp",reason="over_message_rate"} 38"#,
                r#"hii_ping_unanswered_total{transport="udp",reason="over_octets"} 40"#,
                r#"hii_ping_unanswered_total{transport="udp",reason="too_short"} 42"#,
                r#"hii_ping_unanswered_total{transport="udp",reason="queue_full"} 12"#,
                r#"hii_ping_unanswered_total{transport="udp",reason="send_failed"} 14"#,
                r#"hii_ping_unanswered_total{transport="udp",reason="abandoned"} 4"#,
                r#"hii_ping_refused_sources_total{reason="disguised"} 34"#,
                r#"hii_ping_refused_sources_total{reason="no_host"} 0"#,
                r#"hii_ping_refused_sources_total{reason="forged_loopback"} 0"#,
                r#"hii_ping_refused_sources_total{reason="to_many"} 0"#,
                "hii_ping_gso_datagrams_total 34",
                "hii_ping_gso_fallbacks_total 36",
                "hii_ping_gso_pauses_total 38",
                "hii_ping_connections_total 24",
                r#"hii_ping_connections_closed_total{reason="limit"} 26"#,
                r#"hii_ping_connections_closed_total{reason="source_limit"} 28"#,
                r#"hii_ping_connections_closed_total{reason="displaced"} 46"#,
                r#"hii_ping_connections_closed_total{reason="idle"} 30"#,
                r#"hii_ping_connections_closed_total{reason="unread"} 32"#,
                r#"hii_ping_waiting{transport="udp"} 12"#,
                r#"hii_ping_runs{transport="udp"} 22"#,
            ]
        );
        assert!(text.ends_with("# EOF\n"));
    }
}
