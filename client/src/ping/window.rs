//! How many probes a flood may have in flight: a closed loop, in which an answer makes room for another probe.
//!
//! On a short path the window is what an ordinary host's buffer holds, so that a flood loses nothing but what the path
//! loses. A long path has more under way than that: there the window follows twice what is under way at the shortest round
//! trip, which fills the path and makes no queue longer than the path itself.
//!
//! A pure type: times go in. Memory is bounded, however fast and long the flood is.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What the smallest receive buffer of an ordinary host holds, in octets as Linux counts them.
const BUFFER: usize = 212_992;

/// What Linux counts for a datagram at most: twice its octets, and what describes it.
const fn counted(size: usize) -> usize {
    2 * size + 768
}

/// More in flight than this are faster nowhere that one host reaches in a millisecond.
const MOST_BUFFERED: usize = 256;

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
        Self::new(places.max(1), places.max(1))
    }

    /// A window for probes of this size, on whatever path.
    #[must_use]
    pub fn for_size(size: usize) -> Self {
        Self::new(Self::places_for(size), MOST_PLACES)
    }

    fn new(least: usize, most: usize) -> Self {
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
        }
    }

    /// So many places that probes of this size, all waiting at one host, fit into an ordinary buffer.
    fn places_for(size: usize) -> usize {
        (BUFFER / counted(size)).clamp(1, MOST_BUFFERED)
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
        let least = self.range.start();
        // The first round began before anything was sent.
        if self.round.since > Duration::ZERO {
            self.places = whole(2.0 * under_way).clamp(*least, *self.range.end());
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const fn us(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    /// Fills the window at this time; how many were sent.
    fn fill(window: &mut Window, at: Duration) -> usize {
        let free = window.free(at);
        (0..free).for_each(|_| window.sent(at, true));
        free
    }

    #[test]
    fn an_answer_makes_room_for_one_probe_and_its_duplicate_for_none() {
        let mut window = Window::fixed(3);
        assert_eq!(fill(&mut window, us(0)), 3);
        assert_eq!(window.free(us(1)), 0);
        window.answered(2, us(2));
        window.answered(2, us(3));
        // Never sent.
        window.answered(9, us(3));
        assert_eq!(window.free(us(3)), 1);
        // Nor does it say how long the path is: the third is waited for as before.
        let release = window.next_release();
        window.answered(2, us(900_000));
        assert_eq!(window.next_release(), release);
    }

    #[test]
    fn what_could_not_be_sent_takes_no_place() {
        let mut window = Window::fixed(2);
        window.sent(us(0), false);
        assert_eq!(window.free(us(0)), 2);
        window.sent(us(0), true);
        assert_eq!(window.free(us(0)), 1);
    }

    #[test]
    fn a_lost_probe_s_place_is_free_soon_once_later_ones_are_answered() {
        let mut window = Window::fixed(4);
        fill(&mut window, us(0));
        window.answered(1, us(100));
        window.answered(3, us(100));
        assert_eq!(window.next_release(), Some(us(1_000)));
        assert_eq!(window.free(us(999)), 2);
        assert_eq!(window.free(us(1_000)), 3);
        // The fourth may yet come: nothing later was answered.
        assert_eq!(window.next_release(), Some(us(20_000)));
        assert_eq!(window.free(us(19_999)), 3);
        assert_eq!(window.free(us(20_000)), 4);
        assert_eq!(window.next_release(), None);
    }

    #[test]
    fn before_the_first_answer_a_probe_is_waited_for_a_second() {
        let mut window = Window::fixed(1);
        fill(&mut window, us(5));
        assert_eq!(window.free(us(1_000_004)), 0);
        assert_eq!(window.free(us(1_000_005)), 1);
    }

    #[test]
    fn a_path_that_becomes_longer_is_learned_from_answers_that_come_too_late() {
        let mut window = Window::fixed(1);
        fill(&mut window, us(0));
        window.answered(1, us(100));
        for probe in 2..20 {
            // Each answer takes 300 ms from here on, though the place is free after a while.
            let sent = us(1_000_000 * probe);
            assert_eq!(fill(&mut window, sent), 1);
            let came = sent + us(300_000);
            let freed = window.free(came);
            window.answered(probe, came);
            assert_eq!(window.free(came), 1);
            assert!(freed == 0 || probe < 10, "probe {probe} was not waited for");
        }
    }

    /// A flood over a path that takes so long and so many a second, for so long: how many it answers in the last second,
    /// and the most places there were. What the path does not take at once waits in it.
    fn over_path(trip: Duration, per_second: u64, lasts: Duration) -> (usize, usize) {
        let mut window = Window::for_size(64);
        let between = Duration::from_secs(1) / u32::try_from(per_second).unwrap();
        let mut arrivals: VecDeque<(Duration, u64)> = VecDeque::new();
        let (mut now, mut is_free_at) = (us(1), us(1));
        let (mut sent, mut late_answers, mut most) = (0, 0, 0);
        while now < lasts {
            for _ in 0..window.free(now) {
                window.sent(now, true);
                sent += 1;
                is_free_at = is_free_at.max(now) + between;
                arrivals.push_back((is_free_at + trip, sent));
            }
            most = most.max(window.places());
            let (at, seq) = arrivals.pop_front().unwrap();
            now = at;
            window.answered(seq, now);
            late_answers += usize::from(now + Duration::from_secs(1) >= lasts);
        }
        (late_answers, most)
    }

    #[test]
    fn a_long_path_is_filled_and_no_queue_is_longer_than_it() {
        let trip = Duration::from_millis(50);
        let (answers, most) = over_path(trip, 100_000, Duration::from_secs(3));
        assert!((95_000..=100_100).contains(&answers), "{answers}");
        // 5,000 are under way.
        assert!((5_000..=11_000).contains(&most), "{most}");
    }

    #[test]
    fn a_short_path_is_never_given_more_than_buffers_hold() {
        let (answers, most) = over_path(us(100), 500_000, Duration::from_secs(2));
        assert!((490_000..=500_100).contains(&answers), "{answers}");
        assert_eq!(most, 237);
        assert_eq!(
            over_path(Duration::from_secs(2), 50_000, Duration::from_secs(60)).1,
            MOST_PLACES
        );
    }

    #[test]
    fn a_window_of_the_user_s_stays() {
        let mut window = Window::fixed(1000);
        for round in 0..100 {
            let now = Duration::from_millis(50) * round;
            fill(&mut window, now);
            let answered = u64::from(round) * 1000;
            (1..=1000).for_each(|seq| window.answered(answered + seq, now + us(40_000)));
            assert_eq!(window.places(), 1000);
        }
    }

    #[test]
    fn places_fit_into_an_ordinary_buffer() {
        for (size, places) in [(1, 256), (64, 237), (128, 208), (1_400, 59), (65_507, 1)] {
            assert_eq!(Window::places_for(size), places, "{size}");
        }
    }

    #[test]
    fn memory_is_bounded_though_nothing_is_answered() {
        let mut window = Window::fixed(1 << 16);
        for round in 0..10_u64 {
            let now = Duration::from_secs(2 * round);
            assert_eq!(fill(&mut window, now), 1 << 16);
            assert!(window.flights.len() <= MOST_FLIGHTS);
        }
        // Once no answer can be learned from, none is remembered.
        window.free(Duration::from_secs(60));
        assert!(window.flights.is_empty());
    }

    proptest! {
        /// Against a plain recomputation: never more in flight than there are places, and each answer frees its own.
        #[test]
        fn counts_the_places_of_probes_neither_answered_nor_given_up(
            places in 1..40_usize,
            steps in prop::collection::vec((0..3_000_u64, 0..60_u64, any::<bool>()), 1..300),
        ) {
            let mut window = Window::fixed(places);
            let mut now = Duration::ZERO;
            let mut sent = 0_u64;
            let mut open: BTreeSet<u64> = BTreeSet::new();
            for (pass, back, is_answer) in steps {
                now += us(pass);
                if is_answer {
                    let seq = (sent + 1).saturating_sub(back);
                    window.answered(seq, now);
                    open.remove(&seq);
                }
                let free = window.free(now);
                prop_assert!(free <= places);
                // What was given up meanwhile is what makes up the rest.
                prop_assert!(places - free <= open.len());
                prop_assert!(places - free == open.len() || window.trip.is_some() || now >= SILENT_AT_FIRST);
                if back % 2 == 0 && free > 0 {
                    window.sent(now, true);
                    sent += 1;
                    open.insert(sent);
                }
                // What is due to be free is free.
                if let Some(release) = window.next_release() {
                    prop_assert!(release > now);
                }
            }
        }
    }
}
