//! What the server remembers of each sender's run: how many probes came, and which of the last 128 (`WIRE.md` 2.3).

use std::hash::RandomState;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hii_protocol::ping::{Probe, Run, Seq};
use lru::LruCache;

use crate::source::Source;

/// How many runs are remembered; one more forgets the oldest run of the source that was silent longest.
const MAX_RUNS: usize = 1 << 16;

/// How many runs of one source are remembered; one more forgets its own oldest.
const MAX_RUNS_OF_SOURCE: usize = 64;

/// A run that was silent this long is forgotten.
const EXPIRY: Duration = Duration::from_secs(600);

/// How a run stands when one of its probes is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Probes received so far, this one and duplicates included.
    pub count: Seq,
    /// Bit k is set when probe `seq - k` was received; none when the probe is too far behind to tell.
    pub window: Option<u64>,
    /// Those of them, without duplicates, that were not answered because of a limit.
    pub limited: u64,
    /// Whether this one is known to be no duplicate.
    pub is_first: bool,
}

/// The remembered runs, in bounded memory.
#[derive(Debug)]
pub struct Runs {
    /// The runs of each source, the one heard of last first. None is empty.
    sources: LruCache<Source, Vec<Entry>, RandomState>,
    len: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    ip: IpAddr,
    port: u16,
    run: Run,
    count: u64,
    limited: u64,
    /// The highest number received.
    top: u64,
    /// Bit k is set when `top - k` was received.
    received: u128,
    heard: Duration,
    within_limits_at: Duration,
}

impl Runs {
    /// No runs yet.
    #[must_use]
    pub fn new() -> Self {
        // `unbounded` does not reserve memory for runs that may never come.
        Self {
            sources: LruCache::unbounded_with_hasher(RandomState::new()),
            len: 0,
        }
    }

    /// Records a probe that is within the limits, and returns how its run stands.
    pub fn record(&mut self, from: SocketAddr, probe: Probe, now: Duration) -> Standing {
        self.forget(now);
        if let Some(entry) = self.entry(from, probe.run()) {
            return entry.receive(probe.seq().get(), Earns::Answer, now);
        }
        let mut entry = Entry::new(from, probe, now);
        let standing = entry.receive(probe.seq().get(), Earns::Answer, now);
        let runs = self
            .sources
            .get_or_insert_mut(Source::of(from.ip()), || Vec::with_capacity(1));
        let is_full = runs.len() >= MAX_RUNS_OF_SOURCE;
        if is_full {
            runs.pop();
        }
        runs.insert(0, entry);
        self.len += usize::from(!is_full);
        if self.len > MAX_RUNS {
            self.forget_oldest();
        }
        standing
    }

    /// Records a probe that is not answered because of a limit, if its run is remembered; it never adds a run.
    /// Returns how the run stands, and when a probe of it was last within the limits.
    pub fn record_limited(
        &mut self,
        from: SocketAddr,
        probe: Probe,
        now: Duration,
    ) -> Option<(Standing, Duration)> {
        let entry = self.entry(from, probe.run())?;
        let standing = entry.receive(probe.seq().get(), Earns::Nothing, now);
        Some((standing, entry.within_limits_at))
    }

    /// Records a probe of a connection. `was_held`: before it, nothing was read because of a limit.
    pub fn record_on_stream(
        &mut self,
        from: SocketAddr,
        probe: Probe,
        was_held: bool,
        now: Duration,
    ) -> Standing {
        let standing = self.record(from, probe, now);
        match self.entry(from, probe.run()) {
            Some(entry) if was_held => {
                entry.limited = entry.limited.saturating_add(1);
                Standing {
                    limited: entry.limited,
                    ..standing
                }
            }
            _ => standing,
        }
    }

    /// How many runs are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A run that is remembered, which becomes the latest of its source.
    fn entry(&mut self, from: SocketAddr, run: Run) -> Option<&mut Entry> {
        let is_it = |entry: &Entry| entry.is_of(from, run);
        let source = Source::of(from.ip());
        // The probes of a fast run come many in a row: the source heard last is at hand without a look-up.
        let is_last = self
            .sources
            .iter()
            .next()
            .is_some_and(|(last, _)| *last == source);
        let runs = if is_last {
            self.sources.iter_mut().next().map(|(_, runs)| runs)
        } else {
            self.sources.get_mut(&source)
        }?;
        let index = runs.iter().position(is_it)?;
        runs.get_mut(..=index)?.rotate_right(1);
        runs.first_mut()
    }

    /// Forgets the runs of sources that were silent too long: of two at most, which outruns one arrival.
    fn forget(&mut self, now: Duration) {
        for _ in 0..2 {
            match self.sources.peek_lru() {
                Some((_, runs)) if runs.first().is_none_or(|run| run.has_expired(now)) => {
                    let gone = self.sources.pop_lru();
                    self.len -= gone.map_or(0, |(_, runs)| runs.len());
                }
                _ => return,
            }
        }
    }

    /// Forgets one run of the source that was silent longest.
    fn forget_oldest(&mut self) {
        let Some((_, runs)) = self.sources.iter_mut().next_back() else {
            return;
        };
        self.len -= usize::from(runs.pop().is_some());
        if runs.is_empty() {
            self.sources.pop_lru();
        }
    }
}

impl Default for Runs {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a probe is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Earns {
    Answer,
    /// It is over a limit.
    Nothing,
}

impl Entry {
    fn new(from: SocketAddr, probe: Probe, now: Duration) -> Self {
        Self {
            ip: from.ip(),
            port: from.port(),
            run: probe.run(),
            count: 0,
            limited: 0,
            top: probe.seq().get(),
            received: 0,
            heard: now,
            within_limits_at: now,
        }
    }

