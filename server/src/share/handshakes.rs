//! Who may try to prove that it has the key: so many at once, and not for ever with other keys.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;

use crate::policy::origin::Origin;
use crate::source::Source;

/// Handshakes that fail in a row before the rate counts, of each source.
const BURST: u32 = 10;

/// One more for each of these times.
const GAP: Duration = Duration::from_secs(6);

/// Sources that are remembered. Who fails from more addresses than that has the key guessed no sooner.
const SOURCES: NonZeroUsize = NonZeroUsize::new(16 * 1024).unwrap();

/// Handshakes under way at once.
const MOST: usize = 256;

/// Of these, one source may have this part; this host itself all.
const SHARE: usize = 8;

/// Failed handshakes of each source.
#[derive(Debug)]
pub struct Failures {
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
    /// Whether this source has failed too often to be heard now. This host itself never has: behind a tunnel or a proxy
    /// everybody comes from there, and one stranger would keep all out.
    pub fn bars(&mut self, origin: &Origin, now: Duration) -> bool {
        if origin.is_loopback() {
            return false;
        }
        let all = self.of.peek(&Source::of(origin.ip()));
        all.is_some_and(|all| *all > now.saturating_add(GAP * (BURST - 1)))
    }

    /// Notes that a handshake has failed.
    pub fn add(&mut self, origin: &Origin, now: Duration) {
        let all = self.of.get_or_insert_mut(Source::of(origin.ip()), || now);
        *all = (*all).max(now).saturating_add(GAP);
    }
}

/// The handshakes under way. When there are too many the oldest makes room: an honest one takes as long as a round trip.
#[derive(Debug)]
pub struct HalfOpen<T> {
    by_number: BTreeMap<u64, (Source, T)>,
    of: HashMap<Source, usize>,
    last: u64,
}

impl<T> Default for HalfOpen<T> {
    fn default() -> Self {
        Self {
            by_number: BTreeMap::new(),
            of: HashMap::new(),
            last: 0,
        }
    }
}

impl<T> HalfOpen<T> {
    /// Takes one more, and gives its number, and the one that has to go for it.
    pub fn enter(&mut self, origin: &Origin, handshake: T) -> (u64, Option<T>) {
        let source = Source::of(origin.ip());
        let share = if origin.is_loopback() {
            MOST
        } else {
            MOST / SHARE
        };
        let of_source = self.of.get(&source).copied().unwrap_or_default();
        let is_own = |(_, (of, _)): &(&u64, &(Source, T))| *of == source;
        let goes = if of_source >= share {
            self.by_number.iter().find(is_own)
        } else if self.by_number.len() >= MOST {
            self.by_number.iter().next()
        } else {
            None
        };
        let goes = goes.map(|(number, _)| *number);
        let goes = goes.and_then(|number| self.leave(number));
        self.last += 1;
        self.by_number.insert(self.last, (source, handshake));
        *self.of.entry(source).or_default() += 1;
        (self.last, goes)
    }

    /// Lets one go; none where it had to make room before.
    pub fn leave(&mut self, number: u64) -> Option<T> {
        let (source, handshake) = self.by_number.remove(&number)?;
        match self.of.get_mut(&source) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                self.of.remove(&source);
            }
        }
        Some(handshake)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use super::*;
    use crate::policy::origin::origin;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn from(text: &str) -> Origin {
        let ip: IpAddr = text.parse().unwrap();
        origin(SocketAddr::new(ip, 9))
    }

    /// A host of 10.0.0.0/8.
    fn host(number: u32) -> Origin {
        let ip = Ipv4Addr::from_bits(0x0a00_0000 + number);
        origin(SocketAddr::new(ip.into(), 9))
    }

    #[test]
    fn ten_failures_bar_a_source_and_nobody_else_and_not_for_ever() {
        let mut failures = Failures::default();
        let source = from("2001:db8::1");
        for _ in 0..10 {
            assert!(!failures.bars(&source, at(5)));
            failures.add(&source, at(5));
        }
        assert!(failures.bars(&source, at(5)));
        assert!(failures.bars(&from("2001:db8::2"), at(5)));
        assert!(!failures.bars(&from("192.0.2.1"), at(5)));
        // One try for each gap.
        assert!(failures.bars(&source, at(10)));
        assert!(!failures.bars(&source, at(11)));
        failures.add(&source, at(11));
        assert!(failures.bars(&source, at(11)));
        assert!(!failures.bars(&source, at(1000)));
    }

    #[test]
    fn this_host_is_never_barred() {
        let mut failures = Failures::default();
        for own in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            for _ in 0..1000 {
                failures.add(&from(own), at(5));
            }
            assert!(!failures.bars(&from(own), at(5)), "{own}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut failures = Failures::default();
        for host in 0..100_000_u32 {
            failures.add(&self::host(host), at(0));
        }
        assert_eq!(failures.of.len(), SOURCES.get());
    }

    #[test]
    fn a_source_that_has_its_share_drives_out_its_own_oldest() {
        let mut half_open = HalfOpen::default();
        let (good, none) = half_open.enter(&from("192.0.2.1"), 0);
        assert_eq!(none, None);
        let mut gone = Vec::new();
        for number in 1..=1000 {
            gone.extend(half_open.enter(&from("198.51.100.7"), number).1);
        }
        let stays = u32::try_from(MOST / SHARE).unwrap();
        assert_eq!(gone, (1..=1000 - stays).collect::<Vec<_>>());
        assert_eq!(half_open.leave(good), Some(0));
        assert_eq!(half_open.leave(good), None);
    }

    #[test]
    fn all_together_drive_out_the_oldest_and_counts_end_at_none() {
        let mut half_open = HalfOpen::default();
        let numbers: Vec<_> = (0..1000_u32)
            .map(|host| half_open.enter(&self::host(host), host))
            .collect();
        let gone: Vec<_> = numbers.iter().filter_map(|(_, gone)| *gone).collect();
        assert_eq!(gone, (0..744).collect::<Vec<_>>());
        for (number, _) in numbers {
            half_open.leave(number);
        }
        assert!(half_open.of.is_empty() && half_open.by_number.is_empty());
    }
}
