//! The system benchmark of `hii ping` and `hii-server ping`: whole programs on loopback, beside others that do the same
//! (`docs/benchmarks.md`).

pub mod echoes;
pub mod figures;
pub mod floor;
pub mod folders;
pub mod hii;
pub mod irtt;
pub mod load;
pub mod machine;
pub mod memory;
pub mod options;
pub mod peers;
pub mod placement;
pub mod processes;
pub mod relay;
pub mod relay_load;
pub mod round_trip;
pub mod schedule;
pub mod series;
pub mod servers;
pub mod share;
pub mod sockperf;
pub mod table;
pub mod trouble;
pub mod usage;

use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;
use options::Parts;
use peers::Peers;
use servers::Server;
use table::Row;
use trouble::Outcome;

/// The command line.
pub type Options = options::Options<Part>;

/// What can be measured apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Round trips, beside sockperf's
    RoundTrip,
    /// Slots and when probes go out, beside irtt's
    Schedule,
    /// The most echoes a second, beside irtt's
    Echoes,
    /// The client's memory, beside irtt's
    Memory,
    /// The server, beside a plain echo loop
    Server,
}

impl Parts for Part {
    const ABOUT: &str = "Measures `hii ping` and `hii-server ping` beside irtt, sockperf and a plain echo loop, on loopback";
    const COMMAND: &str = "cargo bench -p hii-tests --bench ping --";
}

/// The programs that the benchmark runs, by their paths.
#[derive(Debug, Clone, Copy)]
pub struct Programs {
    /// `hii`.
    pub hii: &'static str,
    /// `hii-server`.
    pub server: &'static str,
    /// Sends back each datagram and does nothing else.
    pub plain_echo: &'static str,
    /// Runs a program and tells its peak memory.
    pub peak_memory: &'static str,
}

/// What a benchmark runs with.
#[derive(Debug)]
pub struct Bench {
    /// What was asked for.
    pub options: Options,
    /// Our programs.
    pub programs: Programs,
    /// The others.
    pub peers: Peers,
}

impl Bench {
    /// Measures a part.
    #[must_use]
    pub fn measure(&self, part: Part) -> Vec<Row> {
        match part {
            Part::RoundTrip => round_trip::rows(self),
            Part::Schedule => schedule::rows(self),
            Part::Echoes => echoes::rows(self),
            Part::Memory => memory::rows(self),
            Part::Server => floor::rows(self),
        }
    }

    /// A `hii-server ping` that answers everyone at any rate.
    pub(crate) fn hii_server(&self) -> Outcome<Server> {
        let args = ["ping", "-b", "127.0.0.1", "-p", "0", "--rate", "0"];
        Server::that_says_where(self.programs.server, &args)
    }

    /// All rows, and what they were measured on.
    #[must_use]
    pub fn report(&self, machine: &[String], rows: &[Row]) -> String {
        let peers = [self.peers.irtt_title(), self.peers.sockperf_title()].join(", ");
        let about = [format!("beside: {peers}"), self.options.about()];
        self.options.report(&[machine, &about].concat(), rows)
    }
}

/// An address as programs take it.
pub(crate) fn text(address: SocketAddr) -> String {
    address.to_string()
}

/// How long a program may take that measures for so many seconds: it also starts, waits for the last answers, and writes
/// what it found, on a machine that may be busy.
pub(crate) fn limit(seconds: u64) -> Duration {
    Duration::from_secs(60 + 2 * seconds)
}
