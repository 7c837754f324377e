//! A rate limit for each source, in constant memory.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use crate::args::Rate;
use crate::source::Source;

/// How many buckets there are. Sources that share one share its rate; the keyed hash keeps that from being arranged.
const BUCKETS: usize = 1 << 16;

/// A token bucket for each source, by a keyed hash of its IPv4 address or IPv6 /64. A bucket holds one second's worth.
#[derive(Debug)]
pub struct RateLimiter {
    buckets: Box<[u64]>,
    key: RandomState,
    /// Nanoseconds between datagrams at the allowed rate; none is no limit.
    gap: Option<u64>,
}

impl RateLimiter {
    /// A limiter that lets this rate through for each source.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let gap = rate.gap();
        let buckets = if gap.is_some() { BUCKETS } else { 0 };
        Self {
            buckets: vec![0; buckets].into(),
            key: RandomState::new(),
            gap,
        }
    }

    /// Whether a datagram from this source, now, is within its rate.
    pub fn allows(&mut self, source: IpAddr, now: Duration) -> bool {
        let Some(gap) = self.gap else { return true };
        let index =
            usize::try_from(self.key.hash_one(Source::of(source))).unwrap_or_default() % BUCKETS;
        let bucket = self.buckets.get_mut(index);
        bucket.is_none_or(|bucket| take(bucket, gap, now))
    }
}

/// What a bucket holds, in nanoseconds.
const BURST: u64 = 1_000_000_000;

/// Lets one through if its bucket has room for it: a second's worth at one every `gap` nanoseconds. The bucket is when,
/// at that rate, all that was let through would have come (the generic cell rate algorithm).
pub fn take(bucket: &mut u64, gap: u64, now: Duration) -> bool {
    let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    let all_due = (*bucket).max(now);
    if all_due - now > BURST.saturating_sub(gap) {
        return false;
    }
    *bucket = all_due.saturating_add(gap);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::rate;

    fn allowed(limiter: &mut RateLimiter, source: &str, at_ms: u64, tries: usize) -> usize {
        let source = source.parse().unwrap();
        (0..tries)
            .filter(|_| limiter.allows(source, Duration::from_millis(at_ms)))
            .count()
    }

    #[test]
    fn a_source_gets_a_second_s_burst_and_then_its_rate() {
        let mut limiter = RateLimiter::new(rate("100/s").unwrap());
        assert_eq!(allowed(&mut limiter, "192.0.2.1", 0, 1000), 100);
        assert_eq!(allowed(&mut limiter, "192.0.2.1", 500, 1000), 50);
        assert_eq!(allowed(&mut limiter, "192.0.2.1", 10_000, 1000), 100);
    }

    #[test]
    fn sources_do_not_share_but_a_slash_64_does() {
        let mut limiter = RateLimiter::new(rate("100/s").unwrap());
        assert_eq!(allowed(&mut limiter, "2001:db8::1", 0, 1000), 100);
        assert_eq!(allowed(&mut limiter, "2001:db8::2", 0, 1000), 0);
        // Two sources may fall into one bucket, but not three of different ones for every key.
        let others = ["2001:db8:0:1::1", "192.0.2.1", "192.0.2.2"]
            .into_iter()
            .filter(|other| allowed(&mut limiter, other, 0, 1) == 1);
        assert!(others.count() > 0);
    }

    #[test]
    fn no_limit_lets_everything_through_and_holds_nothing() {
        let mut limiter = RateLimiter::new(rate("0").unwrap());
        assert_eq!(allowed(&mut limiter, "192.0.2.1", 0, 100_000), 100_000);
        assert!(limiter.buckets.is_empty());
    }
}
