//! A file that is being sent: read on after what the receiver has of it, hashed from its beginning, and watched for changes.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::thread;

use blake3::hazmat::HasherExt as _;
use hii_protocol::share::{Digest, Problem};
use hii_transport::reading::{self, Stamp};
use tokio::task::block_in_place;

use super::blocks::{BlockHasher, ChainingValue, hasher_at};

/// Octets of a block that one core hashes.
const BLOCK: u64 = 8 << 20;

/// Octets of what is there already that are read at once.
const STEP: usize = 256 * 1024;

/// Threads that hash what is there already, where there are as many cores. More would keep a slow disk busy for longer than
/// the other side should wait for a word.
const MOST_THREADS: usize = 4;

/// A file that is being sent.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    file: File,
    offered: Stamp,
    hasher: BlockHasher<BLOCK>,
    position: u64,
}

/// Why a file is not sent, or no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What kind of trouble.
    pub problem: Problem,
    /// What happened.
    pub text: String,
}

impl Failed {
    fn unreadable(error: &io::Error) -> Self {
        Self {
            problem: Problem::Unreadable,
            text: error.to_string(),
        }
    }

    fn changed(text: impl Into<String>) -> Self {
        Self {
            problem: Problem::Changed,
            text: text.into(),
        }
    }
}

