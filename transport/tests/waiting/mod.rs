//! What the tests of a client's sockets share: to wait for what comes.

use std::io;
use std::thread;
use std::time::Duration;

use hii_transport::clock::Clock;
use hii_transport::probe::{Buffer, ProbeSocket, Received};

/// Guards against a test that hangs; none depends on how long it is.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(60);

/// What comes next, which may take a moment.
pub(crate) fn receive(socket: &ProbeSocket, buffer: &mut Buffer) -> io::Result<Received> {
    let clock = Clock::start();
    loop {
        match socket.receive(buffer, &clock) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                assert!(clock.elapsed() < WATCHDOG, "nothing comes");
                thread::yield_now();
            }
            result => return result,
        }
    }
}
