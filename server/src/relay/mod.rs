//! `hii-server relay`: passes messages between hosts that have greeted it.

use std::sync::Arc;

use hii_transport::addresses::interface_addresses;
use hii_transport::datagrams::Sender;
use rand::TryRng as _;

use crate::announce::Announcement;
use crate::exit::{Exit, Failure};
use crate::listen::Sockets;
use crate::logs::LogFormat;
use crate::metrics::Endpoint;
use crate::policy::local_addrs::LocalAddrs;
use crate::running;
use crate::threads::{self, Part};

pub mod access;
#[cfg(test)]
mod amplification_tests;
mod args;
mod budgets;
#[cfg(test)]
mod budgets_tests;
mod burst;
#[cfg(test)]
mod burst_tests;
mod connection;
#[cfg(test)]
mod connection_tests;
mod frame_log;
mod greeted_addrs;
mod heads;
#[cfg(test)]
mod loop_tests;
mod mailbox;
mod metrics;
mod peers;
#[cfg(test)]
mod peers_tests;
mod reach;
mod rules;
#[cfg(test)]
mod rules_tests;
mod service;
mod slot;
mod stance;
mod tally;
#[cfg(test)]
mod tally_tests;
mod tokens;

pub use access::Access;
pub use args::Args;
pub use burst::Train;
pub use connection::Connection;
pub use mailbox::{Mailbox, Mailboxes, Waiting};
pub use metrics::{Board, Seat};
pub use peers::{EXPIRY, Heard, Peer, Peers, Receiver, Registration, Standing, Way};
pub use reach::{Reach, Unreachable};
pub use rules::{Config, Decision, Delivery, Rules, Shared, Source};
pub use service::{Outgoing, RelayService, Verdict};
pub use tally::{Connections, Refused, Tally};
pub use tokens::{Key, Tokens, keys};

/// Runs `hii-server relay` until it is stopped.
///
/// # Errors
/// An address cannot be listened on, or the tally cannot be written.
pub fn run(args: &Args, log: LogFormat) -> Result<(), Failure> {
    let threads = threads::count(args.threads)?;
    let config = args.config();
    let keys = random_keys()?;
    let tally = running::block_on(async {
        // Caught from here on: whoever reads the announcement may stop the relay.
        let stop = running::asked_to_stop()?;
        let (addresses, port) = args.listens();
        let limits = args.stream_limits();
        let wanted = limits.connections.all;
        threads::want_files(threads, addresses, wanted);
        let sockets = Sockets::listen(addresses, port, threads)?;
        let addresses = sockets.addresses();
        let sender = Sender::of(sockets.udp.iter().filter_map(|shared| shared.first()));
        let sender = sender.map_err(|error| running::cannot_serve(&error))?;
        let local = LocalAddrs::new(&addresses, interface_addresses);
        let shared = Arc::new(Shared::new(&config, local, Box::new(keys)));
        let board = Board::new(Arc::clone(&shared));
        let metrics = args.metrics.map(|at| Endpoint::start(at, board.registry()));
        let metrics = metrics.transpose()?;
        let limits = threads::fit_files(limits, threads, metrics.is_some())?;
        Announcement::new("relay", "UDP and TCP", &addresses, "hii chat").tell(log);
        if let Some(endpoint) = &metrics {
            running::tell_metrics(endpoint, log);
        }
        stance::tell(&config.access, log);
        threads::report_fewer(limits, wanted, log);
        let mailboxes = Mailboxes::default();
        let mut sender = Some(sender);
        let service = |part| {
            let rules = Rules::new(Arc::clone(&shared));
            let seat = metrics.as_ref().map(|_| board.seat());
            let service = RelayService::new(rules, mailboxes.clone()).with_metrics(seat);
            match sender.take_if(|_| part == Part::Streams) {
                Some(sender) => service.with_sender(sender),
                None => service,
            }
        };
        threads::serve(sockets, service, limits, stop)
            .await
            .map_err(|error| running::cannot_serve(&error))
    })?;
    tracing::info!(%tally, "stopped");
    running::print(&tally, args.json)
}

/// What tokens are made with: one secret of the system's, and what follows from it.
fn random_keys() -> Result<impl FnMut() -> Key + Send, Failure> {
    let mut secret = Key::default();
    rand::rngs::SysRng
        .try_fill_bytes(&mut secret)
        .map_err(|error| {
            Failure::new(
                Exit::Unreachable,
                format_args!("the system gives no random numbers: {error}"),
                "without them tokens would prove nothing; see to /dev/urandom",
            )
        })?;
    Ok(keys(secret))
}
