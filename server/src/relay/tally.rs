//! What a relay did.

use hii_protocol::Code;
use serde::Serialize;

/// Counts of frames, over both transports. Every one received is in exactly one of the counts from `addresses` to
/// `over_error_rate`, but for those whose forward still waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// All that came in.
    pub received: u64,
    /// Greetings answered with the sender's address.
    pub addresses: u64,
    /// Token requests answered.
    pub tokens: u64,
    /// Messages passed on, and their senders told.
    pub forwarded: u64,
    /// Refused, by code: 400, 401, ...
    pub refused: [u64; 6],
    /// Never answered: answers, datagrams of the relay's own, senders below port 1024.
    pub ignored: u64,
    /// From a network that the operator denies.
    pub denied: u64,
    /// Messages over the rate allowed for one peer.
    pub over_rate: u64,
    /// Not answered, since the source had as many answers of that kind as it may: it is no peer, or makes errors.
    pub over_error_rate: u64,
    /// Of those refused with 405: the network would not take it.
    pub send_failed: u64,
    /// Of those answered: answers that the network would not take.
    pub answer_failed: u64,
    /// Greetings that made a peer.
    pub registered: u64,
    /// Greetings that did not, for lack of room.
    pub no_room: u64,
    /// Greetings that did not, since another peer has the address.
    pub taken: u64,
}

impl Tally {
    /// The count of frames refused with this code.
    pub fn refused_with(&mut self, code: Code) -> Option<&mut u64> {
        let index = usize::from(code.number()).checked_sub(400)?;
        self.refused.get_mut(index)
    }
}
