//! How well the schedule of a thousand probes a second is kept, beside irtt's.
//!
//! irtt leaves a slot out when it is late for it, and may send a little before one. `hii ping` leaves none out: a probe
//! that is late by more than an interval goes out in a later slot, beside that slot's own.

use std::collections::BTreeSet;

use super::Bench;
use super::figures::{Unit, median};
use super::irtt;
use super::series::{Series, borrow};
use super::table::{Goal, Row};
use super::trouble::Outcome;

/// Nanoseconds from slot to slot, and the same for the command lines.
const INTERVAL: u64 = 1_000_000;
const EVERY: &str = "-i 1ms";
const EVERY_PRECISE: &str = "-i 1ms --precise";
const EVERY_IRTT: &str = "-i 1ms -Q -o -";
const EVERY_IRTT_BUSY: &str = "-i 1ms -Q -o - --timer=busy";

const SECONDS: u64 = 10;

pub(super) fn rows(bench: &Bench) -> Vec<Row> {
    let seconds = bench.options.seconds(SECONDS);
    let slots = seconds * 1_000_000_000 / INTERVAL;
    let (ours, theirs) = (bench.hii_server(), bench.irtt_server());
    let hii = |options| bench.hii(borrow(&ours)?, options, seconds);
    let irtt = |options| {
        let args = irtt::client(borrow(&theirs)?, options, seconds);
        irtt::Run::read(&irtt::run(&args, seconds)?.stdout)
    };
    let mut sent = Pair::default();
    let mut used = Pair::default();
    let mut error = Pair::default();
    let mut precise = Pair::default();
    let percent = |count: u64| count as f64 * 100.0 / slots as f64;
    for round in 1..=bench.options.rounds() {
        bench.options.tell(round, "the schedule");
        let run = hii(EVERY);
        sent.ours.add(|| Ok(percent(borrow(&run)?.sent()?)));
        used.ours
            .add(|| Ok(percent(slots_used(&since_begin(&borrow(&run)?.sent_at())))));
        error.ours.add(|| borrow(&run)?.lateness());
        let run = irtt(EVERY_IRTT);
        sent.theirs
            .add(|| Ok(percent(borrow(&run)?.sent_at.len() as u64)));
        used.theirs
            .add(|| Ok(percent(slots_used(&borrow(&run)?.sent_at))));
        error
            .theirs
            .add(|| from_nearest_slot(&borrow(&run)?.sent_at));
        precise.ours.add(|| hii(EVERY_PRECISE)?.lateness());
        precise
            .theirs
            .add(|| from_nearest_slot(&irtt(EVERY_IRTT_BUSY)?.sent_at));
    }
    let name = bench.peers.irtt_title();
    let busy = format!("{name} --timer=busy");
    vec![
        sent.row(
            "slots whose probe was sent, 1 ms for 10 s",
            Unit::Percent,
            &name,
        )
        .goal(Goal::AtLeast(99.9)),
        used.row("slots in which a probe went out", Unit::Percent, &name),
        error
            .row("schedule error, median", Unit::Time, &name)
            .goal(Goal::AtMostTimes(0.2)),
        precise
            .row("the same with --precise", Unit::Time, &busy)
            .goal(Goal::AtMost(2_000.0)),
    ]
}

/// A figure of both programs.
#[derive(Debug, Default)]
struct Pair {
    ours: Series,
    theirs: Series,
}

impl Pair {
    fn row(self, what: &str, unit: Unit, name: &str) -> Row {
        Row::new(what, unit, self.ours.rounds()).beside(name, self.theirs.rounds())
    }
}

/// When each of our probes went out since the schedule began. The document does not tell its begin; the least late probe
/// does, as near as can be.
fn since_begin(sent_at: &[u64]) -> Vec<u64> {
    let due = |index: usize| INTERVAL * index as u64;
    let probes = || sent_at.iter().enumerate();
    let begin = probes()
        .map(|(index, at)| at.saturating_sub(due(index)))
        .min();
    probes()
        .map(|(_, at)| at.saturating_sub(begin.unwrap_or_default()))
        .collect()
}

/// In how many slots a probe went out. A probe belongs to the slot that began last, or to the nearest one: whichever
/// way gives more.
fn slots_used(sent_at: &[u64]) -> u64 {
    let count = |slot: fn(u64) -> u64| {
        let slots: BTreeSet<_> = sent_at.iter().map(|at| slot(*at)).collect();
        slots.len() as u64
    };
    count(|at| at / INTERVAL).max(count(|at| (at + INTERVAL / 2) / INTERVAL))
}

/// How far probes went out from their slots, before or after them, in the median. One that went out nearer to the next
/// slot is taken for that one's.
fn from_nearest_slot(sent_at: &[u64]) -> Outcome<f64> {
    let error = |at: &u64| (at % INTERVAL).min(INTERVAL - at % INTERVAL) as f64;
    let errors: Vec<_> = sent_at.iter().map(error).collect();
    median(&errors).ok_or_else(|| "no probe went out".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_probe_uses_the_slot_that_it_went_out_in() {
        let late = |nanos: [u64; 4]| slots_used(&nanos);
        assert_eq!(late([0, 1_900_000, 2_100_000, 3_000_000]), 4);
        assert_eq!(late([0, 2_050_000, 2_060_000, 3_000_000]), 3);
        // A little early throughout.
        assert_eq!(late([0, 999_000, 1_998_000, 2_997_000]), 4);
    }

    #[test]
    fn the_error_is_the_distance_to_the_nearest_slot() {
        assert_eq!(from_nearest_slot(&[100, 999_800, 3_000_300]), Ok(200.0));
        assert!(from_nearest_slot(&[]).is_err());
    }

    #[test]
    fn our_times_are_counted_from_the_least_late_probe() {
        let since_begin = since_begin(&[5_000_090, 6_000_050, 7_000_070]);
        assert_eq!(since_begin, [40, 1_000_000, 2_000_020]);
    }
}
