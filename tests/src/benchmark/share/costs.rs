//! What a transfer costs both sides.

use std::time::Instant;

use super::super::figures::Unit;
use super::super::processes::{Ended, Process};
use super::super::series::{Series, borrow};
use super::super::servers::Server;
use super::super::table::{Goal, Row};
use super::super::trouble::Outcome;
use super::super::usage;
use super::LIMIT;

/// Memory that each side may have, in KiB.
const MEMORY: f64 = 20.0 * 1024.0;

/// How many figures a transfer has.
const FIGURES: usize = 6;

/// What the figures are, and of what.
const WHAT: [(&str, Unit); FIGURES] = [
    ("time", Unit::Time),
    ("processor time of both sides", Unit::Time),
    ("of which the sender's", Unit::Time),
    ("of which the receiver's", Unit::Time),
    ("the sender's peak memory", Unit::Kibibytes),
    ("the receiver's peak memory", Unit::Kibibytes),
];

/// A transfer's figures: nanoseconds and KiB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Costs([f64; FIGURES]);

impl Costs {
    /// Runs a receiver, by its command, to its end.
    pub(super) fn of(peak_memory: &str, sender: &Server, command: &[String]) -> Outcome<Self> {
        let before = usage::processor_time(sender.process())?;
        let args: Vec<_> = command.iter().map(String::as_str).collect();
        let start = Instant::now();
        let ended = Process::start(peak_memory, &args)?.finish(LIMIT)?;
        let time = start.elapsed().as_nanos() as f64;
        let sent = usage::processor_time(sender.process())? - before;
        let peak = usage::peak(sender.process())?;
        let (received, receiver_peak) = told(&ended).ok_or("no peak was told")?;
        Ok(Self([
            time,
            sent + received,
            sent,
            received,
            peak,
            receiver_peak,
        ]))
    }

    /// How long it took, in nanoseconds.
    pub(super) fn time(self) -> f64 {
        let [time, ..] = self.0;
        time
    }

    /// The same transfer without a wait of so many nanoseconds.
    pub(super) fn without(mut self, wait: f64) -> Self {
        let [time, ..] = &mut self.0;
        *time -= wait;
        self
    }
}

/// The processor time and the peak that `peak_memory` tells, in nanoseconds and KiB.
fn told(ended: &Ended) -> Option<(f64, f64)> {
    let mut lines = ended.stderr.lines().rev();
    let mut figure = || lines.next()?.parse::<f64>().ok();
    let peak = figure()?;
    Some((figure()? * 1e3, peak))
}

/// The rounds of ours and of another's.
#[derive(Debug, Default)]
pub(super) struct Both([[Series; FIGURES]; 2]);

impl Both {
    /// Adds a round of each.
    pub(super) fn add(&mut self, costs: [Outcome<Costs>; 2]) {
        for (series, costs) in self.0.iter_mut().zip(costs) {
            for (index, series) in series.iter_mut().enumerate() {
                series.add(|| Ok(borrow(&costs)?.0[index]));
            }
        }
    }

    /// A row for each figure; the goals are for the time and for the processor time.
    pub(super) fn rows(self, of: &str, name: &str, time: Goal, processor: Goal) -> Vec<Row> {
        let memory = Goal::AtMost(MEMORY);
        let goals = [time, processor, Goal::None, Goal::None, memory, memory];
        let [ours, theirs] = self.0;
        let both = ours.into_iter().zip(theirs);
        let rows = both.zip(WHAT).zip(goals);
        rows.map(|(((ours, theirs), (what, unit)), goal)| {
            Row::new(format!("{of}: {what}"), unit, ours.rounds())
                .beside(name, theirs.rounds())
                .goal(goal)
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_receiver_took_is_in_the_last_two_lines() {
        let ended = |stderr: &str| Ended {
            stdout: String::new(),
            stderr: stderr.into(),
        };
        assert_eq!(told(&ended("a note\n1500\n8192\n")), Some((1.5e6, 8192.0)));
        assert_eq!(told(&ended("hii: no\n")), None);
    }

    #[test]
    fn each_side_s_figures_stay_its_own() {
        let mut both = Both::default();
        let ours = Costs([3e9, 4e9, 1e9, 3e9, 4096.0, 40_960.0]);
        both.add([Ok(ours.without(1e9)), Err("not installed".into())]);
        let rows = both.rows("file", "nginx", Goal::AtMost(2e9), Goal::AtMostTimes(1.0));
        let met: Vec<_> = rows.iter().map(Row::is_met).collect();
        assert_eq!(met, [Some(true), None, None, None, Some(true), Some(false)]);
    }
}
