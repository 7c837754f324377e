//! The TCP side of the ping service: accepts connections, and moves octets between them and their [`Connection`]s.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use hii_transport::clock::{Clock, Now};
use hii_transport::datagrams::{Effect, Peer, Service};
use hii_transport::files;
use hii_transport::tcp::close_gently;
use hii_transport::timer::Timer;
use hii_transport::udp::canonical;
use tokio::net::{TcpListener, TcpStream};

use super::admission::{Admission, ConnectionLimits, Refusal};
use super::connection::{Connection, End};
use super::departures::Outgoing;
use super::service::PingService;

/// How long no connection is accepted after one could not be, for lack of memory or files.
const BREATH: Duration = Duration::from_millis(50);

/// Files beside those of the connections: the standard streams, the service's sockets, the runtime's own.
const OTHER_FILES: usize = 64;

/// What all connections together and each of them may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// Connections at once.
    pub connections: ConnectionLimits,
    /// How long a connection may do nothing.
    pub idle: Duration,
}

/// One service, for the datagrams and for every connection of the same thread. No borrow outlives a call.
#[derive(Debug, Clone)]
pub(super) struct Shared(Rc<RefCell<PingService>>);

impl Shared {
    pub(super) fn new(service: PingService) -> Self {
        Self(Rc::new(RefCell::new(service)))
    }

    pub(super) fn with<T>(&self, use_it: impl FnOnce(&mut PingService) -> T) -> T {
        use_it(&mut self.0.borrow_mut())
    }

    /// The same, for a connection.
    fn on_stream(&self, use_it: impl FnOnce(&mut PingService)) {
        self.with(|service| {
            use_it(service);
            service.stream_round_done();
        });
    }
}

impl Service for Shared {
    type Answer = Outgoing;

    fn handle(&mut self, datagram: &[u8], from: Peer, now: Now) -> Effect<Outgoing> {
        self.with(|service| service.handle(datagram, from, now))
    }

    fn next_due(&self) -> Option<Duration> {
        self.with(|service| service.next_due())
    }

    fn take_due(&mut self, now: Duration) -> Option<(Peer, Outgoing)> {
        self.with(|service| service.take_due(now))
    }

    fn write(&mut self, answer: &Outgoing, now: Duration, buffer: &mut [u8]) -> usize {
        self.with(|service| service.write(answer, now, buffer))
    }

    fn sent(&mut self, answer: &Outgoing, result: &io::Result<()>) -> Option<(Peer, Outgoing)> {
        self.with(|service| service.sent(answer, result))
    }

    fn round_done(&mut self) {
        self.with(PingService::round_done);
    }
}

