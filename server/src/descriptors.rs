//! How many connections the limit of open files has room for.

use hii_transport::files;

/// Files of a connection: its socket, and a timer for its answers or the file that is sent to it.
pub(crate) const OF_CONNECTION: usize = 2;

/// Files that are open for a moment, such as the list of the host's addresses is read from.
const SPARE: usize = 8;

/// Files that are assumed to be open where the platform does not report how many are: the standard streams, sockets, the
/// runtime's own.
const ASSUMED_OPEN: usize = 48;

/// The files that a program may still open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptors {
    /// How many it may have open at once.
    pub(crate) limit: u64,
    /// Of these, those for connections; one more, for a moment, is beside them.
    pub(crate) left: usize,
}

impl Descriptors {
    /// Counts what is open now, and leaves out `reserved` files that are opened later. Returns `None` if there is no limit.
    pub(crate) fn count(reserved: usize) -> Option<Self> {
        let limit = files::limit()?;
        let open = files::open_now().unwrap_or(ASSUMED_OPEN);
        Some(Self::new(limit, open.saturating_add(reserved)))
    }

    fn new(limit: u64, taken: usize) -> Self {
        let all = usize::try_from(limit).unwrap_or(usize::MAX);
        // A connection is accepted before another one gives way to it.
        let taken = taken.saturating_add(SPARE + OF_CONNECTION);
        Self {
            limit,
            left: all.saturating_sub(taken),
        }
    }

    /// Of this many connections, those that there is room for: at least one.
    pub(crate) fn connections(&self, wanted: usize) -> usize {
        wanted.min((self.left / OF_CONNECTION).max(1))
    }

    /// Of several pools, each of this many connections with this many files, the connections that there is room for: all, or
    /// the same part of each.
    pub(crate) fn shares<const N: usize>(&self, pools: [(usize, usize); N]) -> [usize; N] {
        let files = |(connections, each): (usize, usize)| connections as u128 * each as u128;
        let all = pools.into_iter().map(files).sum::<u128>().max(1);
        let left = all.min(self.left as u128);
        pools.map(|(connections, _)| {
            let part = connections as u128 * left / all;
            usize::try_from(part).unwrap_or(connections).max(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_have_what_the_program_leaves() {
        let few = Descriptors::new(64, 18);
        assert_eq!(few.connections(1024), (64 - 18 - 8 - 2) / 2);
        assert_eq!(few.connections(5), 5);
        assert_eq!(Descriptors::new(10, 18).connections(1024), 1);
        assert_eq!(Descriptors::new(u64::MAX, 18).connections(1024), 1024);
    }

    #[test]
    fn pools_have_the_same_part_of_what_they_want() {
        let wanted = [(64, 2), (256, 1), (256, 1)];
        let enough = Descriptors::new(650, 0);
        assert_eq!(enough.shares(wanted), [64, 256, 256]);
        let few = Descriptors::new(64, 18);
        let shares = few.shares(wanted);
        assert_eq!(shares, [3, 14, 14]);
        assert!(shares[0] * 2 + shares[1] + shares[2] <= few.left);
        assert_eq!(Descriptors::new(0, 0).shares(wanted), [1, 1, 1]);
        let many = (usize::MAX, 2);
        assert_eq!(few.shares([many, (256, 1)]), [17, 1]);
    }
}
