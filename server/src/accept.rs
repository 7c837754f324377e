//! Accepts connections of several listeners, up to a limit of open ones.

use std::future::{pending, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hii_transport::packet_info::PacketInfo;
use hii_transport::sampled;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long no connection is accepted after one could not be, for lack of memory or files.
const PAUSE: Duration = Duration::from_millis(50);

/// The listeners of a service.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listeners: Vec<TcpListener>,
    sockets: Arc<Semaphore>,
    has_warned: bool,
}

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) info: PacketInfo,
    /// To be held as long as the stream is open.
    pub(crate) permit: OwnedSemaphorePermit,
}

impl Acceptor {
    /// Accepts connections of these listeners while fewer than `max_open` are open. A service that displaces one connection
    /// for another has one more open than it serves, until the displaced one is closed.
    pub(crate) fn new(listeners: Vec<TcpListener>, max_open: usize) -> Self {
        let max_open = max_open.min(Semaphore::MAX_PERMITS);
        Self {
            listeners,
            sockets: Arc::new(Semaphore::new(max_open)),
            has_warned: false,
        }
    }

    /// Waits for the next connection of any listener.
    pub(crate) async fn accept(&mut self) -> Accepted {
        let Ok(permit) = Arc::clone(&self.sockets).acquire_owned().await else {
            // The semaphore is never closed.
            return pending().await;
        };
        loop {
            match self.next().await {
                Ok((stream, info)) => {
                    return Accepted {
                        stream,
                        info,
                        permit,
                    };
                }
                // A warning once: it may come again twenty times a second.
                Err(error) if self.has_warned => {
                    sampled!(debug, "cannot accept connections", %error);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections; they wait until others end");
                }
            }
            self.has_warned = true;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn next(&self) -> io::Result<(TcpStream, PacketInfo)> {
        let (stream, source) = poll_fn(|context| {
            for listener in &self.listeners {
                match listener.poll_accept(context) {
                    // A client that closed its connection before this is no reason to wait.
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
        let info = PacketInfo::of_connection(source, stream.local_addr().ok());
        Ok((stream, info))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn no_more_are_open_than_there_may_be() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let to = listener.local_addr().unwrap();
        let mut acceptor = Acceptor::new(vec![listener], 2);
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(TcpStream::connect(to).await.unwrap());
        }
        let first = acceptor.accept().await;
        let _second = acceptor.accept().await;
        tokio::select! {
            biased;
            _ = acceptor.accept() => panic!("a third one is open"),
            () = std::future::ready(()) => {}
        }
        drop(first);
        let third = acceptor.accept().await;
        assert_eq!(third.info.source, clients[2].local_addr().unwrap());
    }
}
