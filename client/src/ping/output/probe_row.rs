//! What is told of one probe, in JSON and in CSV alike.

use serde::Serialize;

use crate::ping::figures::nanos;
use crate::ping::ledger::Settled;
use crate::ping::refusal::Refusal;

/// A probe and what became of it; times in nanoseconds, by the run's clock unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct ProbeRow<T> {
    /// Which target it was sent to, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<T>,
    seq: u64,
    due_ns: u64,
    sent_ns: u64,
    verdict: &'static str,
    rtt_ns: Option<u64>,
    /// The same between the kernel's notes.
    kernel_rtt_ns: Option<u64>,
    /// How long the server held it.
    held_ns: Option<u64>,
    /// The server's wall clock at its receipt, since the Unix epoch.
    received_ns: Option<u64>,
    /// Why it was sent back.
    refused_by: Option<&'static str>,
}

/// The names of the fields, in their order.
pub(super) const FIELDS: [&str; 10] = [
    "target",
    "seq",
    "due_ns",
    "sent_ns",
    "verdict",
    "rtt_ns",
    "kernel_rtt_ns",
    "held_ns",
    "received_ns",
    "refused_by",
];

impl<T> ProbeRow<T> {
    pub(super) fn new(target: Option<T>, settled: &Settled) -> Self {
        Self {
            target,
            seq: settled.seq,
            due_ns: nanos(settled.due),
            sent_ns: nanos(settled.sent),
            verdict: settled.verdict.name(),
            rtt_ns: settled.verdict.rtt().map(nanos),
            kernel_rtt_ns: settled.kernel.map(|kernel| nanos(kernel.rtt)),
            held_ns: settled.reported.held,
            received_ns: settled.reported.received,
            refused_by: settled.verdict.refusal().map(Refusal::name),
        }
    }
}
