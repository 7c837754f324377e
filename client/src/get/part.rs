//! A file that is not whole yet, and its journal.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;
use std::time::SystemTime;

use blake3::hazmat::HasherExt as _;
use hii_protocol::share::{Digest, Size};
use hii_server::share::blocks::{BlockHasher, hasher_at};
use hii_transport::beneath::{Folder, file_id, is_private, is_there, try_lock};
use hii_transport::clock::Clock;

use super::journal::{BLOCK, BLOCK_LEN, HEAD_LEN, Head, Mark, PartId, REFRESH, next_block};
use super::manifest::Offered;
use super::names;

/// A file that is larger has a journal: less is received again sooner than it is found again.
const WITH_JOURNAL: u64 = 4 * BLOCK;

/// How often a name is tried that comes and goes.
const TRIES: usize = 8;

/// An unfinished file that this program alone writes.
#[derive(Debug)]
pub struct Part {
    folder: Arc<Folder>,
    /// The name that it gets.
    name: String,
    file: File,
    journal: Option<Journal>,
    hasher: BlockHasher<BLOCK>,
}

#[derive(Debug)]
struct Journal {
    file: File,
    head: Head,
    /// Since it was written to.
    age: Clock,
}

/// A part that has all its octets.
#[derive(Debug)]
pub struct Complete {
    /// Where it is.
    pub folder: Arc<Folder>,
    /// The name it gets.
    pub name: String,
    /// Its octets.
    pub file: File,
    /// Whether it has a journal.
    pub has_journal: bool,
    /// The hash of its octets.
    pub digest: Option<Digest>,
}

/// Whether a file of this size goes on where it stopped.
#[must_use]
pub fn is_resumable(size: Size) -> bool {
    matches!(size, Size::Known(octets) if octets > WITH_JOURNAL)
}

impl Part {
    /// Opens or makes the part of a file, with as much as is surely there.
    ///
    /// # Errors
    /// It cannot be had, or another program writes it.
    pub fn open(
        folder: &Arc<Folder>,
        name: &str,
        offered: &Offered<'_>,
        boot: Option<[u8; 16]>,
    ) -> io::Result<Self> {
        let file = own(folder, &names::part(name))?;
        let mut part = Self {
            folder: Arc::clone(folder),
            name: name.to_owned(),
            file,
            journal: None,
            hasher: BlockHasher::new(),
        };
        if is_resumable(offered.size()) {
            let head = Head {
                mark: Mark::new(offered.path, offered.size(), offered.modified),
                boot,
                part: part_id(&part.file)?,
            };
            let file = own(folder, &names::journal(name))?;
            part.hasher = part.known_blocks(&file, &head, offered.size())?;
            let age = Clock::start();
            part.journal = Some(Journal { file, head, age });
            if part.hasher.digest_of_blocks().is_some() {
                part.go_on()?;
                return Ok(part);
            }
        }
        part.start_anew()?;
        Ok(part)
    }

    /// Octets that are there already, and their hash.
    #[must_use]
    pub fn there(&self) -> Option<(u64, Digest)> {
        let digest = self.hasher.digest_of_blocks()?;
        Some((self.hasher.octets(), digest))
    }

