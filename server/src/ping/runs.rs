//! What the server remembers of each sender's run: how many probes came, and which of the last 128 (`WIRE.md` 2.3).

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hashbrown::HashTable;
use hii_protocol::ping::{Probe, Run, Seq};
use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus;

use crate::policy::fair_pool::FairPool;
use crate::policy::fair_share::{Class, EntryId, Holder, Turn};
use crate::policy::origin::Origin;

/// How many runs are remembered; then their senders have fair shares.
pub(super) const MAX_RUNS: u32 = 1 << 16;

/// A run that was silent this long is forgotten.
pub(super) const EXPIRY: Duration = Duration::from_secs(600);

/// Runs that are looked at for expiry when a new one comes.
const LOOKS: u32 = 8;

/// Runs, chosen at random, of which the one that was silent longest is forgotten where the shares protect none.
const SAMPLE: u32 = 16;

/// All runs of a sender have one turn: the one that was silent longest goes first.
const TURN: Turn = Turn::First;

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
    pool: FairPool<Entry>,
    by_sender: HashTable<EntryId>,
    key: RandomState,
    /// The run that received the last probe.
    last: EntryId,
    /// The run whose expiry is looked at next.
    hand: EntryId,
    /// Chooses the sample.
    random: Xoshiro256PlusPlus,
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

// There is one for each place.
const _: () = assert!(size_of::<Option<Entry>>() <= 96);

impl Runs {
    /// No runs yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with_places(MAX_RUNS)
    }

    /// No runs yet, and at most this many.
    pub(super) fn with_places(places: u32) -> Self {
        Self {
            pool: FairPool::new(places),
            by_sender: HashTable::new(),
            key: RandomState::new(),
            last: 0,
            hand: 0,
            random: rand::make_rng(),
        }
    }

    /// Records a probe that is within the limits, and returns how its run stands.
    pub fn record(&mut self, from: &Origin, probe: Probe, now: Duration) -> Standing {
        if let Some(entry) = self.entry(from.address(), probe.run()) {
            return entry.receive(probe.seq().get(), Earns::Answer, now);
        }
        let mut entry = Entry::new(from.address(), probe, now);
        let standing = entry.receive(probe.seq().get(), Earns::Answer, now);
        self.insert(Holder::of(from), entry);
        standing
    }

    /// Records a probe that is not answered because of a limit, if its run is remembered; it never adds a run.
    /// Returns how the run stands, and when a probe of it was last within the limits.
    pub fn record_limited(
        &mut self,
        from: &Origin,
        probe: Probe,
        now: Duration,
    ) -> Option<(Standing, Duration)> {
        let entry = self.entry(from.address(), probe.run())?;
        let standing = entry.receive(probe.seq().get(), Earns::Nothing, now);
        Some((standing, entry.within_limits_at))
    }

    /// Records a probe of a connection. `was_held`: before it, nothing was read because of a limit.
    pub fn record_on_stream(
        &mut self,
        from: &Origin,
        probe: Probe,
        was_held: bool,
        now: Duration,
    ) -> Standing {
        let standing = self.record(from, probe, now);
        match self.entry(from.address(), probe.run()) {
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
        self.by_sender.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_sender.is_empty()
    }

    /// A run that is remembered, which becomes the last active one.
    fn entry(&mut self, from: SocketAddr, run: Run) -> Option<&mut Entry> {
        let Self { pool, .. } = self;
        let is_it = |entry: &Entry| entry.is_of(from, run);
        // The probes of a fast run come many in a row.
        if !pool.get(self.last).is_some_and(is_it) {
            let hash = hash(&self.key, from, run);
            let is_it = |id: &EntryId| pool.get(*id).is_some_and(is_it);
            self.last = *self.by_sender.find(hash, is_it)?;
            pool.touch(self.last, TURN);
        }
        pool.get_mut(self.last)
    }

    fn insert(&mut self, holder: Holder, entry: Entry) {
        let hash = entry.hash(&self.key);
        self.forget_expired(entry.heard);
        let random = &mut self.random;
        let choose = |pool: &FairPool<Entry>, class, _| silent(pool, class, random);
        let inserted = self.pool.insert_or_choose(holder, TURN, entry, choose);
        if let Some((id, gone)) = inserted.displaced {
            self.unlist(id, &gone);
        }
        if let Some(id) = inserted.id {
            self.last = id;
            let Self { pool, key, .. } = self;
            let hash_of = |id: &EntryId| pool.get(*id).map_or(0, |entry| entry.hash(key));
            self.by_sender.insert_unique(hash, id, hash_of);
        }
    }

    /// Forgets runs that were silent too long. All are looked at in turn, a few for each new run.
    fn forget_expired(&mut self, now: Duration) {
        for _ in 0..LOOKS {
            let id = self.hand;
            self.hand = if id < self.pool.id_bound() { id + 1 } else { 0 };
            if self.pool.get(id).is_some_and(|run| run.has_expired(now)) {
                self.remove(id);
            }
        }
    }

    fn remove(&mut self, id: EntryId) {
        if let Some(gone) = self.pool.remove(id) {
            self.unlist(id, &gone);
        }
    }

    fn unlist(&mut self, id: EntryId, gone: &Entry) {
        let hash = gone.hash(&self.key);
        if let Ok(found) = self.by_sender.find_entry(hash, |other| *other == id) {
            found.remove();
        }
    }
}

impl Default for Runs {
    fn default() -> Self {
        Self::new()
    }
}

/// A run of senders of this class that was silent for longer than most.
fn silent(
    pool: &FairPool<Entry>,
    class: Class,
    random: &mut Xoshiro256PlusPlus,
) -> Option<EntryId> {
    let is_loopback = class == Class::Trusted;
    let sample = (0..SAMPLE).filter_map(|_| {
        let id = random.random_range(0..pool.id_bound());
        let entry = pool.get(id)?;
        (entry.ip.is_loopback() == is_loopback).then_some((entry.heard, id))
    });
    sample.min().map(|(_, id)| id)
}

fn hash(key: &RandomState, from: SocketAddr, run: Run) -> u64 {
    let rest = u64::from(run.0) << 16 | u64::from(from.port());
    match from.ip() {
        IpAddr::V4(v4) => key.hash_one(u128::from(v4.to_bits()) << 64 | u128::from(rest)),
        IpAddr::V6(v6) => key.hash_one((v6.to_bits(), rest)),
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

    fn hash(&self, key: &RandomState) -> u64 {
        hash(key, self.address(), self.run)
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
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
