//! The journal beside an unfinished file: which file it is of, and what is known of the blocks that have come.
//!
//! It is a head of fixed length and a chaining value for each whole block, in order. What a program had written before it
//! was killed is in the system's memory still, and is there; what it had written before the machine went down may be
//! missing. So a journal tells on which start of the machine it was written, and after another one, the blocks are read
//! and compared.

use std::io::{self, Read};
use std::time::{Duration, SystemTime};

use hii_protocol::share::{ModifiedAt, Size};
use hii_server::share::blocks::ChainingValue;
use hii_transport::beneath::FileId;

/// What a journal begins with.
const MAGIC: &[u8; 16] = b"hii get, part 1\n";

/// What the mark of a file is derived for.
const CONTEXT: &str = "hii 2026 share journal";

/// Octets of a block.
pub const BLOCK: u64 = 1 << 20;

/// Octets of the head.
pub const HEAD_LEN: usize = MAGIC.len() + 32 + 16 + 16;

/// Octets of what stands for a block.
pub const BLOCK_LEN: usize = 32;

/// So long after its journal a file may have been written to. Where it is longer, somebody else may have been the writer, and
/// its blocks are compared.
const AFTERWARDS: Duration = Duration::from_millis(100);

/// So long after it was written to, a journal gets a new time before more goes to the file: where little comes, a block takes
/// longer than `AFTERWARDS`, and whoever is killed cannot say how long.
pub const REFRESH: Duration = Duration::from_millis(50);

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
    pub part: PartId,
}

/// Tells an unfinished file from another one in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartId([u8; 16]);

impl PartId {
    /// Which file it is, and when it was made: numbers of files that are gone are used again.
    #[must_use]
    pub fn new(id: FileId, born: Option<SystemTime>) -> Self {
        let since = born.and_then(|born| born.duration_since(SystemTime::UNIX_EPOCH).ok());
        let born = since.map_or(0, |since| since.as_nanos());
        let mut hasher = blake3::Hasher::new();
        hasher.update(&id.device.to_le_bytes());
        hasher.update(&id.file.to_le_bytes());
        hasher.update(&born.to_le_bytes());
        let mut octets = [0; 16];
        hasher.finalize_xof().fill(&mut octets);
        Self(octets)
    }
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
        octets.extend_from_slice(&self.part.0);
        octets
    }

    /// The head that a journal begins with, if it is one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(journal: impl Read) -> io::Result<Option<Self>> {
        Ok(read_exactly::<HEAD_LEN>(journal)?.and_then(|octets| Self::parse(&octets)))
    }

    fn parse(octets: &[u8; HEAD_LEN]) -> Option<Self> {
        let rest = octets.strip_prefix(MAGIC)?;
        let (mark, rest) = rest.split_first_chunk()?;
        let (boot, rest) = rest.split_first_chunk()?;
        let (part, _) = rest.split_first_chunk()?;
        Some(Self {
            mark: Mark(*mark),
            boot: (*boot != [0; 16]).then_some(*boot),
            part: PartId(*part),
        })
    }

    /// Whether the blocks that this journal tells of are surely in the unfinished file, or have to be compared with it.
    #[must_use]
    pub fn is_trusted(&self, now: &Self, journal: SystemTime, part: SystemTime) -> bool {
        let is_same_start = self.boot.is_some() && self.boot == now.boot;
        let is_untouched = match part.duration_since(journal) {
            Ok(after) => after <= AFTERWARDS,
            Err(_) => true,
        };
        is_same_start && self.part == now.part && is_untouched
    }
}

/// The next chaining value after the head; a part of one at the end was cut off.
///
/// # Errors
/// It cannot be read.
pub fn next_block(journal: impl Read) -> io::Result<Option<ChainingValue>> {
    read_exactly::<BLOCK_LEN>(journal)
}

/// So many octets; none where there are fewer.
fn read_exactly<const LEN: usize>(mut journal: impl Read) -> io::Result<Option<[u8; LEN]>> {
    let mut octets = [0; LEN];
    match journal.read_exact(&mut octets) {
        Ok(()) => Ok(Some(octets)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            mark: Mark::new("a/b", Size::Known(7), time(5)),
            boot: Some([3; 16]),
            part: part(2, 7),
        }
    }

    fn part(file: u64, born: u64) -> PartId {
        let id = FileId { device: 1, file };
        PartId::new(id, Some(moment(born)))
    }

    fn time(seconds: i64) -> ModifiedAt {
        ModifiedAt::new(seconds, 1).unwrap()
    }

    fn moment(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    /// What a journal says: its head, and its blocks.
    fn read(mut octets: &[u8]) -> (Option<Head>, Vec<ChainingValue>) {
        let head = Head::read(&mut octets).unwrap();
        let blocks = std::iter::from_fn(|| next_block(&mut octets).unwrap());
        (head, blocks.collect())
    }

    #[test]
    fn a_journal_reads_back_and_its_cut_end_is_left() {
        let mut octets = head().to_bytes();
        assert_eq!(octets.len(), HEAD_LEN);
        assert_eq!(read(&octets), (Some(head()), vec![]));
        for block in 1..=3 {
            octets.extend_from_slice(&[block; BLOCK_LEN]);
        }
        octets.pop();
        assert_eq!(read(&octets), (Some(head()), vec![[1; 32], [2; 32]]));
        for len in 0..HEAD_LEN {
            assert_eq!(read(&octets[..len]), (None, vec![]));
        }
        octets[0] ^= 1;
        assert_eq!(read(&octets).0, None);
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
        assert!(written.is_trusted(&head(), moment(1000), moment(1100)));
        assert!(!written.is_trusted(&head(), moment(1000), moment(1101)));
        for part in [part(3, 7), part(2, 8)] {
            let elsewhere = Head { part, ..head() };
            assert!(!written.is_trusted(&elsewhere, moment(100), moment(100)));
        }
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
