//! What a relay did and holds, as metrics. Their labels are fixed: nothing that a stranger sends makes a new series.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hii_transport::traffic::Traffic;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::rules::Shared;
use super::tally::Tally;
use crate::traffic;

/// Where the threads of a relay leave how they stand, for whoever asks.
#[derive(Clone)]
pub struct Board {
    shared: Arc<Shared>,
    seats: Arc<Mutex<Vec<Seat>>>,
}

/// One thread's place on the board.
#[derive(Debug, Clone, Default)]
pub struct Seat(Arc<Mutex<Snapshot>>);

#[derive(Debug, Clone, Copy, Default)]
struct Snapshot {
    tally: Tally,
    traffic: Traffic,
}

impl Board {
    /// For a relay that shares this.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            seats: Arc::default(),
        }
    }

    /// A place for a thread.
    #[must_use]
    pub fn seat(&self) -> Seat {
        let seat = Seat::default();
        lock(&self.seats).push(seat.clone());
        seat
    }

    /// The board as a registry of metrics.
    #[must_use]
    pub fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("hii_relay");
        registry.register_collector(Box::new(self.clone()));
        registry
    }

    fn sum(&self) -> Snapshot {
        let mut sum = Snapshot::default();
        for seat in lock(&self.seats).iter() {
            let Snapshot { tally, traffic } = *lock(&seat.0);
            sum.tally += tally;
            sum.traffic += traffic;
        }
        sum
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").finish_non_exhaustive()
    }
}

impl Seat {
    /// Leaves how the thread stands now.
    pub fn publish(&self, tally: Tally, traffic: Traffic) {
        *lock(&self.0) = Snapshot { tally, traffic };
    }
}

/// Nothing is done under these locks that could leave their content half written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Figure = fn(&Tally) -> u64;

const COUNTERS: [(&str, &str, Figure); 8] = [
    ("received", "Frames received, over UDP and TCP", |now| {
        now.received
    }),
    ("forwarded", "Messages passed on", |now| now.forwarded),
    (
        "addresses",
        "Greetings answered with the sender's address",
        |now| now.addresses,
    ),
    ("tokens", "Token requests answered", |now| now.tokens),
    ("registered", "Greetings that made a peer", |now| {
        now.registered
    }),
    ("displaced", "Peers that made room for another one", |now| {
        now.displaced
    }),
    ("connections", "TCP connections served", |now| {
        now.tcp.connections
    }),
    ("connection_frames", "Frames received over TCP", |now| {
        now.tcp.frames
    }),
];

/// Of what was not answered, not delivered, or not done.
const DROPPED: [(&str, Figure); 12] = [
    ("ignored", |now| now.ignored),
    ("too_short", |now| now.too_short),
    ("denied", |now| now.denied),
    ("over_rate", |now| now.over_rate),
    ("over_error_rate", |now| now.over_error_rate),
    ("send_failed", |now| now.send_failed),
    ("over_receiver", |now| now.over_receiver),
    ("queue_full", |now| now.queue_full),
    ("answer_failed", |now| now.answer_failed),
    ("abandoned", |now| now.abandoned),
    ("no_room", |now| now.no_room),
    ("taken", |now| now.taken),
];

const CLOSED: [(&str, Figure); 6] = [
    ("limit", |now| now.tcp.refused),
    ("source_limit", |now| now.tcp.over_source),
    ("displaced", |now| now.tcp.displaced),
    ("denied", |now| now.tcp.denied),
    ("idle", |now| now.tcp.idle),
    ("unread", |now| now.tcp.unread),
];

impl Collector for Board {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Snapshot { tally, traffic } = self.sum();
        let count = |encoder: MetricEncoder<'_>, value| ConstCounter::new(value).encode(encoder);
        for (name, help, figure) in COUNTERS {
            let counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            count(counter, figure(&tally))?;
        }
        let help = "Requests refused, by code";
        let mut family = encoder.encode_descriptor("refused", help, None, MetricType::Counter)?;
        for (code, refused) in tally.refused.by_code() {
            let code = code.number().to_string();
            count(family.encode_family(&[("code", code.as_str())])?, refused)?;
        }
        let help = "What was not answered, not delivered or not registered, by reason";
        let mut family = encoder.encode_descriptor("dropped", help, None, MetricType::Counter)?;
        for (reason, figure) in DROPPED {
            count(family.encode_family(&[("reason", reason)])?, figure(&tally))?;
        }
        tally.all_refused_sources().encode(&mut encoder)?;
        let help = "TCP connections closed by the relay, at once or later, by reason";
        let mut family =
            encoder.encode_descriptor("connections_closed", help, None, MetricType::Counter)?;
        for (reason, figure) in CLOSED {
            count(family.encode_family(&[("reason", reason)])?, figure(&tally))?;
        }
        traffic::encode(&mut encoder, &traffic)?;
        let open = tally.tcp.connections.saturating_sub(tally.tcp.ended);
        let peers = self.shared.peers();
        for (name, help, value) in [
            ("peers", "Peers, over UDP and TCP", peers as u64),
            ("connections_open", "TCP connections that are open", open),
        ] {
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(gauge)?;
        }
        Ok(())
    }
}
