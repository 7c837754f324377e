//! How many probes a flood may have in flight: a closed loop, in which an answer makes room for another probe.
//!
//! A pure type: times go in. Memory is bounded, however fast and long the flood is.

use std::collections::VecDeque;
use std::time::Duration;

/// What the smallest receive buffer of an ordinary host holds, in octets as Linux counts them.
const BUFFER: usize = 212_992;

/// What Linux counts for a datagram at most: twice its octets, and what describes it.
const fn counted(size: usize) -> usize {
    2 * size + 768
}

/// More in flight than this are faster nowhere that one host reaches in a millisecond.
const MOST_PLACES: usize = 256;

/// Probes whose sending is remembered, at most.
const MOST_FLIGHTS: usize = 1 << 16;

/// An unanswered probe frees its place after so long at the least when a later one was answered, and when none was:
/// then its host may only be busy.
const LEAST_OVERTAKEN: Duration = Duration::from_millis(1);
const LEAST_SILENT: Duration = Duration::from_millis(100);

/// It frees its place after so long at the most. Before the first answer nothing better is known.
const MOST_SILENT: Duration = Duration::from_secs(1);

/// The places of the probes in flight.
#[derive(Debug)]
pub struct Window {
    places: usize,
    taken: usize,
    /// Probe `first` and those after it, without a gap.
    flights: VecDeque<Flight>,
    first: u64,
    /// The first probe that may still have its place.
    oldest: u64,
    /// The highest number of an answered probe.
    newest_answered: u64,
    trip: Option<Trip>,
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
}

impl Window {
    /// A window of so many places, at least one.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self {
            places: places.max(1),
            taken: 0,
            flights: VecDeque::new(),
            first: 1,
            oldest: 1,
            newest_answered: 0,
            trip: None,
        }
    }

    /// So many places that probes of this size, all waiting at one host, fit into an ordinary buffer.
    #[must_use]
    pub fn places_for(size: usize) -> usize {
        (BUFFER / counted(size)).clamp(1, MOST_PLACES)
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
            },
            Some(Trip {
                smoothed,
                variation,
            }) => Trip {
                smoothed: (smoothed * 7 + trip) / 8,
                variation: (variation * 3 + smoothed.abs_diff(trip)) / 4,
            },
        });
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
                return;
            };
            if flight.place == Place::Taken {
                if flight.sent + patience > now {
                    break;
                }
                flight.place = Place::Freed;
                self.taken -= 1;
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
            return MOST_SILENT;
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
