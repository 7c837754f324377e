//! The program `hii`. What it decides is in plain types that a test drives without a socket; sockets and threads are at
//! the rim.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod get;
pub mod output;
pub mod ping;
pub mod target;

/// Measure what a path does to UDP and TCP.
#[derive(Debug, Parser)]
#[command(name = "hii", version, propagate_version = true)]
#[command(after_help = "Examples:\n  \
    hii ping                       measure a server inside this program\n  \
    hii ping example.net           ... or any ping server, Hii or original\n  \
    hii ping 192.0.2.7:8080 -n 100 -i 10ms\n  \
    hii ping tcp://example.net     ... over TCP\n  \
    hii get 192.0.2.7 -o folder    fetch what `hii-server share` offers there\n\n\
    Logs: set HII_LOG=debug (or trace, info, warn).")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Round-trip times and loss to a ping server, over UDP or TCP (not ICMP)
    Ping(ping::Args),
    /// Fetch the files and folders that `hii-server share` offers
    Get(get::Args),
}

/// The program `hii`.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    hii_server::init_logs();
    let result = match cli.command {
        Command::Ping(args) => ping::run(&args),
        Command::Get(args) => get::run(&args),
    };
    result.unwrap_or_else(|failure| failure.report("hii"))
}
