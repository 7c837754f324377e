//! What waits for the end of a round: datagrams that begin alike and go to one peer are a group, since messages come in
//! bursts.

use std::ops::Range;

use crate::datagrams::Peer;

/// Datagrams that wait.
#[derive(Debug)]
pub(crate) struct Queue<A> {
    groups: Vec<Group<A>>,
    waiting: Vec<Waiting>,
    /// Places and indices of what waits, by place.
    by_place: Vec<(u32, usize)>,
    runs: Vec<Run>,
}

/// What the datagrams of a group have in common.
#[derive(Debug)]
pub(crate) struct Group<A> {
    /// Where they go.
    pub(crate) to: Peer,
    /// The answer, or what a forward begins with.
    pub(crate) answer: A,
}

/// A datagram that waits.
#[derive(Debug)]
struct Waiting {
    /// Its place in the round, so that the answers to one sender come in the order of what it sent.
    place: u32,
    /// What follows the answer, of the octets that came.
    kept: Range<usize>,
    group: usize,
}

/// What is of one group and has nothing between it: a part of what waits by place.
#[derive(Debug)]
struct Run {
    group: usize,
    first: usize,
    end: usize,
}

impl<A> Default for Queue<A> {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            waiting: Vec::new(),
            by_place: Vec::new(),
            runs: Vec::new(),
        }
    }
}

impl<A> Queue<A> {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Puts the first datagram of a group behind the others.
    pub(crate) fn push(&mut self, to: Peer, answer: A, place: u32, kept: Range<usize>) {
        self.groups.push(Group { to, answer });
        self.push_alike(place, kept);
    }

    /// Puts another datagram of the last group behind the others.
    pub(crate) fn push_alike(&mut self, place: u32, kept: Range<usize>) {
        if let Some(group) = self.groups.len().checked_sub(1) {
            self.waiting.push(Waiting { place, kept, group });
        }
    }

    /// What a datagram that waits has in common with others, by its index.
    pub(crate) fn group(&self, index: usize) -> Option<&Group<A>> {
        self.groups.get(self.waiting.get(index)?.group)
    }

    /// Its place in the round.
    pub(crate) fn place(&self, index: usize) -> Option<u32> {
        self.waiting.get(index).map(|waiting| waiting.place)
    }

    /// What follows what it begins with, of the octets that came.
    pub(crate) fn kept(&self, index: usize) -> Range<usize> {
        let waiting = self.waiting.get(index);
        waiting.map_or(0..0, |waiting| waiting.kept.clone())
    }

    /// Whether two that wait are of one group.
    pub(crate) fn are_alike(&self, one: usize, other: usize) -> bool {
        let group = |index: usize| self.waiting.get(index).map(|waiting| waiting.group);
        group(one) == group(other)
    }

    /// Forgets what waits, but not what the last group has in common.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        let last = self.groups.pop();
        self.groups.clear();
        self.groups.extend(last);
    }

    /// In which order what waits is sent, by its indices: what goes to one peer together, and that by its places.
    pub(crate) fn arrange(&mut self, order: &mut Vec<usize>) {
        self.by_place.clear();
        let places = self.waiting.iter().map(|waiting| waiting.place);
        self.by_place.extend(places.zip(0..));
        self.by_place.sort_by_key(|(place, _)| *place);
        self.runs.clear();
        for (count, (_, index)) in self.by_place.iter().enumerate() {
            let Some(Waiting { group, .. }) = self.waiting.get(*index) else {
                continue;
            };
            match self.runs.last_mut() {
                Some(run) if run.group == *group => run.end = count + 1,
                _ => self.runs.push(Run {
                    group: *group,
                    first: count,
                    end: count + 1,
                }),
            }
        }
        // A peer's runs keep their order.
        let groups = &self.groups;
        self.runs
            .sort_by_key(|run| groups.get(run.group).map(|group| group.to));
        order.clear();
        for run in &self.runs {
            let run = self.by_place.get(run.first..run.end).unwrap_or_default();
            order.extend(run.iter().map(|(_, index)| index));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer(port: u16) -> Peer {
        Peer {
            address: ([127, 0, 0, 1], port).into(),
            socket: 0,
            asked: None,
        }
    }

    proptest! {
        #[test]
        fn it_goes_by_peer_and_by_place(
            datagrams in prop::collection::vec((0..4_u16, any::<bool>(), 0..100_u32), 0..60),
        ) {
            let mut queue = Queue::default();
            let mut order = Vec::new();
            for _ in 0..2 {
                let mut expected = Vec::new();
                let mut last = None;
                for (index, (port, is_alike, place)) in datagrams.iter().enumerate() {
                    let port = match last {
                        Some(port) if *is_alike => {
                            queue.push_alike(*place, index..index + 1);
                            port
                        }
                        _ => {
                            queue.push(peer(*port), *port, *place, index..index + 1);
                            *port
                        }
                    };
                    last = Some(port);
                    expected.push((port, *place, index));
                }
                expected.sort_unstable();
                queue.arrange(&mut order);
                let arranged = order.iter().map(|index| {
                    let group = queue.group(*index).unwrap();
                    assert_eq!(group.to, peer(group.answer));
                    (group.answer, queue.place(*index).unwrap(), queue.kept(*index).start)
                });
                prop_assert_eq!(arranged.collect::<Vec<_>>(), expected);
                queue.clear();
                prop_assert_eq!(queue.len(), 0);
            }
        }
    }

    #[test]
    fn a_group_goes_on_after_a_round() {
        let mut queue = Queue::default();
        queue.push_alike(1, 0..0);
        assert_eq!(queue.len(), 0);
        queue.push(peer(1), 'a', 1, 0..0);
        queue.push(peer(2), 'b', 2, 0..0);
        queue.clear();
        queue.push_alike(3, 0..0);
        let group = queue.group(0).unwrap();
        assert_eq!(
            (queue.place(0), group.to, group.answer),
            (Some(3), peer(2), 'b')
        );
    }
}