impl Source {
    /// Opens what was offered so.
    ///
    /// # Errors
    /// It cannot be read, or is something else by now.
    pub fn open(path: PathBuf, offered: Stamp) -> Result<Self, Failed> {
        let file = reading::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failed::changed("it is gone"),
            _ if is_other(&path) => Failed::changed("it is no file any more"),
            _ => Failed::unreadable(&error),
        })?;
        let source = Self {
            path,
            file,
            offered,
            hasher: BlockHasher::new(),
            position: 0,
        };
        source.check()?;
        Ok(source)
    }

    /// The file itself, for whoever reads it otherwise; that moves nothing here.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Octets that were read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether it can have so many octets before the place that somebody wants it from.
    #[must_use]
    pub fn reaches(&self, offset: u64) -> bool {
        offset <= self.offered.size
    }

    /// Reads a part of the first `offset` octets without sending them; true when all of these are read.
    ///
    /// # Errors
    /// It cannot be read, or ends before that.
    pub fn skip(&mut self, offset: u64, buffer: &mut Vec<u8>) -> Result<bool, Failed> {
        let left = offset.saturating_sub(self.position);
        if left > BLOCK && self.position.is_multiple_of(BLOCK) {
            self.skip_blocks((left - 1) / BLOCK)?;
        } else {
            buffer.resize(STEP, 0);
            let len = usize::try_from(left).unwrap_or(STEP).min(STEP);
            let room = buffer.get_mut(..len).unwrap_or_default();
            self.fill(room)?;
        }
        Ok(self.position >= offset)
    }

    /// Reads at most so many whole blocks, on several cores: the other side waits for it.
    fn skip_blocks(&mut self, most: u64) -> Result<(), Failed> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let count = most.min(threads.min(MOST_THREADS) as u64);
        let position = self.position;
        let places = (0..count).map(|number| position + number * BLOCK);
        let this = &*self;
        let blocks: Vec<_> = block_in_place(|| {
            thread::scope(|scope| {
                let hashing: Vec<_> = places
                    .map(|place| {
                        let hash = move || this.hash_block(place);
                        let thread = thread::Builder::new().spawn_scoped(scope, hash);
                        (place, thread)
                    })
                    .collect();
                let hashes = hashing.into_iter().map(|(place, thread)| match thread {
                    Ok(thread) => thread.join().unwrap_or_else(|_| this.hash_block(place)),
                    // There is no room for a thread.
                    Err(_) => this.hash_block(place),
                });
                hashes.collect()
            })
        });
        for block in blocks {
            let block = block?;
            self.hasher.push(block);
            self.position += BLOCK;
        }
        Ok(())
    }

    /// Reads the block at this place.
    fn hash_block(&self, place: u64) -> Result<ChainingValue, Failed> {
        let mut hasher = hasher_at(place);
        let mut buffer = vec![0; STEP];
        let mut read = 0;
        while read < BLOCK {
            let left = usize::try_from(BLOCK - read).unwrap_or(STEP).min(STEP);
            let room = buffer.get_mut(..left).unwrap_or_default();
            match reading::read_at(&self.file, room, place + read) {
                Ok(0) => return Err(Failed::changed("it is shorter than it was")),
                Ok(len) => {
                    hasher.update(room.get(..len).unwrap_or_default());
                    read += len as u64;
                }
                Err(error) => return Err(Failed::unreadable(&error)),
            }
        }
        Ok(hasher.finalize_non_root())
    }

    /// The hash of what was read; none where that is a single block that was hashed before.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.hasher.clone().finish()
    }

    /// Begins again at the beginning.
    pub fn rewind(&mut self) {
        self.hasher = BlockHasher::new();
        self.position = 0;
    }

    /// Reads the next octets, as many as there is room for until the offered end, and gives how many that are; none at that end.
    ///
    /// # Errors
    /// It cannot be read, or ends before that.
    pub fn fill(&mut self, room: &mut [u8]) -> Result<usize, Failed> {
        let left = self.offered.size.saturating_sub(self.position);
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(room.len());
        let room = room.get_mut(..len).unwrap_or_default();
        let mut filled = 0;
        while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read(rest) {
                Ok(0) => return Err(Failed::changed("it is shorter than it was")),
                Ok(len) => {
                    filled += len;
                    self.position += u64::try_from(len).unwrap_or_default();
                }
                Err(error) => return Err(Failed::unreadable(&error)),
            }
        }
        self.hasher.update(room, |_| {});
        Ok(filled)
    }

    fn read(&self, room: &mut [u8]) -> io::Result<usize> {
        // Most of it is in memory already, and this thread goes on; else others get it while the disk is waited for.
        match reading::read_ready(&self.file, room, self.position)? {
            Some(len) => Ok(len),
            None => block_in_place(|| reading::read_at(&self.file, room, self.position)),
        }
    }

    /// Checks at the end that it is still what was offered.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self) -> Result<(), Failed> {
        match fs::symlink_metadata(&self.path) {
            Ok(there) => self.compare(&there)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Failed::changed("it is gone"));
            }
            Err(error) => return Err(Failed::unreadable(&error)),
        }
        let is = self.file.metadata();
        self.compare(&is.map_err(|error| Failed::unreadable(&error))?)
    }

    /// Its length and hash, when all of it was read and it is still what was offered.
    ///
    /// # Errors
    /// It is not.
    pub fn end(&self) -> Result<(u64, Digest), Failed> {
        self.check()?;
        let digest = self.digest();
        let digest = digest.ok_or_else(|| Failed::unreadable(&io::ErrorKind::Other.into()))?;
        Ok((self.position, digest))
    }

    fn compare(&self, metadata: &fs::Metadata) -> Result<(), Failed> {
        if !metadata.is_file() {
            return Err(Failed::changed("it is no file any more"));
        }
        let is = Stamp::of(metadata);
        let (now, then) = (is.size, self.offered.size);
        if now != then {
            let text = format!(
                "it has {now} octets by now, and had {then} when it was offered: the sender has to be started again"
            );
            return Err(Failed::changed(text));
        }
        if is.modified != self.offered.modified {
            return Err(Failed::changed(
                "it was written to since it was offered: the sender has to be started again",
            ));
        }
        if is.identity != self.offered.identity {
            return Err(Failed::changed("another file is in its place"));
        }
        if is != self.offered {
            return Err(Failed::changed(
                "it or its permissions were changed since it was offered: the sender has to be started again",
            ));
        }
        Ok(())
    }
}

/// Whether something else than a file is there.
fn is_other(path: &std::path::Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file())
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
