//! `hii-server share` and `hii get` beside nginx and curl, and beside a plain sendfile server:
//! `cargo bench -p hii-tests --bench share`.
//!
//! What is measured, and how: `docs/benchmarks.md`.

use std::process::ExitCode;

use clap::Parser as _;
use hii_tests::benchmark::share::{Options, Programs, ShareBench};
use hii_tests::benchmark::{machine, processes};

const PROGRAMS: Programs = Programs {
    hii: env!("CARGO_BIN_EXE_hii-under-test"),
    server: env!("CARGO_BIN_EXE_hii-server-under-test"),
    plain: env!("CARGO_BIN_EXE_plain-file"),
    peak_memory: env!("CARGO_BIN_EXE_peak-memory"),
};

fn main() -> ExitCode {
    let options = Options::parse();
    if !options.bench {
        // `cargo test --all-targets` starts it too.
        eprintln!("this is run by `cargo bench -p hii-tests --bench share`");
        return ExitCode::SUCCESS;
    }
    let run = || {
        processes::end_with_the_benchmark()?;
        ShareBench::new(options, PROGRAMS)
    };
    let bench = match run() {
        Ok(bench) => bench,
        Err(trouble) => {
            eprintln!("{trouble}");
            return ExitCode::FAILURE;
        }
    };
    let about = [machine::describe(), bench.about()].concat();
    let rows = bench.rows();
    print!("{}", bench.options.report(&about, &rows));
    ExitCode::SUCCESS
}
