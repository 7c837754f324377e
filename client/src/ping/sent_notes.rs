//! Reads what the kernel notes of the probes that it sent, and tells which ones they are.

use std::sync::mpsc::Sender;

use hii_transport::probe::{Buffer, Note, StampClock};

use super::events::Event;
use super::line::Line;
use super::refusal::Refusal;

/// The notes of a line's sockets, as far as they are not read.
#[derive(Debug)]
pub(super) struct SentNotes {
    buffer: Buffer,
    stamps: StampClock,
    /// The last probe that each port carried, as long as no note of it was read.
    open: Vec<Option<u64>>,
    /// The last port that was looked at.
    previous: usize,
}

/// Notes that are read before the next probe is sent, should many have gathered.
const MOST_NOTES: usize = 16;

impl SentNotes {
    /// Nothing was sent from these ports yet.
    pub(super) fn new(ports: usize, stamps: StampClock) -> Self {
        Self {
            buffer: Buffer::for_notes(),
            stamps,
            open: vec![None; ports],
            previous: 0,
        }
    }

    /// A port is about to carry another probe: notes without a number are about the one before.
    pub(super) fn reuse(&mut self, line: &Line, port: usize, events: &Sender<Event>) {
        if !line.method.is_numbered() && self.is_open(port) {
            self.read(line, port, MOST_NOTES, events);
            self.set(port, None);
        }
    }

    /// A port has carried a probe.
    pub(super) fn sent(&mut self, port: usize, seq: u64) {
        self.set(port, Some(seq));
    }

    /// Reads those of the port that carried the last probe, or the first of them.
    pub(super) fn read_some(&mut self, line: &Line, port: usize, events: &Sender<Event>) {
        self.read(line, port, MOST_NOTES, events);
        // Another port may have been too quick for the kernel the last time.
        if self.previous != port && self.is_open(self.previous) {
            self.read(line, self.previous, MOST_NOTES, events);
        }
        self.previous = port;
    }

    /// Reads what is left.
    pub(super) fn read_all(&mut self, line: &Line, events: &Sender<Event>) {
        for port in 0..self.open.len() {
            if self.is_open(port) {
                self.read(line, port, usize::MAX, events);
            }
        }
    }

    fn read(&mut self, line: &Line, port: usize, most: usize, events: &Sender<Event>) {
        let Some(socket) = line.sockets.get(port) else {
            return;
        };
        let open = self.open.get(port).copied().flatten();
        for _ in 0..most {
            let Some(note) = socket.note_of_sending(&mut self.buffer) else {
                return;
            };
            let event = match note {
                Note::Transmitted { stamp, packet } => {
                    let stamp = self.stamps.stamp(stamp);
                    let seq = line.method.transmitted(line.size, packet);
                    let Some(seq) = seq.or(open) else {
                        continue;
                    };
                    let event = Event::Transmitted { seq, stamp };
                    if Some(seq) == open {
                        // It is the last one, which saves looking for another.
                        let _ = events.send(event);
                        return self.set(port, None);
                    }
                    event
                }
                Note::Refused { icmp, quoted } => Event::Refused {
                    seq: line.method.refused(port, line.size, quoted),
                    why: Refusal::from(icmp),
                },
                Note::TooLong { path_mtu } => {
                    // It was not sent, so nothing else is to come.
                    let _ = events.send(Event::TooLong { path_mtu });
                    return self.set(port, None);
                }
                Note::Other => continue,
            };
            if events.send(event).is_err() {
                return;
            }
        }
    }

    fn is_open(&self, port: usize) -> bool {
        self.open.get(port).is_some_and(Option::is_some)
    }

    fn set(&mut self, port: usize, seq: Option<u64>) {
        if let Some(open) = self.open.get_mut(port) {
            *open = seq;
        }
    }
}
