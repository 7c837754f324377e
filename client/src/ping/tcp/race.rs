//! Which of a name's addresses is used: they race, each with a head start before the next (RFC 8305).

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use hii_transport::clock::Clock;
use hii_transport::options::SocketOptions;
use hii_transport::tcp;

use crate::ping::events::{GLANCE, Interrupt};

/// The head start of each address before the next (RFC 8305 section 8).
pub const STAGGER: Duration = Duration::from_millis(250);

/// How long all of them have.
pub const TIME_OUT: Duration = Duration::from_secs(10);

/// The address that won, and how long its own handshake took.
#[derive(Debug)]
pub struct Winner<S> {
    /// The address.
    pub address: SocketAddr,
    /// What connecting to it gave.
    pub stream: S,
    /// From the start of this attempt to its end.
    pub took: Duration,
}

/// Why there is no winner.
#[derive(Debug)]
pub enum NoWinner {
    /// All failed; the first error, and whose it was.
    Failed(SocketAddr, io::Error),
    /// None has answered within this time.
    TimedOut,
    /// The user wants to stop, or there was no address.
    Stopped,
}

/// Addresses in the order of their start: the families in turn, IPv6 first (RFC 8305 section 4).
#[must_use]
pub fn in_turn(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.iter().partition(|address| address.is_ipv6());
    let longest = v6.len().max(v4.len());
    (0..longest)
        .flat_map(|index| [v6.get(index), v4.get(index)])
        .flatten()
        .map(|address: &&SocketAddr| **address)
        .collect()
}

/// Connects to the first of these addresses that answers.
///
/// # Errors
/// None does.
pub fn connect(
    addresses: &[SocketAddr],
    options: SocketOptions,
    interrupt: &Interrupt,
) -> Result<Winner<TcpStream>, NoWinner> {
    let connect = move |address: SocketAddr| tcp::connect(address, TIME_OUT, &options);
    race(&in_turn(addresses), STAGGER, TIME_OUT, interrupt, connect)
}

/// The race: an address starts when the one before it has failed, or has had its head start.
fn race<S: Send + 'static>(
    addresses: &[SocketAddr],
    stagger: Duration,
    time_out: Duration,
    interrupt: &Interrupt,
    connect: impl Fn(SocketAddr) -> io::Result<S> + Send + Sync + 'static,
) -> Result<Winner<S>, NoWinner> {
    let clock = Clock::start();
    let connect = Arc::new(connect);
    let (finish, finished) = channel();
    let mut waiting = addresses.iter();
    let mut running = 0;
    let mut next_start = Duration::ZERO;
    let mut failure = None;
    while clock.elapsed() < time_out {
        if interrupt.is_raised() {
            return Err(NoWinner::Stopped);
        }
        if (running == 0 || clock.elapsed() >= next_start)
            && let Some(address) = waiting.next()
        {
            match start(*address, Arc::clone(&connect), finish.clone()) {
                Ok(()) => running += 1,
                Err(error) => failure = failure.or(Some((*address, error))),
            }
            next_start = clock.elapsed() + stagger;
            continue;
        }
        if running == 0 {
            return Err(match failure {
                Some((address, error)) => NoWinner::Failed(address, error),
                None => NoWinner::Stopped,
            });
        }
        let mut wait = GLANCE.min(time_out.saturating_sub(clock.elapsed()));
        if waiting.len() > 0 {
            wait = wait.min(next_start.saturating_sub(clock.elapsed()));
        }
        match finished.recv_timeout(wait) {
            Ok((address, took, Ok(stream))) => {
                return Ok(Winner {
                    address,
                    stream,
                    took,
                });
            }
            Ok((address, _, Err(error))) => {
                running -= 1;
                failure = failure.or(Some((address, error)));
                // No head start for one that is out.
                next_start = Duration::ZERO;
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
    Err(NoWinner::TimedOut)
}

type Finish<S> = (SocketAddr, Duration, io::Result<S>);

/// An attempt on a thread of its own. One that comes too late closes what it got.
fn start<S: Send + 'static>(
    address: SocketAddr,
    connect: Arc<impl Fn(SocketAddr) -> io::Result<S> + Send + Sync + 'static>,
    finish: Sender<Finish<S>>,
) -> io::Result<()> {
    let attempt = move || {
        let clock = Clock::start();
        let result = connect(address);
        let _ = finish.send((address, clock.elapsed(), result));
    };
    std::thread::Builder::new()
        .name("connect".into())
        .spawn(attempt)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// Races with an `outcome` for each address, and the order in which they started.
    fn raced(
        texts: &[&str],
        stagger: Duration,
        time_out: Duration,
        outcome: impl Fn(SocketAddr) -> io::Result<()> + Send + Sync + 'static,
    ) -> (Result<Winner<()>, NoWinner>, Vec<SocketAddr>) {
        let started = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&started);
        let connect = move |address| {
            noted.lock().unwrap().push(address);
            outcome(address)
        };
        let interrupt = Interrupt::default();
        let result = race(&addresses(texts), stagger, time_out, &interrupt, connect);
        let started = started.lock().unwrap().clone();
        (result, started)
    }

    fn refused() -> io::Result<()> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    /// An address that never answers.
    fn silence() -> io::Result<()> {
        std::thread::sleep(LONG);
        refused()
    }

    #[test]
    fn families_take_turns_and_ipv6_is_first() {
        let given = addresses(&[
            "192.0.2.1:1",
            "192.0.2.2:1",
            "192.0.2.3:1",
            "[2001:db8::1]:1",
        ]);
        let order = addresses(&[
            "[2001:db8::1]:1",
            "192.0.2.1:1",
            "192.0.2.2:1",
            "192.0.2.3:1",
        ]);
        assert_eq!(in_turn(&given), order);
        assert_eq!(in_turn(&[]), []);
    }

    #[test]
    fn a_failure_starts_the_next_at_once() {
        let texts = ["[2001:db8::1]:1", "192.0.2.1:1", "192.0.2.2:1"];
        let (result, started) = raced(&texts, LONG, LONG, |address| match address.port() {
            1 if address.ip().to_string() == "192.0.2.2" => Ok(()),
            _ => refused(),
        });
        assert_eq!(result.unwrap().address, started[2]);
        assert_eq!(started, addresses(&texts));
    }

    #[test]
    fn silence_costs_its_head_start_only() {
        let texts = ["[2001:db8::1]:1", "192.0.2.1:1"];
        let outcome = |address: SocketAddr| {
            if address.is_ipv4() { Ok(()) } else { silence() }
        };
        let (result, _) = raced(&texts, Duration::from_millis(1), LONG, outcome);
        assert!(result.unwrap().address.is_ipv4());
    }

    #[test]
    fn the_first_failure_is_told_when_all_fail_and_silence_times_out() {
        let texts = ["[2001:db8::1]:1", "192.0.2.1:1"];
        let (result, started) = raced(&texts, LONG, LONG, |_| refused());
        assert!(matches!(result, Err(NoWinner::Failed(address, _)) if address == started[0]));
        let soon = Duration::from_millis(20);
        let (result, _) = raced(&texts, Duration::ZERO, soon, |_| silence());
        assert!(matches!(result, Err(NoWinner::TimedOut)));
        let (result, _) = raced(&[], LONG, LONG, |_| refused());
        assert!(matches!(result, Err(NoWinner::Stopped)));
    }
}
