//! What the server remembers of each sender's run: how many probes came, and which of the last 128 (`WIRE.md` 2.3).

use std::hash::RandomState;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use hii_protocol::ping::{Probe, Run, Seq};
use lru::LruCache;

/// How many runs are remembered; one more forgets the one that was silent longest.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1 << 16).unwrap();

/// A run that was silent this long is forgotten.
const EXPIRY: Duration = Duration::from_secs(600);

/// How a run stands when one of its probes is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Probes received so far, this one and duplicates included.
    pub count: Seq,
    /// Bit k is set when probe `seq - k` was received; none when the probe is too far behind to tell.
    pub window: Option<u64>,
}

/// The remembered runs, in bounded memory.
#[derive(Debug)]
pub struct Runs {
    entries: LruCache<Key, Entry, RandomState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    ip: IpAddr,
    port: u16,
    run: Run,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    count: u64,
    /// The highest number received.
    top: u64,
    /// Bit k is set when `top - k` was received.
    received: u128,
    heard: Duration,
}

impl Runs {
    /// No runs yet.
    #[must_use]
    pub fn new() -> Self {
        // `unbounded` does not reserve memory for runs that may never come.
        Self {
            entries: LruCache::unbounded_with_hasher(RandomState::new()),
        }
    }

    /// Notes a probe and tells how its run stands.
    pub fn record(&mut self, from: SocketAddr, probe: Probe, now: Duration) -> Standing {
        self.forget(now);
        let key = Key {
            ip: from.ip(),
            port: from.port(),
            run: probe.run(),
        };
        let seq = probe.seq().get();
        // The probes of a fast run come many in a row: the run heard last is at hand without a look-up.
        if let Some((last, entry)) = self.entries.iter_mut().next()
            && *last == key
        {
            entry.heard = now;
            return entry.receive(seq);
        }
        let entry = self.entries.get_or_insert_mut(key, || Entry {
            count: 0,
            top: seq,
            received: 0,
            heard: now,
        });
        entry.heard = now;
        let standing = entry.receive(seq);
        if self.entries.len() > CAPACITY.get() {
            self.entries.pop_lru();
        }
        standing
    }

    /// How many runs are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets runs that were silent too long: two at most, which outruns one arrival.
    fn forget(&mut self, now: Duration) {
        for _ in 0..2 {
            match self.entries.peek_lru() {
                Some((_, oldest)) if now.saturating_sub(oldest.heard) >= EXPIRY => {
                    self.entries.pop_lru();
                }
                _ => return,
            }
        }
    }
}

impl Default for Runs {
    fn default() -> Self {
        Self::new()
    }
}

impl Entry {
    fn receive(&mut self, seq: u64) -> Standing {
        self.count = self.count.saturating_add(1);
        if seq > self.top {
            self.received = shift_left(self.received, seq - self.top);
            self.top = seq;
        }
        let behind = self.top - seq;
        if let Ok(behind) = u32::try_from(behind)
            && behind < u128::BITS
        {
            self.received |= 1 << behind;
        }
        Standing {
            count: Seq::new(self.count).unwrap_or(Seq::MIN),
            // All 64 bits below the probe have to be among the 128 remembered ones.
            window: (behind <= 64).then(|| low_half(self.received >> behind)),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is asked for")]
const fn low_half(bits: u128) -> u64 {
    bits as u64
}

fn shift_left(bits: u128, by: u64) -> u128 {
    u32::try_from(by)
        .ok()
        .and_then(|by| bits.checked_shl(by))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hii_protocol::ping::ProbeSize;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn a_probe(run: u32, seq: u64) -> Probe {
        Probe::new(
            Run(run),
            Seq::new(seq).unwrap(),
            ProbeSize::new(64).unwrap(),
        )
        .unwrap()
    }

    fn from(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    proptest! {
        #[test]
        fn agrees_with_remembering_everything(seqs in prop::collection::vec(
            prop_oneof![1..40_u64, 1..300_u64, Just(u64::MAX), Just(u64::MAX - 3)], 1..200,
        )) {
            let mut runs = Runs::new();
            let mut all = HashSet::new();
            for (index, seq) in seqs.iter().enumerate() {
                all.insert(*seq);
                let top = *all.iter().max().unwrap();
                let standing = runs.record(from(5000), a_probe(1, *seq), Duration::ZERO);
                prop_assert_eq!(standing.count.get(), index as u64 + 1);
                let window = (0..64).fold(0, |window, k| {
                    let was = seq.checked_sub(k).is_some_and(|earlier| all.contains(&earlier));
                    window | u64::from(was) << k
                });
                prop_assert_eq!(standing.window, (top - seq <= 64).then_some(window));
            }
        }
    }

    #[test]
    fn senders_and_runs_are_apart() {
        let mut runs = Runs::new();
        let mut count = |port, run| {
            let standing = runs.record(from(port), a_probe(run, 1), Duration::ZERO);
            standing.count.get()
        };
        assert_eq!(
            [
                count(5000, 1),
                count(5001, 1),
                count(5000, 2),
                count(5000, 1)
            ],
            [1, 1, 1, 2]
        );
    }

    #[test]
    fn silent_runs_expire_and_the_table_is_capped() {
        let mut runs = Runs::new();
        runs.record(from(1), a_probe(1, 1), Duration::ZERO);
        runs.record(from(2), a_probe(1, 1), EXPIRY);
        assert_eq!(runs.entries.len(), 1);
        for run in 0..=1 << 16 {
            runs.record(from(3), a_probe(run, 1), EXPIRY);
        }
        assert_eq!(runs.entries.len(), CAPACITY.get());
    }
}
