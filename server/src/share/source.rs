//! A file that is being sent: read once from its beginning to its end, hashed on the way, and watched for changes.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use blake3::Hasher;
use hii_protocol::share::{Digest, Problem};
use hii_transport::reading::{self, Stamp};
use tokio::task::block_in_place;

/// Octets of what is there already that are hashed at once.
const STEP: usize = 256 * 1024;

/// A file that is being sent.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    file: File,
    offered: Stamp,
    hasher: Hasher,
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
            hasher: Hasher::new(),
            position: 0,
        };
        source.check()?;
        Ok(source)
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
        buffer.resize(STEP, 0);
        let left = offset.saturating_sub(self.position);
        let len = usize::try_from(left).unwrap_or(STEP).min(STEP);
        let room = buffer.get_mut(..len).unwrap_or_default();
        self.fill(room)?;
        Ok(self.position >= offset)
    }

    /// The hash of what was read.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(*self.hasher.finalize().as_bytes())
    }

    /// Begins again at the beginning.
    pub fn rewind(&mut self) {
        self.hasher.reset();
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
        self.hasher.update(room);
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
        let is = self.file.metadata();
        self.compare(&is.map_err(|error| Failed::unreadable(&error))?)?;
        match fs::symlink_metadata(&self.path) {
            Ok(there) => self.compare(&there),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Failed::changed("it is gone"))
            }
            Err(error) => Err(Failed::unreadable(&error)),
        }
    }

    fn compare(&self, metadata: &fs::Metadata) -> Result<(), Failed> {
        if !metadata.is_file() {
            return Err(Failed::changed("it is no file any more"));
        }
        let is = Stamp::of(metadata);
        let (now, then) = (is.size, self.offered.size);
        if now != then {
            let text = format!("it has {now} octets by now, and had {then}");
            return Err(Failed::changed(text));
        }
        if is.modified != self.offered.modified {
            return Err(Failed::changed("it was written to since it was offered"));
        }
        if is != self.offered {
            return Err(Failed::changed("another file is in its place"));
        }
        Ok(())
    }
}

/// Whether something else than a file is there.
fn is_other(path: &std::path::Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file())
}
