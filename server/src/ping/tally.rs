//! What a ping server did, so that a client's figures can be checked against it.

use std::fmt;
use std::ops::AddAssign;

use serde::Serialize;

/// Counts of datagrams. Every one received is in exactly one of the counts from `answered` to `abandoned`; the last two
/// are about answers that are counted there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// All that came in.
    pub received: u64,
    /// Answered, refusals included.
    pub answered: u64,
    /// Not answered on purpose: the loss that was asked for.
    pub dropped: u64,
    /// Never answered: answers, datagrams of the server's own, senders below port 1024.
    pub ignored: u64,
    /// Over the rate allowed for one source.
    pub over_rate: u64,
    /// Delayed beyond what the queue of delayed answers holds.
    pub queue_full: u64,
    /// Answers that the network would not take.
    pub send_failed: u64,
    /// Answers still waiting for their time when the server stopped.
    pub abandoned: u64,
    /// Second copies that went out on purpose.
    pub duplicated: u64,
    /// Answers that let a later one to the same sender go first, on purpose.
    pub reordered: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        // A count that is added to the tally and forgotten here does not compile.
        let Self {
            received,
            answered,
            dropped,
            ignored,
            over_rate,
            queue_full,
            send_failed,
            abandoned,
            duplicated,
            reordered,
        } = other;
        self.received += received;
        self.answered += answered;
        self.dropped += dropped;
        self.ignored += ignored;
        self.over_rate += over_rate;
        self.queue_full += queue_full;
        self.send_failed += send_failed;
        self.abandoned += abandoned;
        self.duplicated += duplicated;
        self.reordered += reordered;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} received: {} answered, {} dropped on purpose, {} ignored, {} over rate",
            self.received, self.answered, self.dropped, self.ignored, self.over_rate,
        )?;
        for (count, what) in [
            (self.queue_full, "over the delay queue's cap"),
            (self.send_failed, "not sent (network)"),
            (self.abandoned, "still delayed at the stop"),
            (self.duplicated, "answered twice on purpose"),
            (self.reordered, "overtaken on purpose"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}
