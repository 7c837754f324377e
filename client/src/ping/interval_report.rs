//! One line every so often, instead of one for each probe.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::figures::{Distribution, Figures, Time, serialize_nanos};
use super::ledger::{Answered, Settled};
use super::verdict::Verdict;

/// What happened since the last line.
#[derive(Debug)]
pub struct IntervalReport {
    every: Duration,
    next: Duration,
    /// When the first probe was sent.
    start: Option<Duration>,
    /// Probes that are neither answered nor given up.
    waiting: u64,
    sent: u64,
    late: u64,
    lost: u64,
    rate_limited: u64,
    limited_or_lost: u64,
    refused: u64,
    tells_refusals: bool,
    rtt: Distribution,
}

/// A line's figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct IntervalLine {
    #[serde(rename = "until_ns", serialize_with = "serialize_nanos")]
    until: Duration,
    #[serde(skip)]
    since_start: Duration,
    /// Decimals of the seconds for people, so that no two lines have the same.
    #[serde(skip)]
    decimals: usize,
    sent: u64,
    late: u64,
    lost: u64,
    /// Over a limit of the server.
    rate_limited: u64,
    /// Over a limit of the server, or lost.
    limited_or_lost: u64,
    /// Neither answered nor given up by then.
    waiting: u64,
    /// None where it is not told which probes were.
    refused: Option<u64>,
    #[serde(rename = "rtt_ns")]
    rtt: Option<Figures>,
}

impl IntervalReport {
    /// A line every so often; `tells_refusals`: it is known which probes were refused.
    pub fn new(every: Duration, tells_refusals: bool) -> Self {
        Self {
            every,
            next: every,
            start: None,
            waiting: 0,
            sent: 0,
            late: 0,
            lost: 0,
            rate_limited: 0,
            limited_or_lost: 0,
            refused: 0,
            tells_refusals,
            rtt: Distribution::new(),
        }
    }

    /// A probe was sent. The first line is due that long after the first probe: other targets may have been looked for
    /// before.
    pub fn sent(&mut self, at: Duration) {
        if self.start.is_none() {
            self.start = Some(at);
            self.next = at.saturating_add(self.every);
        }
        self.waiting += 1;
        self.sent += 1;
    }

    /// A probe was answered.
    pub fn answered(&mut self, answered: &Answered) {
        self.waiting = self.waiting.saturating_sub(1);
        self.rtt.record(answered.rtt);
        self.late += u64::from(matches!(answered.verdict, Verdict::Late { .. }));
    }

    /// A probe was refused.
    pub fn refused(&mut self) {
        self.refused += 1;
    }

    /// A probe's verdict is final; a lost one is counted when it was given up.
    pub fn settled(&mut self, settled: &Settled) {
        let was_waiting = settled.verdict.rtt().is_none() && settled.verdict != Verdict::NotSent;
        self.waiting = self.waiting.saturating_sub(u64::from(was_waiting));
        let lost = Verdict::is_lost(settled.verdict);
        self.lost += u64::from(lost);
        match settled.verdict {
            Verdict::RateLimited => self.rate_limited += 1,
            Verdict::LimitedOrLost => self.limited_or_lost += 1,
            _ => {}
        }
    }

    /// When the next line is due.
    pub fn next(&self) -> Duration {
        self.next
    }

    /// The line, when it is due. A line that was missed is not made up for: the next one has its figures.
    pub fn due(&mut self, now: Duration) -> Option<IntervalLine> {
        if now < self.next {
            return None;
        }
        // Reckoned, not counted up: in a short interval there would be no end to it.
        let every = self.every.as_nanos().max(1);
        let passed = (now.saturating_sub(self.next).as_nanos() / every + 1) * every;
        let passed = Duration::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX));
        self.next = self.next.saturating_add(passed);
        Some(self.take(now, decimals(self.every)))
    }

    /// What happened since the last line, at the end of the run; none where nothing did.
    pub fn rest(&mut self, now: Duration) -> Option<IntervalLine> {
        let is_empty = self.rtt.figures().is_none()
            && [
                self.sent,
                self.late,
                self.lost,
                self.rate_limited,
                self.limited_or_lost,
                self.refused,
            ] == [0; 6];
        (!is_empty).then(|| self.take(now, decimals(self.every).max(3)))
    }

    fn take(&mut self, until: Duration, decimals: usize) -> IntervalLine {
        let line = IntervalLine {
            until,
            since_start: until.saturating_sub(self.start.unwrap_or_default()),
            decimals,
            waiting: self.waiting,
            sent: std::mem::take(&mut self.sent),
            late: std::mem::take(&mut self.late),
            lost: std::mem::take(&mut self.lost),
            rate_limited: std::mem::take(&mut self.rate_limited),
            limited_or_lost: std::mem::take(&mut self.limited_or_lost),
            refused: self
                .tells_refusals
                .then_some(std::mem::take(&mut self.refused)),
            rtt: self.rtt.figures(),
        };
        self.rtt = Distribution::new();
        line
    }
}

