//! Round trips at a thousand a second, beside sockperf's ping-pong at the same rate.
//!
//! Both times are those of the program: from just before the call that sends to just after the call that receives.
//! sockperf spins until it is time for the next message, so its client has not slept when it sends, and sleeps until the
//! answer comes. `hii ping` sleeps until its slot, as one does on a machine that has other work, and stays awake for an
//! answer that comes soon; with `--precise` it is awake before a send too. Late answers have a thread of their own.
//!
//! Between the kernel's time stamps, and less what the server held, is what `hii ping` tells of the network alone: how much
//! of the time above is the programs'.
//!
//! Where the scheduler puts client and server decides more than what they do: on one core an answer needs no wake-up of
//! another. So both pairs are measured as they fall, and with client and server kept on a core each.

use super::Bench;
use super::figures::Unit;
use super::placement::{Place, placed};
use super::series::{Series, borrow};
use super::sockperf;
use super::table::{Goal, Row};

/// Probes a second, for both.
const RATE: u32 = 1000;
const EVERY: &str = "-q -i 1ms";
const EVERY_PRECISE: &str = "-q -i 1ms --precise";

const SECONDS: u64 = 5;

pub(super) fn rows(bench: &Bench) -> Vec<Row> {
    let apart = rows_in(bench, Place::First, Place::Last, "on a core each");
    let anywhere = rows_in(bench, Place::Anywhere, Place::Anywhere, "on any core");
    [apart, anywhere].concat()
}

fn rows_in(bench: &Bench, client: Place, server: Place, where_they_run: &str) -> Vec<Row> {
    let seconds = bench.options.seconds(SECONDS);
    let ours = placed(server, || bench.hii_server());
    let theirs = placed(server, || bench.sockperf_server());
    let run = |options| placed(client, || bench.hii(borrow(&ours)?, options, seconds));
    let ping_pong = || sockperf::ping_pong(borrow(&theirs)?, RATE, seconds);
    let mut series: [Series; 4] = Default::default();
    for round in 1..=bench.options.rounds() {
        bench
            .options
            .tell(round, &format!("round trips, {where_they_run}"));
        let [sleeping, network, other, spinning] = &mut series;
        let found = run(EVERY);
        sleeping.add(|| borrow(&found)?.rtt());
        network.add(|| borrow(&found)?.network_rtt());
        other.add(|| placed(client, ping_pong));
        spinning.add(|| run(EVERY_PRECISE)?.rtt());
    }
    let name = bench.peers.sockperf_title();
    let [sleeping, network, other, spinning] = series.map(Series::rounds);
    let row = |what, ours| {
        Row::new(what, Unit::Time, ours)
            .beside(&name, other.clone())
            .goal(Goal::AtMostTimes(1.05))
    };
    let network = Row::new(
        "of which on the way, by the kernel's stamps",
        Unit::Time,
        network,
    );
    vec![
        row(
            format!("round trip, median, 64 octets, {RATE}/s, {where_they_run}"),
            sleeping,
        ),
        network,
        row("the round trip with --precise".to_owned(), spinning),
    ]
}
