//! Which TCP connections are taken: so many in all, and so many of one source, so that one alone cannot keep out the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::policy::origin::Origin;
use crate::source::Source;

/// Of all connections, one source may have this part.
const SHARE: usize = 8;

/// How many connections there may be at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Of all sources together.
    pub all: usize,
    /// Of each source; none is a share of all, and for this host itself no limit.
    pub each: Option<usize>,
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There are as many as there may be.
    All,
    /// Its source has as many as it may.
    Source,
}

/// Counts the connections that there are. Clones count together.
#[derive(Debug, Clone)]
pub struct Admission {
    limits: ConnectionLimits,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    /// No source that has none is in here, so it is never larger than all connections.
    of: HashMap<Source, usize>,
}

/// A connection's place, which is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    source: Source,
    open: Arc<Mutex<Open>>,
}

impl ConnectionLimits {
    /// How many there may be from this origin's source.
    #[must_use]
    pub fn of(&self, origin: &Origin) -> usize {
        match self.each {
            Some(each) => each,
            None if origin.is_loopback() => self.all,
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
            open: Arc::default(),
        }
    }

    /// Takes a connection from there.
    ///
    /// # Errors
    /// It would be one too many.
    pub fn enter(&self, origin: &Origin) -> Result<Place, Refusal> {
        let mut open = locked(&self.open);
        if open.all >= self.limits.all {
            return Err(Refusal::All);
        }
        let source = Source::of(origin.ip());
        let of_source = open.of.get(&source).copied().unwrap_or_default();
        if of_source >= self.limits.of(origin) {
            return Err(Refusal::Source);
        }
        open.all += 1;
        open.of.insert(source, of_source + 1);
        drop(open);
        Ok(Place {
            source,
            open: Arc::clone(&self.open),
        })
    }
}

/// No step in between leaves the counts wrong, so that a panic does not either.
fn locked(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = locked(&self.open);
        open.all = open.all.saturating_sub(1);
        match open.of.get_mut(&self.source) {
            Some(of_source) if *of_source > 1 => *of_source -= 1,
            _ => {
                open.of.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::policy::origin::origin;

    fn admission(all: usize, each: Option<usize>) -> Admission {
        Admission::new(ConnectionLimits { all, each })
    }

    fn enter(admission: &Admission, address: &str) -> Result<Place, Refusal> {
        admission.enter(&origin(SocketAddr::new(address.parse().unwrap(), 9)))
    }

    /// As many as get in.
    fn crowd(admission: &Admission, address: &str) -> (Vec<Place>, Refusal) {
        let mut places = Vec::new();
        loop {
            match enter(admission, address) {
                Ok(place) => places.push(place),
                Err(refusal) => return (places, refusal),
            }
        }
    }

    #[test]
    fn one_source_leaves_places_to_others_and_gets_its_own_back() {
        let admission = admission(80, None);
        let (mut places, refusal) = crowd(&admission, "2001:db8::1");
        assert_eq!((places.len(), refusal), (10, Refusal::Source));
        assert_eq!(
            enter(&admission, "2001:db8::ffff").err(),
            Some(Refusal::Source)
        );
        assert!(enter(&admission, "192.0.2.1").is_ok());
        drop(places.pop());
        let again = enter(&admission, "2001:db8::2");
        assert!(again.is_ok());
        drop((places, again));
        assert_eq!(locked(&admission.open).all, 0);
        assert!(locked(&admission.open).of.is_empty());
    }

    #[test]
    fn this_host_may_have_all_unless_it_is_said_otherwise() {
        let (places, refusal) = crowd(&admission(80, None), "127.0.0.1");
        assert_eq!((places.len(), refusal), (80, Refusal::All));
        let (places, refusal) = crowd(&admission(80, Some(3)), "::ffff:127.0.0.1");
        assert_eq!((places.len(), refusal), (3, Refusal::Source));
    }

    #[test]
    fn all_together_are_not_more_than_all_and_one_gets_in_whatever_the_share() {
        let admission = admission(5, None);
        let places: Vec<_> = (1..=5)
            .map(|host| enter(&admission, &format!("192.0.2.{host}")))
            .collect();
        assert!(places.iter().all(Result::is_ok));
        assert_eq!(enter(&admission, "192.0.2.6").err(), Some(Refusal::All));
        assert_eq!(crowd(&self::admission(0, None), "::1").1, Refusal::All);
        assert_eq!(
            crowd(&self::admission(9, Some(0)), "::1").1,
            Refusal::Source
        );
    }
}
