//! The places of connections in a fair pool: a connection that has to give way is notified, and a place is free again when it
//! is dropped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::policy::fair_pool::FairPool;
use crate::policy::fair_share::{EntryId, Holder, Turn};

/// The places of one pool. Clones are the same pool.
#[derive(Debug, Clone)]
pub(crate) struct Places(Arc<Mutex<Pool>>);

#[derive(Debug)]
struct Pool {
    fair: FairPool<Taken>,
    last: u64,
}

/// What the pool has of a place.
#[derive(Debug)]
struct Taken {
    /// Differs between places that have the same number one after the other.
    serial: u64,
    /// Nothing is ever sent: its end is that of the place.
    _displaced: oneshot::Sender<()>,
}

/// One connection's place, which is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    id: EntryId,
    serial: u64,
    displaced: oneshot::Receiver<()>,
}

impl Places {
    /// A pool of this many places.
    pub(crate) fn new(places: usize) -> Self {
        let places = u32::try_from(places).unwrap_or(u32::MAX);
        Self(Arc::new(Mutex::new(Pool {
            fair: FairPool::new(places),
            last: 0,
        })))
    }

    /// Takes a place. In a full pool the connection that has to give way is displaced; returns `None` if that is the new
    /// one.
    pub(crate) fn enter(&self, holder: Holder) -> Option<Place> {
        let mut pool = self.lock();
        pool.last += 1;
        let serial = pool.last;
        let (sender, displaced) = oneshot::channel();
        let taken = Taken {
            serial,
            _displaced: sender,
        };
        let id = pool.fair.insert(holder, Turn::First, taken).id?;
        drop(pool);
        Some(Place {
            places: self.clone(),
            id,
            serial,
            displaced,
        })
    }

    /// How many places are taken.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> u32 {
        self.lock().fair.len()
    }

    /// Each step leaves the pool whole, also where a thread panics.
    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Completes when the connection has to give way.
    pub(crate) async fn displaced(&mut self) {
        if !self.displaced.is_terminated() {
            let _ = (&mut self.displaced).await;
        }
    }

    /// Whether the connection has to give way.
    #[cfg(test)]
    pub(crate) fn is_displaced(&self) -> bool {
        !self.is_held(&self.places.lock())
    }

    /// Notes that a whole message has come: from now on the connection gives way after those of its host that have sent
    /// none, and after those that were silent for longer.
    pub(crate) fn note_progress(&self) {
        let mut pool = self.places.lock();
        if self.is_held(&pool) {
            pool.fair.touch(self.id, Turn::Last);
        }
    }

    /// Whether the place is still this connection's.
    fn is_held(&self, pool: &Pool) -> bool {
        let taken = pool.fair.get(self.id);
        taken.is_some_and(|taken| taken.serial == self.serial)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut pool = self.places.lock();
        if self.is_held(&pool) {
            pool.fair.remove(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::policy::origin::origin;

    fn enter(places: &Places, ip: &str) -> Option<Place> {
        let address = SocketAddr::new(ip.parse().unwrap(), 9);
        places.enter(Holder::of(&origin(address)))
    }

    #[test]
    fn displaced_place_frees_none_that_has_its_number() {
        let places = Places::new(1);
        let first = enter(&places, "192.0.2.1").unwrap();
        let second = enter(&places, "192.0.2.2").unwrap();
        let third = enter(&places, "192.0.2.3").unwrap();
        // Numbers are used again as soon as they are free.
        assert_eq!(first.id, third.id);
        assert!(first.is_displaced() && second.is_displaced());
        first.note_progress();
        drop((first, second));
        assert_eq!(places.taken(), 1);
        assert!(!third.is_displaced());
        // It has sent no message yet, whatever the one before it had.
        third.note_progress();
        drop(third);
        assert_eq!(places.taken(), 0);
    }

    #[tokio::test]
    async fn displaced_connection_is_notified_for_good() {
        let places = Places::new(1);
        let mut first = enter(&places, "192.0.2.1").unwrap();
        let mut second = enter(&places, "192.0.2.2").unwrap();
        first.displaced().await;
        first.displaced().await;
        tokio::select! {
            biased;
            () = second.displaced() => panic!("it has the place"),
            () = std::future::ready(()) => {}
        }
    }

    /// Whether one of this many connections of an address is displaced from this many /16s: four /24s in each, and this many
    /// addresses in each /24.
    fn is_displaced_from(places: usize, own: usize, regions: u8, hosts: u8) -> bool {
        let pool = Places::new(places);
        let honest: Vec<_> = (0..own)
            .map(|_| enter(&pool, "192.0.2.1").unwrap())
            .collect();
        let mut others = Vec::new();
        for _ in 0..10 {
            for (region, site) in
                (0..regions).flat_map(|region| (0..4).map(move |site| (region, site)))
            {
                for host in 1..=hosts {
                    others.extend(enter(&pool, &format!("10.{region}.{site}.{host}")));
                }
            }
            others.retain(|place| !place.is_displaced());
        }
        assert_eq!(pool.taken() as usize, places);
        honest.iter().any(Place::is_displaced)
    }

    #[test]
    fn connection_of_a_network_is_displaced_from_64_others_and_of_several_from_fewer() {
        // The connections of a service, and the handshakes of one kind.
        for (places, own, regions, hosts) in [
            (1024, 1, 64, 4),
            (1024, 2, 32, 8),
            (1024, 4, 16, 16),
            (256, 1, 64, 1),
        ] {
            let few = is_displaced_from(places, own, regions - 1, hosts + 2);
            assert!(!few, "{places} {own}");
            assert!(
                is_displaced_from(places, own, regions, hosts),
                "{places} {own}"
            );
        }
    }

    #[test]
    fn pool_without_places_has_none() {
        let places = Places::new(0);
        assert!(enter(&places, "192.0.2.1").is_none());
        assert!(enter(&places, "127.0.0.1").is_none());
        assert_eq!(places.taken(), 0);
    }
}
