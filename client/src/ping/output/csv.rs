//! A row for each probe, for spreadsheets and scripts (`docs/ping-json.md`).

use std::fmt::Write as _;
use std::io::{self, Write};

use hii_server::exit::note;

use super::probe_row::{FIELDS, ProbeRow};
use super::{Heading, Output};
use crate::ping::ledger::Settled;
use crate::ping::summary::Summary;

/// Writes rows as RFC 4180 has them; the summary goes to stderr.
pub struct CsvOutput<W: Write> {
    out: csv::Writer<W>,
    shows_summary: bool,
    /// The targets' names.
    names: Vec<String>,
}

impl<W: Write> CsvOutput<W> {
    /// Writes to `out`.
    pub fn new(out: W, shows_summary: bool) -> Self {
        let out = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(out);
        Self {
            out,
            shows_summary,
            names: Vec::new(),
        }
    }
}

impl<W: Write + Send> Output for CsvOutput<W> {
    fn not_measured(&mut self, _target: &str, _why: &str) {
        // stderr has told.
    }

    fn start(&mut self, headings: &[Heading]) -> io::Result<()> {
        let names = headings.iter().map(|heading| heading.target().to_owned());
        self.names = names.collect();
        self.out.write_record(FIELDS)?;
        self.out.flush()
    }

    fn shows_probes(&self) -> bool {
        true
    }

    fn settled(&mut self, target: usize, settled: &Settled) -> io::Result<()> {
        let name = self.names.get(target).map_or("", String::as_str);
        self.out.serialize(ProbeRow::new(Some(name), settled))?;
        // Who reads along sees each row when its verdict is final.
        self.out.flush()
    }

    fn finish(&mut self, summaries: &[Summary]) -> io::Result<()> {
        self.out.flush()?;
        if self.shows_summary {
            let mut text = String::new();
            for (name, summary) in self.names.iter().zip(summaries) {
                // Writing to a string does not fail.
                let _ = write!(text, "--- {name} ---\n{summary}");
            }
            note(text.trim_end());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ping::kernel_times::KernelTrip;
    use crate::ping::ledger::Reported;
    use crate::ping::method::{Known, ServerKind};
    use crate::ping::refusal::Refusal;
    use crate::ping::schedule::Schedule;
    use crate::ping::verdict::Verdict;

    #[test]
    fn each_probe_is_a_row_of_as_many_fields_as_the_first() {
        let mut out = Vec::new();
        let mut output = CsvOutput::new(&mut out, false);
        let known = Known {
            address: "[::1]:8080".parse().unwrap(),
            kind: ServerKind::Hii,
            text: Vec::new(),
        };
        let schedule = Schedule::fixed(Some(2), Duration::from_secs(1));
        let heading = Heading::new("a,\"b".into(), &known, false, schedule, 128);
        output.start(&[heading]).unwrap();
        let rtt = Duration::from_micros(5);
        let refused = Verdict::Refused(Refusal::TimeExceeded);
        for (seq, verdict) in [(1, Verdict::InTime { rtt }), (2, refused)] {
            let settled = Settled {
                due: Duration::from_nanos(seq),
                reported: Reported {
                    held: verdict.rtt().map(|_| 7),
                    received: None,
                    has_waited: false,
                },
                kernel: verdict.rtt().map(|_| KernelTrip {
                    sent: Duration::ZERO,
                    rtt: Duration::from_micros(4),
                }),
                ..Settled::of(seq, Duration::from_nanos(10 * seq), verdict)
            };
            output.settled(0, &settled).unwrap();
        }
        output.finish(&[]).unwrap();
        drop(output);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "target,seq,due_ns,sent_ns,verdict,rtt_ns,kernel_rtt_ns,held_ns,received_ns,refused_by\n\
             \"a,\"\"b\",1,1,10,in-time,5000,4000,7,,\n\
             \"a,\"\"b\",2,2,20,refused,,,,,time-exceeded\n"
        );
    }
}
