//! All figures of a run, from its events.

use std::time::Duration;

use serde::Serialize;

use super::figures::{Distribution, Figures, nanos};
use super::ledger::{Answered, Sent, Settled};
use super::loss_runs::{LossRunFigures, LossRuns};
use super::server_clock::{OneWayFigures, ServerClock};
use super::stalls::{StallFigures, Stalls};
use super::throughput::{Rates, Throughput};
use super::variation::{Variation, VariationFigures};

/// Takes the events of a run, in constant memory.
#[derive(Debug)]
pub struct Statistics {
    /// The wall clock when the run's clock was at zero, in nanoseconds since the epoch.
    epoch: u64,
    rtt: Distribution,
    kernel: Distribution,
    network: Network,
    from_due: Distribution,
    schedule_error: Distribution,
    /// None where probes have no slots, or go out several at a time.
    stalls: Option<Stalls>,
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
    /// Round trips between the kernel's notes of sending and receiving.
    pub kernel_rtt_ns: Option<Figures>,
    /// Round trips less what the server held the probe for: the network's part.
    pub network_rtt_ns: Option<Figures>,
    /// Whose round trips those are.
    pub network_rtt_by: Option<By>,
    /// From when each probe was due, rather than sent, to its answer: a stall of the sender is in it.
    pub rtt_from_due_ns: Option<Figures>,
    /// How much later than due probes were sent.
    pub schedule_error_ns: Option<Figures>,
    /// When sending fell behind, and caught up; null where probes may go out several at a time.
    pub stalls: Option<StallFigures>,
    /// Jitter, delay variation, reordering.
    pub variation: Option<VariationFigures>,
    /// Losses in a row.
    pub loss_runs: LossRunFigures,
    /// Delay each way, with its bound.
    pub one_way_ns: Option<OneWayFigures>,
}

/// Who timed a round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The kernel, as it sent the probe and as it received the answer.
    Kernel,
    /// This program.
    Program,
}

/// The network's part of round trips, by either clock.
#[derive(Debug, Default)]
struct Network {
    by_kernel: Distribution,
    by_program: Distribution,
}

impl Network {
    /// The kernel's, where it timed most of them: a few need not be like the rest.
    fn figures(&self) -> (Option<Figures>, Option<By>) {
        let count = |figures: Option<Figures>| figures.map_or(0, |figures| figures.count);
        let (by_kernel, by_program) = (self.by_kernel.figures(), self.by_program.figures());
        let (figures, by) = if count(by_kernel) * 2 > count(by_program) {
            (by_kernel, By::Kernel)
        } else {
            (by_program, By::Program)
        };
        (figures, figures.map(|_| by))
    }
}

impl Statistics {
    /// Nothing happened yet; the wall clock showed `epoch` when the run's clock was at zero.
    pub fn new(epoch: u64) -> Self {
        Self {
            epoch,
            rtt: Distribution::new(),
            kernel: Distribution::new(),
            network: Network::default(),
            from_due: Distribution::new(),
            schedule_error: Distribution::new(),
            stalls: Some(Stalls::default()),
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

    /// The same for probes that go out several at a time.
    #[must_use]
    pub fn of_bursts(mut self) -> Self {
        self.variation = self.variation.of_bursts();
        self.stalls = None;
        self
    }

    /// A probe was sent.
    pub fn sent(&mut self, sent: &Sent) {
        self.throughput.sent(sent);
        if let Some(stalls) = &mut self.stalls {
            stalls.take(sent);
        }
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
    }

    /// A probe's verdict is final, and all that the kernel had to say of it is said.
    pub fn settled(&mut self, settled: &Settled) {
        self.loss_runs.take(settled);
        let Some(rtt) = settled.verdict.rtt() else {
            return;
        };
        let kernel = settled.kernel;
        if let Some(kernel) = kernel {
            self.kernel.record(kernel.rtt);
        }
        let Some(held) = settled
            .reported
            .held
            .filter(|_| !settled.reported.has_waited)
        else {
            // The wait was the server's rate limit, which is not part of the network's time.
            return;
        };
        // A server that says it held a probe longer than the round trip took says nothing.
        let less_held = |rtt: Duration| rtt.checked_sub(Duration::from_nanos(held));
        if let Some(network) = less_held(rtt) {
            self.network.by_program.record(network);
        }
        if let Some(network) = kernel.and_then(|kernel| less_held(kernel.rtt)) {
            self.network.by_kernel.record(network);
        }
        if let Some(received) = settled.reported.received {
            let by_program = (settled.sent, rtt);
            let (sent, rtt) = kernel.map_or(by_program, |kernel| (kernel.sent, kernel.rtt));
            let since = nanos(sent);
            let sent = self.epoch.saturating_add(since);
            self.server_clock.take(sent, rtt, received, held);
        }
    }

    /// Rates, when so many probes of this size were answered.
    pub fn rates(&self, answered: u64, size: usize) -> Option<Rates> {
        self.throughput.rates(answered, size)
    }

    /// The figures so far.
    pub fn figures(&self) -> RunFigures {
        let (network_rtt_ns, network_rtt_by) = self.network.figures();
        RunFigures {
            rtt_ns: self.rtt.figures(),
            kernel_rtt_ns: self.kernel.figures(),
            network_rtt_ns,
            network_rtt_by,
            rtt_from_due_ns: self.from_due.figures(),
            schedule_error_ns: self.schedule_error.figures(),
            stalls: self.stalls.as_ref().map(Stalls::figures),
            variation: self.variation.figures(),
            loss_runs: self.loss_runs.figures(),
            one_way_ns: self.server_clock.figures(),
        }
    }
}
