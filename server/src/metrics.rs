//! Counters for a monitoring system: `GET /metrics` on an address of its own, in the text format of Prometheus
//! (`OpenMetrics` 1.0).
//!
//! The endpoint has a thread of its own, so that neither a busy service nor a slow reader keeps the other waiting.
//! Everything that a stranger can make grow has a limit: connections, the length of a request, the time for one.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use crate::exit::{Exit, Failure};

/// Connections at once; further ones wait to be accepted.
const CONNECTIONS: usize = 16;

/// How long a connection lives at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// Octets and header fields that a request has at most.
const LONGEST_REQUEST: usize = 8192;
const MOST_FIELDS: usize = 64;

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
        Self::try_start(address, registry).map_err(|error| cannot_listen(address, &error))
    }

    fn try_start(address: SocketAddr, registry: Registry) -> io::Result<Self> {
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
                        () = accept(listener, Arc::new(registry)) => {}
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

async fn accept(listener: TcpListener, registry: Arc<Registry>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, from)) => {
                let registry = Arc::clone(&registry);
                tokio::spawn(async move {
                    match timeout(PATIENCE, serve(stream, &registry)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::debug!(%from, %error, "metrics"),
                        Err(_) => tracing::debug!(%from, "metrics: too slow"),
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "metrics: accept");
                // Out of files, most likely; asking again at once would only burn time.
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Answers one request; every answer ends its connection.
async fn serve(mut stream: TcpStream, registry: &Registry) -> io::Result<()> {
    let Some(status) = read_request(&mut stream).await? else {
        return Ok(());
    };
    let (kind, body) = match status {
        Status::Fine => (
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            text(registry)?,
        ),
        _ => ("text/plain; charset=utf-8", format!("{}\n", status.line())),
    };
    let allow = if status == Status::OtherMethod {
        "Allow: GET\r\n"
    } else {
        ""
    };
    let head = format!(
        "HTTP/1.1 {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n",
        status.line(),
        body.len(),
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await?;
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Fine,
    Malformed,
    NotFound,
    OtherMethod,
    TooLong,
}

impl Status {
    const fn line(self) -> &'static str {
        match self {
            Self::Fine => "200 OK",
            Self::Malformed => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::OtherMethod => "405 Method Not Allowed",
            Self::TooLong => "431 Request Header Fields Too Large",
        }
    }
}

/// Reads a request's head and judges it; none when the other side went away before its end.
async fn read_request(stream: &mut TcpStream) -> io::Result<Option<Status>> {
    let mut request = Vec::new();
    loop {
        let mut part = [0; 1024];
        let len = stream.read(&mut part).await?;
        if len == 0 {
            return Ok(None);
        }
        request.extend_from_slice(part.get(..len).unwrap_or_default());
        if let Some(status) = judge(&request) {
            return Ok(Some(status));
        }
    }
}

/// What a request is answered; none while it is not whole.
fn judge(octets: &[u8]) -> Option<Status> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(octets) {
        Err(httparse::Error::TooManyHeaders) => Some(Status::TooLong),
        Err(_) => Some(Status::Malformed),
        Ok(httparse::Status::Partial) => {
            (octets.len() >= LONGEST_REQUEST).then_some(Status::TooLong)
        }
        Ok(httparse::Status::Complete(_)) => {
            let path = request.path.unwrap_or_default();
            let path = path.split_once('?').map_or(path, |(path, _)| path);
            Some(match (path, request.method) {
                ("/metrics", Some("GET")) => Status::Fine,
                ("/metrics", _) => Status::OtherMethod,
                _ => Status::NotFound,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_get_metrics_is_fine() {
        let judge = |text: &str| judge(text.as_bytes());
        let whole = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(judge(&whole[..end]), None, "{end}");
        }
        assert_eq!(judge(whole), Some(Status::Fine));
        assert_eq!(
            judge("GET /metrics?a=b HTTP/1.0\r\n\r\n"),
            Some(Status::Fine)
        );
        assert_eq!(judge("GET / HTTP/1.1\r\n\r\n"), Some(Status::NotFound));
        assert_eq!(
            judge("POST /metrics HTTP/1.1\r\n\r\n"),
            Some(Status::OtherMethod)
        );
        assert_eq!(judge("\x16\x03\x01"), Some(Status::Malformed));
        let many = "a: b\r\n".repeat(65);
        assert_eq!(
            judge(&format!("GET /metrics HTTP/1.1\r\n{many}\r\n")),
            Some(Status::TooLong)
        );
        let long = format!(
            "GET /metrics HTTP/1.1\r\na: {}",
            "b".repeat(LONGEST_REQUEST)
        );
        assert_eq!(judge(&long), Some(Status::TooLong));
    }
}
