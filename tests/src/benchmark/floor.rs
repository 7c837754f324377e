//! The server beside a plain echo loop: what it costs to be more than that. One client, a system call for each datagram.

use super::Bench;
use super::figures::{Rounds, Unit};
use super::load::Load;
use super::series::{Series, borrow};
use super::servers::Server;
use super::table::Row;
use super::trouble::Outcome;
use super::usage::processor_time;

const SECONDS: u64 = 4;

/// Datagrams under way when it is answers a second that count: enough to keep a server busy, few enough for its buffer.
const UNDER_WAY: u32 = 64;

pub(super) fn rows(bench: &Bench) -> Vec<Row> {
    let ours = bench.hii_server();
    let plain = Server::that_says_where(bench.programs.plain_echo, &[]);
    let time = bench.options.time(SECONDS);
    let mut series: [[Series; 2]; 3] = Default::default();
    for round in 1..=bench.options.rounds() {
        bench.options.tell(round, "the server");
        for (program, server) in [&ours, &plain].into_iter().enumerate() {
            let [trips, answers, cost] = series.each_mut().map(|both| &mut both[program]);
            trips.add(|| Load::new(borrow(server)?.address())?.round_trips(time));
            let mut spent = None;
            answers.add(|| {
                let server = borrow(server)?;
                let before = processor_time(server.process())?;
                let rate = Load::new(server.address())?.keep(UNDER_WAY, time)?;
                let took = processor_time(server.process())? - before;
                spent = Some(took / (rate * time.as_secs_f64()));
                Ok(rate)
            });
            cost.add(|| spent.ok_or_else(|| "nothing was answered".into()));
        }
    }
    let row = |what: String, unit, [ours, plain]: [Outcome<Rounds>; 2]| {
        Row::new(what, unit, ours).beside("plain echo loop", plain)
    };
    let [trips, answers, cost] = series.map(|both| both.map(Series::rounds));
    vec![
        row(
            "server: round trip of one after the other, median".into(),
            Unit::Time,
            trips,
        ),
        row(
            format!("server: answers with {UNDER_WAY} under way"),
            Unit::Rate,
            answers,
        ),
        row(
            "server: processor time of each of these answers".into(),
            Unit::Time,
            cost,
        ),
    ]
}
