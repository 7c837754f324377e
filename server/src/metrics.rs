//! Counters for a monitoring system: `GET /metrics` on an address of its own, in the text format of Prometheus
//! (`OpenMetrics` 1.0).
//!
//! The endpoint has a thread of its own, so that neither a busy service nor a slow reader keeps the other waiting.
//! Everything that a stranger can make grow has a limit: connections, which are shared fairly, the length of a request, the
//! time for one.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hii_transport::addresses::interface_addresses;
use hii_transport::clock::Clock;
use hii_transport::sampled;
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::accept::{Accepted, Acceptor};
use crate::exit::{Exit, Failure};
use crate::places::{Place, Places};
use crate::policy::fair_share::Holder;
use crate::policy::local_addrs::LocalAddrs;
use crate::policy::origin::Transport;
use crate::policy::source_validation::SourceValidator;

pub mod http;

/// Connections at once.
const MAX_CONNECTIONS: usize = 16;

/// Connections open at once: one more, for which another one gives way.
pub(crate) const MAX_OPEN: usize = MAX_CONNECTIONS + 1;

/// How long a connection lives at most, its request and its answer together.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running endpoint. It ends when it is dropped.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Listens there and answers with what the registry holds at that moment.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn start(address: SocketAddr, registry: Registry) -> Result<Self, Failure> {
        Self::try_start(address, registry, PATIENCE).map_err(|error| cannot_listen(address, &error))
    }

    fn try_start(address: SocketAddr, registry: Registry, patience: Duration) -> io::Result<Self> {
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let sources = SourceValidator::new(LocalAddrs::new(&[address], interface_addresses));
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("metrics".into())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        () = accept(listener, sources, Arc::new(registry), patience) => {}
                    }
                });
            })?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Failure {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => "another program has the port: give another one with --metrics",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 belong to the administrator: give another one with --metrics"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this host does not have that address: give one of its own with --metrics"
        }
        _ => "give another address with --metrics, such as 127.0.0.1:9100",
    };
    Failure::new(
        Exit::Unreachable,
        format_args!("cannot serve metrics on {address}: {error}"),
        advice,
    )
}

async fn accept(
    listener: TcpListener,
    mut sources: SourceValidator,
    registry: Arc<Registry>,
    patience: Duration,
) {
    let mut acceptor = Acceptor::new(vec![listener], MAX_OPEN);
    let places = Places::new(MAX_CONNECTIONS);
    let clock = Clock::start();
    loop {
        let Accepted {
            stream,
            info,
            permit,
        } = acceptor.accept().await;
        let from = info.source;
        let place = match sources.validate(&info, Transport::Tcp, clock.elapsed()) {
            Ok(origin) => places.enter(Holder::of(&origin)),
            Err(_) => None,
        };
        let Some(place) = place else {
            sampled!(debug, "metrics: closed unread", %from);
            continue;
        };
        let registry = Arc::clone(&registry);
        tokio::spawn(async move {
            match timeout(patience, serve(stream, &registry, place)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => sampled!(debug, "metrics", %from, %error),
                Err(_) => sampled!(debug, "metrics: too slow", %from),
            }
            drop(permit);
        });
    }
}

/// Serves one connection, until it has to give way.
async fn serve(mut stream: TcpStream, registry: &Registry, mut place: Place) -> io::Result<()> {
    let answer = tokio::select! {
        answer = receive(&mut stream, registry) => answer?,
        () = place.displaced() => None,
    };
    let Some(answer) = answer else {
        return Ok(());
    };
    place.note_progress();
    tokio::select! {
        sent = send(&mut stream, &answer) => sent,
        () = place.displaced() => Ok(()),
    }
}

/// Receives a request, and returns its answer; `None` if the request ends before it is whole.
async fn receive(stream: &mut TcpStream, registry: &Registry) -> io::Result<Option<String>> {
    let mut request = Vec::new();
    loop {
        let mut part = [0; 1024];
        let len = stream.read(&mut part).await?;
        if len == 0 {
            return Ok(None);
        }
        request.extend_from_slice(part.get(..len).unwrap_or_default());
        let answer = http::answer(&request, || text(registry))?;
        if answer.is_some() {
            return Ok(answer);
        }
    }
}

/// Sends an answer, which ends the connection.
async fn send(stream: &mut TcpStream, answer: &str) -> io::Result<()> {
    stream.write_all(answer.as_bytes()).await?;
    // Closing with bytes unread would reset the connection, and the answer with it.
    let mut rest = vec![0; 64 * 1024];
    let _ = stream.try_read(&mut rest);
    Ok(())
}

fn text(registry: &Registry) -> io::Result<String> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).map_err(io::Error::other)?;
    Ok(text)
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
