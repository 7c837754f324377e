//! `hii-server relay` as a program: what it passes on, to whom, and what it does about all else.

mod bad_input;
#[cfg(target_os = "linux")]
mod bursts;
mod messages;
mod operation;
mod peers;
mod streams;

use std::io::{BufRead as _, Lines};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};

use hii_tests::programs::{Ended, Output, Server, count, output};
use serde_json::Value;

const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

/// A relay on this host alone, with these options.
fn relay(args: &[&str]) -> Server {
    let args = [&["relay", "-b", "127.0.0.1", "--json"], args].concat();
    Server::start(HII_SERVER, &args)
}

/// A relay on this host alone, with these options, that logs what becomes of frames: its log, and where it listens.
fn relay_that_logs(args: &[&str]) -> (Child, Lines<Output<ChildStderr>>, SocketAddr) {
    let mut child = Command::new(HII_SERVER)
        .args(["relay", "-b", "127.0.0.1", "-p", "0"])
        .args(args)
        .env("HII_LOG", "debug")
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = output(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let address = first.split_whitespace().find_map(|word| word.parse().ok());
    (child, lines, address.expect("where it listens"))
}

/// The relay's tally, once it has been checked: every frame is in one of these counts.
fn tally(server: Server) -> Value {
    checked(&server.stop())
}

fn checked(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let tally = ended.json();
    let mut sum = 0;
    for name in [
        "addresses",
        "tokens",
        "forwarded",
        "ignored",
        "too_short",
        "denied",
        "over_rate",
        "over_error_rate",
        "exits",
    ] {
        sum += count(&tally[name]);
    }
    let refused = tally["refused"].as_object().expect("counts by code");
    sum += refused.values().map(count).sum::<u64>();
    assert_eq!(count(&tally["received"]), sum, "{tally}");
    tally
}
