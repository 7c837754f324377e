//! Ctrl-C, and other wishes from outside that it ends.

use std::sync::Arc;

use hii_server::exit::{Exit, Failure};
use tokio::sync::Notify;

use crate::ping::events::Interrupt;

/// Whether the user wants to stop, for threads and for what waits for a socket.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    interrupt: Interrupt,
    wakes: Arc<Notify>,
}

impl Stop {
    /// Catches the first Ctrl-C. A later one ends the program at once.
    ///
    /// # Errors
    /// It cannot be caught.
    pub fn catch() -> Result<Self, Failure> {
        let stop = Self::default();
        let Self { interrupt, wakes } = stop.clone();
        let handle = move || {
            if interrupt.ask() {
                std::process::exit(Exit::Interrupted as i32);
            }
            wakes.notify_one();
        };
        ctrlc::set_handler(handle).map_err(|error| {
            Failure::new(
                Exit::Unreachable,
                format_args!("cannot catch Ctrl-C: {error}"),
                "this host is short of memory or threads: end other programs",
            )
        })?;
        Ok(stop)
    }

    /// For what looks now and then.
    #[must_use]
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Waits until the user wants to stop.
    pub async fn asked(&self) {
        while !self.interrupt.is_raised() {
            self.wakes.notified().await;
        }
    }
}
