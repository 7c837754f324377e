//! The program `hii`. What it decides is in plain types that a test drives without a socket; sockets and threads are at
//! the rim.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod explain;
pub mod get;
pub mod lines;
pub mod output;
pub mod ping;
pub mod relay;
pub mod target;

/// Measure what a path does to UDP and TCP, pass messages by way of a relay, fetch files, and explain what is on the wire.
#[derive(Debug, Parser)]
#[command(name = "hii", version, propagate_version = true)]
#[command(after_help = "Examples:\n  \
    hii ping                       measure a server inside this program\n  \
    hii ping example.net           ... or any ping server, Hii or original\n  \
    hii ping 192.0.2.7:8080 -n 100 -i 10ms\n  \
    hii ping tcp://example.net     ... over TCP\n  \
    hii chat relay.example         talk by way of a relay\n  \
    hii listen relay.example       messages that others send here by that relay\n  \
    hii send relay.example 192.0.2.7/9000 'good morning'\n  \
    hii get 192.0.2.7 -o folder    fetch what `hii-server share` offers there\n  \
    hii explain 'to:192.0.2.7/90x0;content:hello'\n\n\
    Logs: set HII_LOG=debug (or trace, info, warn).")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Round-trip times and loss to a ping server, over UDP or TCP (not ICMP)
    Ping(ping::Args),
    /// Talk to other hosts by way of a relay: messages come in while you type
    Chat(relay::chat::Args),
    /// Send a message, or one for each line of input, to another host by way of a relay
    Send(relay::send::Args),
    /// Show the messages that come by way of a relay
    Listen(relay::listen::Args),
    /// Fetch the files and folders that `hii-server share` offers
    Get(get::Args),
    /// What a frame means, or where exactly it is wrong and which code it earns
    Explain(explain::Args),
}

/// The program `hii`.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    hii_server::init_logs();
    let result = match cli.command {
        Command::Ping(args) => ping::run(&args),
        Command::Chat(args) => relay::chat::run(&args),
        Command::Send(args) => relay::send::run(&args),
        Command::Listen(args) => relay::listen::run(&args),
        Command::Get(args) => get::run(&args),
        Command::Explain(args) => explain::run(&args),
    };
    result.unwrap_or_else(|failure| failure.report("hii"))
}
