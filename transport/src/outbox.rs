//! What one round sends, with few system calls: what goes to one destination goes together. Forwards go first, and what
//! became of them may be part of the answers.

use std::io;

use crate::batch::BatchSocket;
use crate::clock::Clock;
use crate::datagrams::{Peer, Service};
use crate::offload::refuses_together;
use crate::traffic::Traffic;
use crate::udp::BUFFER_LEN;

/// What waits for the end of the round at most; one more ends it.
const CAPACITY: usize = 512;

/// What one round sends.
pub(crate) struct Outbox<'a, S: Service> {
    sockets: &'a [BatchSocket],
    clock: &'a Clock,
    forwards: Vec<Waiting<S::Answer>>,
    answers: Vec<Waiting<S::Answer>>,
    /// How many came before.
    pushed: u32,
    group: Group,
    traffic: Traffic,
}

struct Waiting<A> {
    to: Peer,
    /// Its place in the round, so that the answers to one sender come in the order of what it sent.
    place: u32,
    answer: A,
}

/// Datagrams to one destination, one behind the other.
struct Group {
    /// Room for a full group and one datagram more.
    octets: Vec<u8>,
    used: usize,
    /// The length of all but the last.
    segment: usize,
    lengths: Vec<usize>,
}

impl<'a, S: Service> Outbox<'a, S> {
    pub(crate) fn new(sockets: &'a [BatchSocket], clock: &'a Clock) -> Self {
        Self {
            sockets,
            clock,
            forwards: Vec::new(),
            answers: Vec::new(),
            pushed: 0,
            group: Group::new(),
            traffic: Traffic::default(),
        }
    }

    /// What was moved so far: what came in is counted by whoever takes it.
    pub(crate) fn traffic(&mut self) -> &mut Traffic {
        &mut self.traffic
    }

    /// An answer to a sender.
    pub(crate) fn push(&mut self, service: &mut S, to: Peer, answer: S::Answer) {
        let place = self.next_place();
        self.answers.push(Waiting { to, place, answer });
        self.flush_if_full(service);
    }

    /// A message on the way to somebody else; it goes before the answers.
    pub(crate) fn push_forward(&mut self, service: &mut S, to: Peer, answer: S::Answer) {
        let place = self.next_place();
        self.forwards.push(Waiting { to, place, answer });
        self.flush_if_full(service);
    }

    fn next_place(&mut self) -> u32 {
        self.pushed += 1;
        self.pushed
    }

    fn flush_if_full(&mut self, service: &mut S) {
        if self.forwards.len() + self.answers.len() >= CAPACITY {
            self.flush(service);
        }
    }

    /// Sends everything. What goes to one peer keeps its order.
    pub(crate) fn flush(&mut self, service: &mut S) {
        // Each keeps its memory for the next round.
        let mut forwards = std::mem::take(&mut self.forwards);
        self.send_all(service, &mut forwards);
        self.forwards = forwards;
        let mut answers = std::mem::take(&mut self.answers);
        self.send_all(service, &mut answers);
        answers.append(&mut self.answers);
        self.answers = answers;
        self.pushed = 0;
    }

    fn send_all(&mut self, service: &mut S, all: &mut Vec<Waiting<S::Answer>>) {
        all.sort_by_key(|waiting| (waiting.to, waiting.place));
        for same in all.chunk_by(|one, other| one.to == other.to) {
            let mut first = 0;
            for (index, Waiting { to, answer, .. }) in same.iter().enumerate() {
                // Written as late as can be: an answer tells how long it was held.
                let now = self.clock.elapsed();
                let len = service.write(answer, now, self.group.room());
                let socket = self.sockets.get(to.socket);
                if !socket.is_some_and(|socket| self.group.takes(socket, len)) {
                    let done = same.get(first..index).unwrap_or_default();
                    self.send(service, done);
                    self.group.restart(len);
                    first = index;
                }
                self.group.push(len);
            }
            self.send(service, same.get(first..).unwrap_or_default());
            self.group.restart(0);
        }
        all.clear();
    }

    /// Sends the group, which these are in. What a service answers to that goes with the answers.
    fn send(&mut self, service: &mut S, sent: &[Waiting<S::Answer>]) {
        let Some(Waiting { to, .. }) = sent.first() else {
            return;
        };
        let (sockets, to) = (self.sockets, *to);
        let (group, answers, traffic) = (&self.group, &mut self.answers, &mut self.traffic);
        let mut calls = 0;
        group.send(
            |octets, segment| {
                calls += 1;
                transmit(sockets, to, octets, segment)
            },
            |index, result| {
                traffic.sent.count(u64::from(result.is_ok()), to.address);
                let Some(Waiting { answer, place, .. }) = sent.get(index) else {
                    return;
                };
                if let Some((to, answer)) = service.sent(answer, result) {
                    let place = *place;
                    answers.push(Waiting { to, place, answer });
                }
            },
        );
        if calls > 1 {
            self.traffic.taken_apart += 1;
            for _ in sent {
                self.traffic.sent.called(1);
            }
        } else {
            self.traffic.sent.called(sent.len() as u64);
        }
    }
}

