//! The system benchmark itself: what it asks of our programs is there.

use clap::{Parser as _, ValueEnum as _};
use hii_tests::benchmark::peers::Peers;
use hii_tests::benchmark::{Bench, Options, Part, Programs};

/// A quick benchmark without any other program.
fn bench() -> Bench {
    Bench {
        options: Options::parse_from(["benchmark", "--quick"]),
        programs: Programs {
            hii: env!("CARGO_BIN_EXE_hii-under-test"),
            server: env!("CARGO_BIN_EXE_hii-server-under-test"),
            plain_echo: env!("CARGO_BIN_EXE_plain-echo"),
            peak_memory: env!("CARGO_BIN_EXE_peak-memory"),
        },
        peers: Peers {
            irtt: Err("not asked".into()),
            sockperf: Err("not asked".into()),
        },
    }
}

#[test]
fn our_figures_are_there_without_the_others() {
    let bench = bench();
    for part in Part::value_variants() {
        for row in bench.measure(*part) {
            let trouble = row.trouble();
            // A machine with a single core cannot keep two programs apart.
            let is_small = trouble.is_some_and(|trouble| trouble.0 == "needs two cores");
            assert!(is_small || trouble.is_none(), "{row:?}");
        }
    }
}
