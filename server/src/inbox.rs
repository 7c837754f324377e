//! What has come of a stream of frames and was not looked at yet.

use hii_protocol::stream::{self, HEADER_LEN, Step};
use hii_protocol::{Limits, MAX_DATAGRAM};

/// A frame of a service is never longer than a datagram, so a longer one is refused before it is held.
pub(crate) const LIMITS: Limits = Limits {
    datagram: MAX_DATAGRAM,
    stream_frame: 65_507,
};
const _: () = assert!(LIMITS.stream_frame as usize == MAX_DATAGRAM);

/// The beginning of a frame, or frames that wait for room among the answers.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    octets: Vec<u8>,
    taken: usize,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// A frame.
    Frame(&'a [u8]),
    /// A frame of no octets.
    Empty,
    /// A frame over the limit. Stepping over it would mean to listen to as much as a stranger cares to send.
    TooLong,
}

impl Inbox {
    pub(crate) fn push(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// Whether the next frame is whole, or known to be none.
    pub(crate) fn has_next(&self) -> bool {
        let held = self.octets.get(self.taken..).unwrap_or_default();
        !matches!(stream::step(held, &LIMITS), Step::Wait(_))
    }

    /// Takes the next frame, if it is whole.
    pub(crate) fn next(&mut self) -> Option<Next<'_>> {
        let start = self.taken + HEADER_LEN;
        let held = self.octets.get(self.taken..).unwrap_or_default();
        match stream::step(held, &LIMITS) {
            Step::Wait(_) => None,
            Step::Frame(len) => {
                self.taken = start + len;
                self.octets.get(start..self.taken).map(Next::Frame)
            }
            Step::Skip(octets) => {
                self.taken = start;
                Some(if octets == 0 {
                    Next::Empty
                } else {
                    Next::TooLong
                })
            }
        }
    }

    /// Forgets what was taken. A frame that comes in many pieces is not copied for each of them.
    pub(crate) fn tidy(&mut self) {
        if self.taken == self.octets.len() {
            // Dropping the buffer too: an idle connection holds nothing.
            *self = Self::default();
        } else if self.taken > 0 {
            self.octets.drain(..self.taken);
            self.taken = 0;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.octets.len() - self.taken.min(self.octets.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_and_nothing_is_kept() {
        let mut inbox = Inbox::default();
        inbox.push(b"\0\0\0\x02hi\0\0\0\0\0\0");
        assert_eq!(inbox.next(), Some(Next::Frame(b"hi")));
        assert_eq!(inbox.next(), Some(Next::Empty));
        assert_eq!(inbox.next(), None);
        inbox.tidy();
        assert_eq!(inbox.len(), 2);
        inbox.push(b"\0\x01x");
        assert_eq!(inbox.next(), Some(Next::Frame(b"x")));
        inbox.tidy();
        assert_eq!((inbox.len(), inbox.octets.capacity()), (0, 0));
        inbox.push(b"\xff\xff\xff\xff");
        assert_eq!(inbox.next(), Some(Next::TooLong));
    }
}
