//! The command line of `hii-server relay`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use super::access::{Access, network};
use super::rules::Config;
use crate::admission::ConnectionLimits;
use crate::allow_exit::AllowExit;
use crate::args::{Rate, connections, idle, rate};
use crate::running;
use crate::streams::StreamLimits;

/// How long connections have to take what waits for them, when the relay stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// The command line of `hii-server relay`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hii-server relay                          every address, port 8081, UDP and TCP\n  \
    hii-server relay -p 0 -b 127.0.0.1        any free port, this host only\n  \
    hii-server relay --trust 192.168.0.0/16   the original clients of this network may take part\n  \
    hii-server relay --deny 203.0.113.0/24 --deny 2001:db8::/32\n  \
    hii-server relay --rate 100/s --error-rate 20/s --peers 5000\n  \
    hii-server relay --metrics 127.0.0.1:9100 counters at http://127.0.0.1:9100/metrics\n  \
    hii-server relay --threads 0              one thread for each core\n\n\
    Messages go from peer to peer. A peer is who showed that it gets what is sent to its address: hii's own programs \
    do that by themselves, over UDP with a token, over TCP with the connection. The original clients cannot, so their \
    plain greeting counts from loopback (127.0.0.0/8, ::1) and from the networks of --trust only.\n\n\
    Ctrl-C stops the relay and prints what it did.")]
pub struct Args {
    /// Port to listen on, UDP and TCP; 0 is any free one, and another for each address
    #[arg(short, long, default_value_t = 8081)]
    port: u16,

    /// Address to listen on, may be given several times [default: every address, IPv4 and IPv6]
    #[arg(short, long, value_name = "IP")]
    bind: Vec<IpAddr>,

    /// Let anyone send to anyone, registered or not, as the original relay does: an open relay, to be used in a closed
    /// network only
    #[arg(long)]
    open: bool,

    /// A network whose plain greetings make peers, may be given several times; no one there may be able to forge
    /// addresses
    #[arg(long, value_name = "CIDR", value_parser = network)]
    trust: Vec<IpNet>,

    /// A network that nothing comes from and nothing goes to, may be given several times; it beats all else
    #[arg(long, value_name = "CIDR", value_parser = network)]
    deny: Vec<IpNet>,

    /// Messages a second that one peer may send; four times as many for all peers of an address (IPv6: a /64), and ten times
    /// as many to one peer, a quarter of these from one address; 0 is no limit
    #[arg(long, value_name = "N/s", value_parser = rate, default_value = "1000/s")]
    rate: Rate,

    /// Errors, and answers to greetings of non-peers, that an address (IPv6: a /64) gets a second over UDP; one port of
    /// it gets 1 a second, and 20 at once; 0 is no limit, for a port neither
    #[arg(long, value_name = "N/s", value_parser = rate, default_value = "50/s")]
    error_rate: Rate,

    /// Whose `exit server` stops the relay
    #[arg(long, value_name = "WHOSE", value_enum, default_value_t = AllowExit::Loopback)]
    allow_exit: AllowExit,

    /// Do not take plain greetings from loopback either: behind a proxy on it everyone seems to be here
    #[arg(long)]
    no_trust_loopback: bool,

    /// Peers over UDP at most; when all places are taken, the most loaded network loses one
    #[arg(long, value_name = "N", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    peers: u32,

    /// TCP connections at once, fewer where the limit of open files has no room for them; for a further one the most
    /// loaded network loses one
    #[arg(long, value_name = "N", value_parser = connections, default_value = "1024")]
    max_connections: usize,

    /// TCP connections at once of one source: an IPv4 address, or an IPv6 /64 [default: an eighth of the connections,
    /// and no limit for loopback]
    #[arg(long, value_name = "N", value_parser = connections)]
    connections_per_source: Option<usize>,

    /// Close a TCP connection that does nothing for so long; hii's own clients say something every 25 s
    #[arg(long, value_name = "TIME", value_parser = idle, default_value = "5m")]
    idle: Duration,

    /// Threads to serve UDP on, beside the one for TCP; 0 is one for each core
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(..=256))]
    pub(super) threads: u16,

    /// Serve counters to a monitoring system, such as at 127.0.0.1:9100: `GET /metrics`. There is no access control
    #[arg(long, value_name = "ADDR", value_parser = running::metrics_address)]
    pub(super) metrics: Option<SocketAddr>,

    /// Print what the relay did as JSON when it stops
    #[arg(long)]
    pub(super) json: bool,
}

impl Args {
    /// Where to listen.
    pub(super) fn listens(&self) -> (&[IpAddr], u16) {
        (&self.bind, self.port)
    }

    pub(crate) fn config(&self) -> Config {
        Config {
            access: Access {
                open: self.open,
                distrusts_loopback: self.no_trust_loopback,
                trust: self.trust.clone(),
                deny: self.deny.clone(),
            },
            rate: self.rate,
            error_rate: self.error_rate,
            allow_exit: self.allow_exit,
            peers: self.peers,
        }
    }

    pub(super) fn stream_limits(&self) -> StreamLimits {
        StreamLimits {
            connections: ConnectionLimits {
                all: self.max_connections,
                each: self.connections_per_source,
            },
            idle: self.idle,
            farewell: FAREWELL,
        }
    }
}
