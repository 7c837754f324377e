//! One JSON document, written as the run goes (`docs/ping-json.md`).

use std::io::{self, Write};

use serde::Serialize;

use super::probe_row::ProbeRow;
use super::{Heading, Output};
use crate::ping::interval_report::IntervalLine;
use crate::ping::ledger::Settled;
use crate::ping::summary::Summary;

/// The version of the document.
const VERSION: u32 = 1;

/// What the document lists between its beginning and the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Items {
    /// Each probe.
    Probes,
    /// The figures of each interval.
    Intervals,
    /// Nothing.
    None,
}

/// Writes the document.
#[derive(Debug)]
pub struct JsonOutput<W> {
    out: W,
    items: Items,
    written: u64,
    has_several: bool,
    not_measured: Vec<NotMeasured>,
}

#[derive(Debug, Serialize)]
struct NotMeasured {
    target: String,
    reason: String,
}

#[derive(Serialize)]
struct OneTarget<'a> {
    version: u32,
    #[serde(flatten)]
    heading: &'a Heading,
}

#[derive(Serialize)]
struct SeveralTargets<'a> {
    version: u32,
    targets: &'a [Heading],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    not_measured: &'a [NotMeasured],
}

#[derive(Serialize)]
struct IntervalRow<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<usize>,
    #[serde(flatten)]
    line: &'a IntervalLine,
}

impl<W: Write> JsonOutput<W> {
    /// Writes to `out`, with these items. `has_several`: several targets were asked for, whatever comes of them.
    pub fn new(out: W, items: Items, has_several: bool) -> Self {
        Self {
            out,
            items,
            written: 0,
            has_several,
            not_measured: Vec::new(),
        }
    }

    fn item(&mut self, item: &impl Serialize) -> io::Result<()> {
        let comma = if self.written > 0 { "," } else { "" };
        self.written += 1;
        write!(self.out, "{comma}\n{}", serde_json::to_string(item)?)
    }

    /// Which target it is, where that says something.
    fn number(&self, target: usize) -> Option<usize> {
        self.has_several.then_some(target)
    }
}

impl<W: Write + Send> Output for JsonOutput<W> {
    fn not_measured(&mut self, target: &str, why: &str) {
        self.not_measured.push(NotMeasured {
            target: target.to_owned(),
            reason: why.to_owned(),
        });
    }

    fn start(&mut self, headings: &[Heading]) -> io::Result<()> {
        let version = VERSION;
        let begin = match headings {
            [heading] if !self.has_several => {
                serde_json::to_string(&OneTarget { version, heading })?
            }
            targets => serde_json::to_string(&SeveralTargets {
                version,
                targets,
                not_measured: &self.not_measured,
            })?,
        };
        let begin = begin.strip_suffix('}').unwrap_or(&begin);
        match self.items {
            Items::Probes => write!(self.out, "{begin},\"probes\":["),
            Items::Intervals => write!(self.out, "{begin},\"intervals\":["),
            Items::None => write!(self.out, "{begin}"),
        }
    }

    fn shows_probes(&self) -> bool {
        self.items == Items::Probes
    }

    fn settled(&mut self, target: usize, settled: &Settled) -> io::Result<()> {
        self.item(&ProbeRow::new(self.number(target), settled))
    }

    fn interval(&mut self, target: usize, line: &IntervalLine) -> io::Result<()> {
        if self.items == Items::Intervals {
            let target = self.number(target);
            self.item(&IntervalRow { target, line })?;
        }
        Ok(())
    }

    fn finish(&mut self, summaries: &[Summary]) -> io::Result<()> {
        if self.items != Items::None {
            write!(self.out, "\n]")?;
        }
        let (name, summaries) = match summaries {
            [summary] if !self.has_several => ("summary", serde_json::to_string(summary)?),
            summaries => ("summaries", serde_json::to_string(summaries)?),
        };
        writeln!(self.out, ",\"{name}\":{summaries}}}")?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ping::interval_report::IntervalReport;
    use crate::ping::method::{Known, ServerKind};
    use crate::ping::schedule::Schedule;
    use crate::ping::statistics::Statistics;
    use crate::ping::verdict::{Counts, Verdict};

    /// The document of a run with so many targets, each with so many probes and intervals.
    fn document(targets: usize, items: Items, each: u64) -> serde_json::Value {
        let mut out = Vec::new();
        let mut output = JsonOutput::new(&mut out, items, targets > 1);
        let known = Known {
            address: "[::1]:8080".parse().unwrap(),
            kind: ServerKind::Hii,
            text: Vec::new(),
        };
        let schedule = Schedule::fixed(Some(each), Duration::from_secs(1));
        let headings: Vec<_> = (0..targets)
            .map(|_| Heading::new("a\"b".into(), &known, false, schedule, 128))
            .collect();
        output.start(&headings).unwrap();
        for seq in 1..=each {
            for target in 0..targets {
                let rtt = Duration::from_micros(5);
                let settled = Settled::of(seq, Duration::from_secs(seq), Verdict::InTime { rtt });
                if output.shows_probes() {
                    output.settled(target, &settled).unwrap();
                }
                let mut report = IntervalReport::new(Duration::from_secs(1), true);
                let line = report.due(Duration::from_secs(seq)).unwrap();
                output.interval(target, &line).unwrap();
            }
        }
        let figures = Statistics::new(0).figures();
        let summary = Summary::new(&Counts::default(), figures, true);
        output.finish(&vec![summary; targets]).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn is_one_document_with_and_without_probes() {
        for probes in 0..3 {
            let document = document(1, Items::Probes, probes);
            assert_eq!(document["target"], "a\"b");
            assert_eq!(document["server"], "hii");
            assert_eq!(document["probes"].as_array().unwrap().len() as u64, probes);
            if probes > 0 {
                assert_eq!(document["probes"][0]["rtt_ns"], 5000);
                assert_eq!(document["probes"][0]["verdict"], "in-time");
                assert_eq!(document["probes"][0].get("target"), None);
            }
            assert_eq!(document["summary"]["loss_percent"], serde_json::Value::Null);
        }
    }

    #[test]
    fn several_targets_are_told_apart_by_number() {
        let document = document(3, Items::Probes, 2);
        assert_eq!(document["targets"].as_array().unwrap().len(), 3);
        assert_eq!(document["summaries"].as_array().unwrap().len(), 3);
        let probes = document["probes"].as_array().unwrap().iter();
        let targets: Vec<_> = probes.map(|probe| probe["target"].as_u64()).collect();
        assert_eq!(targets, [0, 1, 2, 0, 1, 2].map(Some));
    }

    #[test]
    fn lists_intervals_or_nothing_when_that_is_wanted() {
        let intervals = document(1, Items::Intervals, 2);
        assert_eq!(intervals["intervals"][1]["until_ns"], 2_000_000_000_u64);
        assert_eq!(intervals.get("probes"), None);
        let nothing = document(1, Items::None, 2);
        assert_eq!(
            (nothing.get("probes"), nothing.get("intervals")),
            (None, None)
        );
        assert!(nothing["summary"].is_object());
    }
}