    /// Forgets what was there.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn start_anew(&mut self) -> io::Result<()> {
        self.hasher = BlockHasher::new();
        cut(&mut self.file, 0)?;
        if let Some(journal) = &mut self.journal {
            cut(&mut journal.file, 0)?;
            journal.file.write_all(&journal.head.to_bytes())?;
        }
        Ok(())
    }

    /// Goes on after these blocks. The journal says from now on that they were there at this start of the machine.
    fn go_on(&mut self) -> io::Result<()> {
        let octets = self.hasher.octets();
        cut(&mut self.file, octets)?;
        if let Some(journal) = &mut self.journal {
            journal.file.seek(SeekFrom::Start(0))?;
            journal.file.write_all(&journal.head.to_bytes())?;
            let blocks = octets / BLOCK * BLOCK_LEN as u64;
            cut(&mut journal.file, HEAD_LEN as u64 + blocks)?;
        }
        Ok(())
    }

    /// The blocks that the journal tells of and the file surely has. However long they are, little of them is in memory.
    fn known_blocks(
        &self,
        journal: &File,
        now: &Head,
        size: Size,
    ) -> io::Result<BlockHasher<BLOCK>> {
        let mut known = BlockHasher::new();
        let mut octets = BufReader::new(journal);
        let Some(head) = Head::read(&mut octets)?.filter(|head| head.mark == now.mark) else {
            return Ok(known);
        };
        let there = self.file.metadata()?.len();
        let most = match size {
            Size::Known(octets) => octets.min(there),
            Size::Unknown => there,
        };
        let times = modified(journal).zip(modified(&self.file));
        let is_trusted = times.is_some_and(|(journal, part)| head.is_trusted(now, journal, part));
        let mut block = if is_trusted {
            Vec::new()
        } else {
            (&self.file).seek(SeekFrom::Start(0))?;
            vec![0; usize::try_from(BLOCK).unwrap_or_default()]
        };
        while known.octets() + BLOCK <= most
            && let Some(value) = next_block(&mut octets)?
        {
            if !is_trusted {
                (&self.file).read_exact(&mut block)?;
                let mut hasher = hasher_at(known.octets());
                if hasher.update(&block).finalize_non_root() != value {
                    break;
                }
            }
            known.push(value);
        }
        Ok(known)
    }

    /// Takes more octets.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        if let Some(journal) = &mut self.journal
            && journal.age.elapsed() >= REFRESH
        {
            journal.refresh();
        }
        self.file.write_all(octets)?;
        let mut noted = Ok(());
        let Self {
            hasher, journal, ..
        } = self;
        hasher.update(octets, |block| {
            if let Some(journal) = journal
                && noted.is_ok()
            {
                noted = journal.file.write_all(block);
                journal.age = Clock::start();
            }
        });
        noted
    }

    /// Every octet has come.
    #[must_use]
    pub fn complete(self) -> Complete {
        Complete {
            folder: self.folder,
            name: self.name,
            file: self.file,
            has_journal: self.journal.is_some(),
            digest: self.hasher.finish(),
        }
    }

    /// Whether a later run would go on from here.
    fn is_worth_keeping(&self) -> bool {
        self.journal.is_some() && self.hasher.octets() > 2 * BLOCK
    }

    /// Keeps it for a later run, or removes it where that has no use of it.
    pub fn keep(self) {
        if !self.is_worth_keeping() {
            return self.discard();
        }
        if let Some(mut journal) = self.journal {
            journal.refresh();
        }
    }

    /// Removes it.
    pub fn discard(self) {
        discard(&self.folder, &self.name, self.journal.is_some());
    }
}

impl Journal {
    /// Says that what was written to the file until now was ours, and what is about to be.
    fn refresh(&mut self) {
        // If that cannot be said, blocks are compared.
        let _ = self.file.set_modified(SystemTime::now());
        self.age = Clock::start();
    }
}

impl Complete {
    /// Removes it.
    pub fn discard(self) {
        discard(&self.folder, &self.name, self.has_journal);
    }
}

fn discard(folder: &Folder, name: &str, has_journal: bool) {
    let parts = [
        Some(names::part(name)),
        has_journal.then(|| names::journal(name)),
    ];
    for name in parts.into_iter().flatten() {
        if let Err(error) = folder.remove(&name) {
            tracing::warn!(name, %error, "cannot remove what is left of a file");
        }
    }
}

/// A file of this name, there or made, that no other program writes. What somebody else may have put there or written to is
/// removed and made anew: it could be changed once its octets are verified.
pub(super) fn own(folder: &Folder, name: &str) -> io::Result<File> {
    for _ in 0..TRIES {
        let (file, is_new) = match folder.create(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match adopt(folder, name)? {
                    Some(file) => (file, false),
                    None => continue,
                }
            }
            file => (file?, true),
        };
        if !try_lock(&file)? {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another `hii get` receives it",
            ));
        }
        // The other program may have given it its name and gone, just before it was locked.
        if !is_there(folder, name, &file)? {
            continue;
        }
        // Some file systems give all files the same permissions, new ones too.
        if is_new || is_private(&file)? {
            return Ok(file);
        }
        folder.remove(name)?;
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

/// Opens what is there, if it is this user's own; removes it if not.
fn adopt(folder: &Folder, name: &str) -> io::Result<Option<File>> {
    let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let error = match folder.open_file(name) {
        Ok(file) => return Ok(Some(file)),
        Err(error) if is_gone(&error) => return Ok(None),
        Err(error) => error,
    };
    match folder.has_own(name) {
        // A program may have ended between giving a file its permissions and its name, and these may be to read it only.
        Ok(true) if error.kind() == io::ErrorKind::PermissionDenied => match folder.unlock(name) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                folder.remove(name).map(|()| None)
            }
            Err(unknown) if unknown.kind() == io::ErrorKind::Unsupported => Err(error),
            unlocked => unlocked.and_then(|()| folder.open_file(name)).map(Some),
        },
        Ok(true) => Err(error),
        Ok(false) => folder.remove(name).map(|()| None),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn cut(file: &mut File, octets: u64) -> io::Result<()> {
    file.set_len(octets)?;
    file.seek(SeekFrom::Start(octets)).map(drop)
}

fn modified(file: &File) -> Option<SystemTime> {
    file.metadata().ok()?.modified().ok()
}

fn part_id(file: &File) -> io::Result<PartId> {
    let born = file.metadata()?.created().ok();
    Ok(PartId::new(file_id(file)?, born))
}

#[cfg(all(test, unix))]
#[path = "part_tests.rs"]
mod tests;
