//! What a forward begins with, before its payload: who sent it.

use std::net::SocketAddr;
use std::ops::Range;

use hii_protocol::Endpoint;
use hii_protocol::relay::{Answer, Content, Forward, Payload, Raw};

/// Writes beginnings. The last one is kept: messages come in bursts.
#[derive(Debug, Default)]
pub(super) struct Heads {
    of: Option<(SocketAddr, bool)>,
    octets: Vec<u8>,
}

impl Heads {
    /// Writes the beginning of a forward from this sender at the start of `buffer`, and returns its length.
    #[inline]
    pub(super) fn write(&mut self, sender: SocketAddr, is_raw: bool, buffer: &mut [u8]) -> usize {
        if self.of != Some((sender, is_raw)) {
            self.octets = head(sender, is_raw).unwrap_or_default();
            self.of = Some((sender, is_raw));
        }
        match buffer.get_mut(..self.octets.len()) {
            Some(room) => room.copy_from_slice(&self.octets),
            None => return 0,
        }
        self.octets.len()
    }
}

/// The whole frame of a payload without octets.
fn head(sender: SocketAddr, is_raw: bool) -> Option<Vec<u8>> {
    let empty = if is_raw {
        Payload::Raw(Raw::new(&[]).ok()?)
    } else {
        Payload::Content(Content::new("").ok()?)
    };
    let forward = Forward::new(Endpoint::try_from(sender).ok()?, empty).ok()?;
    Some(Answer::Forward(forward).to_vec())
}

/// Whether a payload is raw, and its octets.
#[inline]
pub(super) fn parts(payload: Payload<'_>) -> (bool, &[u8]) {
    match payload {
        Payload::Content(content) => (false, content.as_str().as_bytes()),
        Payload::Raw(raw) => (true, raw.as_bytes()),
    }
}

/// Where a part of a datagram stands in it.
#[inline]
pub(super) fn place(part: &[u8], datagram: &[u8]) -> Option<Range<usize>> {
    if part.is_empty() {
        return Some(0..0);
    }
    let start = part.as_ptr().addr().checked_sub(datagram.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= datagram.len()).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_and_its_payload_are_the_frame() {
        let mut heads = Heads::default();
        let mut buffer = [0; 100];
        for sender in ["192.0.2.7:9000", "[2001:db8::7]:9000", "192.0.2.7:9001"] {
            let sender: SocketAddr = sender.parse().unwrap();
            for payload in [
                Payload::Content(Content::new("good morning").unwrap()),
                Payload::Raw(Raw::new(b" a:b ").unwrap()),
                Payload::Content(Content::new("").unwrap()),
            ] {
                let (is_raw, octets) = parts(payload);
                let len = heads.write(sender, is_raw, &mut buffer);
                let forward = Forward::new(sender.try_into().unwrap(), payload).unwrap();
                let frame = Answer::Forward(forward).to_vec();
                assert_eq!([&buffer[..len], octets].concat(), frame);
                // Once more, from what is kept.
                assert_eq!(heads.write(sender, is_raw, &mut buffer), len);
                assert_eq!([&buffer[..len], octets].concat(), frame);
            }
        }
        assert_eq!(
            heads.write("192.0.2.7:9001".parse().unwrap(), false, &mut []),
            0
        );
    }

    #[test]
    fn a_part_is_found_where_it_stands() {
        let datagram = b"to:192.0.2.7/9000;content: hello ";
        assert_eq!(place(&datagram[27..32], datagram), Some(27..32));
        assert_eq!(place(datagram, datagram), Some(0..datagram.len()));
        assert_eq!(place(b"", datagram), Some(0..0));
        assert_eq!(place(datagram, &datagram[1..]), None);
        assert_eq!(place(datagram, &datagram[..9]), None);
    }
}
