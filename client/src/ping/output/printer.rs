//! The one output of a program, shared by the runs that it makes at the same time.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Backlog, Output};
use crate::ping::events::Interrupt;

/// Prints until that fails: then the runs end, and their figures are still whole.
#[derive(Clone)]
pub struct Printer {
    shared: Arc<Mutex<Shared>>,
    interrupt: Interrupt,
}

struct Shared {
    output: Box<dyn Output>,
    /// Where that writes to.
    backlog: Backlog,
    error: Option<io::Error>,
}

impl Printer {
    /// Prints to this output, which writes to that backlog; a failure interrupts.
    #[must_use]
    pub fn new(output: Box<dyn Output>, backlog: Backlog, interrupt: Interrupt) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Shared {
                output,
                backlog,
                error: None,
            })),
            interrupt,
        }
    }

    /// Whether it shows what becomes of each probe.
    #[must_use]
    pub fn shows_probes(&self) -> bool {
        self.lock().output.shows_probes()
    }

    /// Prints, unless that failed before.
    pub fn print(&self, print: impl FnOnce(&mut dyn Output) -> io::Result<()>) {
        self.send(print, false);
    }

    /// Prints a line, which is left out when nothing reads what was printed before.
    pub fn print_line(&self, print: impl FnOnce(&mut dyn Output) -> io::Result<()>) {
        self.send(print, true);
    }

    fn send(&self, print: impl FnOnce(&mut dyn Output) -> io::Result<()>, may_be_left_out: bool) {
        let mut shared = self.lock();
        if shared.error.is_none()
            && let Err(error) =
                print(&mut *shared.output).and_then(|()| shared.backlog.commit(may_be_left_out))
        {
            shared.error = Some(error);
            drop(shared);
            self.interrupt.raise();
        }
    }

    /// Waits until what was printed has been written.
    pub fn drain(&self) {
        let backlog = self.lock().backlog.clone();
        backlog.drain();
    }

    /// Whether not everything could be printed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let shared = self.lock();
        shared.error.is_some() || shared.backlog.has_failed()
    }

    /// What kept the output from being printed whole, once.
    #[must_use]
    pub fn take_error(&self) -> Option<io::Error> {
        let mut shared = self.lock();
        shared.error.take().or_else(|| shared.backlog.error())
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A run that ended early leaves the output usable for the others.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
