//! `hii ping` and `hii-server ping` beside irtt, sockperf and a plain echo loop: `cargo bench -p hii-tests`.
//!
//! What is measured, and how: `docs/benchmarks.md`.

use std::process::ExitCode;

use clap::Parser as _;
use hii_tests::benchmark::peers::Peers;
use hii_tests::benchmark::{Bench, Options, Programs, machine, processes};

const PROGRAMS: Programs = Programs {
    hii: env!("CARGO_BIN_EXE_hii-under-test"),
    server: env!("CARGO_BIN_EXE_hii-server-under-test"),
    plain_echo: env!("CARGO_BIN_EXE_plain-echo"),
    peak_memory: env!("CARGO_BIN_EXE_peak-memory"),
};

fn main() -> ExitCode {
    let options = Options::parse();
    if !options.bench {
        // `cargo test --all-targets` starts it too.
        eprintln!("this is run by `cargo bench -p hii-tests`");
        return ExitCode::SUCCESS;
    }
    if let Err(trouble) = processes::end_with_the_benchmark() {
        eprintln!("{trouble}");
        return ExitCode::FAILURE;
    }
    let about = machine::describe();
    let bench = Bench {
        options,
        programs: PROGRAMS,
        peers: Peers::find(),
    };
    let parts = bench.options.parts();
    let rows: Vec<_> = parts.flat_map(|part| bench.measure(*part)).collect();
    print!("{}", bench.report(&about, &rows));
    ExitCode::SUCCESS
}
