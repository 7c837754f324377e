//! Datagrams that came in one system call, several of which may share a buffer (GRO).

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use quinn_udp::RecvMeta;

use crate::udp::BUFFER_LEN;

/// Buffers that one system call fills, each with one datagram or with several of one sender.
pub const BUFFERS: usize = 8;

/// Datagrams that came in one call.
#[derive(Debug)]
pub struct Arrivals {
    octets: Vec<u8>,
    metas: [RecvMeta; BUFFERS],
    filled: usize,
}

/// What came in one buffer: datagrams of one sender.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    /// Its source address, as the socket reports it.
    pub(crate) source: SocketAddr,
    /// The destination address of its IP header, where the socket reports it.
    pub(crate) destination: Option<IpAddr>,
    /// The interface that received it, where the socket reports it.
    pub(crate) interface: Option<u32>,
    /// Where it stands in [`Arrivals::octets`].
    start: usize,
    octets: &'a [u8],
    stride: usize,
}

impl Arrivals {
    /// Room, and nothing in it yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            octets: vec![0; BUFFERS * BUFFER_LEN],
            metas: std::array::from_fn(|_| RecvMeta::default()),
            filled: 0,
        }
    }

    /// Replaces what is there by what `receive` puts into so many buffers at most.
    pub(crate) fn fill(
        &mut self,
        most: usize,
        receive: impl FnOnce(&mut [IoSliceMut<'_>], &mut [RecvMeta]) -> io::Result<usize>,
    ) -> io::Result<()> {
        self.filled = 0;
        let mut rooms = self.octets.chunks_mut(BUFFER_LEN);
        let mut rooms: [_; BUFFERS] =
            std::array::from_fn(|_| IoSliceMut::new(rooms.next().unwrap_or_default()));
        let rooms = rooms.get_mut(..most).unwrap_or_default();
        self.filled = receive(rooms, &mut self.metas)?;
        Ok(())
    }

    /// How many buffers were filled.
    #[must_use]
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Each datagram, in the order they came.
    pub fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.by_buffer().flatten()
    }

    /// The same, by the buffers that they share.
    pub fn by_buffer(&self) -> impl Iterator<Item = impl Iterator<Item = &[u8]>> {
        self.buffers().map(Arrival::datagrams)
    }

    /// All octets that are held, as they stand until the next are taken.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Each buffer that was filled.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = Arrival<'_>> {
        let rooms = self.octets.chunks(BUFFER_LEN);
        let starts = (0..).step_by(BUFFER_LEN);
        let filled = self.metas.iter().take(self.filled);
        filled
            .zip(starts)
            .zip(rooms)
            .map(|((meta, start), room)| Arrival {
                source: meta.addr,
                destination: meta.dst_ip,
                interface: meta.interface_index,
                start,
                octets: room.get(..meta.len).unwrap_or_default(),
                stride: meta.stride,
            })
    }
}

impl<'a> Arrival<'a> {
    /// Its datagrams.
    pub(crate) fn datagrams(self) -> impl Iterator<Item = &'a [u8]> {
        split(self.octets, self.stride)
    }

    /// The same with where each stands in [`Arrivals::octets`].
    pub(crate) fn with_places(self) -> impl Iterator<Item = (usize, &'a [u8])> {
        (self.start..)
            .step_by(self.stride.max(1))
            .zip(self.datagrams())
    }
}

impl Default for Arrivals {
    fn default() -> Self {
        Self::new()
    }
}

/// Datagrams of this length, the last of which may be shorter; no octets are one empty datagram.
fn split(octets: &[u8], stride: usize) -> impl Iterator<Item = &[u8]> {
    let empty: Option<&[u8]> = octets.is_empty().then_some(&[]);
    empty.into_iter().chain(octets.chunks(stride.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_split_into_its_datagrams_and_nothing_is_an_empty_one() {
        let split = |octets: &'static [u8], stride| split(octets, stride).collect::<Vec<_>>();
        assert_eq!(split(b"aabbc", 2), [&b"aa"[..], b"bb", b"c"]);
        assert_eq!(split(b"aab", 3), [b"aab"]);
        assert_eq!(split(b"", 0), [b""]);
        assert_eq!(split(b"a", 0), [b"a"]);
    }
}
