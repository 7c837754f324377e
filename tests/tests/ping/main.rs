//! `hii ping` and `hii-server ping`, the built programs, against each other and against others of all kinds.

use std::fmt::Display;

use hii_tests::path::{Fate, Judge};
use hii_tests::programs::{Ended, Server, count, run};
use serde_json::Value;

mod addresses;
mod agreement;
mod answers;
mod forged;
mod interrupts;
mod limits;
mod lines;
mod pace;
mod refusals;
mod schedules;
mod service;
mod sizes;
mod verdicts;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

fn server(args: &[&str]) -> Server {
    Server::start(
        HII_SERVER,
        &[&["ping", "-b", "127.0.0.1", "--json"], args].concat(),
    )
}

fn ping(target: impl Display, args: &[&str]) -> Ended {
    run(
        HII,
        &[&["ping", &target.to_string(), "--json"], args].concat(),
    )
}

/// The verdicts of a run, in the order of the probes' numbers.
fn verdicts(document: &Value) -> Vec<String> {
    let probes = document["probes"].as_array().expect("probes");
    for (index, probe) in probes.iter().enumerate() {
        assert_eq!(count(&probe["seq"]), index as u64 + 1);
    }
    let verdict = |probe: &Value| probe["verdict"].as_str().expect("a verdict").to_owned();
    probes.iter().map(verdict).collect()
}

/// A judge of the probes of a run, and of their answers, by their number; everything else passes.
fn judge(fate: impl Fn(u64) -> Fate + Send + 'static) -> Judge {
    Box::new(move |_, datagram| {
        let text = String::from_utf8_lossy(datagram);
        let mut words = text.split_whitespace();
        let is_of_run = datagram.len() == 128;
        match words.nth(2).and_then(|seq| seq.parse().ok()) {
            Some(seq) if is_of_run => fate(seq),
            _ => Fate::Pass,
        }
    })
}

/// A judge that drops those with these numbers.
fn drops(seqs: &'static [u64]) -> Judge {
    judge(|seq| {
        if seqs.contains(&seq) {
            Fate::Drop
        } else {
            Fate::Pass
        }
    })
}

fn passes() -> Judge {
    judge(|_| Fate::Pass)
}
