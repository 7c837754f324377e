//! The Hii services. Each is a plain state machine, driven without a socket in its tests, and a thin rim that runs it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use logs::LogFormat;

mod accept;
pub mod admission;
pub mod allow_exit;
pub mod announce;
pub mod args;
mod descriptors;
pub mod exit;
mod inbox;
mod listen;
pub mod logs;
pub mod metrics;
pub mod ping;
mod places;
pub mod policy;
pub mod quiet;
#[cfg(test)]
mod reflectors;
pub mod relay;
mod running;
#[cfg(test)]
mod security_tests;
pub mod share;
pub mod source;
pub mod stderr;
pub mod streams;
mod threads;
mod traffic;

/// Network services to measure against and to talk through.
#[derive(Debug, Parser)]
#[command(name = "hii-server", version, propagate_version = true)]
// The last one wins, so that a service manager's line can end in what an operator adds.
#[command(args_override_self = true)]
#[command(after_help = "Examples:\n  \
    hii-server ping                          answer every message on port 8080\n  \
    hii-server ping --simulate               ... losing 10 % and delaying 0.1 to 500 ms\n  \
    hii-server ping --loss 1% --delay 20ms..30ms --seed 7\n  \
    hii-server ping --log json               ... with logs for machines\n  \
    hii-server relay                         pass messages between hosts, on port 8081\n  \
    hii-server share photos                  hand a folder over, encrypted, on port 8082\n  \
    hii-server key photos.key                make a file with a key for that\n\n\
    Logs: set HII_LOG=debug (or trace, info, warn).")]
struct Cli {
    /// Form of the logs on stderr
    #[arg(long, global = true, value_name = "FORM", value_enum, default_value_t)]
    log: LogFormat,

    #[command(subcommand)]
    service: Service,
}

#[derive(Debug, Subcommand)]
enum Service {
    /// Answer every message, at once or with faked loss and delay
    Ping(ping::Args),
    /// Pass messages between the hosts that greet it
    Relay(relay::Args),
    /// Hand files over to whoever has the key
    Share(share::Args),
    /// Make a key for share
    Key(share::KeyArgs),
}

/// The program `hii-server`.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.log.init();
    let result = match cli.service {
        Service::Ping(args) => ping::run(&args, cli.log),
        Service::Relay(args) => relay::run(&args, cli.log),
        Service::Share(args) => share::run(&args, cli.log),
        Service::Key(args) => share::run_key(&args, cli.log),
    };
    match result {
        Ok(()) => exit::FINE,
        Err(failure) => cli.log.report(&failure, "hii-server"),
    }
}

/// Sends the program's logs to stderr: warnings, or what the environment variable `HII_LOG` asks for.
pub fn init_logs() {
    LogFormat::Text.init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::Config;

    const UNIT: &str = include_str!("../systemd/hii-relay.service");

    /// What the unit starts with these options of an operator.
    fn started(options: &[&'static str]) -> (LogFormat, Config) {
        let command = UNIT
            .lines()
            .find_map(|line| line.strip_prefix("ExecStart="));
        let words = command.expect("a command").split_whitespace();
        let words = words.flat_map(|word| match word {
            "$HII_RELAY_OPTIONS" => options.to_vec(),
            word => vec![word],
        });
        let cli = Cli::try_parse_from(words).expect("a command line");
        let Service::Relay(args) = cli.service else {
            panic!("it starts something else");
        };
        (cli.log, args.config())
    }

    #[test]
    fn the_unit_starts_a_relay_that_nobody_stops_from_afar() {
        let (log, config) = started(&[]);
        assert_eq!(log, LogFormat::Json);
        assert_eq!(config.allow_exit, allow_exit::AllowExit::Never);
        assert!(config.access.distrusts_loopback && !config.access.open);
        assert!(config.access.trust.is_empty());
        // What is wrong on the command line is wrong a second later too.
        assert!(UNIT.contains("\nRestartPreventExitStatus=2\n"));
    }

    #[test]
    fn an_operator_s_options_beat_those_of_the_unit() {
        let options = [
            "--allow-exit",
            "loopback",
            "--log",
            "text",
            "--peers",
            "7",
            "--peers",
            "9",
            "--trust",
            "192.0.2.0/24",
            "--trust",
            "198.51.100.0/24",
        ];
        let (log, config) = started(&options);
        assert_eq!(log, LogFormat::Text);
        assert_eq!(config.allow_exit, allow_exit::AllowExit::Loopback);
        // Those that may be given several times all count.
        assert_eq!((config.peers, config.access.trust.len()), (9, 2));
    }
}
