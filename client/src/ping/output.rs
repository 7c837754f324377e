//! What a run prints: lines for people, or one JSON document, written as the run goes.

use std::io::{self, Write};
use std::time::Duration;

use hii_protocol::Escaped;
use serde::Serialize;

use super::figures::Time;
use super::ledger::{Settled, Verdict};
use super::method::{Known, ServerKind};
use super::schedule::Schedule;
use super::summary::Summary;

/// The version of the JSON document.
const VERSION: u32 = 1;

/// Where a run's lines go, and in what form.
#[derive(Debug)]
pub struct Output<W> {
    out: W,
    json: bool,
    probes: u64,
}

/// What is measured, as the output begins with it.
#[derive(Debug, Clone, Serialize)]
pub struct Heading<'a> {
    version: u32,
    target: &'a str,
    address: String,
    /// Null for a target that did not answer.
    server: Option<ServerKind>,
    count: u64,
    interval_ns: u64,
    size: usize,
    #[serde(skip)]
    says: Option<String>,
    #[serde(skip)]
    interval: Duration,
}

impl<'a> Heading<'a> {
    /// For a run against this server.
    #[must_use]
    pub fn new(
        target: &'a str,
        known: &Known,
        silent: bool,
        schedule: Schedule,
        size: usize,
    ) -> Self {
        let original = known.kind == ServerKind::Original;
        Self {
            version: VERSION,
            target,
            address: known.address.to_string(),
            server: (!silent).then_some(known.kind),
            count: schedule.count,
            interval_ns: u64::try_from(schedule.interval.as_nanos()).unwrap_or(u64::MAX),
            size,
            says: original.then(|| Escaped(&known.text).to_string()),
            interval: schedule.interval,
        }
    }

    /// The octets of a probe.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The time between two probes.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// What is measured, in words.
    #[must_use]
    pub fn subject(&self) -> String {
        format!(
            "hii ping {} ({}, {})",
            self.target,
            self.address,
            self.server()
        )
    }

    /// How it is measured, in words.
    #[must_use]
    pub fn plan(&self) -> String {
        format!(
            "{} probes of {} octets, one every {}",
            self.count,
            self.size,
            Time::from(self.interval)
        )
    }

    fn server(&self) -> String {
        match (self.server, &self.says) {
            (None, _) => "silent so far".to_owned(),
            (Some(ServerKind::Hii), _) => "Hii server".to_owned(),
            (Some(ServerKind::Echo), _) => "echo server".to_owned(),
            (Some(ServerKind::Original), says) => {
                format!(
                    "original server, says {:?}",
                    says.as_deref().unwrap_or_default()
                )
            }
        }
    }
}

#[derive(Serialize)]
struct ProbeLine {
    seq: u64,
    sent_ns: u64,
    #[serde(flatten)]
    verdict: Verdict,
}

impl<W: Write> Output<W> {
    /// Prints to `out`.
    pub fn new(out: W, json: bool) -> Self {
        Self {
            out,
            json,
            probes: 0,
        }
    }

    /// Begins.
    ///
    /// # Errors
    /// Those of the writer, here and below.
    pub fn start(&mut self, heading: &Heading<'_>) -> io::Result<()> {
        if self.json {
            let open = serde_json::to_string(heading)?;
            let open = open.strip_suffix('}').unwrap_or(&open);
            return write!(self.out, "{open},\"probes\":[");
        }
        writeln!(self.out, "{}: {}", heading.subject(), heading.plan())
    }

    /// A probe was answered.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn answered(&mut self, seq: u64, verdict: Verdict) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        self.line(seq, verdict)
    }

    /// A probe is overdue; what is known of it so far.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn overdue(&mut self, seq: u64, verdict: Verdict) -> io::Result<()> {
        self.answered(seq, verdict)
    }

    /// A probe's verdict is final.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn settled(&mut self, settled: &Settled) -> io::Result<()> {
        if self.json {
            let line = ProbeLine {
                seq: settled.seq,
                sent_ns: u64::try_from(settled.sent.as_nanos()).unwrap_or(u64::MAX),
                verdict: settled.verdict,
            };
            let comma = if self.probes > 0 { "," } else { "" };
            self.probes += 1;
            write!(self.out, "{comma}\n{}", serde_json::to_string(&line)?)
        } else if settled.told
            || matches!(
                settled.verdict,
                Verdict::InTime { .. } | Verdict::Late { .. }
            )
        {
            Ok(())
        } else {
            self.line(settled.seq, settled.verdict)
        }
    }

    fn line(&mut self, seq: u64, verdict: Verdict) -> io::Result<()> {
        match verdict {
            Verdict::InTime { rtt } => writeln!(self.out, "seq {seq}: {}", Time::from(rtt)),
            Verdict::Late { rtt } => writeln!(self.out, "seq {seq}: {}, late", Time::from(rtt)),
            Verdict::LostThere => writeln!(self.out, "seq {seq}: lost on the way there"),
            Verdict::LostBack => writeln!(self.out, "seq {seq}: lost on the way back"),
            Verdict::LostUnknown => writeln!(self.out, "seq {seq}: lost"),
            Verdict::Unknown => writeln!(self.out, "seq {seq}: answered or lost, cannot tell"),
            Verdict::NotSent => writeln!(self.out, "seq {seq}: not sent, no room on this host"),
            Verdict::InFlight => writeln!(self.out, "seq {seq}: still in flight"),
        }
    }

    /// Ends with the summary.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(&mut self, target: &str, summary: &Summary) -> io::Result<()> {
        if self.json {
            writeln!(
                self.out,
                "\n],\"summary\":{}}}",
                serde_json::to_string(summary)?
            )?;
        } else {
            write!(self.out, "--- {target} ---\n{summary}")?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::ledger::Counts;

    #[test]
    fn json_is_one_document_with_and_without_probes() {
        for probes in 0..3 {
            let mut out = Vec::new();
            let mut output = Output::new(&mut out, true);
            let known = Known {
                address: "[::1]:8080".parse().unwrap(),
                kind: ServerKind::Hii,
                text: Vec::new(),
            };
            let schedule = Schedule {
                count: probes,
                interval: Duration::from_secs(1),
            };
            output
                .start(&Heading::new("a\"b", &known, false, schedule, 128))
                .unwrap();
            for seq in 1..=probes {
                let verdict = Verdict::InTime {
                    rtt: Duration::from_micros(5),
                };
                let settled = Settled {
                    seq,
                    sent: Duration::from_secs(seq),
                    verdict,
                    told: false,
                };
                output.answered(seq, verdict).unwrap();
                output.settled(&settled).unwrap();
            }
            output
                .finish("a\"b", &Summary::new(&Counts::default(), None, true))
                .unwrap();
            let document: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(document["target"], "a\"b");
            assert_eq!(document["server"], "hii");
            assert_eq!(document["probes"].as_array().unwrap().len() as u64, probes);
            if probes > 0 {
                assert_eq!(document["probes"][0]["rtt_ns"], 5000);
                assert_eq!(document["probes"][0]["verdict"], "in-time");
            }
            assert_eq!(document["summary"]["loss_percent"], serde_json::Value::Null);
        }
    }
}
