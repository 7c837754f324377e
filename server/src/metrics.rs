//! Counters for a monitoring system: `GET /metrics` on an address of its own, in the text format of Prometheus
//! (`OpenMetrics` 1.0).
//!
//! The endpoint has a thread of its own, so that neither a busy service nor a slow reader keeps the other waiting.
//! Everything that a stranger can make grow has a limit: connections, the length of a request, the time for one. A new
//! connection is accepted at once: where there is no room for it, an idle one is closed.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hii_transport::sampled;
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::exit::{Exit, Failure};
pub(crate) use places::MAX_CONNECTIONS;
use places::{Places, Stage};

pub mod http;
mod places;

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
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("metrics".into())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        () = accept(listener, Arc::new(registry), patience) => {}
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
        _ => "give another address with --metrics, as 127.0.0.1:9100",
    };
    Failure::new(
        Exit::Unreachable,
        format_args!("cannot serve metrics on {address}: {error}"),
        advice,
    )
}

async fn accept(listener: TcpListener, registry: Arc<Registry>, patience: Duration) {
    let places = Arc::new(Mutex::new(Places::default()));
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                // The sender goes when the connection has to make room.
                let (end, ended) = oneshot::channel::<Infallible>();
                let number = lock(&places).enter(from.ip(), end);
                let (registry, places) = (Arc::clone(&registry), Arc::clone(&places));
                tokio::spawn(async move {
                    let reach = |stage| lock(&places).reach(number, stage);
                    tokio::select! {
                        served = timeout(patience, serve(stream, &registry, reach)) => match served {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => sampled!(debug, "metrics", %from, %error),
                            Err(_) => sampled!(debug, "metrics: too slow", %from),
                        },
                        _ = ended => sampled!(debug, "metrics: made room", %from),
                    }
                    lock(&places).leave(number);
                });
            }
            Err(error) => {
                sampled!(debug, "metrics: accept", %error);
                // Out of files, most likely; asking again at once would only burn time.
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Nothing is done under this lock that could leave its content half written.
fn lock<T>(places: &Mutex<T>) -> MutexGuard<'_, T> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers one request; every answer ends its connection.
async fn serve(
    mut stream: TcpStream,
    registry: &Registry,
    reach: impl Fn(Stage),
) -> io::Result<()> {
    let mut request = Vec::new();
    let answer = loop {
        let mut part = [0; 1024];
        let len = stream.read(&mut part).await?;
        if len == 0 {
            return Ok(());
        }
        request.extend_from_slice(part.get(..len).unwrap_or_default());
        if let Some(answer) = http::answer(&request, || text(registry))? {
            break answer;
        }
    };
    reach(Stage::Answering);
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    reach(Stage::Answered);
    // Closing with octets unread would reset the connection, and the answer with it.
    let mut rest = [0; 1024];
    let mut room = 64 * rest.len();
    while room > 0 {
        match stream.read(&mut rest).await? {
            0 => break,
            len => room = room.saturating_sub(len),
        }
    }
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
