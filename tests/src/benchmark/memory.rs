//! The client's memory at a thousand probes a second, beside irtt's: at its peak, and as the run goes on. All clients of
//! a round run at the same time, since time is not what is measured.

use std::thread;
use std::time::{Duration, Instant};

use super::figures::{Rounds, Unit};
use super::hii::SIZE;
use super::processes::Process;
use super::series::{Series, borrow};
use super::table::{Goal, Row};
use super::trouble::Outcome;
use super::usage::resident;
use super::{Bench, irtt, limit, text};

const SECONDS: u64 = 10;

/// After so many seconds of a longer run the memory is looked at.
const LOOKS: [u64; 3] = [5, 10, 30];

/// A run that has not grown more than this, in percent of its first look, has stayed flat. The first look comes after the
/// first 4,096 probes, whose times are kept as they are.
const FLAT: f64 = 5.0;

/// What is left to tell when the last look is over.
const REST: u64 = 2;

pub(super) fn rows(bench: &Bench) -> Vec<Row> {
    let name = bench.peers.irtt_title();
    let mut rows = peaks(bench, &name);
    rows.extend(growth(bench, &name));
    rows
}

fn peaks(bench: &Bench, name: &str) -> Vec<Row> {
    let seconds = bench.options.seconds(SECONDS);
    let (ours, theirs) = (bench.hii_server(), bench.irtt_server());
    let peak = bench.programs.peak_memory;
    let duration = seconds.to_string();
    let hii = |options: &str| {
        let address = text(borrow(&ours)?.address());
        let mut args = vec![
            bench.programs.hii,
            "ping",
            &address,
            "-s",
            SIZE,
            "-d",
            &duration,
            "-i",
            "1ms",
        ];
        args.extend(options.split_whitespace());
        Process::start(peak, &args)
    };
    let irtt = |options: &str| {
        let mut args = vec!["irtt".to_owned()];
        args.extend(irtt::client(
            borrow(&theirs)?,
            &format!("-i 1ms {options}"),
            seconds,
        ));
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        Process::start(peak, &args)
    };
    let mut series: [Series; 4] = Default::default();
    for round in 1..=bench.options.rounds() {
        bench.options.tell(round, "memory");
        let runs = [hii("--json"), irtt("-Q -o -"), hii("-q"), irtt("-q")];
        for (series, run) in series.iter_mut().zip(runs) {
            series.add(|| peak_of(run?, seconds));
        }
    }
    let [json, their_json, brief, their_brief] = series.map(Series::rounds);
    let row = |what, ours, theirs| Row::new(what, Unit::Kibibytes, ours).beside(name, theirs);
    let what = "client's peak memory, 1 ms for 10 s, every probe as JSON";
    vec![
        row(what, json, their_json).goal(Goal::AtMostTimes(0.2)),
        // A program that does nothing has most of a fifth of irtt's memory.
        row("the same with the summary only", brief, their_brief),
    ]
}

fn peak_of(run: Process, seconds: u64) -> Outcome<f64> {
    let ended = run.finish(limit(seconds))?;
    let last = ended
        .stderr
        .lines()
        .last()
        .and_then(|line| line.parse().ok());
    last.ok_or_else(|| "no peak was told".into())
}

fn growth(bench: &Bench, name: &str) -> Vec<Row> {
    let looks = LOOKS.map(|look| bench.options.seconds(look));
    let seconds = looks.iter().max().map_or(0, |last| last + REST);
    let (ours, theirs) = (bench.hii_server(), bench.irtt_server());
    bench
        .options
        .tell(bench.options.rounds(), "memory as a run goes on");
    let duration = seconds.to_string();
    let start = Instant::now();
    let hii = borrow(&ours).and_then(|server| {
        let address = text(server.address());
        let args = [
            "ping", &address, "-s", SIZE, "-q", "-i", "1ms", "-d", &duration,
        ];
        Process::start_silent(bench.programs.hii, &args)
    });
    let irtt = borrow(&theirs).and_then(|server| {
        let args = irtt::client(server, "-q -i 1ms", seconds);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        Process::start_silent("irtt", &args)
    });
    let mut memory: [Vec<Outcome<f64>>; 2] = Default::default();
    for look in looks {
        thread::sleep(Duration::from_secs(look).saturating_sub(start.elapsed()));
        for (memory, process) in memory.iter_mut().zip([&hii, &irtt]) {
            memory.push(borrow(process).and_then(resident));
        }
    }
    let at = |program: usize, look: usize| -> Outcome<f64> {
        let figure = memory.get(program).and_then(|memory| memory.get(look));
        figure
            .cloned()
            .unwrap_or_else(|| Err("it was not looked at".into()))
    };
    let one = |figure: Outcome<f64>| figure.map(|figure| Rounds::from_iter([figure]));
    let mut rows: Vec<_> = (0..looks.len())
        .map(|look| {
            let what = format!("memory after {} s at 1 ms, summary only", looks[look]);
            Row::new(what, Unit::Kibibytes, one(at(0, look))).beside(name, one(at(1, look)))
        })
        .collect();
    let growth = |program| {
        let (first, last) = (at(program, 0)?, at(program, looks.len() - 1)?);
        Ok((last - first) * 100.0 / first)
    };
    let what = "growth from the first of these to the last";
    let growth = Row::new(what, Unit::Percent, one(growth(0))).beside(name, one(growth(1)));
    rows.push(growth.goal(Goal::AtMost(FLAT)));
    rows
}
