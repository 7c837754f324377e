//! `hii-server relay` beside a plain loop that passes messages on: `cargo bench -p hii-tests --bench relay`.
//!
//! What is measured, and how: `docs/benchmarks.md`.

use std::process::ExitCode;

use clap::Parser as _;
use hii_tests::benchmark::relay::{Options, RelayBench};
use hii_tests::benchmark::{machine, processes};

fn main() -> ExitCode {
    let options = Options::parse();
    if !options.bench {
        // `cargo test --all-targets` starts it too.
        eprintln!("this is run by `cargo bench -p hii-tests --bench relay`");
        return ExitCode::SUCCESS;
    }
    if let Err(trouble) = processes::end_with_the_benchmark() {
        eprintln!("{trouble}");
        return ExitCode::FAILURE;
    }
    let bench = RelayBench {
        options,
        server: env!("CARGO_BIN_EXE_hii-server-under-test"),
        plain: env!("CARGO_BIN_EXE_plain-relay"),
        unchecked: env!("CARGO_BIN_EXE_unchecked-relay"),
    };
    let about = [machine::describe(), vec![bench.about()]].concat();
    let rows = bench.rows();
    print!("{}", bench.options.report(&about, &rows));
    ExitCode::SUCCESS
}
