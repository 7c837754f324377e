//! How many probes a flood may have in flight: a closed loop, in which an answer makes room for another probe.
//!
//! On a short path the window is what the other host's buffer holds, so that a flood loses nothing but what the path
//! loses. A long path has more under way than that: there the window follows twice what is under way at the shortest round
//! trip, which fills the path and makes no queue longer than the path itself.
//!
//! Where bursts come back together from a Hii server, nothing on the path takes them apart, and it takes them together as
//! well: a burst in its buffer counts for a fraction of what its probes would one by one. So there is room for more, until
//! something is lost.
//!
//! A pure type: times go in. Memory is bounded, however fast and long the flood is.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The receive buffer of a socket that asks for none, in octets as Linux counts them.
const ORDINARY_BUFFER: usize = 212_992;

/// The same of one that asks for as much as there is, where the host allows the ordinary amount: Linux doubles what is
/// asked for.
const LARGE_BUFFER: usize = 2 * ORDINARY_BUFFER;

/// Who answers a flood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// A Hii server: it asks for a large buffer, and takes what comes together as one.
    Hii,
    /// Another, which may do neither.
    Other,
}

impl Host {
    fn buffer(self) -> usize {
        match self {
            Self::Hii => LARGE_BUFFER,
            Self::Other => ORDINARY_BUFFER,
        }
    }
}

/// So much of a buffer is there for datagrams that wait: Linux gives back what was taken when that is a quarter.
const fn usable(buffer: usize) -> usize {
    buffer / 4 * 3
}

/// What Linux counts for a datagram at most: twice its octets, not fewer than 64, and what describes it.
const fn counted(size: usize) -> usize {
    let size = if size < 64 { 64 } else { size };
    2 * size + 768
}

/// So many times as many where bursts stay together: Linux counts 9 KiB for 64 probes of 128 octets, and 60 KiB for as
/// many one by one.
const WIDER: usize = 2;

/// Bursts stay together where so many answers share a buffer, on average.
const TOGETHER: f64 = 8.0;

/// More in flight than this are not judged in time, and no host buffers them.
const MOST_PLACES: usize = 1 << 15;

/// Probes whose sending is remembered, at most.
const MOST_FLIGHTS: usize = 1 << 16;

/// An unanswered probe frees its place after so long at the least when a later one was answered, and when none was:
/// then its host may only be busy.
const LEAST_OVERTAKEN: Duration = Duration::from_millis(1);
const LEAST_SILENT: Duration = Duration::from_millis(20);

/// It frees its place after so long at the most, and is remembered no longer.
const MOST_SILENT: Duration = Duration::from_secs(3);

/// It frees its place after so long as nothing is known of the path.
const SILENT_AT_FIRST: Duration = Duration::from_secs(1);

/// The places of the probes in flight.
#[derive(Debug)]
pub struct Window {
    places: usize,
    /// How many places there may be.
    range: RangeInclusive<usize>,
    taken: usize,
    /// Probe `first` and those after it, without a gap.
    flights: VecDeque<Flight>,
    first: u64,
    /// The first probe that may still have its place.
    oldest: u64,
    /// The highest number of an answered probe.
    newest_answered: u64,
    trip: Option<Trip>,
    round: Round,
    /// How many answers share a buffer, smoothed.
    together: f64,
    /// Whether there is room for more where bursts stay together.
    may_widen: bool,
    is_wide: bool,
}

/// What was answered within about one round trip.
#[derive(Debug, Clone, Copy, Default)]
struct Round {
    since: Duration,
    answers: u64,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    sent: Duration,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing came yet.
    Taken,
    /// Nothing came for too long, or it was not sent.
    Freed,
    /// The answer came.
    Answered,
}

/// The smoothed round trip and its variation (RFC 6298).
#[derive(Debug, Clone, Copy)]
struct Trip {
    smoothed: Duration,
    variation: Duration,
    shortest: Duration,
}

impl Window {
    /// A window of so many places, at least one.
    #[must_use]
    pub fn fixed(places: usize) -> Self {
        Self::new(places.max(1), places.max(1), false)
    }

    /// A window for probes of this size to this host, on whatever path.
    #[must_use]
    pub fn for_size(size: usize, host: Host) -> Self {
        let places = Self::places_for(size, host);
        Self::new(places, MOST_PLACES, host == Host::Hii)
    }

    fn new(least: usize, most: usize, may_widen: bool) -> Self {
        Self {
            places: least,
            range: least..=most,
            taken: 0,
            flights: VecDeque::new(),
            first: 1,
            oldest: 1,
            newest_answered: 0,
            trip: None,
            round: Round::default(),
            together: 0.0,
            may_widen,
            is_wide: false,
        }
    }

    /// So many places that probes of this size, all waiting at this host, fit into its buffer.
    fn places_for(size: usize, host: Host) -> usize {
        (usable(host.buffer()) / counted(size)).max(1)
    }

