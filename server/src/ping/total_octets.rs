//! A limit for the octets of all answers together, which refuses first the sources that received most.

use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::policy::{Key, Limit, Pace};
use crate::source::Source;

/// Number of counters; sources that share one are counted together.
const COUNTERS: usize = 1 << 16;

/// How many times what is left a source may have drawn in the last second. A single source gets 16 parts of 17 of the limit,
/// and of several none gets more than another while what is left falls (the dynamic threshold of Choudhury and Hahne, 1998).
const SHARE: u64 = 16;

/// The limit of a server, which all of its threads draw on.
#[derive(Debug, Clone)]
pub struct SharedTotal(Option<Arc<Mutex<TotalOctets>>>);

impl SharedTotal {
    /// No limit.
    pub const NONE: Self = Self(None);

    /// The limit, in octets.
    #[must_use]
    pub fn new(limit: Limit) -> Self {
        let is_limited = limit != Limit::Unlimited;
        Self(is_limited.then(|| Arc::new(Mutex::new(TotalOctets::new(limit)))))
    }

    /// Lets octets go to a source if there is room for them, and for what it drew in the last second.
    pub(super) fn allows(&self, ip: IpAddr, octets: u64, now: Duration) -> bool {
        self.with(true, |total| total.allows(ip, octets, now))
    }

    /// Counts octets that go to a source, whether there is room for them or not.
    pub(super) fn charge(&self, ip: IpAddr, octets: u64, now: Duration) {
        self.with((), |total| total.charge(ip, octets, now));
    }

    /// Returns how long a source has to wait until there is room for anything.
    pub(super) fn wait(&self, ip: IpAddr, now: Duration) -> Duration {
        self.with(Duration::ZERO, |total| total.wait(ip, now))
    }

