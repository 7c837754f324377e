//! A rate limit for each source, in constant memory.

use std::net::IpAddr;
use std::time::Duration;

use crate::args::Rate;
use crate::policy::{Budget, Limit};

/// A token bucket for each source, an IPv4 address or IPv6 /64. A bucket holds one second's worth.
#[derive(Debug)]
pub struct RateLimiter {
    budget: Budget,
}

impl RateLimiter {
    /// A limiter that lets this rate through for each source.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self {
            budget: Budget::new(Limit::Unlimited, rate.into()),
        }
    }

    /// Whether a datagram from this source, now, is within its rate.
    pub fn allows(&mut self, source: IpAddr, now: Duration) -> bool {
        self.budget.allows(source, 0, false, 1, now)
    }
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
    fn no_limit_lets_everything_through() {
        let mut limiter = RateLimiter::new(rate("0").unwrap());
        assert_eq!(allowed(&mut limiter, "192.0.2.1", 0, 100_000), 100_000);
    }
}
