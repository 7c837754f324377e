//! How many connections the limit of open files has room for.

use hii_transport::files;

use crate::exit::{Exit, Failure};

/// Files of a connection: its socket, and a timer for its answers or the file that is sent to it.
pub(crate) const OF_CONNECTION: usize = 2;

/// Files that are open for a moment, such as the list of the host's addresses is read from.
const SPARE: usize = 8;

/// Files that are assumed to be open where the platform does not report how many are: the standard streams, sockets, the
/// runtime's own.
const ASSUMED_OPEN: usize = 48;

/// The files that a program may open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptors {
    /// How many it may have open at once.
    pub(crate) limit: u64,
    /// Those that are not for connections; one connection more, for a moment, is among them.
    taken: usize,
}

impl Descriptors {
    /// Counts what is open now, and leaves out `reserved` files that are opened later. Returns `None` if there is no limit.
    pub(crate) fn count(reserved: usize) -> Option<Self> {
        let limit = files::limit()?;
        let open = files::open_now().unwrap_or(ASSUMED_OPEN);
        Some(Self::new(limit, open.saturating_add(reserved)))
    }

    fn new(limit: u64, taken: usize) -> Self {
        // A connection is accepted before another one gives way to it.
        let taken = taken.saturating_add(SPARE + OF_CONNECTION);
        Self { limit, taken }
    }

    /// Of this many connections, those that there is room for.
    ///
    /// # Errors
    /// There is room for none.
    pub(crate) fn connections(&self, wanted: usize) -> Result<usize, Failure> {
        let [connections] = self.shares([(wanted, OF_CONNECTION)])?;
        Ok(connections)
    }

    /// Of several pools, each of this many connections with this many files, the connections that there is room for: all, or
    /// one in each pool and the same part of the others.
    ///
    /// # Errors
    /// There is no room for one in each.
    pub(crate) fn shares<const N: usize>(
        &self,
        pools: [(usize, usize); N],
    ) -> Result<[usize; N], Failure> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let first = pools.iter().map(|(_, each)| each).sum::<usize>();
        let needed = self.taken.saturating_add(first);
        let left = limit
            .checked_sub(needed)
            .ok_or_else(|| too_few_files(self.limit, needed))?;
        let others = |connections: usize| connections.saturating_sub(1) as u128;
        let files = pools.map(|(connections, each)| others(connections) * each as u128);
        let all = files.iter().sum::<u128>().max(1);
        let left = all.min(left as u128);
        Ok(pools.map(|(connections, _)| {
            let part = others(connections) * left / all;
            usize::try_from(part).map_or(connections, |part| part.saturating_add(1))
        }))
    }
}

fn too_few_files(limit: u64, needed: usize) -> Failure {
    Failure::new(
        Exit::Unreachable,
        format_args!(
            "cannot start: the limit of open files is {limit}, and there is no room for a connection"
        ),
        format_args!(
            "raise it to {needed} or more: ulimit -n {needed}, or LimitNOFILE= of a systemd unit"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_have_what_the_program_leaves() {
        let few = Descriptors::new(64, 18);
        assert_eq!(few.connections(1024), Ok((64 - 18 - 8 - 2) / 2));
        assert_eq!(few.connections(5), Ok(5));
        let unlimited = Descriptors::new(u64::MAX, 18);
        assert_eq!(unlimited.connections(1024), Ok(1024));
    }

    #[test]
    fn limit_without_room_for_a_connection_is_a_failure_with_the_number_needed() {
        let limited = |limit| Descriptors::new(limit, 18).connections(1024);
        assert_eq!(limited(30), Ok(1));
        for limit in [0, 10, 29] {
            let failure = limited(limit).unwrap_err();
            assert_eq!(failure.exit(), Exit::Unreachable);
            assert!(failure.advice().contains("ulimit -n 30,"), "{failure}");
        }
    }

    #[test]
    fn pools_have_the_same_part_of_what_they_want() {
        let wanted = [(64, 2), (256, 1), (256, 1)];
        let enough = Descriptors::new(650, 0);
        assert_eq!(enough.shares(wanted), Ok([64, 256, 256]));
        let few = Descriptors::new(64, 18);
        assert_eq!(few.shares(wanted), Ok([4, 13, 13]));
        let many = (usize::MAX, 2);
        assert_eq!(few.shares([many, (256, 1)]), Ok([17, 1]));
        assert!(Descriptors::new(13, 0).shares(wanted).is_err());
        for left in 4..700 {
            let [receivers, silent, others] =
                Descriptors::new(10 + left, 0).shares(wanted).unwrap();
            assert!(receivers >= 1 && silent >= 1 && others >= 1);
            assert!((receivers * 2 + silent + others) as u64 <= left, "{left}");
        }
    }
}
