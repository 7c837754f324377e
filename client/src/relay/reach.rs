//! How a relay is reached, and what is said when it is not.

use std::io;
use std::net::SocketAddr;

use hii_server::exit::{Exit, Failure};
use hii_transport::options::SocketOptions;

use super::link::Link;
use crate::output;
use crate::ping::events::Interrupt;
use crate::ping::tcp::race::{self, NoWinner};
use crate::target::Target;

/// A socket for each address that there is a way to, and why there is none to another.
pub(super) fn datagrams(addresses: &[SocketAddr]) -> (Vec<(SocketAddr, Link)>, Option<Failure>) {
    let mut links = Vec::new();
    let mut failure = None;
    for address in addresses {
        match Link::udp(*address) {
            Ok(link) => links.push((*address, link)),
            Err(error) => failure = failure.or(Some(unreachable(*address, &error))),
        }
    }
    (links, failure)
}

pub(super) fn connect(
    target: &Target,
    addresses: &[SocketAddr],
) -> Result<(SocketAddr, Link), Failure> {
    let found = race::connect(addresses, SocketOptions::default(), &Interrupt::default());
    let winner = found.map_err(|why| match why {
        NoWinner::Failed(address, error) => unreachable(address, &error),
        NoWinner::TimedOut | NoWinner::Stopped => Failure::new(
            Exit::Unreachable,
            format_args!(
                "no connection to {target} within {} s",
                race::TIME_OUT.as_secs()
            ),
            "check the address and what filters the way to it, or give another port",
        ),
    })?;
    let link = Link::tcp(winner.stream).map_err(|error| unreachable(winner.address, &error))?;
    Ok((winner.address, link))
}

fn unreachable(address: SocketAddr, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return Failure::new(
            Exit::Unreachable,
            format_args!("nothing listens at {address} (connection refused)"),
            "start a relay there (hii-server relay), or give another port as tcp://host:port",
        );
    }
    Failure::new(
        Exit::Unreachable,
        format_args!("cannot reach {address}: {error}"),
        "check the address and this host's network",
    )
}

pub(super) fn stranger(address: SocketAddr, said: &[u8]) -> Failure {
    Failure::new(
        Exit::Protocol,
        format_args!("{address} is no relay: it says {}", output::said(said)),
        "give the host and port of a relay (hii-server relay, port 8081)",
    )
}
