//! The most echoes a second, beside irtt's.
//!
//! irtt has no mode for that. It is measured as its users would set it, with a short interval; and with the settings that
//! give it most, which are looked for first. All are measured in turn with ours.

use super::figures::Unit;
use super::series::{Series, borrow};
use super::servers::Server;
use super::table::{Goal, Row};
use super::trouble::Outcome;
use super::{Bench, irtt};

/// One system call for each probe, and for each answer.
const ONE_BY_ONE: &str = "-q --flood --no-gso";
const TOGETHER: &str = "-q --flood";

/// Short, and all else as irtt has it.
const IRTT_PLAIN: &str = "-i 10us";

/// What irtt is tried with: ever shorter intervals, its default timer and the one that spins, and without the stamps and
/// counts that it otherwise sends along.
const IRTT_INTERVALS: [&str; 7] = ["20us", "10us", "5us", "3us", "2us", "1us", "500ns"];
const IRTT_TIMERS: [&str; 2] = ["comp", "busy"];
const IRTT_STAMPS: [&str; 2] = ["", "--stats=none --tstamp=none"];

const SECONDS: u64 = 5;
const TRY_SECONDS: u64 = 1;

pub(super) fn rows(bench: &Bench) -> Vec<Row> {
    let seconds = bench.options.seconds(SECONDS);
    let (ours, theirs) = (bench.hii_server(), bench.irtt_server());
    let run = |options| {
        bench
            .hii(borrow(&ours)?, options, seconds)?
            .answered_per_second()
    };
    let best = borrow(&theirs).and_then(|server| best_of_irtt(bench, server));
    let theirs = |options| echoes_of_irtt(borrow(&theirs)?, options, seconds);
    let mut series: [Series; 4] = Default::default();
    for round in 1..=bench.options.rounds() {
        bench.options.tell(round, "echoes");
        let [one_by_one, together, plain, most] = &mut series;
        one_by_one.add(|| run(ONE_BY_ONE));
        plain.add(|| theirs(IRTT_PLAIN));
        together.add(|| run(TOGETHER));
        most.add(|| theirs(borrow(&best)?));
    }
    let [one_by_one, together, plain, most] = series.map(Series::rounds);
    let title = bench.peers.irtt_title();
    let name = format!("{title} {IRTT_PLAIN}");
    let best = best.map_or_else(|_| title.clone(), |options| format!("{title} {options}"));
    let row = |what, ours| Row::new(what, Unit::Rate, ours);
    let (single, batched) = (
        "echoes, one datagram a call",
        "echoes, several in a call (GSO) at both ends",
    );
    vec![
        row(single, one_by_one.clone())
            .beside(&name, plain.clone())
            .goal(Goal::AtLeastTimes(3.0)),
        row(batched, together.clone())
            .beside(&name, plain)
            .goal(Goal::AtLeastTimes(100.0)),
        row(single, one_by_one).beside(&best, most.clone()),
        row(batched, together).beside(&best, most),
    ]
}

/// The options with which irtt gets the most answers.
fn best_of_irtt(bench: &Bench, server: &Server) -> Outcome<String> {
    bench.options.tell(1, "what gives irtt the most echoes");
    let mut best: Option<(f64, String)> = None;
    let mut failed = None;
    for interval in IRTT_INTERVALS {
        for timer in IRTT_TIMERS {
            for stamps in IRTT_STAMPS {
                let options = format!("-i {interval} --timer={timer} {stamps}");
                let options = options.trim_end().to_owned();
                match echoes_of_irtt(server, &options, TRY_SECONDS) {
                    Ok(rate) if best.as_ref().is_none_or(|(most, _)| rate > *most) => {
                        best = Some((rate, options));
                    }
                    Ok(_) => {}
                    Err(trouble) => failed = Some(trouble),
                }
            }
        }
    }
    let why = failed.unwrap_or_else(|| "nothing was tried".into());
    best.map(|(_, options)| options).ok_or(why)
}

/// The answers that irtt gets a second while it sends.
fn echoes_of_irtt(server: &Server, options: &str, seconds: u64) -> Outcome<f64> {
    let args = irtt::client(server, &format!("-q {options}"), seconds);
    let received = irtt::received(&irtt::run(&args, seconds)?.stdout);
    let received = received.ok_or("irtt does not tell what it received")?;
    Ok(received as f64 / seconds as f64)
}
