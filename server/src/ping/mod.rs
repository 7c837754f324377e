//! `hii-server ping`: a server that answers every message.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdSocket};

use hii_transport::addresses::interface_addresses;
use hii_transport::clock::Clock;
use hii_transport::{shutdown, udp};

use crate::announce::Announcement;
use crate::args::{DelayRange, Rate, delay_range, probability, rate};
use crate::exit::{Exit, Failure, note};
use crate::logs::LogFormat;
use crate::metrics::Endpoint;
use crate::quiet::Quiet;

mod delay_queue;
mod departures;
#[cfg(test)]
mod departures_tests;
mod embedded;
mod impairment;
mod metrics;
mod reorder;
mod runs;
mod service;
#[cfg(test)]
mod service_tests;
mod tally;
mod threads;

pub use delay_queue::DelayQueue;
pub use departures::Outgoing;
pub use embedded::Embedded;
pub use impairment::{Dice, Fate, Impairments};
pub use metrics::{Board, Seat, Snapshot};
pub use runs::{Runs, Standing};
pub use service::{AllowExit, Config, PingService, Reply};
pub use tally::Tally;

/// Datagrams a second from one source that a server answers unless told otherwise.
const DEFAULT_RATE: &str = "20000/s";

/// The command line of `hii-server ping`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hii-server ping                     answer at once, on every address, port 8080\n  \
    hii-server ping -p 0 -b 127.0.0.1   any free port, this host only\n  \
    hii-server ping --simulate          lose 10 %, delay 0.1 to 500 ms\n  \
    hii-server ping --loss 5% --delay 20ms..40ms --seed 7 --json\n  \
    hii-server ping --duplicate 2% --reorder 5%\n  \
    hii-server ping --metrics 127.0.0.1:9100   counters at http://127.0.0.1:9100/metrics\n  \
    hii-server ping --threads 0         one thread for each core\n\n\
    Ctrl-C stops the server and prints what it did.")]
pub struct Args {
    /// Port to listen on; 0 is any free one
    #[arg(short, long, default_value_t = 8080)]
    port: u16,

    /// Address to listen on, may be given several times [default: every address, IPv4 and IPv6]
    #[arg(short, long, value_name = "IP")]
    bind: Vec<IpAddr>,

    /// Lose and delay as the original server does: --loss 10% --delay 0.1ms..500ms
    #[arg(long)]
    simulate: bool,

    /// Do not answer this share of the messages, as 0.1 or 10%
    #[arg(long, value_name = "P", value_parser = probability)]
    loss: Option<f64>,

    /// Let each answer wait, a time or a range to draw from: 20ms, 0.1ms..500ms
    #[arg(long, value_name = "A..B", value_parser = delay_range)]
    delay: Option<DelayRange>,

    /// Send this share of the answers twice
    #[arg(long, value_name = "P", value_parser = probability, default_value = "0")]
    duplicate: f64,

    /// Let this share of the answers be overtaken: each goes after the next one to the same sender, or after 1 s
    #[arg(long, value_name = "P", value_parser = probability, default_value = "0")]
    reorder: f64,

    /// Draw all of these from this number, so that a run can be repeated
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Whose `exit` message stops the server
    #[arg(long, value_name = "WHOSE", value_enum, default_value_t = AllowExit::Loopback)]
    allow_exit: AllowExit,

    /// Messages a second that one source may send; 0 is no limit
    #[arg(long, value_name = "N/s", value_parser = rate, default_value = DEFAULT_RATE)]
    rate: Rate,

    /// Threads to serve on, each with a share of the peers, a --rate and draws of its own; 0 is one for each core
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(..=256))]
    threads: u16,

    /// Tell counters to a monitoring system: `GET /metrics` there, for whoever reaches the address
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,

    /// Print what the server did as JSON when it stops
    #[arg(long)]
    json: bool,
}

impl Args {
    fn config(&self) -> Config {
        let base = if self.simulate {
            Impairments::ORIGINAL
        } else {
            Impairments::NONE
        };
        Config {
            impairments: Impairments {
                loss: self.loss.unwrap_or(base.loss),
                delay: self.delay.unwrap_or(base.delay),
                duplicate: self.duplicate,
                reorder: self.reorder,
            },
            seed: self.seed.unwrap_or_else(random_seed),
            allow_exit: self.allow_exit,
            rate: self.rate,
        }
    }
}

