//! Ctrl-C, and other wishes from outside that the program ends.

use std::sync::atomic::{AtomicBool, Ordering};

use hii_server::exit::{Exit, Failure};

use super::conversation::{Happening, Inbox};

/// Puts the first wish to stop into the inbox. A later one ends the program, after `leave`.
///
/// # Errors
/// The signals cannot be caught.
pub fn catch(inbox: Inbox, leave: impl Fn() + Send + 'static) -> Result<(), Failure> {
    let was_asked = AtomicBool::new(false);
    let handle = move || {
        let is_first = !was_asked.swap(true, Ordering::Relaxed);
        if !is_first || inbox.try_send(Happening::Interrupted).is_err() {
            leave();
            std::process::exit(Exit::Interrupted as i32);
        }
    };
    ctrlc::set_handler(handle).map_err(|error| {
        Failure::new(
            Exit::Unreachable,
            format_args!("cannot catch Ctrl-C: {error}"),
            "this host is short of memory or threads: end other programs",
        )
    })
}