    fn is_of(&self, from: SocketAddr, run: Run) -> bool {
        self.run == run && self.port == from.port() && self.ip == from.ip()
    }

    fn has_expired(&self, now: Duration) -> bool {
        now.saturating_sub(self.heard) >= EXPIRY
    }

    fn receive(&mut self, seq: u64, earns: Earns, now: Duration) -> Standing {
        if self.has_expired(now) {
            // The run is forgotten: it begins again.
            self.count = 0;
            self.limited = 0;
            self.top = seq;
            self.received = 0;
        }
        self.heard = now;
        self.count = self.count.saturating_add(1);
        if seq > self.top {
            self.received = shift_left(self.received, seq - self.top);
            self.top = seq;
        }
        let behind = self.top - seq;
        // What is too far behind to be remembered may have been received before.
        let mut is_first = false;
        if let Ok(behind) = u32::try_from(behind)
            && behind < u128::BITS
        {
            is_first = self.received >> behind & 1 == 0;
            self.received |= 1 << behind;
        }
        match earns {
            Earns::Answer => self.within_limits_at = now,
            Earns::Nothing => self.limited = self.limited.saturating_add(u64::from(is_first)),
        }
        Standing {
            count: Seq::new(self.count).unwrap_or(Seq::MIN),
            // All 64 bits below the probe have to be among the 128 remembered ones.
            window: (behind <= 64).then(|| low_half(self.received >> behind)),
            limited: self.limited,
            is_first,
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
        runs.record(from(1), a_probe(2, 1), Duration::ZERO);
        let other = SocketAddr::from(([192, 0, 2, 2], 9));
        runs.record(other, a_probe(1, 1), EXPIRY);
        assert_eq!(runs.len(), 1);
        for number in 0..2_u32 << 16 {
            let [_, a, b, c] = number.to_be_bytes();
            let source = SocketAddr::from(([10, a, b, c], 9));
            runs.record(source, a_probe(1, 1), EXPIRY);
        }
        assert_eq!(runs.len(), MAX_RUNS);
        assert_eq!(runs.sources.len(), MAX_RUNS);
        // The run that was silent longest is forgotten, and begins again.
        let standing = runs.record(other, a_probe(1, 2), EXPIRY);
        assert_eq!(standing.count.get(), 1);
    }

    #[test]
    fn a_run_that_was_silent_too_long_begins_again() {
        let mut runs = Runs::new();
        for (at, seq, count, window) in [(0, 1, 1, 1), (1, 2, 2, 0b11), (601, 3, 1, 1)] {
            let now = Duration::from_secs(at);
            let standing = runs.record(from(1), a_probe(1, seq), now);
            assert_eq!(
                (standing.count.get(), standing.window),
                (count, Some(window))
            );
            // The source itself is heard of all the time.
            runs.record(from(2), a_probe(1, seq), now);
        }
    }

    #[test]
    fn a_source_with_too_many_runs_forgets_its_own_oldest() {
        let mut runs = Runs::new();
        let other = SocketAddr::from(([192, 0, 2, 2], 9));
        runs.record(other, a_probe(1, 1), Duration::ZERO);
        for run in 0..1000 {
            runs.record(from(3), a_probe(run, 1), Duration::ZERO);
            // One that is heard of again is not the oldest.
            runs.record(from(3), a_probe(0, 2), Duration::ZERO);
        }
        assert_eq!(runs.len(), 1 + MAX_RUNS_OF_SOURCE);
        let mut count = |from, run| runs.record(from, a_probe(run, 3), Duration::ZERO).count;
        assert_eq!(count(other, 1).get(), 2);
        assert_eq!(count(from(3), 0).get(), 1001 + 1);
        assert_eq!(count(from(3), 999).get(), 2);
        assert_eq!(count(from(3), 900).get(), 1);
    }

    #[test]
    fn probe_over_a_limit_is_recorded_only_in_a_known_run() {
        let mut runs = Runs::new();
        let now = Duration::ZERO;
        assert_eq!(runs.record_limited(from(1), a_probe(1, 1), now), None);
        assert!(runs.is_empty());
        runs.record(from(1), a_probe(1, 2), now);
        let later = Duration::from_secs(1);
        let (standing, within) = runs.record_limited(from(1), a_probe(1, 3), later).unwrap();
        assert_eq!((standing.count.get(), standing.window), (2, Some(0b11)));
        assert_eq!((standing.limited, within), (1, now));
        let standing = runs.record(from(1), a_probe(1, 4), later);
        assert_eq!((standing.count.get(), standing.window), (3, Some(0b111)));
        assert_eq!(standing.limited, 1);
        let (standing, within) = runs.record_limited(from(1), a_probe(1, 5), later).unwrap();
        assert_eq!((standing.limited, within), (2, later));
    }

    #[test]
    fn duplicate_is_counted_but_not_as_limited() {
        let mut runs = Runs::new();
        let now = Duration::ZERO;
        runs.record(from(1), a_probe(1, 200), now);
        // The first is a duplicate of an answered probe, the last too far behind to tell.
        for (seq, limited, is_first) in [
            (200, 0, false),
            (201, 1, true),
            (201, 1, false),
            (9, 1, false),
        ] {
            let (standing, _) = runs.record_limited(from(1), a_probe(1, seq), now).unwrap();
            assert_eq!((standing.limited, standing.is_first), (limited, is_first));
        }
        assert_eq!(runs.record(from(1), a_probe(1, 202), now).count.get(), 6);
    }
}
