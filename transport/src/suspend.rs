//! Being suspended by the user, as a shell does at Ctrl-Z.

use nix::sys::signal::{Signal, raise};

/// Stops the whole program as Ctrl-Z does, and returns when the user has it go on. Where nobody could do that, it returns
/// at once.
pub fn suspend() {
    // The only error is a signal that does not exist.
    let _ = raise(Signal::SIGTSTP);
}
