//! Which connections the metrics endpoint has, and which one makes room for another.

use std::cmp::Reverse;
use std::net::IpAddr;

use crate::source::Source;

/// Connections at once.
pub(crate) const MAX_CONNECTIONS: usize = 16;

/// How far a connection is, in the order in which they make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Its answer is sent.
    Answered,
    /// Its request is not whole.
    Incomplete,
    /// Its answer is being sent.
    Answering,
}

/// The connections, oldest first, each with what ends it when it is dropped.
#[derive(Debug)]
pub(super) struct Places<T> {
    open: Vec<Place<T>>,
    last: u64,
}

#[derive(Debug)]
struct Place<T> {
    number: u64,
    source: Source,
    stage: Stage,
    _end: T,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        let open = Vec::with_capacity(MAX_CONNECTIONS);
        Self { open, last: 0 }
    }
}

impl<T> Places<T> {
    /// Adds a connection and returns its number. If there were as many as there may be, one of the source with most of them
    /// ends: of those that are least far the oldest.
    pub(super) fn enter(&mut self, from: IpAddr, end: T) -> u64 {
        if self.open.len() >= MAX_CONNECTIONS
            && let Some(number) = self.least()
        {
            self.leave(number);
        }
        self.last += 1;
        self.open.push(Place {
            number: self.last,
            source: Source::of(from),
            stage: Stage::Incomplete,
            _end: end,
        });
        self.last
    }

    fn least(&self) -> Option<u64> {
        let of_source = |source| {
            self.open
                .iter()
                .filter(|place| place.source == source)
                .count()
        };
        let least = self
            .open
            .iter()
            .min_by_key(|place| (Reverse(of_source(place.source)), place.stage, place.number));
        least.map(|place| place.number)
    }

    /// Records how far a connection is, unless it had to make room.
    pub(super) fn reach(&mut self, number: u64, stage: Stage) {
        let place = self.open.iter_mut().find(|place| place.number == number);
        if let Some(place) = place {
            place.stage = stage;
        }
    }

    /// Removes a connection.
    pub(super) fn leave(&mut self, number: u64) {
        self.open.retain(|place| place.number != number);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    fn ip(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    /// Places that are all taken by these sources in turn, and what shows which still are, by number less one.
    fn full(sources: &[u8]) -> (Places<Rc<()>>, Vec<Rc<()>>) {
        let mut places = Places::default();
        let ends = sources.iter().cycle().take(MAX_CONNECTIONS).map(|source| {
            let end = Rc::new(());
            places.enter(ip(*source), Rc::clone(&end));
            end
        });
        let ends = ends.collect();
        (places, ends)
    }

    fn ended(ends: &[Rc<()>]) -> Vec<usize> {
        let all = ends.iter().enumerate();
        let ended = all.filter(|(_, end)| Rc::strong_count(end) == 1);
        ended.map(|(number, _)| number).collect()
    }

    #[test]
    fn oldest_incomplete_one_of_the_busiest_source_makes_room() {
        let (mut places, ends) = full(&[1, 2, 2]);
        assert!(ended(&ends).is_empty());
        places.enter(ip(3), Rc::new(()));
        assert_eq!(ended(&ends), [1]);
        // Of the source that enters as of any other.
        places.enter(ip(1), Rc::new(()));
        assert_eq!(ended(&ends), [1, 2]);
        assert_eq!(places.open.len(), MAX_CONNECTIONS);
    }

    #[test]
    fn one_that_is_being_answered_makes_room_last_and_one_that_was_first() {
        let (mut places, ends) = full(&[1]);
        for number in 1..=15 {
            places.reach(number, Stage::Answering);
        }
        places.reach(5, Stage::Answered);
        places.enter(ip(1), Rc::new(()));
        assert_eq!(ended(&ends), [4]);
        places.enter(ip(1), Rc::new(()));
        assert_eq!(ended(&ends), [4, 15]);
        // The last that entered is the oldest of those that are incomplete, and those that are answered stay.
        for _ in 0..100 {
            places.enter(ip(1), Rc::new(()));
        }
        assert_eq!(ended(&ends), [4, 15]);
        places.leave(1);
        places.reach(1, Stage::Answered);
        assert_eq!(ended(&ends), [0, 4, 15]);
    }
}
