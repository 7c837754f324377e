//! The order in which answers to impaired messages go out: each after its delay, its copy right behind it, and what it
//! overtakes behind that.

use std::collections::VecDeque;
use std::time::Duration;

use hii_transport::datagrams::Peer;

use super::fair_queue::FairQueue;
use super::reorder::Held;
use super::service::Reply;
use crate::policy::fair_share::Holder;

/// Answers that may wait at once; then their senders have fair shares.
pub(super) const CAPACITY: u32 = 1 << 17;

/// An answer to an impaired message, before it goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Departure {
    pub(super) to: Peer,
    pub(super) reply: Reply,
    pub(super) twice: bool,
    /// Whether it lets the next one to the same sender go first.
    pub(super) yields: bool,
}

// There is one for each place.
const _: () = assert!(size_of::<Departure>() <= 160);

/// An answer that is to go out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing {
    /// The answer.
    pub reply: Reply,
    /// Whether it is the second copy of one that was counted.
    pub copy: bool,
}

/// All answers that have not gone out.
#[derive(Debug)]
pub(super) struct Departures {
    waiting: FairQueue<Departure>,
    held: Held,
    /// What goes right after the answer that went last.
    following: VecDeque<(Peer, Outgoing)>,
    reordered: u64,
}

impl Departures {
    pub(super) fn new() -> Self {
        Self {
            waiting: FairQueue::new(CAPACITY),
            held: Held::new(),
            following: VecDeque::new(),
            reordered: 0,
        }
    }

    /// Lets an answer wait for its time. Returns whether one, this or another, has no place and is lost.
    pub(super) fn wait(&mut self, departure: Departure, due: Duration) -> bool {
        let holder = Holder::at(departure.to.address);
        let waiting = self.waiting.push(holder, due, departure);
        waiting.displaced.is_some()
    }

    /// The answer, to be sent at once, unless it lets another go first. One that finds another held for the same sender
    /// is the one that overtakes, so no two wait for each other.
    pub(super) fn leave(&mut self, departure: Departure, now: Duration) -> Option<Outgoing> {
        let to = departure.to;
        let departure = if departure.yields {
            let released = self.held.hold(departure, now)?;
            if released.to != to {
                self.follow(released);
                return None;
            }
            released
        } else {
            departure
        };
        let first = self.with_copy(departure);
        if let Some(overtaken) = self.held.release(to) {
            self.reordered += 1;
            self.follow(overtaken);
        }
        Some(first)
    }

    /// Lets an answer go right after the one that went last.
    fn follow(&mut self, departure: Departure) {
        // Its place is before its copy's.
        let place = self.following.len();
        let to = departure.to;
        let answer = self.with_copy(departure);
        self.following.insert(place, (to, answer));
    }

    pub(super) fn next_due(&self) -> Option<Duration> {
        if !self.following.is_empty() {
            return Some(Duration::ZERO);
        }
        let queues = [self.waiting.next_due(), self.held.next_due()];
        queues.into_iter().flatten().min()
    }

    pub(super) fn take_due(&mut self, now: Duration) -> Option<(Peer, Outgoing)> {
        loop {
            if let Some(next) = self.following.pop_front() {
                return Some(next);
            }
            if let Some(departure) = self.held.take_due(now) {
                return Some((departure.to, self.with_copy(departure)));
            }
            let departure = self.waiting.take_due(now)?;
            if let Some(answer) = self.leave(departure, now) {
                return Some((departure.to, answer));
            }
        }
    }

    /// How many answers have not gone out, copies aside.
    pub(super) fn len(&self) -> usize {
        let following = self.following.iter().filter(|(_, answer)| !answer.copy);
        self.waiting.len() + self.held.len() + following.count()
    }

    /// How many answers were overtaken.
    pub(super) fn reordered(&self) -> u64 {
        self.reordered
    }

    /// The answer itself; its copy, when it has one, follows.
    fn with_copy(&mut self, departure: Departure) -> Outgoing {
        let Departure { to, reply, .. } = departure;
        if departure.twice {
            let copy = Outgoing { reply, copy: true };
            self.following.push_back((to, copy));
        }
        Outgoing { reply, copy: false }
    }
}
