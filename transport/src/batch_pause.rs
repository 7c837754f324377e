//! When a socket stops sending several datagrams in one call, and for how long.
//!
//! A batch that is refused goes again one by one. Where these go, either the host cannot send batches (a network card
//! that computes no checksums), or one destination cannot be sent any (its path is too narrow, or encrypted). The first
//! costs one system call more for each batch until it is noticed. The second must change nothing for the others.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crate::backoff::Backoff;

/// Batches in a row whose refusal begins a pause.
pub(crate) const REFUSALS: u32 = 8;

/// The longest datagram that fits the narrowest path an IPv4 destination can claim: what Linux takes from ICMP at least
/// (`net.ipv4.route.min_pmtu`), less the headers.
const MAX_NARROW_IPV4: usize = 552 - 28;

/// The same for IPv6, where every path takes 1280 bytes.
const MAX_NARROW_IPV6: usize = 1280 - 48;

/// Decides when batches pause. Times are those of one monotonic clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BatchPause {
    backoff: Backoff,
    /// Refusals since the last batch that went, or since the last pause began.
    refusals: u32,
    /// Where the first of them was to go.
    first: Option<IpAddr>,
    /// Whether another one was to go elsewhere.
    elsewhere: bool,
}

impl BatchPause {
    /// Whether batches pause. The clock is read only if they did since the last one that went.
    pub(crate) fn is_on(&self, now: impl FnOnce() -> Duration) -> bool {
        self.backoff.is_on(now)
    }

    /// Records a batch that went.
    pub(crate) fn went(&mut self) {
        if self.refusals > 0 || !self.backoff.is_reset() {
            *self = Self::default();
        }
    }

    /// Records a batch of datagrams of this length that was refused with this error, and whose datagrams all went one by
    /// one. Returns the length of the pause if one begins.
    ///
    /// A batch that its path may be too narrow for is no evidence: any host can narrow the path to its own address.
    pub(crate) fn refused(
        &mut self,
        to: IpAddr,
        segment: usize,
        error: &io::Error,
        now: Duration,
    ) -> Option<Duration> {
        let may_be_path = may_be_path(error) && !fits_narrow_path(to, segment);
        if may_be_path || self.is_on(|| now) {
            return None;
        }
        let first = *self.first.get_or_insert(to);
        self.elsewhere |= first != to;
        self.refusals = self.refusals.saturating_add(1);
        if self.refusals < REFUSALS || !self.elsewhere {
            return None;
        }
        (self.refusals, self.first, self.elsewhere) = (0, None, false);
        Some(self.backoff.begin(now))
    }
}

/// Whether this error may be about a path that is too narrow. Which of the codes that is depends on the kernel's version;
/// EIO is a missing checksum's alone.
fn may_be_path(error: &io::Error) -> bool {
    const EIO: i32 = 5;
    error.raw_os_error() != Some(EIO)
}

