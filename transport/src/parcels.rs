//! Datagrams on their way out: those that go to one destination together make a parcel.

use std::io;
use std::ops::Range;
use std::time::Duration;

use crate::datagrams::Peer;
use crate::offload::refuses_together;
use crate::singles::{MOST, Single};
use crate::traffic::Traffic;
use crate::udp::BUFFER_LEN;

/// Takes parcels to the network.
pub(crate) trait Carrier {
    /// Whether a datagram of this length may go in one call behind so many octets in so many datagrams, the first of
    /// which is so long. The last one may be shorter; nothing follows that.
    fn joins(&self, to: &Peer, len: usize, octets: usize, datagrams: usize, first: usize) -> bool;

    /// Sends datagrams of this length, the last of which may be shorter, one behind the other in `octets`.
    fn send_together(&mut self, to: Peer, octets: &[u8], len: usize) -> io::Result<()>;

    /// Sends the first of these datagrams, and as many more as go in the same call; they go by the same socket and from the
    /// same address. Tells how many went.
    fn send_singles(&mut self, singles: &[Single<'_>]) -> io::Result<usize>;

    /// Learns that datagrams went together.
    fn went_together(&mut self, to: &Peer);

    /// Learns that datagrams of this length were refused together with this error, and that all of them went one by one.
    /// Returns the length of a pause in which none join, if one begins.
    fn refused_together(&mut self, to: &Peer, len: usize, error: &io::Error) -> Option<Duration>;
}

/// Parcels that wait for being sent, their octets one behind the other: the kernel is much slower to collect a datagram from
/// several places than a copy is.
#[derive(Debug)]
pub(crate) struct Parcels {
    /// Room for some parcels, one more that is full, and one datagram more.
    octets: Vec<u8>,
    parcels: Vec<Parcel>,
}

#[derive(Debug)]
struct Parcel {
    to: Peer,
    octets: Range<usize>,
    datagrams: usize,
    /// The length of all but the last.
    segment: usize,
    last: usize,
}

impl Parcels {
    pub(crate) fn new() -> Self {
        Self {
            octets: vec![0; 3 * BUFFER_LEN],
            parcels: Vec::new(),
        }
    }

    /// Where the next datagram is written.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let used = self.used();
        self.octets.get_mut(used..).unwrap_or_default()
    }

    fn used(&self) -> usize {
        self.parcels.last().map_or(0, |parcel| parcel.octets.end)
    }

    /// Puts a datagram of this length, which was just written, into the last parcel, if that takes it.
    #[inline]
    pub(crate) fn join(&mut self, carrier: &impl Carrier, to: &Peer, len: usize) -> bool {
        let last = self.parcels.last();
        last.is_some_and(|parcel| parcel.to == *to) && self.join_last(carrier, len)
    }

    /// The same for one that goes where the one before went.
    #[inline]
    pub(crate) fn join_last(&mut self, carrier: &impl Carrier, len: usize) -> bool {
        let Some(parcel) = self.parcels.last_mut() else {
            return false;
        };
        let (octets, first) = (parcel.octets.len(), parcel.segment);
        let joins =
            parcel.last == first && carrier.joins(&parcel.to, len, octets, parcel.datagrams, first);
        if joins {
            parcel.octets.end += len;
            parcel.datagrams += 1;
            parcel.last = len;
        }
        joins
    }

    /// Begins a parcel with a datagram of this length, which was just written.
    pub(crate) fn begin(&mut self, to: Peer, len: usize) {
        let start = self.used();
        self.parcels.push(Parcel {
            to,
            octets: start..start + len,
            datagrams: 1,
            segment: len,
            last: len,
        });
    }

    /// Whether there is no room for another parcel.
    pub(crate) fn are_full(&self) -> bool {
        self.parcels.len() >= MOST || self.used() > BUFFER_LEN
    }

    /// Forgets all parcels, and keeps the datagram of this length that was just written for another.
    pub(crate) fn clear(&mut self, len: usize) {
        let start = self.used();
        let end = (start + len).min(self.octets.len());
        self.octets.copy_within(start.min(end)..end, 0);
        self.parcels.clear();
    }

    /// Sends all in their order, and tells how those of these places went: together what is in one parcel, or one by one
    /// where the network refuses that; in one call those that are alone in theirs.
    pub(crate) fn send(
        &self,
        carrier: &mut impl Carrier,
        traffic: &mut Traffic,
        mut told: impl FnMut(Range<usize>, &io::Result<()>),
    ) {
        let mut singles: Vec<Single<'_>> = Vec::new();
        // The place of the first of those, and of the next datagram.
        let (mut first, mut next) = (0, 0);
        for parcel in &self.parcels {
            let single = Single {
                to: parcel.to,
                octets: self.octets.get(parcel.octets.clone()).unwrap_or_default(),
            };
            let is_single = parcel.datagrams == 1;
            if !is_single || !singles.last().is_none_or(|last| last.goes_with(&single)) {
                send_singles(carrier, &singles, first, traffic, &mut told);
                singles.clear();
                first = next;
            }
            if is_single {
                singles.push(single);
            } else {
                send_group(carrier, parcel, single.octets, next, traffic, &mut told);
                first = next + parcel.datagrams;
            }
            next += parcel.datagrams;
        }
        send_singles(carrier, &singles, first, traffic, &mut told);
    }
}

/// Sends a parcel of several datagrams, the first of which has this place.
fn send_group(
    carrier: &mut impl Carrier,
    parcel: &Parcel,
    octets: &[u8],
    first: usize,
    traffic: &mut Traffic,
    mut told: impl FnMut(Range<usize>, &io::Result<()>),
) {
    let to = parcel.to;
    let together = carrier.send_together(to, octets, parcel.segment);
    if let Err(error) = &together
        && refuses_together(error)
    {
        traffic.taken_apart += 1;
        let singles = octets
            .chunks(parcel.segment.max(1))
            .map(|octets| Single { to, octets });
        let singles: Vec<_> = singles.collect();
        let mut all_went = true;
        send_singles(carrier, &singles, first, traffic, |places, result| {
            all_went &= result.is_ok();
            told(places, result);
        });
        // Otherwise it is the destination, and no reason to send to others in another way.
        if all_went && let Some(pause) = carrier.refused_together(&to, parcel.segment, error) {
            traffic.batch_pauses += 1;
            tracing::warn!(
                ?pause,
                %error,
                "batches of datagrams are refused: datagrams go one by one for a while"
            );
        }
        return;
    }
    let datagrams = parcel.datagrams as u64;
    traffic.sent.called(datagrams);
    if together.is_ok() {
        traffic.sent.count(datagrams, to.address);
        traffic.batched += datagrams;
        carrier.went_together(&to);
    }
    told(first..first + parcel.datagrams, &together);
}

/// Sends datagrams in as few calls as can be, the first of which has this place.
fn send_singles(
    carrier: &mut impl Carrier,
    singles: &[Single<'_>],
    first: usize,
    traffic: &mut Traffic,
    mut told: impl FnMut(Range<usize>, &io::Result<()>),
) {
    let mut place = first;
    let mut rest = singles;
    while !rest.is_empty() {
        // One that cannot be sent ends the call before it, and fails its own.
        let (done, result) = match carrier.send_singles(rest) {
            Ok(sent) => (sent.clamp(1, rest.len()), Ok(())),
            Err(error) => (1, Err(error)),
        };
        traffic.sent.called(done as u64);
        let (these, others) = rest.split_at_checked(done).unwrap_or((rest, &[]));
        for single in these {
            let went = u64::from(result.is_ok());
            traffic.sent.count(went, single.to.address);
        }
        told(place..place + these.len(), &result);
        place += these.len();
        rest = others;
    }
}

#[cfg(test)]
#[path = "parcels_tests.rs"]
mod tests;