/// Accepts connections and serves each in a task of its own, until it is dropped. Has to run in a `LocalSet`.
pub(super) async fn serve(
    listeners: &[TcpListener],
    service: Shared,
    clock: Clock,
    limits: StreamLimits,
) {
    // One for the socket, one for the timer of delayed answers.
    let files = limits
        .connections
        .all
        .saturating_mul(2)
        .saturating_add(OTHER_FILES);
    files::want(u64::try_from(files).unwrap_or(u64::MAX));
    let admission = Admission::new(limits.connections);
    let mut told = false;
    loop {
        let (stream, from) = match accept(listeners).await {
            Ok(accepted) => accepted,
            Err(error) => {
                // A warning once: it may come again twenty times a second.
                if told {
                    tracing::debug!(%error, "cannot accept connections");
                } else {
                    tracing::warn!(%error, "cannot accept connections; they wait until others end");
                }
                told = true;
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let place = match admission.enter(from.ip()) {
            Ok(place) => place,
            Err(refusal) => {
                tracing::debug!(%from, ?refusal, "over the limit of connections");
                service.on_stream(|service| match refusal {
                    Refusal::All => service.connections().refused += 1,
                    Refusal::Source => service.connections().over_source += 1,
                });
                continue;
            }
        };
        service.on_stream(|service| service.connections().connections += 1);
        let service = service.clone();
        tokio::task::spawn_local(async move {
            converse(stream, from, &service, clock, limits.idle).await;
            drop(place);
        });
    }
}

/// The next connection of any listener.
async fn accept(listeners: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, from) = poll_fn(|context| {
        for listener in listeners {
            match listener.poll_accept(context) {
                // Whoever hung up while waiting is no trouble of this side's.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionAborted => {
                    context.waker().wake_by_ref();
                }
                Poll::Ready(result) => return Poll::Ready(result),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    })
    .await?;
    Ok((stream, canonical(from)))
}

/// Serves one connection to its end.
async fn converse(
    stream: TcpStream,
    from: SocketAddr,
    service: &Shared,
    clock: Clock,
    idle: Duration,
) {
    // An answer that waits for more to send with it would be measured as a slow one.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%from, %error, "no TCP_NODELAY");
    }
    let mut connection = Connection::new(from, idle, clock.elapsed());
    let result = exchange(&stream, &mut connection, service, clock).await;
    service.on_stream(|service| {
        match result {
            Ok(End::Idle) => service.connections().idle += 1,
            Ok(End::Unread) => service.connections().unread += 1,
            Ok(End::Done) | Err(_) => {}
        }
        connection.close(service);
    });
    match result {
        Ok(End::Done) => close_gently(stream).await,
        Ok(end) => tracing::debug!(%from, ?end, "connection closed"),
        Err(error) => tracing::debug!(%from, %error, "connection lost"),
    }
}

/// Moves octets until the connection is to be closed.
async fn exchange(
    stream: &TcpStream,
    connection: &mut Connection,
    service: &Shared,
    clock: Clock,
) -> io::Result<End> {
    let mut timer = None;
    loop {
        send(stream, connection, service, clock)?;
        let now = clock.elapsed();
        if let Some(end) = connection.end(now) {
            return Ok(end);
        }
        let wants = connection.wants();
        let due = connection.next_due().map(|due| due.saturating_sub(now));
        let closes = connection.closes_at().map(|at| at.saturating_sub(now));
        tokio::select! {
            ready = stream.readable(), if wants.is_some() => {
                ready?;
                receive(stream, wants.unwrap_or_default(), connection, service, clock)?;
            }
            ready = stream.writable(), if connection.has_output() => ready?,
            () = wait(&mut timer, due.unwrap_or_default()), if due.is_some() => {}
            () = tokio::time::sleep(closes.unwrap_or_default()), if closes.is_some() => {}
        }
    }
}

/// Sends what there is and the network takes.
fn send(
    stream: &TcpStream,
    connection: &mut Connection,
    service: &Shared,
    clock: Clock,
) -> io::Result<()> {
    // A bound, so that a fast reader leaves time for others.
    for _ in 0..16 {
        let octets = connection.to_send(clock.elapsed());
        if octets.is_empty() {
            break;
        }
        match stream.try_write(octets) {
            Ok(taken) => service.on_stream(|service| connection.sent(taken, service, clock.now())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Takes what is there to read.
fn receive(
    stream: &TcpStream,
    most: usize,
    connection: &mut Connection,
    service: &Shared,
    clock: Clock,
) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    let room = buffer.get_mut(..most).unwrap_or_default();
    match stream.try_read(room) {
        Ok(len) => {
            let octets = room.get(..len).unwrap_or_default();
            service.on_stream(|service| connection.receive(octets, service, clock.now()));
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

/// Waits for a delayed answer. The timer, a descriptor, is opened when it is first needed.
async fn wait(timer: &mut Option<Timer>, wait: Duration) {
    if timer.is_none() {
        *timer = Timer::new().ok();
    }
    match timer {
        Some(timer) => timer.wait(Some(wait)).await,
        None => tokio::time::sleep(wait).await,
    }
}
