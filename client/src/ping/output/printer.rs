//! The one output of a program, shared by the runs that it makes at the same time.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Output;
use crate::ping::events::Interrupt;

/// Prints until that fails: then the runs end, and their figures are still whole.
#[derive(Clone)]
pub struct Printer {
    shared: Arc<Mutex<Shared>>,
    interrupt: Interrupt,
}

struct Shared {
    output: Box<dyn Output>,
    error: Option<io::Error>,
}

impl Printer {
    /// Prints to this output; a failure interrupts.
    #[must_use]
    pub fn new(output: Box<dyn Output>, interrupt: Interrupt) -> Self {
        let error = None;
        Self {
            shared: Arc::new(Mutex::new(Shared { output, error })),
            interrupt,
        }
    }

    /// Prints, unless that failed before.
    pub fn print(&self, print: impl FnOnce(&mut dyn Output) -> io::Result<()>) {
        let mut shared = self.lock();
        if shared.error.is_none()
            && let Err(error) = print(&mut *shared.output)
        {
            shared.error = Some(error);
            drop(shared);
            self.interrupt.raise();
        }
    }

    /// Whether not everything could be printed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.lock().error.is_some()
    }

    /// What kept the output from being printed whole, once.
    #[must_use]
    pub fn take_error(&self) -> Option<io::Error> {
        self.lock().error.take()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A run that ended early leaves the output usable for the others.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
