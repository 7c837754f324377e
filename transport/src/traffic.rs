//! What a service's loop moved, for those who watch it.

use std::net::SocketAddr;

/// The most datagrams of a system call that each count of [`Flow::calls`] is for; the last is for all that are larger.
pub const BATCH_SIZES: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, u64::MAX];

/// What went in and out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// What came in.
    pub received: Flow,
    /// What went out.
    pub sent: Flow,
    /// Datagrams sent in batches: several to one destination, which the kernel or the network card segments (GSO).
    pub batched: u64,
    /// Batches that the kernel refused to send together, and that went one by one.
    pub taken_apart: u64,
    /// Pauses in which nothing is sent in batches, since the kernel refused several in a row.
    pub batch_pauses: u64,
}

/// Datagrams one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    /// Those of IPv4.
    pub ipv4: u64,
    /// Those of IPv6.
    pub ipv6: u64,
    /// System calls by the number of datagrams that they moved.
    pub calls: [u64; BATCH_SIZES.len()],
}

impl Flow {
    /// Datagrams that have this address on the other side.
    pub fn count(&mut self, datagrams: u64, other: SocketAddr) {
        if other.is_ipv6() {
            self.ipv6 += datagrams;
        } else {
            self.ipv4 += datagrams;
        }
    }

    /// A system call that moved so many.
    pub fn called(&mut self, datagrams: u64) {
        let mut sizes = BATCH_SIZES.iter().zip(&mut self.calls);
        if let Some((_, calls)) = sizes.find(|(size, _)| datagrams <= **size) {
            *calls += 1;
        }
    }

    /// All datagrams.
    #[must_use]
    pub fn datagrams(&self) -> u64 {
        self.ipv4 + self.ipv6
    }
}

impl std::ops::AddAssign for Flow {
    fn add_assign(&mut self, other: Self) {
        self.ipv4 += other.ipv4;
        self.ipv6 += other.ipv6;
        for (calls, more) in self.calls.iter_mut().zip(other.calls) {
            *calls += more;
        }
    }
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.sent += other.sent;
        self.batched += other.batched;
        self.taken_apart += other.taken_apart;
        self.batch_pauses += other.batch_pauses;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_their_size() {
        let mut flow = Flow::default();
        for datagrams in [1, 2, 3, 4, 5, 64, 65, 512, 100_000] {
            flow.called(datagrams);
        }
        assert_eq!(flow.calls, [1, 1, 2, 1, 0, 0, 1, 1, 0, 2]);
        flow.count(3, "192.0.2.1:9".parse().unwrap());
        flow.count(2, "[::1]:9".parse().unwrap());
        assert_eq!((flow.ipv4, flow.ipv6, flow.datagrams()), (3, 2, 5));
    }
}
