//! The journal beside an unfinished file: which file it is of, and what is known of the blocks that have come.
//!
//! It is a head of fixed length and a chaining value for each whole block, in order. What a program had written before it
//! was killed is in the system's memory still, and is there; what it had written before the machine went down may be
//! missing. So a journal tells on which start of the machine it was written, and after another one, the blocks are read
//! and compared.

use blake3::hazmat::ChainingValue;
use hii_protocol::share::{ModifiedAt, Size};
use hii_transport::beneath::{FileId, Moment};

/// What a journal begins with.
const MAGIC: &[u8; 16] = b"hii get, part 1\n";

/// What the mark of a file is derived for.
const CONTEXT: &str = "hii 2026 share journal";

/// Octets of the head.
pub const HEAD_LEN: usize = MAGIC.len() + 32 + 16 + 16;

/// Octets of what stands for a block.
pub const BLOCK_LEN: usize = 32;

/// A file is written to after the block that was noted last, but when it is slow for no longer than this, or else its blocks
/// are compared.
const AFTERWARDS: i64 = 1;

/// Tells what is offered from all else: its path, size and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark([u8; 32]);

/// The head of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// What is received.
    pub mark: Mark,
    /// The start of the machine; none where it does not tell.
    pub boot: Option<[u8; 16]>,
    /// The unfinished file.
    pub part: FileId,
}

impl Mark {
    /// The mark of what is offered.
    #[must_use]
    pub fn new(path: &str, size: Size, modified: ModifiedAt) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        let size = match size {
            Size::Known(octets) => octets,
            Size::Unknown => u64::MAX,
        };
        hasher.update(&size.to_le_bytes());
        hasher.update(&modified.seconds().to_le_bytes());
        hasher.update(&modified.nanos().to_le_bytes());
        hasher.update(path.as_bytes());
        Self(hasher.finalize().into())
    }
}

impl Head {
    /// The head as it stands in a file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(HEAD_LEN);
        octets.extend_from_slice(MAGIC);
        octets.extend_from_slice(&self.mark.0);
        octets.extend_from_slice(&self.boot.unwrap_or_default());
        octets.extend_from_slice(&self.part.device.to_le_bytes());
        octets.extend_from_slice(&self.part.file.to_le_bytes());
        octets
    }

    /// The head that a file begins with, if it is one.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let rest = octets.strip_prefix(MAGIC)?;
        let (mark, rest) = rest.split_first_chunk()?;
        let (boot, rest) = rest.split_first_chunk()?;
        let (device, rest) = rest.split_first_chunk()?;
        let (file, _) = rest.split_first_chunk()?;
        Some(Self {
            mark: Mark(*mark),
            boot: (*boot != [0; 16]).then_some(*boot),
            part: FileId {
                device: u64::from_le_bytes(*device),
                file: u64::from_le_bytes(*file),
            },
        })
    }

    /// Whether the blocks that this journal tells of are surely in the unfinished file, or have to be compared with it.
    #[must_use]
    pub fn is_trusted(&self, now: &Self, journal: Moment, part: Moment) -> bool {
        let is_same_start = self.boot.is_some() && self.boot == now.boot;
        is_same_start
            && self.part == now.part
            && part.seconds <= journal.seconds.saturating_add(AFTERWARDS)
    }
}

/// The chaining values after the head; a part of one at the end was cut off.
pub fn blocks(octets: &[u8]) -> impl Iterator<Item = ChainingValue> {
    octets
        .get(HEAD_LEN..)
        .unwrap_or_default()
        .as_chunks()
        .0
        .iter()
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            mark: Mark::new("a/b", Size::Known(7), time(5)),
            boot: Some([3; 16]),
            part: FileId { device: 1, file: 2 },
        }
    }

    fn time(seconds: i64) -> ModifiedAt {
        ModifiedAt::new(seconds, 1).unwrap()
    }

    fn moment(seconds: i64) -> Moment {
        Moment { seconds, nanos: 0 }
    }

    #[test]
    fn a_journal_reads_back_and_its_cut_end_is_left() {
        let mut octets = head().to_bytes();
        assert_eq!(octets.len(), HEAD_LEN);
        assert_eq!(Head::parse(&octets), Some(head()));
        assert_eq!(blocks(&octets).count(), 0);
        for block in 1..=3 {
            octets.extend_from_slice(&[block; BLOCK_LEN]);
        }
        octets.pop();
        assert_eq!(Head::parse(&octets), Some(head()));
        assert!(blocks(&octets).eq([[1; 32], [2; 32]]));
        for len in 0..HEAD_LEN {
            assert_eq!(Head::parse(&octets[..len]), None);
            assert_eq!(blocks(&octets[..len]).count(), 0);
        }
        octets[0] ^= 1;
        assert_eq!(Head::parse(&octets), None);
    }

    #[test]
    fn another_path_size_or_time_is_another_file() {
        let mark = head().mark;
        assert_eq!(mark, Mark::new("a/b", Size::Known(7), time(5)));
        for other in [
            Mark::new("a/c", Size::Known(7), time(5)),
            Mark::new("a/b", Size::Known(8), time(5)),
            Mark::new("a/b", Size::Unknown, time(5)),
            Mark::new("a/b", Size::Known(7), time(6)),
        ] {
            assert_ne!(mark, other);
        }
    }

    #[test]
    fn blocks_are_trusted_on_the_same_start_in_the_same_file_that_nobody_touched() {
        let written = head();
        assert!(written.is_trusted(&head(), moment(100), moment(101)));
        assert!(!written.is_trusted(&head(), moment(100), moment(102)));
        let elsewhere = Head {
            part: FileId { device: 1, file: 3 },
            ..head()
        };
        assert!(!written.is_trusted(&elsewhere, moment(100), moment(100)));
        let later = Head {
            boot: Some([4; 16]),
            ..head()
        };
        assert!(!written.is_trusted(&later, moment(100), moment(100)));
        let unknown = Head {
            boot: None,
            ..head()
        };
        assert!(!unknown.is_trusted(&unknown, moment(100), moment(100)));
    }
}
