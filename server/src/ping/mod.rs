//! `hii-server ping`: a server that answers every message.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hii_transport::addresses::interface_addresses;
use hii_transport::clock::Clock;

use crate::admission::ConnectionLimits;
use crate::allow_exit::AllowExit;
use crate::announce::Announcement;
use crate::args::{DelayRange, Rate, connections, delay_range, idle, probability, rate};
use crate::exit::{Failure, note};
use crate::listen::Sockets;
use crate::logs::LogFormat;
use crate::metrics::Endpoint;
use crate::policy::Limit;
use crate::policy::local_addrs::LocalAddrs;
use crate::running;
use crate::streams::StreamLimits;
use crate::threads::{self, Part};

#[cfg(test)]
mod amplification_tests;
mod budgets;
mod connection;
#[cfg(test)]
mod connection_tests;
mod delay_queue;
mod departures;
#[cfg(test)]
mod departures_tests;
mod embedded;
mod fair_queue;
#[cfg(test)]
mod fair_queue_tests;
mod impairment;
#[cfg(test)]
mod limit_tests;
mod metrics;
mod reorder;
mod runs;
#[cfg(test)]
mod runs_tests;
mod service;
#[cfg(test)]
mod service_tests;
mod tally;
#[cfg(test)]
mod tally_tests;
mod total_octets;

pub use budgets::{Kind, Limits};
pub use connection::Connection;
pub use departures::Outgoing;
pub use embedded::Embedded;
pub use impairment::{Dice, Fate, Impairments};
pub use metrics::{Board, Seat, Snapshot};
pub use runs::{Runs, Standing};
pub use service::{Config, Decision, PingService, Reply, Train};
pub use tally::{Connections, Tally};
pub use total_octets::SharedTotal;

/// Places for runs, for answers that wait, and for those that are held, as `SECURITY.md` has them.
#[cfg(test)]
pub(crate) const PLACES: [u32; 3] = [runs::MAX_RUNS, departures::CAPACITY, reorder::CAPACITY];

/// The command line of `hii-server ping`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hii-server ping                     answer at once, on every address, port 8080, UDP and TCP\n  \
    hii-server ping -p 0 -b 127.0.0.1   any free port, this host only\n  \
    hii-server ping --simulate          lose 10 %, delay 0.1 to 500 ms\n  \
    hii-server ping --loss 5% --delay 20ms..40ms --seed 7 --json\n  \
    hii-server ping --max-connections 10000 --idle 10m\n  \
    hii-server ping --duplicate 2% --reorder 5%\n  \
    hii-server ping --rate 0 --octet-rate 0    no limits for probes\n  \
    hii-server ping --message-rate 20/s        for clients with messages of their own\n  \
    hii-server ping --total-octets 2M/s        at most 2 MB of answers a second in all\n  \
    hii-server ping --metrics 127.0.0.1:9100   counters at http://127.0.0.1:9100/metrics\n  \
    hii-server ping --threads 0         one thread for each core\n\n\
    A TCP connection carries frames, or the plain messages of the original echo client; its first octet tells.\n\
    A source is an IPv4 address or an IPv6 /64. Loopback (127.0.0.0/8, ::1) is exempt from the limits of a source. To ask by \
    hand from another host (nc -u), send a line of 19 characters or more: a message that is shorter than its answer gets none, \
    since its source may be forged. SECURITY.md has all limits.\n\
    Ctrl-C stops the server and prints what it did.")]
pub struct Args {
    /// Port to listen on, UDP and TCP; 0 is any free one, and another for each address
    #[arg(short, long, default_value_t = 8080)]
    port: u16,

    /// Address to listen on, may be given several times [default: every address, IPv4 and IPv6]
    #[arg(short, long, value_name = "IP")]
    bind: Vec<IpAddr>,

    /// Lose and delay as the original server does: --loss 10% --delay 0.1ms..500ms
    #[arg(long)]
    simulate: bool,

    /// Do not answer this share of the messages, as 0.1 or 10% (classic TCP messages are always answered)
    #[arg(long, value_name = "P", value_parser = probability)]
    loss: Option<f64>,

    /// Let each answer wait, a time or a range to draw from: 20ms, 0.1ms..500ms. Over UDP 131072 wait at once; then the
    /// most loaded network loses its further ones
    #[arg(long, value_name = "A..B", value_parser = delay_range)]
    delay: Option<DelayRange>,

    /// Send this share of the answers over UDP twice
    #[arg(long, value_name = "P", value_parser = probability, default_value = "0")]
    duplicate: f64,

    /// Let this share of the answers over UDP be overtaken: each goes after the next one to the same sender, or after 1 s;
    /// of 16384 senders at once
    #[arg(long, value_name = "P", value_parser = probability, default_value = "0")]
    reorder: f64,

    /// Draw all of these from this number, so that a run can be repeated
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Whose `exit` datagram stops the server; over TCP it closes its own connection
    #[arg(long, value_name = "WHOSE", value_enum, default_value_t = AllowExit::Loopback)]
    allow_exit: AllowExit,

