//! Answers that come before the news that their probe was sent: the threads that send and receive tell of it apart.

use super::ledger::Arrival;

/// Answers kept at most.
const MOST: usize = 64;

/// The answers to probes that are not known to have been sent.
#[derive(Debug, Default)]
pub struct Early(Vec<Arrival>);

impl Early {
    /// Keeps an answer; where that is one too many, returns one that is not kept.
    pub fn keep(&mut self, arrival: Arrival) -> Option<Arrival> {
        self.0.push(arrival);
        if self.0.len() <= MOST {
            return None;
        }
        // The news is never far behind: what is furthest ahead is the least likely to be true.
        let furthest = (0..).zip(&self.0).max_by_key(|(_, early)| early.seq);
        furthest
            .map(|(index, _)| index)
            .map(|index| self.0.remove(index))
    }

    /// The answers to this probe, which was sent, in the order of their arrival.
    pub fn take(&mut self, seq: u64) -> Vec<Arrival> {
        self.0
            .extract_if(.., |arrival| arrival.seq == seq)
            .collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all, and tells how many they were.
    pub fn clear(&mut self) -> u64 {
        std::mem::take(&mut self.0).len() as u64
    }
}