/// How many decimals of a second tell multiples of this apart.
fn decimals(every: Duration) -> usize {
    match every.subsec_millis() {
        0 if every.subsec_nanos() == 0 => 0,
        millis if millis > 0 && millis.is_multiple_of(100) => 1,
        _ => 3,
    }
}

impl fmt::Display for IntervalLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            since_start,
            decimals,
            sent,
            late,
            lost,
            rate_limited,
            limited_or_lost,
            waiting,
            refused,
            rtt,
            until: _,
        } = self;
        write!(
            f,
            "{:.decimals$} s: {sent} sent, ",
            since_start.as_secs_f64()
        )?;
        match rtt {
            None => write!(f, "0 answered")?,
            Some(Figures {
                count,
                min,
                median,
                p99,
                max,
                ..
            }) => {
                let [min, median, p99, max] =
                    [*min, *median, *p99, *max].map(|nanos| Time(nanos as f64));
                write!(
                    f,
                    "{count} answered ({late} late), RTT min {min}, median {median}, p99 {p99}, max {max}"
                )?;
            }
        }
        write!(f, ", {lost} lost")?;
        if *rate_limited > 0 {
            write!(f, ", {rate_limited} rate-limited")?;
        }
        if *limited_or_lost > 0 {
            write!(f, ", {limited_or_lost} rate-limited or lost")?;
        }
        if *waiting > 0 {
            write!(f, ", {waiting} waiting")?;
        }
        if let Some(refused) = refused.filter(|refused| *refused > 0) {
            write!(f, ", {refused} refused")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_happened_since_the_last() {
        let mut report = IntervalReport::new(Duration::from_secs(10), true);
        let rtt = Duration::from_millis(5);
        let answered = Answered {
            seq: 1,
            verdict: Verdict::Late { rtt },
            sent: Duration::ZERO,
            rtt,
            from_due: rtt,
            report: None,
        };
        report.sent(Duration::ZERO);
        report.sent(Duration::ZERO);
        report.answered(&answered);
        assert_eq!(report.due(Duration::from_secs(9)), None);
        let settled = Settled::of(2, Duration::ZERO, Verdict::LostBack);
        report.settled(&settled);
        let line = report.due(Duration::from_secs(10)).unwrap().to_string();
        assert!(
            line.starts_with("10 s: 2 sent, 1 answered (1 late), RTT min 5.000 ms"),
            "{line}"
        );
        assert!(line.ends_with("1 lost"), "{line}");
        report.refused();
        // After a stall there is one line, and the next is due in step.
        assert!(
            report
                .due(Duration::from_secs(35))
                .unwrap()
                .to_string()
                .contains("35 s: 0 sent, 0 answered, 0 lost, 1 refused")
        );
        assert_eq!(report.next(), Duration::from_secs(40));
        assert_eq!(report.rest(Duration::from_secs(36)), None);
        report.sent(Duration::from_secs(36));
        let rest = report.rest(Duration::from_millis(37_250)).unwrap();
        assert_eq!(
            rest.to_string(),
            "37.250 s: 1 sent, 0 answered, 0 lost, 1 waiting"
        );
    }

    #[test]
    fn the_shortest_interval_is_soon_in_step_again() {
        let mut report = IntervalReport::new(Duration::from_nanos(1), true);
        let year = Duration::from_secs(366 * 24 * 3600);
        assert!(report.due(year).is_some());
        assert_eq!(report.next(), year + Duration::from_nanos(1));
        assert!(report.due(year).is_none());
    }

    #[test]
    fn lines_closer_than_a_second_are_told_apart() {
        for (every, start) in [(500, "0.5 s: "), (250, "0.250 s: "), (2000, "2 s: ")] {
            let every = Duration::from_millis(every);
            let line = IntervalReport::new(every, true)
                .due(every)
                .unwrap()
                .to_string();
            assert!(line.starts_with(start), "{line}");
        }
    }
}
