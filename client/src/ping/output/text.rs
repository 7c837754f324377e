//! Lines for people.

use std::io::{self, Write};

use super::{Heading, Output, Overdue};
use crate::ping::figures::{Figures, Time};
use crate::ping::interval_report::IntervalLine;
use crate::ping::ledger::{Answered, Settled};
use crate::ping::refusal::Refusal;
use crate::ping::summary::Summary;
use crate::ping::verdict::Verdict;

/// A line for each probe or each interval, and the summary.
#[derive(Debug)]
pub struct TextOutput<W> {
    out: W,
    shows_probes: bool,
    shows_intervals: bool,
    /// The targets' names.
    names: Vec<String>,
    /// Those that are not measured.
    missing: Vec<String>,
}

impl<W: Write> TextOutput<W> {
    /// Prints to `out`; each probe, and each interval's figures, only if that is wanted.
    pub fn new(out: W, shows_probes: bool, shows_intervals: bool) -> Self {
        Self {
            out,
            shows_probes,
            shows_intervals,
            names: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Begins a line about a target; where there are several, with its name.
    fn name(&mut self, target: usize) -> io::Result<()> {
        match self.names.get(target) {
            Some(name) if self.names.len() > 1 => write!(self.out, "{name}: "),
            _ => Ok(()),
        }
    }

    fn probe(&mut self, target: usize, seq: u64, verdict: Verdict) -> io::Result<()> {
        self.name(target)?;
        write!(self.out, "seq {seq}: ")?;
        match verdict {
            Verdict::InTime { rtt } => writeln!(self.out, "{}", Time::from(rtt)),
            Verdict::Late { rtt } => writeln!(self.out, "{}, late", Time::from(rtt)),
            Verdict::LostThere => writeln!(self.out, "lost on the way there"),
            Verdict::LostBack => writeln!(self.out, "lost on the way back"),
            Verdict::LostUnknown => writeln!(self.out, "lost"),
            Verdict::RateLimited => writeln!(self.out, "rate-limited by the server"),
            Verdict::LimitedOrLost => writeln!(self.out, "rate-limited by the server, or lost"),
            Verdict::DroppedLocally => {
                writeln!(self.out, "answered, but this host had no room for it")
            }
            Verdict::Refused(why) => writeln!(self.out, "refused: {why}"),
            Verdict::Unknown => writeln!(self.out, "answered or lost, cannot tell"),
            Verdict::NotSent => writeln!(self.out, "not sent, this host would not take it"),
            Verdict::InFlight => writeln!(self.out, "still in flight"),
        }
    }

    /// A line for each target, to compare them.
    fn comparison(&mut self, summaries: &[Summary]) -> io::Result<()> {
        let all = self.names.iter().chain(&self.missing);
        let width = all.map(|name| name.chars().count()).max();
        let width = width.unwrap_or_default();
        let line = |name: &str, [sent, answered, lost, median, p99]: [&str; 5]| {
            format!("{name:width$}  {sent:>9}  {answered:>9}  {lost:>7}  {median:>9}  {p99:>9}")
        };
        let titles = ["sent", "answered", "lost", "median", "p99"];
        writeln!(self.out, "--- all ---\n{}", line("", titles).trim_end())?;
        for (name, summary) in self.names.iter().zip(summaries) {
            let time = |of: fn(&Figures) -> u64| {
                let figures = summary.figures.rtt_ns.as_ref();
                figures.map_or("n/a".into(), |figures| Time(of(figures) as f64).to_string())
            };
            let lost = summary
                .loss_percent
                .map_or("n/a".into(), |percent| format!("{percent:.1} %"));
            let cells = [
                summary.sent.to_string(),
                summary.answered.to_string(),
                lost,
                time(|figures| figures.median),
                time(|figures| figures.p99),
            ];
            writeln!(
                self.out,
                "{}",
                line(name, cells.each_ref().map(String::as_str))
            )?;
        }
        for name in &self.missing {
            writeln!(self.out, "{name:width$}  not measured, see above")?;
        }
        Ok(())
    }
}

impl<W: Write + Send> Output for TextOutput<W> {
    fn not_measured(&mut self, target: &str, _why: &str) {
        self.missing.push(target.to_owned());
    }

    fn start(&mut self, headings: &[Heading]) -> io::Result<()> {
        self.names = headings
            .iter()
            .map(|heading| heading.target().to_owned())
            .collect();
        for heading in headings {
            writeln!(self.out, "{}: {}", heading.subject(), heading.plan())?;
            if let Some(steps) = heading.steps() {
                writeln!(self.out, "{steps}")?;
            }
        }
        Ok(())
    }

    fn shows_probes(&self) -> bool {
        self.shows_probes
    }

    fn answered(&mut self, target: usize, answered: &Answered) -> io::Result<()> {
        self.probe(target, answered.seq, answered.verdict)
    }

    fn refused(&mut self, target: usize, seq: u64, why: Refusal) -> io::Result<()> {
        self.probe(target, seq, Verdict::Refused(why))
    }

    fn overdue(&mut self, target: usize, overdue: Overdue) -> io::Result<()> {
        let Overdue {
            seq,
            so_far,
            waited,
            ..
        } = overdue;
        let known = match so_far {
            Verdict::LostBack => "; the server received it",
            Verdict::LostThere => "; the server has not received it",
            Verdict::LimitedOrLost => "; it may have been over a limit of the server",
            _ => "",
        };
        self.name(target)?;
        writeln!(
            self.out,
            "seq {seq}: no answer yet after {}{known}",
            Time::from(waited)
        )
    }

    fn settled(&mut self, target: usize, settled: &Settled) -> io::Result<()> {
        let was_answered = settled.verdict.rtt().is_some();
        // That no answer will come was not known when it was overdue.
        let is_news = settled.verdict == Verdict::RateLimited;
        if settled.told && !is_news || was_answered {
            return Ok(());
        }
        self.probe(target, settled.seq, settled.verdict)
    }

    fn interval(&mut self, target: usize, line: &IntervalLine) -> io::Result<()> {
        if !self.shows_intervals {
            return Ok(());
        }
        self.name(target)?;
        writeln!(self.out, "{line}")
    }

    fn finish(&mut self, summaries: &[Summary]) -> io::Result<()> {
        for (name, summary) in self.names.iter().zip(summaries) {
            write!(self.out, "--- {name} ---\n{summary}")?;
        }
        if summaries.len() + self.missing.len() > 1 {
            self.comparison(summaries)?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ping::ledger::Reported;

    #[test]
    fn lines_of_probes_over_a_limit_name_it() {
        let lines = |so_far, last| {
            let mut out = Vec::new();
            let mut output = TextOutput::new(&mut out, true, false);
            let overdue = Overdue {
                seq: 7,
                sent: Duration::ZERO,
                so_far,
                waited: Duration::from_secs(2),
            };
            output.overdue(0, overdue).unwrap();
            let settled = Settled {
                seq: 7,
                due: Duration::ZERO,
                sent: Duration::ZERO,
                verdict: last,
                reported: Reported::default(),
                kernel: None,
                told: true,
            };
            output.settled(0, &settled).unwrap();
            String::from_utf8(out).unwrap()
        };
        let overdue = "seq 7: no answer yet after 2.000 s";
        assert_eq!(
            lines(Verdict::LimitedOrLost, Verdict::LimitedOrLost),
            format!("{overdue}; it may have been over a limit of the server\n")
        );
        assert_eq!(
            lines(Verdict::LostUnknown, Verdict::RateLimited),
            format!("{overdue}\nseq 7: rate-limited by the server\n")
        );
        assert_eq!(
            lines(Verdict::LostUnknown, Verdict::LostThere),
            format!("{overdue}\n")
        );
    }
}
