//! The figures of a run, for people and for programs.

use std::fmt;

use hii_server::ping::Tally;
use serde::Serialize;

use super::events::Ending;
use super::figures::Figures;
use super::ledger::Counts;

/// What a run found.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Probes that went out.
    pub sent: u64,
    /// Answered, in time or late.
    pub answered: u64,
    /// Answered within the deadline.
    pub in_time: u64,
    /// Answered after it.
    pub late: u64,
    /// Lost probes.
    pub lost: Lost,
    /// Lost probes in percent of those sent.
    pub loss_percent: Option<f64>,
    /// Answered or lost, which cannot be told.
    pub unknown: u64,
    /// Still waited for when the run was interrupted.
    pub in_flight: u64,
    /// Probes that this host could not send.
    pub not_sent: u64,
    /// Further answers to answered probes.
    pub duplicates: u64,
    /// Answers that came after their probe was given up as lost.
    pub answered_after_given_up: u64,
    /// Datagrams that answer no probe.
    pub foreign: u64,
    /// Probes beside those that count.
    pub uncounted: Uncounted,
    /// Refusals (ICMP port unreachable).
    pub refused: u64,
    /// How often the server forgot the run.
    pub server_forgot: u64,
    /// Round-trip times of all answered probes, in nanoseconds.
    pub rtt_ns: Option<Figures>,
    /// Whether the user stopped the run.
    pub interrupted: bool,
    /// How the connection ended, when it did before the run was through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_ended: Option<Ending>,
    /// What the server's last word was, when it was asked to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub farewell: Option<String>,
    /// What the server inside this program did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Tally>,
}

/// Probes beside those that count: questions before the run, and those that settle its end. A server's own tally has
/// them in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Uncounted {
    /// How many went out.
    pub sent: u64,
    /// How many had no answer when the next step was taken.
    pub unanswered: u64,
}

/// Lost probes, by the way they were lost; null where the server does not tell.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Lost {
    /// All.
    pub total: u64,
    /// On the way to the server.
    pub there: Option<u64>,
    /// On the way back.
    pub back: Option<u64>,
    /// Not known which way.
    pub unknown: Option<u64>,
}

impl Summary {
    /// The summary of these counts.
    #[must_use]
    pub fn new(counts: &Counts, rtt: Option<Figures>, tells_direction: bool) -> Self {
        let told = |count| tells_direction.then_some(count);
        Self {
            sent: counts.sent,
            answered: counts.answered(),
            in_time: counts.in_time,
            late: counts.late,
            lost: Lost {
                total: counts.lost(),
                there: told(counts.lost_there),
                back: told(counts.lost_back),
                unknown: told(counts.lost_unknown),
            },
            loss_percent: (counts.sent > 0)
                .then(|| counts.lost() as f64 * 100.0 / counts.sent as f64),
            unknown: counts.unknown,
            in_flight: counts.in_flight,
            not_sent: counts.not_sent,
            duplicates: counts.duplicates,
            answered_after_given_up: counts.given_up,
            foreign: counts.foreign,
            uncounted: Uncounted::default(),
            refused: 0,
            server_forgot: 0,
            rtt_ns: rtt,
            interrupted: false,
            connection_ended: None,
            farewell: None,
            server: None,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sent, {} answered ({} in time, {} late), {} lost",
            self.sent, self.answered, self.in_time, self.late, self.lost.total
        )?;
        if let Some(percent) = self.loss_percent {
            write!(f, " ({percent:.1} %)")?;
        }
        if let Lost {
            there: Some(there),
            back: Some(back),
            unknown: Some(unknown),
            ..
        } = self.lost
        {
            write!(f, ": {there} there, {back} back, {unknown} unknown")?;
        } else {
            write!(f, ", there or back: n/a")?;
        }
        writeln!(f)?;
        for (count, what) in [
            (
                self.unknown,
                "answered or lost: the ports ran out, and the answers carry no number",
            ),
            (self.in_flight, "still in flight"),
            (self.not_sent, "not sent: this host had no room"),
            (self.duplicates, "duplicate answers"),
            (
                self.answered_after_given_up,
                "answers to probes given up before",
            ),
            (self.foreign, "datagrams that answer no probe"),
            (self.refused, "refusals: nothing listens there (ICMP)"),
            (self.server_forgot, "times the server forgot this run"),
        ] {
            if count > 0 {
                writeln!(f, "{count} {what}")?;
            }
        }
        if let Some(ending) = self.connection_ended {
            writeln!(f, "the connection ended early: {ending}")?;
        }
        if self.uncounted.unanswered > 0 {
            let Uncounted { sent, unanswered } = self.uncounted;
            writeln!(
                f,
                "not counted: {sent} probes before and after the run, {unanswered} of them unanswered"
            )?;
        }
        match &self.rtt_ns {
            Some(figures) => writeln!(f, "RTT of {} answers: {figures}", figures.count)?,
            None => writeln!(f, "RTT: n/a, nothing was answered")?,
        }
        if let Some(tally) = &self.server {
            writeln!(f, "the server's own count: {tally}")?;
        }
        if let Some(word) = &self.farewell {
            writeln!(f, "the server's last word: {word}")?;
        }
        Ok(())
    }
}
