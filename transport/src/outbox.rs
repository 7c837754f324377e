//! What one round sends, with few system calls: what goes to one destination goes together. Forwards go first, and what
//! became of them may be part of the answers.

use std::ops::Range;
use std::time::Duration;

use crate::batch::Carriers;
use crate::clock::Clock;
use crate::datagrams::{Peer, Service};
use crate::parcels::Parcels;
use crate::traffic::Traffic;

/// What waits for the end of the round at most; one more ends it.
const CAPACITY: usize = 512;

/// What one round sends.
pub(crate) struct Outbox<'a, S: Service> {
    carriers: Carriers<'a>,
    clock: &'a Clock,
    forwards: Vec<Waiting<S::Answer>>,
    answers: Vec<Waiting<S::Answer>>,
    /// How many came before.
    pushed: u32,
    parcels: Parcels,
    traffic: Traffic,
}

struct Waiting<A> {
    to: Peer,
    /// Its place in the round, so that the answers to one sender come in the order of what it sent.
    place: u32,
    answer: A,
    /// What follows the answer, of the octets that came.
    kept: Range<usize>,
}

impl<'a, S: Service> Outbox<'a, S> {
    pub(crate) fn new(carriers: Carriers<'a>, clock: &'a Clock) -> Self {
        Self {
            carriers,
            clock,
            forwards: Vec::new(),
            answers: Vec::new(),
            pushed: 0,
            parcels: Parcels::new(),
            traffic: Traffic::default(),
        }
    }

    /// What was moved so far: what came in is counted by whoever takes it.
    pub(crate) fn traffic(&mut self) -> &mut Traffic {
        &mut self.traffic
    }

    /// An answer to a sender. `came`: what the forwards that wait have kept of.
    pub(crate) fn push(&mut self, service: &mut S, to: Peer, answer: S::Answer, came: &[u8]) {
        let waiting = self.waiting(to, answer, 0..0);
        self.answers.push(waiting);
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
        let waiting = self.waiting(to, answer, kept);
        self.forwards.push(waiting);
        self.flush_if_full(service, came);
    }

    fn waiting(&mut self, to: Peer, answer: S::Answer, kept: Range<usize>) -> Waiting<S::Answer> {
        self.pushed += 1;
        Waiting {
            to,
            place: self.pushed,
            answer,
            kept,
        }
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
        answers.append(&mut self.answers);
        self.answers = answers;
        self.pushed = 0;
    }

    fn send_all(&mut self, service: &mut S, all: &mut Vec<Waiting<S::Answer>>, came: &[u8]) {
        if all.is_empty() {
            return;
        }
        all.sort_by_key(|waiting| (waiting.to, waiting.place));
        let mut now = self.clock.elapsed();
        let mut first = 0;
        for (index, waiting) in all.iter().enumerate() {
            if S::TELLS_TIME {
                now = self.clock.elapsed();
            }
            let to = waiting.to;
            let len = self.write(service, waiting, now, came);
            if !self.parcels.join(&self.carriers, to, len) {
                // What tells the time is written as late as can be.
                if S::TELLS_TIME || self.parcels.are_full() {
                    let done = all.get(first..index).unwrap_or_default();
                    self.send(service, done);
                    self.parcels.clear(len);
                    first = index;
                }
                self.parcels.begin(to, len);
            }
        }
        self.send(service, all.get(first..).unwrap_or_default());
        self.parcels.clear(0);
        all.clear();
    }

    /// Writes a datagram where the parcels have room for it, and tells its length.
    fn write(
        &mut self,
        service: &mut S,
        waiting: &Waiting<S::Answer>,
        now: Duration,
        came: &[u8],
    ) -> usize {
        let room = self.parcels.room();
        let begun = service.write(&waiting.answer, now, room);
        let kept = came.get(waiting.kept.clone()).unwrap_or_default();
        let end = begun + kept.len();
        if let Some(room) = room.get_mut(begun..end) {
            room.copy_from_slice(kept);
        }
        end
    }

    /// Sends the parcels, which these are in. What a service answers to that goes with the answers.
    fn send(&mut self, service: &mut S, sent: &[Waiting<S::Answer>]) {
        let answers = &mut self.answers;
        let told = |index, result: &_| {
            let Some(Waiting { answer, place, .. }) = sent.get(index) else {
                return;
            };
            if let Some((to, answer)) = service.sent(answer, result) {
                answers.push(Waiting {
                    to,
                    place: *place,
                    answer,
                    kept: 0..0,
                });
            }
        };
        self.parcels
            .send(&mut self.carriers, &mut self.traffic, told);
    }
}