    /// Probes a second from one source that are answered, and messages a second that are read from it over TCP, a second's
    /// worth at once; 0: no limit [default: 20000/s, and no limit for loopback]
    #[arg(long, value_name = "N/s", value_parser = rate)]
    rate: Option<Rate>,

    /// Probes of the original clients (`Hello Server`) a second from one source that are answered over UDP; 0: no limit
    #[arg(long, value_name = "N/s", value_parser = rate, default_value = "1000/s")]
    classic_rate: Rate,

    /// Other messages a second from one address and port that are answered over UDP, 50 times as many at once, and 100 times
    /// as many from the address; at more than 1/s a loop with a service that answers everything may not end; 0: none
    #[arg(long, value_name = "N/s", value_parser = rate, default_value = "1/s")]
    message_rate: Rate,

    /// Bytes of answers a second to the probes of one source other than loopback, as 500k/s or 2M/s; less than the longest
    /// probe, such probes get no answer; 0: no limit
    #[arg(long, value_name = "BYTES/s", value_parser = rate, default_value = "12500k/s")]
    octet_rate: Rate,

    /// Bytes of answers a second to the probes of all sources together; when they are reached, the sources that received
    /// most in the last second are refused first; 0: no limit
    #[arg(long, value_name = "BYTES/s", value_parser = rate, default_value = "0")]
    total_octets: Rate,

    /// TCP connections at once, fewer where the limit of open files has no room for them; for a further one the most
    /// loaded network loses one
    #[arg(long, value_name = "N", value_parser = connections, default_value = "1024")]
    max_connections: usize,

    /// TCP connections at once of one source: an IPv4 address, or an IPv6 /64 [default: an eighth of the connections,
    /// and no limit for loopback]
    #[arg(long, value_name = "N", value_parser = connections)]
    connections_per_source: Option<usize>,

    /// Close a TCP connection that does nothing for so long
    #[arg(long, value_name = "TIME", value_parser = idle, default_value = "60s")]
    idle: Duration,

    /// Threads to serve UDP on, each for a share of the peers; a source with peers on several of them, or on TCP too, gets
    /// the limits of each (--total-octets is for all); 0 is one for each core
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(..=256))]
    threads: u16,

    /// Serve counters to a monitoring system, such as at 127.0.0.1:9100: `GET /metrics`. There is no access control
    #[arg(long, value_name = "ADDR", value_parser = running::metrics_address)]
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
            limits: self.limits(),
            total: SharedTotal::new(self.total_octets.into()),
        }
    }

    fn limits(&self) -> Limits {
        let standard = Limits::default();
        let texts = self.message_rate.0.map_or(0, |rate| u64::from(rate.get()));
        Limits {
            probes: self.rate.map_or(standard.probes, Limit::from),
            // An explicit rate holds for this host too.
            loopback_is_exempt: self.rate.is_none(),
            classic: self.classic_rate.into(),
            texts: standard.texts.map(|limit| limit.scaled(texts, 1)),
            octets: self.octet_rate.into(),
            ..standard
        }
    }

    fn stream_limits(&self) -> StreamLimits {
        StreamLimits {
            connections: ConnectionLimits {
                all: self.max_connections,
                each: self.connections_per_source,
            },
            idle: self.idle,
            // What is delayed on purpose would not make it anyway.
            farewell: Duration::ZERO,
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
    let tally = running::block_on(async {
        // Caught from here on: whoever reads the announcement may stop the server.
        let stop = running::asked_to_stop()?;
        threads::want_files(threads, &args.bind, args.max_connections);
        let sockets = Sockets::listen(&args.bind, args.port, threads)?;
        let addresses = sockets.addresses();
        let board = Board::default();
        let metrics = args.metrics.map(|at| Endpoint::start(at, board.registry()));
        let metrics = metrics.transpose()?;
        let limits = threads::fit_files(args.stream_limits(), threads, metrics.is_some())?;
        Announcement::new("ping", "UDP and TCP", &addresses, "hii ping").tell(log);
        if let Some(endpoint) = &metrics {
            running::tell_metrics(endpoint, log);
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
        threads::report_fewer(limits, args.max_connections, log);
        let local = LocalAddrs::new(&addresses, interface_addresses);
        let service = |part| {
            let config = Config {
                // The same whatever the number of threads.
                seed: config.seed.wrapping_add(match part {
                    Part::Datagrams(thread) => thread,
                    Part::Streams => 0,
                }),
                ..config.clone()
            };
            let seat = |transport| metrics.as_ref().map(|_| board.seat(transport));
            let service = PingService::new(&config, local.clone());
            match part {
                Part::Datagrams(_) => service.with_metrics(seat("udp")),
                Part::Streams => service.with_stream_metrics(seat("tcp")),
            }
        };
        threads::serve(sockets, service, limits, stop)
            .await
            .map_err(|error| running::cannot_serve(&error))
    })?;
    tracing::info!(%tally, "stopped");
    running::print(&tally, args.json)
}
