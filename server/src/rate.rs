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
    let is_within = room(*bucket, gap, now).is_some();
    if is_within {
        spend(bucket, gap, now, 1);
    }
    is_within
}

/// How many a bucket would let through now.
pub fn left(bucket: u64, gap: u64, now: Duration) -> u64 {
    room(bucket, gap, now).map_or(0, |room| {
        room.checked_div(gap)
            .map_or(u64::MAX, |more| more.saturating_add(1))
    })
}

/// Lets so many through, for which there is room.
pub fn spend(bucket: &mut u64, gap: u64, now: Duration, count: u64) {
    let all_due = (*bucket).max(nanos(now));
    *bucket = all_due.saturating_add(gap.saturating_mul(count));
}

/// The nanoseconds that a bucket has room for beside one that is let through now; none is no room for that.
fn room(bucket: u64, gap: u64, now: Duration) -> Option<u64> {
    let all_due = bucket.saturating_sub(nanos(now));
    BURST.saturating_sub(gap).checked_sub(all_due)
}

fn nanos(now: Duration) -> u64 {
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn what_is_left_is_what_is_taken_one_by_one(
            bucket in 0..4 * BURST,
            gap in prop_oneof![1..100u64, BURST / 50..2 * BURST],
            now in 0..4 * BURST,
        ) {
            let now = Duration::from_nanos(now);
            let left = left(bucket, gap, now);
            let most = left.min(1000);
            let mut taken = bucket;
            for _ in 0..most {
                prop_assert!(take(&mut taken, gap, now));
            }
            prop_assert_eq!(left, most + super::left(taken, gap, now));
            prop_assert!(left > most || !take(&mut taken, gap, now));
            let mut spent = bucket;
            spend(&mut spent, gap, now, most);
            prop_assert!(most == 0 || spent == taken);
        }
    }
}