fn transmit(sockets: &[BatchSocket], to: Peer, octets: &[u8], segment: usize) -> io::Result<()> {
    let result = match sockets.get(to.socket) {
        Some(socket) => socket.send(to, octets, segment),
        None => Err(io::ErrorKind::NotConnected.into()),
    };
    if let Err(error) = &result {
        tracing::debug!(to = %to.address, %error, "not sent");
    }
    result
}

impl Group {
    fn new() -> Self {
        Self {
            octets: vec![0; 2 * BUFFER_LEN],
            used: 0,
            segment: 0,
            lengths: Vec::new(),
        }
    }

    /// Where the next datagram is written.
    fn room(&mut self) -> &mut [u8] {
        self.octets.get_mut(self.used..).unwrap_or_default()
    }

    /// Sends all together, or one by one where the kernel refuses that, and tells of each how it went.
    fn send(
        &self,
        mut transmit: impl FnMut(&[u8], usize) -> io::Result<()>,
        mut told: impl FnMut(usize, &io::Result<()>),
    ) {
        let mut rest = self.octets();
        let together = transmit(rest, self.segment);
        let singly = self.lengths.len() > 1 && together.as_ref().is_err_and(refuses_together);
        for (index, len) in self.lengths.iter().enumerate() {
            if singly {
                let (datagram, others) = rest.split_at_checked(*len).unwrap_or((rest, &[]));
                rest = others;
                told(index, &transmit(datagram, *len));
            } else {
                told(index, &together);
            }
        }
    }

    fn octets(&self) -> &[u8] {
        self.octets.get(..self.used).unwrap_or_default()
    }

    /// Whether the datagram just written is one more of this group.
    fn takes(&self, socket: &BatchSocket, len: usize) -> bool {
        let whole = self.lengths.last().is_none_or(|last| *last == self.segment);
        self.lengths.is_empty()
            || whole && socket.joins(len, self.used, self.lengths.len(), self.segment)
    }

    fn push(&mut self, len: usize) {
        if self.lengths.is_empty() {
            self.segment = len;
        }
        self.used += len;
        self.lengths.push(len);
    }

    /// Begins another group with the datagram of this length that was just written.
    fn restart(&mut self, len: usize) {
        let end = (self.used + len).min(self.octets.len());
        self.octets.copy_within(self.used.min(end)..end, 0);
        self.used = 0;
        self.lengths.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// What is transmitted, and what is told of each of "aa", "bb" and "c", when the kernel answers so.
    fn sent(kernel: impl Fn(&[u8]) -> io::Result<()>) -> (Vec<String>, Vec<(usize, bool)>) {
        let mut group = Group::new();
        for datagram in ["aa", "bb", "c"] {
            group.room()[..datagram.len()].copy_from_slice(datagram.as_bytes());
            group.push(datagram.len());
        }
        let calls = RefCell::new(Vec::new());
        let mut told = Vec::new();
        group.send(
            |octets, segment| {
                let text = String::from_utf8_lossy(octets);
                calls.borrow_mut().push(format!("{text}/{segment}"));
                kernel(octets)
            },
            |index, result| told.push((index, result.is_ok())),
        );
        (calls.into_inner(), told)
    }

    #[test]
    fn a_group_goes_in_one_call() {
        let (calls, told) = sent(|_| Ok(()));
        assert_eq!(calls, ["aabbc/2"]);
        assert_eq!(told, [(0, true), (1, true), (2, true)]);
    }

    #[test]
    fn a_group_that_is_refused_goes_one_by_one() {
        for errno in [5, 22, 90] {
            let (calls, told) = sent(|octets| match octets {
                b"aa" | b"c" => Ok(()),
                _ => Err(io::Error::from_raw_os_error(errno)),
            });
            assert_eq!(calls, ["aabbc/2", "aa/2", "bb/2", "c/1"]);
            assert_eq!(told, [(0, true), (1, false), (2, true)]);
        }
    }

    #[test]
    fn a_full_send_buffer_costs_the_group() {
        let (calls, told) = sent(|_| Err(io::ErrorKind::WouldBlock.into()));
        assert_eq!(calls, ["aabbc/2"]);
        assert_eq!(told, [(0, false), (1, false), (2, false)]);
    }

    #[test]
    fn another_group_begins_with_the_datagram_that_did_not_fit() {
        let mut group = Group::new();
        group.room()[..2].copy_from_slice(b"aa");
        group.push(2);
        group.room()[..3].copy_from_slice(b"bbb");
        group.restart(3);
        group.push(3);
        assert_eq!((group.octets(), group.segment), (&b"bbb"[..], 3));
    }
}