fn random_seed() -> u64 {
    use rand::TryRng as _;
    // Without the system's randomness the time has to do: nothing secret is drawn from it.
    rand::rngs::SysRng
        .try_next_u64()
        .unwrap_or_else(|_| Clock::start().now().wall)
}

/// Runs `hii-server ping` until it is stopped.
///
/// # Errors
/// An address cannot be listened on, or the tally cannot be written.
pub fn run(args: &Args, log: LogFormat) -> Result<(), Failure> {
    let threads = threads::count(args.threads)?;
    let config = args.config();
    let runtime = current_thread_runtime().map_err(|error| {
        Failure::new(
            Exit::Unreachable,
            format_args!("cannot start: {error}"),
            "free some memory or files",
        )
    })?;
    let tally = runtime.block_on(async {
        // Caught from here on: whoever reads the announcement may stop the server.
        let stop = shutdown::asked_to_stop().map_err(|error| {
            Failure::new(
                Exit::Unreachable,
                format_args!("cannot catch signals: {error}"),
                "free some files",
            )
        })?;
        let sockets = listen(&args.bind, args.port, threads)?;
        let addresses = addresses(&sockets);
        let board = Board::default();
        let metrics = args.metrics.map(|at| Endpoint::start(at, board.registry()));
        let metrics = metrics.transpose()?;
        Announcement::new("ping", &addresses, "hii ping").tell(log);
        if let Some(endpoint) = &metrics {
            let address = endpoint.address();
            match log {
                LogFormat::Text => note(format_args!("  metrics at http://{address}/metrics")),
                LogFormat::Json => tracing::info!(metrics = %address, "listening"),
            }
        }
        if config.impairments != Impairments::NONE {
            let Config {
                impairments, seed, ..
            } = &config;
            match log {
                LogFormat::Text => note(format_args!("  {impairments}, --seed {seed}")),
                LogFormat::Json => tracing::info!(%impairments, seed, "impaired on purpose"),
            }
        }
        let quiet = Quiet::new(&addresses, interface_addresses());
        let service = |thread| {
            let config = Config {
                // The draws of the first are those that the seed has always meant.
                seed: config.seed.wrapping_add(thread),
                ..config.clone()
            };
            let seat = metrics.as_ref().map(|_| board.seat("udp"));
            PingService::new(&config, quiet.clone()).with_metrics(seat)
        };
        threads::serve(threads::by_thread(sockets), service, stop)
            .await
            .map_err(|error| {
                Failure::new(
                    Exit::Unreachable,
                    format_args!("cannot serve: {error}"),
                    "free some files",
                )
            })
    })?;
    tracing::info!(%tally, "stopped");
    print(&tally, args.json).map_err(|error| {
        Failure::new(
            Exit::Output,
            format_args!("cannot print the tally: {error}"),
            "give stdout room",
        )
    })
}

fn print(tally: &Tally, json: bool) -> io::Result<()> {
    use std::io::Write as _;
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, tally)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{tally}")?;
    }
    out.flush()
}

fn current_thread_runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// For each address a socket for each thread.
fn listen(addresses: &[IpAddr], port: u16, threads: usize) -> Result<Vec<Vec<StdSocket>>, Failure> {
    if addresses.is_empty() {
        let sockets = udp::listen_everywhere_shared(port, threads)
            .map_err(|error| cannot_listen(None, port, &error))?;
        return Ok(vec![sockets]);
    }
    let listen = |ip: &IpAddr| {
        udp::listen_shared(SocketAddr::new(*ip, port), threads)
            .map_err(|error| cannot_listen(Some(*ip), port, &error))
    };
    addresses.iter().map(listen).collect()
}

fn cannot_listen(ip: Option<IpAddr>, port: u16, error: &io::Error) -> Failure {
    let on = ip.map(|ip| format!("{ip} ")).unwrap_or_default();
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program has the port: give another one with -p, or -p 0 for any free one"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 belong to the administrator: give another one with -p"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this host does not have that address: give one of its own with -b"
        }
        _ => "give another address with -b or another port with -p",
    };
    Failure::new(
        Exit::Unreachable,
        format_args!("cannot listen on {on}port {port}: {error}"),
        advice,
    )
}

fn addresses(sockets: &[Vec<StdSocket>]) -> Vec<SocketAddr> {
    sockets
        .iter()
        .filter_map(|shared| shared.first()?.local_addr().ok())
        .collect()
}
