//! Which TCP connections a service has: up to a limit of all, which their holders have fair shares of, and up to a limit of
//! each source.
//!
//! The limit of a source is no part of the fair shares, which keep nobody out of places that nobody else wants. It bounds what
//! one host costs that opens connections while there is room: their memory, and the time of the one thread that serves all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::places::{self, Places};
use crate::policy::fair_share::Holder;
use crate::policy::origin::Origin;
use crate::source::Source;

/// Of all connections, one source may have this part.
const SHARE: usize = 8;

/// How many connections there may be at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Of all sources together.
    pub all: usize,
    /// Of each source; none is a share of all, and for loopback no limit.
    pub each: Option<usize>,
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There are as many as there may be, and this is the one that has to give way.
    All,
    /// Its source has as many as it may.
    Source,
}

/// Counts the connections that there are, and chooses the one that gives way when there are too many.
#[derive(Debug)]
pub struct Admission {
    limits: ConnectionLimits,
    places: Places,
    of: Sources,
}

/// Each source that has a connection, with their number. A connection that was displaced counts until its place is dropped.
type Sources = Arc<Mutex<HashMap<Source, usize>>>;

/// A connection's place, which is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    fair: places::Place,
    source: Source,
    of: Sources,
}

impl ConnectionLimits {
    /// How many there may be from this origin's source.
    #[must_use]
    pub fn of(&self, origin: &Origin) -> usize {
        match self.each {
            Some(each) => each,
            None if origin.is_loopback() => usize::MAX,
            None => (self.all / SHARE).max(1),
        }
    }
}

impl Admission {
    /// Takes connections within these limits.
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            places: Places::new(limits.all),
            of: Sources::default(),
        }
    }

    /// Takes a connection from there, whose place is this holder's. Where there is no place left, the connection that has to
    /// give way is displaced.
    ///
    /// # Errors
    /// Its source has too many, or the one that has to give way is this one.
    pub fn enter(&self, origin: &Origin, holder: Holder) -> Result<Place, Refusal> {
        let source = Source::of(origin.ip());
        let mut of = lock(&self.of);
        let of_source = of.get(&source).copied().unwrap_or_default();
        if of_source >= self.limits.of(origin) {
            return Err(Refusal::Source);
        }
        let fair = self.places.enter(holder).ok_or(Refusal::All)?;
        of.insert(source, of_source + 1);
        drop(of);
        Ok(Place {
            fair,
            source,
            of: Arc::clone(&self.of),
        })
    }
}

impl Place {
    /// Completes when the connection has to give way.
    pub async fn displaced(&mut self) {
        self.fair.displaced().await;
    }

    /// Notes that a whole message has come: from now on the connection gives way after those of its host that have sent
    /// none, and after those that were silent for longer.
    pub fn note_progress(&self) {
        self.fair.note_progress();
    }
}

/// No step in between leaves the counts wrong, so that a panic does not either.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of = lock(&self.of);
        match of.get_mut(&self.source) {
            Some(of_source) if *of_source > 1 => *of_source -= 1,
            _ => {
                of.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