    /// How many probes may be in flight.
    #[must_use]
    pub fn places(&self) -> usize {
        self.places
    }

    /// How many probes may go out now.
    pub fn free(&mut self, now: Duration) -> usize {
        self.release(now);
        self.places.saturating_sub(self.taken)
    }

    /// The next probe was sent, or could not be.
    pub fn sent(&mut self, at: Duration, went_out: bool) {
        if self.flights.len() == MOST_FLIGHTS {
            self.forget_first();
        }
        let place = if went_out { Place::Taken } else { Place::Freed };
        self.flights.push_back(Flight { sent: at, place });
        self.taken += usize::from(went_out);
    }

    /// An answer to this probe came.
    pub fn answered(&mut self, seq: u64, at: Duration) {
        let Some(flight) = self.flight(seq) else {
            // Sent too long ago, or never.
            return;
        };
        let sent = flight.sent;
        match std::mem::replace(&mut flight.place, Place::Answered) {
            Place::Taken => self.taken -= 1,
            Place::Freed => {}
            Place::Answered => return,
        }
        self.newest_answered = self.newest_answered.max(seq);
        let trip = at.saturating_sub(sent);
        self.trip = Some(match self.trip {
            None => Trip {
                smoothed: trip,
                variation: trip / 2,
                shortest: trip,
            },
            Some(Trip {
                smoothed,
                variation,
                shortest,
            }) => Trip {
                smoothed: (smoothed * 7 + trip) / 8,
                variation: (variation * 3 + smoothed.abs_diff(trip)) / 4,
                shortest: shortest.min(trip),
            },
        });
        self.follow(at);
    }

    /// So many answers came in one buffer.
    pub fn came(&mut self, answers: usize) {
        self.together += (answers as f64 - self.together) / 16.0;
    }

    /// Follows the rate of the answers, a round trip at a time. A window that was the limit doubles; one that has filled
    /// the path stays.
    fn follow(&mut self, at: Duration) {
        self.round.answers += 1;
        let passed = at.saturating_sub(self.round.since);
        let Some(trip) = self.trip.filter(|trip| passed >= trip.smoothed) else {
            return;
        };
        let under_way = self.round.answers as f64 * trip.shortest.as_secs_f64()
            / passed.as_secs_f64().max(f64::MIN_POSITIVE);
        let (least, most) = (*self.range.start(), *self.range.end());
        self.is_wide = self.may_widen && self.together >= TOGETHER;
        let least = if self.is_wide { least * WIDER } else { least }.min(most);
        // The first round began before anything was sent.
        if self.round.since > Duration::ZERO {
            self.places = whole(2.0 * under_way).clamp(least, most);
        }
        self.round = Round {
            since: at,
            answers: 0,
        };
    }

    /// When the next probe frees its place if no answer comes; none while no place is taken.
    #[must_use]
    pub fn next_release(&self) -> Option<Duration> {
        let index = usize::try_from(self.oldest - self.first).ok()?;
        let flights = (self.oldest..).zip(self.flights.iter().skip(index));
        let (seq, flight) = { flights }.find(|(_, flight)| flight.place == Place::Taken)?;
        Some(flight.sent + self.patience(seq))
    }

    /// Takes the places of probes that were waited for long enough.
    fn release(&mut self, now: Duration) {
        loop {
            let seq = self.oldest;
            let patience = self.patience(seq);
            let Some(flight) = self.flight(seq) else {
                break;
            };
            if flight.place == Place::Taken {
                if flight.sent + patience > now {
                    break;
                }
                flight.place = Place::Freed;
                self.taken -= 1;
                // It may have been too much. Where nothing later was answered either, its host may only be busy.
                self.may_widen &= !(self.is_wide && seq < self.newest_answered);
            }
            self.oldest += 1;
        }
        // An answer that comes yet tells how long it took.
        while self.first < self.oldest
            && let Some(flight) = self.flights.front()
            && (flight.place == Place::Answered || flight.sent + MOST_SILENT <= now)
        {
            self.forget_first();
        }
    }

    /// How long an answer to this probe is waited for.
    fn patience(&self, seq: u64) -> Duration {
        let Some(trip) = self.trip else {
            return SILENT_AT_FIRST;
        };
        let least = if seq < self.newest_answered {
            LEAST_OVERTAKEN
        } else {
            LEAST_SILENT
        };
        (trip.smoothed + trip.variation * 4).clamp(least, MOST_SILENT)
    }

    fn forget_first(&mut self) {
        if let Some(flight) = self.flights.pop_front() {
            self.taken -= usize::from(flight.place == Place::Taken);
            self.first += 1;
            self.oldest = self.oldest.max(self.first);
        }
    }

    fn flight(&mut self, seq: u64) -> Option<&mut Flight> {
        let index = seq.checked_sub(self.first)?;
        self.flights.get_mut(usize::try_from(index).ok()?)
    }
}

/// The whole part of a number from 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is too large or no number saturates"
)]
const fn whole(number: f64) -> usize {
    number as usize
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
