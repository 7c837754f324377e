//! Asking the loops of services to stop, from any thread.

use std::io;
use std::sync::Arc;

/// Stops all loops that have its [`Stop`], when it is dropped.
#[derive(Debug)]
pub struct Stopper {
    _end: imp::Sender,
}

/// What loops watch beside their sockets: it becomes ready when the [`Stopper`] is gone. Clones are the same.
#[derive(Debug, Clone)]
pub struct Stop(pub(crate) Arc<imp::Receiver>);

/// A stopper and its stop.
///
/// # Errors
/// There are no files for it.
pub fn stopper() -> io::Result<(Stopper, Stop)> {
    let (end, stop) = imp::pair()?;
    Ok((Stopper { _end: end }, Stop(Arc::new(stop))))
}

#[cfg(unix)]
mod imp {
    use std::io;

    pub(crate) use std::io::{PipeReader as Receiver, PipeWriter as Sender};

    /// A pipe without a writer is ready for all that read it.
    pub(super) fn pair() -> io::Result<(Sender, Receiver)> {
        io::pipe().map(|(receiver, sender)| (sender, receiver))
    }
}

#[cfg(not(unix))]
mod imp {
    use std::io;
    use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

    pub(crate) use std::net::TcpStream as Receiver;

    /// Only sockets can be waited for together with sockets.
    #[derive(Debug)]
    pub(crate) struct Sender(TcpStream);

    impl Drop for Sender {
        fn drop(&mut self) {
            let _ = self.0.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn pair() -> io::Result<(Sender, Receiver)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let receiver = TcpStream::connect(listener.local_addr()?)?;
        loop {
            let (sender, from) = listener.accept()?;
            // Not that of some other program, which found the port.
            if from == receiver.local_addr()? {
                return Ok((Sender(sender), receiver));
            }
        }
    }
}