/// Whether a datagram of this length fits every path there, so that a batch of such cannot be refused for its path's MTU.
fn fits_narrow_path(to: IpAddr, len: usize) -> bool {
    len <= match to.to_canonical() {
        IpAddr::V4(_) => MAX_NARROW_IPV4,
        IpAddr::V6(_) => MAX_NARROW_IPV6,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::backoff::{MAX_PAUSE, MIN_PAUSE};

    const START: Duration = Duration::from_secs(7);
    const EIO: i32 = 5;
    const EINVAL: i32 = 22;
    const EMSGSIZE: i32 = 90;

    fn error(errno: i32) -> io::Error {
        io::Error::from_raw_os_error(errno)
    }

    fn host(number: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, number).into()
    }

    /// Refuses this many batches to these hosts in turn, and returns the pauses that began.
    fn refuse(pause: &mut BatchPause, hosts: u8, batches: u8, now: Duration) -> Vec<Duration> {
        let hosts = (0..batches).map(|batch| host(batch % hosts));
        hosts
            .filter_map(|host| pause.refused(host, 100, &error(EINVAL), now))
            .collect()
    }

    #[test]
    fn eight_refusals_in_a_row_to_two_addresses_begin_a_pause() {
        let mut pause = BatchPause::default();
        assert_eq!(refuse(&mut pause, 2, 7, START), []);
        assert!(!pause.is_on(|| START));
        assert_eq!(refuse(&mut pause, 2, 1, START), [MIN_PAUSE]);
        assert!(pause.is_on(|| START + MIN_PAUSE.mul_f64(0.999)));
        assert!(!pause.is_on(|| START + MIN_PAUSE));
        // What was under way when it began begins no other.
        assert_eq!(refuse(&mut pause, 2, 100, START), []);
        let then = START + MIN_PAUSE;
        assert_eq!(refuse(&mut pause, 2, 8, then), [2 * MIN_PAUSE]);
    }

    #[test]
    fn one_address_never_begins_a_pause() {
        let mut pause = BatchPause::default();
        assert_eq!(refuse(&mut pause, 1, 200, START), []);
    }

    #[test]
    fn batch_that_goes_ends_the_row_and_shortens_the_next_pause() {
        let mut pause = BatchPause::default();
        for _ in 0..3 {
            assert_eq!(refuse(&mut pause, 2, 7, START), []);
            pause.went();
        }
        assert_eq!(refuse(&mut pause, 2, 8, START), [MIN_PAUSE]);
        pause.went();
        assert_eq!(pause, BatchPause::default());
    }

    #[test]
    fn datagrams_above_the_narrowest_path_never_begin_a_pause() {
        for (to, fits) in [
            (IpAddr::from(Ipv4Addr::LOCALHOST), 524),
            (Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), 524),
            (Ipv6Addr::LOCALHOST.into(), 1232),
        ] {
            let count = |len, errno| {
                let mut pause = BatchPause::default();
                let hosts = [to, host(1)].into_iter().cycle();
                let pauses = hosts.map(|host| pause.refused(host, len, &error(errno), START));
                pauses.take(99).flatten().count()
            };
            assert_eq!(fits_narrow_path(to, fits), fits_narrow_path(to, 1));
            assert!(!fits_narrow_path(to, fits + 1));
            for errno in [EINVAL, EMSGSIZE] {
                assert_eq!((count(524, errno), count(1233, errno)), (1, 0), "{to}");
            }
            assert_eq!(count(1233, EIO), 1, "{to}");
        }
    }

    #[derive(Debug, Clone, Copy)]
    enum Batch {
        Went,
        Refused(u8, usize),
        Later(u32),
    }

    fn batch() -> impl Strategy<Value = Batch> {
        prop_oneof![
            1 => Just(Batch::Went),
            20 => (0..3_u8, prop_oneof![9 => Just(100_usize), 1 => Just(1000)])
                .prop_map(|(host, len)| Batch::Refused(host, len)),
            3 => (0..90_000_u32).prop_map(Batch::Later),
        ]
    }

    proptest! {
        #[test]
        fn every_pause_has_its_refusals_and_ends(
            batches in prop::collection::vec(batch(), 0..200),
        ) {
            let mut pause = BatchPause::default();
            let mut now = START;
            // What the type is to know, kept in another way.
            let mut row: Vec<u8> = Vec::new();
            let mut next = MIN_PAUSE;
            let mut end = Duration::ZERO;
            for batch in batches {
                match batch {
                    Batch::Later(millis) => now += Duration::from_millis(millis.into()),
                    Batch::Went => {
                        pause.went();
                        row.clear();
                        (next, end) = (MIN_PAUSE, Duration::ZERO);
                    }
                    Batch::Refused(number, len) => {
                        let counts = len <= 524 && now >= end;
                        row.extend(counts.then_some(number));
                        let are_several = row.iter().any(|other| *other != row[0]);
                        let begins = counts && row.len() >= 8 && are_several;
                        let expected = begins.then_some(next);
                        prop_assert_eq!(pause.refused(host(number), len, &error(EINVAL), now), expected);
                        if begins {
                            row.clear();
                            end = now + next;
                            next = (2 * next).min(MAX_PAUSE);
                        }
                    }
                }
                prop_assert_eq!(pause.is_on(|| now), now < end);
                prop_assert!(!pause.is_on(|| now + MAX_PAUSE));
            }
        }
    }
}
