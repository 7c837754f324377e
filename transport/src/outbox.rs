//! What one round sends, with few system calls: what goes to one destination goes together. Forwards go first, and what
//! became of them may be part of the answers.

use std::ops::Range;
use std::time::Duration;

use crate::batch::Carriers;
use crate::clock::Clock;
use crate::datagrams::{Peer, Receipt, Service};
use crate::parcels::Parcels;
use crate::queue::Queue;
use crate::traffic::Traffic;

/// What waits for the end of the round at most; one more ends it.
const CAPACITY: usize = 512;

/// What one round sends.
pub(crate) struct Outbox<'a, S: Service> {
    carriers: Carriers<'a>,
    clock: &'a Clock,
    forwards: Queue<S::Answer>,
    answers: Queue<S::Answer>,
    /// How many came before.
    pushed: u32,
    order: Vec<usize>,
    parcels: Parcels,
    /// What several datagrams in a row begin with.
    head: Vec<u8>,
    traffic: Traffic,
}

impl<'a, S: Service> Outbox<'a, S> {
    pub(crate) fn new(carriers: Carriers<'a>, clock: &'a Clock) -> Self {
        Self {
            carriers,
            clock,
            forwards: Queue::default(),
            answers: Queue::default(),
            pushed: 0,
            order: Vec::new(),
            parcels: Parcels::new(),
            head: Vec::new(),
            traffic: Traffic::default(),
        }
    }

    /// What was moved so far: what came in is counted by whoever takes it.
    pub(crate) fn traffic(&mut self) -> &mut Traffic {
        &mut self.traffic
    }

    /// An answer to a sender. `came`: what the forwards that wait have kept of.
    pub(crate) fn push(&mut self, service: &mut S, to: Peer, answer: S::Answer, came: &[u8]) {
        self.pushed += 1;
        self.answers.push(to, answer, self.pushed, 0..0);
        self.flush_if_full(service, came);
    }

    /// A message on the way to somebody else, and what follows it of the octets that came; it goes before the answers.
    pub(crate) fn push_forward(
        &mut self,
        service: &mut S,
        to: Peer,
        answer: S::Answer,
        kept: Range<usize>,
        came: &[u8],
    ) {
        self.pushed += 1;
        self.forwards.push(to, answer, self.pushed, kept);
        self.flush_if_full(service, came);
    }

    /// The same as the last, but for what follows.
    pub(crate) fn push_forward_alike(&mut self, service: &mut S, kept: Range<usize>, came: &[u8]) {
        self.pushed += 1;
        self.forwards.push_alike(self.pushed, kept);
        self.flush_if_full(service, came);
    }

    fn flush_if_full(&mut self, service: &mut S, came: &[u8]) {
        if self.forwards.len() + self.answers.len() >= CAPACITY {
            self.flush(service, came);
        }
    }

    /// Sends everything. What goes to one peer keeps its order.
    pub(crate) fn flush(&mut self, service: &mut S, came: &[u8]) {
        // Each keeps its memory for the next round.
        let mut forwards = std::mem::take(&mut self.forwards);
        self.send_all(service, &mut forwards, came);
        self.forwards = forwards;
        let mut answers = std::mem::take(&mut self.answers);
        self.send_all(service, &mut answers, came);
        if self.answers.len() == 0 {
            self.answers = answers;
        }
        self.pushed = 0;
    }

    fn send_all(&mut self, service: &mut S, all: &mut Queue<S::Answer>, came: &[u8]) {
        if all.len() == 0 {
            return;
        }
        let mut order = std::mem::take(&mut self.order);
        all.arrange(&mut order);
        let mut now = self.clock.elapsed();
        let (mut first, mut count) = (0, 0);
        for alike in order.chunk_by(|one, other| all.are_alike(*one, *other)) {
            let Some(group) = alike.first().and_then(|index| all.group(*index)) else {
                continue;
            };
            self.head.clear();
            for (nth, index) in alike.iter().enumerate() {
                let begun = if nth == 0 || S::TELLS_TIME {
                    if S::TELLS_TIME {
                        now = self.clock.elapsed();
                    }
                    self.begin(service, &group.answer, now, alike.len() > 1)
                } else {
                    self.begin_alike()
                };
                let len = self.finish(begun, all.kept(*index), came);
                let joins = if nth == 0 {
                    self.parcels.join(&self.carriers, &group.to, len)
                } else {
                    self.parcels.join_last(&self.carriers, len)
                };
                if !joins {
                    // What tells the time is written as late as can be.
                    if S::TELLS_TIME || self.parcels.are_full() {
                        let done = order.get(first..count).unwrap_or_default();
                        self.send(service, all, done);
                        self.parcels.clear(len);
                        first = count;
                    }
                    self.parcels.begin(group.to, len);
                }
                count += 1;
            }
        }
        self.send(service, all, order.get(first..).unwrap_or_default());
        self.parcels.clear(0);
        self.order = order;
        all.clear();
    }

    /// Writes the beginning of a datagram where the parcels have room for it, and tells its length. `goes_on`: the next
    /// begins alike.
    fn begin(
        &mut self,
        service: &mut S,
        answer: &S::Answer,
        now: Duration,
        goes_on: bool,
    ) -> usize {
        let room = self.parcels.room();
        let begun = service.write(answer, now, room);
        if goes_on {
            let head = room.get(..begun).unwrap_or_default();
            self.head.extend_from_slice(head);
        }
        begun
    }

    /// The same as the last.
    fn begin_alike(&mut self) -> usize {
        let begun = self.head.len();
        if let Some(room) = self.parcels.room().get_mut(..begun) {
            room.copy_from_slice(&self.head);
        }
        begun
    }

    /// Puts what a datagram has kept behind its beginning of this length, and tells the length of both.
    fn finish(&mut self, begun: usize, kept: Range<usize>, came: &[u8]) -> usize {
        let room = self.parcels.room();
        let kept = came.get(kept).unwrap_or_default();
        let end = begun + kept.len();
        if let Some(room) = room.get_mut(begun..end) {
            room.copy_from_slice(kept);
        }
        end
    }

    /// Sends the parcels, which these of all are in. What a service answers to that goes with the answers.
    fn send(&mut self, service: &mut S, all: &Queue<S::Answer>, these: &[usize]) {
        let answers = &mut self.answers;
        let told = |sent: Range<usize>, result: &_| {
            let sent = these.get(sent).unwrap_or_default();
            for alike in sent.chunk_by(|one, other| all.are_alike(*one, *other)) {
                let group = alike.first().and_then(|index| all.group(*index));
                let reply =
                    group.and_then(|group| service.sent(&group.answer, result, alike.len()));
                let Some(Receipt { to, answer, times }) = reply else {
                    continue;
                };
                let places = alike.iter().filter_map(|index| all.place(*index));
                let mut places = places.take(times);
                if let Some(first) = places.next() {
                    answers.push(to, answer, first, 0..0);
                }
                for place in places {
                    answers.push_alike(place, 0..0);
                }
            }
        };
        self.parcels
            .send(&mut self.carriers, &mut self.traffic, told);
    }
}

#[cfg(all(test, target_os = "linux"))]
#[path = "outbox_tests.rs"]
mod tests;
