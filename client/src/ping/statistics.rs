//! All figures of a run, from its events.

use std::time::Duration;

use hii_protocol::ping::ProbeAnswer;
use serde::Serialize;

use super::figures::{Distribution, Figures};
use super::ledger::{Answered, Sent, Settled};
use super::loss_runs::{LossRunFigures, LossRuns};
use super::server_clock::{OneWayFigures, ServerClock};
use super::throughput::{Rates, Throughput};
use super::variation::{Variation, VariationFigures};

/// Takes the events of a run, in constant memory.
#[derive(Debug)]
pub struct Statistics {
    /// The wall clock when the run's clock was at zero, in nanoseconds since the epoch.
    epoch: u64,
    rtt: Distribution,
    network: Distribution,
    from_due: Distribution,
    schedule_error: Distribution,
    variation: Variation,
    loss_runs: LossRuns,
    server_clock: ServerClock,
    throughput: Throughput,
    /// Whether probes had slots to be sent in.
    has_slots: bool,
}

/// The figures of a run; times in nanoseconds.
#[derive(Debug, Clone, Serialize)]
pub struct RunFigures {
    /// Round trips as this program saw them, of all answered probes.
    pub rtt_ns: Option<Figures>,
    /// The same less what the server held the probe for: the network's part.
    pub network_rtt_ns: Option<Figures>,
    /// From when each probe was due, rather than sent, to its answer: a stall of the sender is in it.
    pub rtt_from_due_ns: Option<Figures>,
    /// How much later than due probes were sent.
    pub schedule_error_ns: Option<Figures>,
    /// Jitter, delay variation, reordering.
    pub variation: Option<VariationFigures>,
    /// Losses in a row.
    pub loss_runs: LossRunFigures,
    /// Delay each way, with its bound.
    pub one_way_ns: Option<OneWayFigures>,
}

impl Statistics {
    /// Nothing happened yet; the wall clock showed `epoch` when the run's clock was at zero.
    pub fn new(epoch: u64) -> Self {
        Self {
            epoch,
            rtt: Distribution::new(),
            network: Distribution::new(),
            from_due: Distribution::new(),
            schedule_error: Distribution::new(),
            variation: Variation::new(),
            loss_runs: LossRuns::default(),
            server_clock: ServerClock::default(),
            throughput: Throughput::default(),
            has_slots: true,
        }
    }

    /// The same for probes that have no slots.
    #[must_use]
    pub fn without_slots(mut self) -> Self {
        self.has_slots = false;
        self
    }

    /// A probe was sent.
    pub fn sent(&mut self, sent: &Sent) {
        self.throughput.sent(sent);
        if sent.went_out && self.has_slots {
            self.schedule_error.record(sent.at.saturating_sub(sent.due));
        }
    }

    /// A probe was answered.
    pub fn answered(&mut self, answered: &Answered) {
        self.rtt.record(answered.rtt);
        if self.has_slots {
            self.from_due.record(answered.from_due);
        }
        self.variation.take(answered.seq, answered.rtt);
        let Some(held) = answered.report.and_then(ProbeAnswer::held) else {
            return;
        };
        // A server that says it held a probe longer than the round trip took says nothing.
        let Some(network) = answered.rtt.checked_sub(Duration::from_nanos(held)) else {
            return;
        };
        self.network.record(network);
        if let Some(received) = answered.report.and_then(ProbeAnswer::received) {
            let since = u64::try_from(answered.sent.as_nanos()).unwrap_or(u64::MAX);
            let sent = self.epoch.saturating_add(since);
            self.server_clock.take(sent, answered.rtt, received, held);
        }
    }

    /// A probe's verdict is final.
    pub fn settled(&mut self, settled: &Settled) {
        self.loss_runs.take(settled);
    }

    /// Rates, when so many probes of this size were answered.
    pub fn rates(&self, answered: u64, size: usize) -> Option<Rates> {
        self.throughput.rates(answered, size)
    }

    /// The figures so far.
    pub fn figures(&self) -> RunFigures {
        RunFigures {
            rtt_ns: self.rtt.figures(),
            network_rtt_ns: self.network.figures(),
            rtt_from_due_ns: self.from_due.figures(),
            schedule_error_ns: self.schedule_error.figures(),
            variation: self.variation.figures(),
            loss_runs: self.loss_runs.figures(),
            one_way_ns: self.server_clock.figures(),
        }
    }
}
