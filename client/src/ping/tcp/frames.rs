//! Frames on a stream (`WIRE.md` section 4), without a socket.

use hii_protocol::stream::{self, HEADER_LEN, Step};
use hii_protocol::{Limits, MAX_DATAGRAM, ParseError};

/// A ping frame is never longer than a datagram.
const LIMITS: Limits = Limits {
    datagram: MAX_DATAGRAM,
    stream_frame: 65_507,
};

/// Octets received, taken apart into frames.
#[derive(Debug, Default)]
pub struct Frames {
    octets: Vec<u8>,
    taken: usize,
}

impl Frames {
    /// Adds what was received.
    pub fn push(&mut self, octets: &[u8]) {
        self.octets.drain(..self.taken.min(self.octets.len()));
        self.taken = 0;
        self.octets.extend_from_slice(octets);
    }

    /// The next frame's payload, if all of it is there.
    ///
    /// # Errors
    /// What is there is no frame. Nothing after it can be trusted.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, ParseError> {
        let rest = self.octets.get(self.taken..).unwrap_or_default();
        match stream::step(rest, &LIMITS) {
            Step::Wait(_) => Ok(None),
            Step::Skip(_) => Err(stream::malformed()),
            Step::Frame(len) => {
                let start = self.taken + HEADER_LEN;
                self.taken = start + len;
                Ok(self.octets.get(start..self.taken))
            }
        }
    }
}

/// Writes a frame around the payload that `write` puts into a buffer, which it says the length of. The buffer has
/// room for the payload behind the header.
pub fn write_frame(buffer: &mut [u8], write: impl FnOnce(&mut [u8]) -> usize) -> usize {
    let Some((header, payload)) = buffer.split_first_chunk_mut::<HEADER_LEN>() else {
        return 0;
    };
    let len = write(payload);
    let Ok(octets) = stream::header(len, &LIMITS) else {
        return 0;
    };
    *header = octets;
    HEADER_LEN + len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_they_are_cut() {
        let mut buffer = [0; 64];
        let mut stream = Vec::new();
        for payload in [&b"a"[..], b"exit"] {
            let len = write_frame(&mut buffer, |room| {
                room[..payload.len()].copy_from_slice(payload);
                payload.len()
            });
            stream.extend_from_slice(&buffer[..len]);
        }
        assert_eq!(stream, b"\0\0\0\x01a\0\0\0\x04exit");
        for cut in 1..stream.len() {
            let mut frames = Frames::default();
            let mut seen = Vec::new();
            for octets in stream.chunks(cut) {
                frames.push(octets);
                while let Some(payload) = frames.next_frame().unwrap() {
                    seen.push(payload.to_vec());
                }
            }
            assert_eq!(seen, [&b"a"[..], b"exit"]);
        }
    }

    #[test]
    fn rejects_lengths_that_no_answer_has() {
        for octets in [&[0, 0, 0, 0][..], &[0, 1, 0, 0], b"Acknowledgement"] {
            let mut frames = Frames::default();
            frames.push(octets);
            assert!(frames.next_frame().is_err());
        }
    }
}
