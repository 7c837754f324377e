//! The connection to a sender: its addresses race, as those of a ping over TCP do.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use hii_protocol::share::Key;
use hii_server::exit::{Exit, Failure};
use hii_transport::channel::{Channel, ChannelError};
use hii_transport::options::SocketOptions;
use hii_transport::tcp;
use tokio::time::timeout;

use super::stop::Stop;
use crate::ping::tcp::race::{self, NoWinner};

/// How long the other side has for its part of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A connection to the first of these addresses that answers.
///
/// # Errors
/// None does, or the user wants to stop.
pub(super) fn connect(
    addresses: &[SocketAddr],
    stop: &Stop,
) -> Result<(SocketAddr, TcpStream), Failure> {
    let winner = race::connect(addresses, SocketOptions::default(), stop.interrupt());
    let winner = winner.map_err(|reason| match reason {
        NoWinner::Failed(address, error) => failed(address, &error),
        NoWinner::TimedOut => Failure::new(
            Exit::Unreachable,
            format_args!("no connection within {} s", race::TIME_OUT.as_secs()),
            "check the address and what filters the way to it, or give another port",
        ),
        NoWinner::Stopped => stopped(),
    })?;
    let options = tcp::keep_alive(&winner.stream);
    options.map_err(|error| failed(winner.address, &error))?;
    Ok((winner.address, winner.stream))
}

/// The encrypted channel over a connection.
///
/// # Errors
/// The other side has another key, or is no sender of files.
pub(super) async fn join(
    stream: TcpStream,
    address: SocketAddr,
    key: &Key,
    stop: &Stop,
) -> Result<Channel<tokio::net::TcpStream>, Failure> {
    let stream = stream
        .set_nonblocking(true)
        .and_then(|()| tokio::net::TcpStream::from_std(stream))
        .map_err(|error| failed(address, &error))?;
    let joined = tokio::select! {
        joined = timeout(HANDSHAKE, Channel::join(stream, key)) => joined,
        () = stop.asked() => return Err(stopped()),
    };
    match joined {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(ChannelError::Key)) => Err(Failure::new(
            Exit::Refused,
            format_args!("{address} has another key"),
            "give the key that the sender shows; it is another one each time it starts, unless it is told otherwise",
        )),
        Ok(Err(ChannelError::Io(error))) => Err(failed(address, &error)),
        Ok(Err(ChannelError::CutOff)) => Err(failed(address, &io::ErrorKind::UnexpectedEof.into())),
        Ok(Err(_)) => Err(Failure::new(
            Exit::Protocol,
            format_args!("{address} is no sender of files"),
            "give the host and port of `hii-server share`; for the original file server, --classic",
        )),
        Err(_) => Err(Failure::new(
            Exit::Protocol,
            format_args!("{address} takes connections, and answers nothing"),
            "it may be no sender of files (hii-server share), or be busy",
        )),
    }
}

/// The user wants to stop, and nothing has come.
pub(super) fn stopped() -> Failure {
    Failure::new(
        Exit::Interrupted,
        "interrupted before anything was received",
        "run it again to receive it",
    )
}

/// What a connection's failure means.
pub(super) fn failed(address: SocketAddr, error: &io::Error) -> Failure {
    let (what, advice) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (
            format!("nothing listens at {address} (connection refused)"),
            "start a sender there (hii-server share), or give another port as host:port",
        ),
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset => (
            format!("{address} closed the connection without an answer"),
            "it may be no sender of files, have as many receivers as it wants, or keep this host out for a while after \
             wrong keys",
        ),
        _ => (
            format!("cannot reach {address}: {error}"),
            "check the address and this host's network",
        ),
    };
    Failure::new(Exit::Unreachable, what, advice)
}
