//! What a run measures by, whatever the transport.

use std::io;
use std::sync::mpsc::Sender;
use std::time::Duration;

use hii_transport::clock::Clock;
use hii_transport::elsewhere::Strays;

use super::events::Event;
use super::schedule::Schedule;

/// Sockets towards the target, and the threads on them.
pub trait Link: Send {
    /// The clock of all times.
    fn clock(&self) -> Clock;

    /// Whether the target tells which way a probe was lost.
    fn tells_direction(&self) -> bool;

    /// How long an answer is waited for at least.
    fn patience(&self) -> Duration;

    /// Whether it is a TCP connection.
    fn is_stream(&self) -> bool {
        false
    }

    /// Why the kernel does not tell when probes were sent and their answers received; none where it does.
    fn lacks_stamps(&self) -> Option<&str> {
        Some("only of probes over UDP")
    }

    /// Whether it tells which probes were refused, and whose answers this host threw away.
    fn tells_refusals(&self) -> bool {
        true
    }

    /// Looks at what came to its port from elsewhere than the target, and tells of all that did so far; none where that is
    /// not heard.
    fn look_elsewhere(&mut self) -> Option<Strays> {
        None
    }

    /// Starts to send on the schedule, and to receive.
    ///
    /// # Errors
    /// There is no memory for a thread, or no descriptor.
    fn start(&mut self, schedule: Schedule, events: &Sender<Event>) -> io::Result<()>;

    /// Sends no more of the schedule. All that was sent has been told then.
    fn stop_sending(&mut self);

    /// Sends a probe beside those that count.
    fn send_uncounted(&self, seq: u64, events: &Sender<Event>);

    /// Stops receiving. All that came has been told then.
    fn stop_receiving(&mut self);
}

/// What comes from elsewhere stays unknown.
pub(super) fn unheard(error: &io::Error) {
    tracing::debug!(%error, "what comes from elsewhere is not heard");
}
