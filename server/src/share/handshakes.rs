//! Who may try to prove that it has the key: up to a limit at once, and not for ever with other keys.

use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;

use crate::places::{Place, Places};
use crate::policy::fair_share::Holder;
use crate::policy::origin::Origin;
use crate::source::Source;

/// Handshakes that fail in a row before the rate counts, of each source.
const BURST: u32 = 10;

/// One more for each of these times.
const GAP: Duration = Duration::from_secs(6);

/// Sources that are remembered. Who fails from more addresses than that has the key guessed no sooner.
const SOURCES: NonZeroUsize = NonZeroUsize::new(16 * 1024).unwrap();

/// Failed handshakes of each source.
#[derive(Debug)]
pub(super) struct Failures {
    /// When, at the allowed rate, all of its failures would have been (the generic cell rate algorithm).
    of: LruCache<Source, Duration>,
}

impl Default for Failures {
    fn default() -> Self {
        // Room is made as it is needed.
        let mut of = LruCache::unbounded();
        of.resize(SOURCES);
        Self { of }
    }
}

impl Failures {
    /// Whether this source has failed too often to be let in now. This host itself never has: behind a tunnel or a proxy
    /// everybody comes from there, and one stranger would keep all out.
    pub(super) fn bars(&mut self, origin: &Origin, now: Duration) -> bool {
        if origin.is_loopback() {
            return false;
        }
        let all = self.of.peek(&Source::of(origin.ip()));
        all.is_some_and(|all| *all > now.saturating_add(GAP * (BURST - 1)))
    }

    /// Notes that a handshake has failed.
    pub(super) fn add(&mut self, origin: &Origin, now: Duration) {
        let all = self.of.get_or_insert_mut(Source::of(origin.ip()), || now);
        *all = (*all).max(now).saturating_add(GAP);
    }
}

/// The connections whose handshake is not finished, in two pools of fair shares: those that have sent nothing yet, and those
/// that have. So the idle ones displace only each other, and a sender of many of either kind displaces its own.
#[derive(Debug)]
pub(super) struct Handshakes {
    idle: Places,
    started: Places,
}

impl Handshakes {
    /// Up to this many of each kind.
    pub(super) fn new(each: usize) -> Self {
        Self {
            idle: Places::new(each),
            started: Places::new(each),
        }
    }

    /// Takes a connection from there, which has sent nothing yet; `None` if it is the one that gives way.
    pub(super) fn begin(&self, origin: &Origin) -> Option<Place> {
        self.idle.enter(Holder::of(origin))
    }

    /// Moves a connection from there to those that have sent something; `None` if it is the one that gives way.
    pub(super) fn start(&self, origin: &Origin, idle: Place) -> Option<Place> {
        drop(idle);
        self.started.enter(Holder::of(origin))
    }
}

#[cfg(test)]
#[path = "handshakes_tests.rs"]
mod tests;
