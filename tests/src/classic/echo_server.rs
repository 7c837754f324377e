//! The original echo server: `Acknowledgement` to each read, one connection at a time.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A running server. Its thread ends when the last connection has and the server is dropped.
#[derive(Debug)]
pub struct EchoServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    log: Mutex<Vec<String>>,
}

impl EchoServer {
    /// Starts a server on this address.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound.
    pub fn start(bind: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(bind)?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if of_thread.stop.load(Ordering::SeqCst) {
                    return;
                }
                // A broken connection is the next one's chance.
                let served = stream.and_then(|stream| serve(stream, &of_thread));
                if served.is_err_and(|error| error.kind() == io::ErrorKind::InvalidData) {
                    return;
                }
            }
        });
        Ok(Self { addr, shared })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What each read brought, over all connections.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        lock(&self.shared.log).clone()
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // The thread may be waiting for a connection.
        let _ = TcpStream::connect(self.addr);
    }
}

/// One connection to its end. What is not UTF-8 ends the original.
fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        let text = std::str::from_utf8(&buffer[..length])
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        lock(&shared.log).push(text.to_owned());
        if text == "exit" {
            return Ok(());
        }
        stream.write_all(b"Acknowledgement")?;
    }
}

fn lock(log: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}
