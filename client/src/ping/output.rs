//! What a run prints: lines for people, or one JSON document, written as the run goes.

use std::io::{self, Write};
use std::time::Duration;

use hii_protocol::Escaped;
use serde::Serialize;

use super::figures::Time;
use super::interval_report::IntervalLine;
use super::ledger::Settled;
use super::method::{Known, ServerKind};
use super::schedule::Schedule;
use super::summary::Summary;
use super::verdict::Verdict;

/// The version of the JSON document.
const VERSION: u32 = 1;

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A line for each probe, and the summary.
    Probes,
    /// A line every so often, if that is asked for, and the summary.
    Brief,
    /// One JSON document with every probe.
    Json,
}

/// Where a run's lines go, and in what form.
#[derive(Debug)]
pub struct Output<W> {
    out: W,
    form: Form,
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
    #[serde(flatten)]
    schedule: Schedule,
    size: usize,
    /// For a run over TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<Steps>,
    #[serde(skip)]
    says: Option<String>,
}

/// What it took to connect, step by step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Steps {
    /// Name resolution; null where an address was given.
    pub resolution_ns: Option<u64>,
    /// The TCP handshake with the address that is measured.
    pub connect_ns: u64,
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
            schedule,
            size,
            tcp: None,
            says: original.then(|| Escaped(&known.text).to_string()),
        }
    }

    /// The same over a connection that took these steps.
    #[must_use]
    pub fn over_tcp(mut self, steps: Steps) -> Self {
        self.tcp = Some(steps);
        self
    }

    /// The octets of a probe.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What is measured, as it was asked for.
    pub fn target(&self) -> &str {
        self.target
    }

    /// What it took to connect, in words.
    pub fn steps(&self) -> Option<String> {
        let steps = self.tcp?;
        let resolution = match steps.resolution_ns {
            Some(nanos) => format!("name resolved in {}", Time(nanos as f64)),
            None => "name resolution: n/a, an address was given".to_owned(),
        };
        let connect = Time(steps.connect_ns as f64);
        Some(format!("{resolution}; connected in {connect}"))
    }

    /// After how long an answer is late, where that is the same for all probes.
    pub fn deadline(&self) -> Option<Duration> {
        let is_same = self.schedule.is_fixed() || self.schedule.deadline.is_some();
        is_same.then(|| self.schedule.deadline_of(1))
    }

    /// What is measured, in words.
    pub fn subject(&self) -> String {
        let Self {
            target, address, ..
        } = self;
        format!("hii ping {target} ({address}, {})", self.server())
    }

    /// How it is measured, in words.
    pub fn plan(&self) -> String {
        let Schedule {
            count,
            interval,
            decay,
            ..
        } = self.schedule;
        let probes = count.map_or("probes without end".to_owned(), |count| {
            format!("{count} probes")
        });
        let interval = Time::from(interval);
        let every = if self.schedule.is_fixed() {
            format!("one every {interval}")
        } else {
            format!("at first one every {interval}, then each interval {decay} of the one before")
        };
        format!("{probes} of {} octets, {every}", self.size)
    }

    fn server(&self) -> String {
        match (self.server, &self.says) {
            (None, _) => "silent so far".to_owned(),
            (Some(ServerKind::Hii), _) => "Hii server".to_owned(),
            (Some(ServerKind::Echo), _) => "echo server".to_owned(),
            (Some(ServerKind::Original), says) => {
                format!(
                    "original server, says \"{}\"",
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
    pub fn new(out: W, form: Form) -> Self {
        Self {
            out,
            form,
            probes: 0,
        }
    }

    /// Begins.
    ///
    /// # Errors
    /// Those of the writer, here and below.
    pub fn start(&mut self, heading: &Heading<'_>) -> io::Result<()> {
        if self.form == Form::Json {
            let open = serde_json::to_string(heading)?;
            let open = open.strip_suffix('}').unwrap_or(&open);
            return write!(self.out, "{open},\"probes\":[");
        }
        writeln!(self.out, "{}: {}", heading.subject(), heading.plan())?;
        match heading.steps() {
            Some(steps) => writeln!(self.out, "{steps}"),
            None => Ok(()),
        }
    }

    /// The figures of the time since the last such line.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn interval(&mut self, line: &IntervalLine) -> io::Result<()> {
        if self.form == Form::Json {
            return Ok(());
        }
        writeln!(self.out, "{line}")
    }

    /// A probe was answered.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn answered(&mut self, seq: u64, verdict: Verdict) -> io::Result<()> {
        match self.form {
            Form::Probes => self.line(seq, verdict),
            Form::Brief | Form::Json => Ok(()),
        }
    }

    /// A probe is overdue; what is known of it so far.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn overdue(&mut self, seq: u64, so_far: Verdict, waited: Duration) -> io::Result<()> {
        if self.form != Form::Probes {
            return Ok(());
        }
        let known = match so_far {
            Verdict::LostBack => "; the server received it",
            Verdict::LostThere => "; the server has not received it",
            _ => "",
        };
        writeln!(
            self.out,
            "seq {seq}: no answer in {}{known}",
            Time::from(waited)
        )
    }

    /// A probe's verdict is final.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn settled(&mut self, settled: &Settled) -> io::Result<()> {
        let was_answered = matches!(
            settled.verdict,
            Verdict::InTime { .. } | Verdict::Late { .. }
        );
        match self.form {
            Form::Json => {
                let line = ProbeLine {
                    seq: settled.seq,
                    sent_ns: u64::try_from(settled.sent.as_nanos()).unwrap_or(u64::MAX),
                    verdict: settled.verdict,
                };
                let comma = if self.probes > 0 { "," } else { "" };
                self.probes += 1;
                write!(self.out, "{comma}\n{}", serde_json::to_string(&line)?)
            }
            Form::Probes if !settled.told && !was_answered => {
                self.line(settled.seq, settled.verdict)
            }
            Form::Probes | Form::Brief => Ok(()),
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
            Verdict::NotSent => {
                writeln!(self.out, "seq {seq}: not sent, this host would not take it")
            }
            Verdict::InFlight => writeln!(self.out, "seq {seq}: still in flight"),
        }
    }

    /// Ends with the summary.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(&mut self, target: &str, summary: &Summary) -> io::Result<()> {
        if self.form == Form::Json {
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
    use crate::ping::statistics::Statistics;
    use crate::ping::verdict::Counts;

    #[test]
    fn json_is_one_document_with_and_without_probes() {
        for probes in 0..3 {
            let mut out = Vec::new();
            let mut output = Output::new(&mut out, Form::Json);
            let known = Known {
                address: "[::1]:8080".parse().unwrap(),
                kind: ServerKind::Hii,
                text: Vec::new(),
            };
            let schedule = Schedule::fixed(Some(probes), Duration::from_secs(1));
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
                .finish(
                    "a\"b",
                    &Summary::new(&Counts::default(), Statistics::new(0).figures(), true),
                )
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