    fn with<T>(&self, unlimited: T, limited: impl FnOnce(&mut TotalOctets) -> T) -> T {
        match &self.0 {
            None => unlimited,
            // Each call leaves it whole, whatever thread ended early.
            Some(total) => limited(&mut total.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

/// The limit, and what each source drew of it in about the last second.
#[derive(Debug)]
struct TotalOctets {
    pace: Pace,
    cell: u64,
    drawn: Box<[Drawn]>,
    key: Key,
}

/// Octets of one source in this second and in the one before.
#[derive(Debug, Clone, Copy, Default)]
struct Drawn {
    second: u32,
    now: u32,
    before: u32,
}

impl TotalOctets {
    /// The limit, in octets.
    fn new(limit: Limit) -> Self {
        let counters = match limit {
            Limit::Rate { .. } => COUNTERS,
            Limit::Unlimited | Limit::Nothing => 0,
        };
        Self {
            pace: Pace::new(limit),
            cell: 0,
            drawn: vec![Drawn::default(); counters].into(),
            key: Key::default(),
        }
    }

    /// Lets octets go to a source if there is room for them, and for what it drew in the last second.
    fn allows(&mut self, ip: IpAddr, octets: u64, now: Duration) -> bool {
        if self.drawn.is_empty() {
            return self.pace.limit() == Limit::Unlimited;
        }
        let left = self.pace.left(self.cell, now);
        let drawn = self.of(ip).map_or(0, |drawn| drawn.in_the_last_second(now));
        let is_within = octets <= left && drawn <= left.saturating_mul(SHARE);
        if is_within {
            self.charge(ip, octets, now);
        }
        is_within
    }

    /// Counts octets that go to a source, whether there is room for them or not.
    fn charge(&mut self, ip: IpAddr, octets: u64, now: Duration) {
        if let Some(drawn) = self.of(ip) {
            drawn.add(octets, now);
            self.pace.charge(&mut self.cell, octets, now);
        }
    }

    /// What a source has drawn beyond its share it waits for as long as that takes to come free.
    fn wait(&mut self, ip: IpAddr, now: Duration) -> Duration {
        let left = self.pace.left(self.cell, now);
        let drawn = self.of(ip).map_or(0, |drawn| drawn.in_the_last_second(now));
        let needed = (drawn / SHARE).max(1);
        if needed <= left {
            return Duration::ZERO;
        }
        let wait = self.pace.wait(self.cell, needed, now);
        wait.unwrap_or(Duration::from_secs(1))
    }

    fn of(&mut self, ip: IpAddr) -> Option<&mut Drawn> {
        if self.drawn.is_empty() {
            return None;
        }
        let hash = usize::try_from(self.key.hash_one(Source::of(ip))).unwrap_or_default();
        self.drawn.get_mut(hash % COUNTERS)
    }
}

impl Drawn {
    /// The part of the second before that is less than a second ago, and this one.
    fn in_the_last_second(&mut self, now: Duration) -> u64 {
        self.advance(now);
        let rest = u64::from(1_000_000_000 - now.subsec_nanos());
        u64::from(self.now) + u64::from(self.before) * rest / 1_000_000_000
    }

    fn add(&mut self, octets: u64, now: Duration) {
        self.advance(now);
        let octets = u32::try_from(octets).unwrap_or(u32::MAX);
        self.now = self.now.saturating_add(octets);
    }

    fn advance(&mut self, now: Duration) {
        let second = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        let before = match second.saturating_sub(self.second) {
            0 => return,
            1 => self.now,
            _ => 0,
        };
        *self = Self {
            second,
            now: 0,
            before,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(host: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, host])
    }

    /// Octets a second that each source gets after a second, when they ask for this many datagrams of 100 octets a millisecond.
    fn got<const N: usize>(total: &mut TotalOctets, asks: [u32; N]) -> [u64; N] {
        const SECONDS: u64 = 10;
        let mut got = [0; N];
        for milli in 0..(1 + SECONDS) * 1000 {
            let now = Duration::from_millis(10_000 + milli);
            for (host, (asks, got)) in (1..).zip(asks.iter().zip(&mut got)) {
                for _ in 0..*asks {
                    if total.allows(ip(host), 100, now) && milli >= 1000 {
                        *got += 100;
                    }
                }
            }
        }
        got.map(|octets| octets / SECONDS)
    }

    #[test]
    fn source_that_received_most_is_refused_first() {
        let mut total = TotalOctets::new(Limit::per_second(1_000_000));
        // The first asks for 50 times the limit, the second for a fifth of it.
        let [flood, modest] = got(&mut total, [500, 2]);
        assert_eq!(modest, 200_000);
        assert!((700_000..=820_000).contains(&flood), "{flood}");
    }

    #[test]
    fn one_source_alone_gets_nearly_all_and_two_alike_get_the_same() {
        let mut total = TotalOctets::new(Limit::per_second(1_000_000));
        let [alone] = got(&mut total, [500]);
        assert!((900_000..=1_010_000).contains(&alone), "{alone}");
        let mut total = TotalOctets::new(Limit::per_second(1_000_000));
        let [one, other] = got(&mut total, [50, 50]);
        assert!(one.abs_diff(other) <= 100_000, "{one} {other}");
        assert!((900_000..=1_010_000).contains(&(one + other)));
    }

    #[test]
    fn drawn_octets_are_those_of_about_the_last_second() {
        let at = |millis| Duration::from_millis(millis);
        let mut drawn = Drawn::default();
        drawn.add(1000, at(500));
        for (millis, octets) in [(500, 1000), (999, 1000), (1000, 1000), (1500, 500)] {
            assert_eq!(drawn.in_the_last_second(at(millis)), octets, "{millis}");
        }
        drawn.add(300, at(1900));
        assert_eq!(drawn.in_the_last_second(at(1900)), 400);
        // The second before is what counts in the next.
        assert_eq!(drawn.in_the_last_second(at(2500)), 150);
        assert_eq!(drawn.in_the_last_second(at(4500)), 0);
    }

    #[test]
    fn source_beyond_its_share_waits_longer_than_others() {
        let mut total = TotalOctets::new(Limit::per_second(1_000));
        let now = Duration::from_secs(10);
        total.charge(ip(1), 960, now);
        assert_eq!(total.wait(ip(2), now), Duration::ZERO);
        // A 16th of what it drew has to be left, and 40 are.
        assert_eq!(total.wait(ip(1), now), Duration::from_millis(20));
        total.charge(ip(1), 1_000, now);
        assert!(total.wait(ip(2), now) > Duration::from_millis(900));
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let mut total = TotalOctets::new(Limit::Unlimited);
        assert_eq!(got(&mut total, [10]), [1_000_000]);
        assert!(total.drawn.is_empty());
        assert_eq!(total.wait(ip(1), Duration::ZERO), Duration::ZERO);
    }
}
