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
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::thread::sleep;

    use hii_protocol::share::{Id, Kind, Mode, ModifiedAt};

    use super::*;

    fn offered(path: &str) -> Offered<'_> {
        Offered {
            id: Id::FIRST,
            kind: Kind::File(Size::Known(10 * BLOCK)),
            mode: Mode::new(0o644),
            modified: ModifiedAt::default(),
            path,
        }
    }

    /// Octets that come so slowly that a block takes longer than its journal is good for.
    #[test]
    fn what_comes_slowly_is_still_known_when_the_program_is_killed() {
        let path = std::env::temp_dir().join(format!("hii-get-slow-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        let folder = Arc::new(Folder::open(&path).unwrap());
        let mut part = Part::open(&folder, "slow", &offered("slow"), None).unwrap();
        let blocks = vec![7; usize::try_from(3 * BLOCK + 1).unwrap()];
        part.write(&blocks).unwrap();
        for _ in 0..2 {
            sleep(2 * REFRESH);
            let before = SystemTime::now();
            part.write(b"a little").unwrap();
            let journal = fs::metadata(path.join(names::journal("slow"))).unwrap();
            assert!(journal.modified().unwrap() >= before);
            assert_eq!(journal.len(), (HEAD_LEN + 3 * BLOCK_LEN) as u64);
        }
        fs::remove_dir_all(path).unwrap();
    }

    /// However long a journal is, no more of it is looked at than the file has blocks.
    #[test]
    fn a_journal_without_end_takes_no_memory() {
        let path = std::env::temp_dir().join(format!("hii-get-endless-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        let folder = Arc::new(Folder::open(&path).unwrap());
        let offered = offered("endless");
        let octets = vec![7; usize::try_from(3 * BLOCK + 1).unwrap()];
        let boot = Some([1; 16]);
        let mut part = Part::open(&folder, "endless", &offered, boot).unwrap();
        part.write(&octets).unwrap();
        let journal = part.journal.as_ref().unwrap();
        // No octets on the disk, and more than there is memory.
        journal.file.set_len(1 << 42).unwrap();
        drop(part);
        let part = Part::open(&folder, "endless", &offered, boot).unwrap();
        let digest = Digest(blake3::hash(&octets[..octets.len() - 1]).into());
        assert_eq!(part.there(), Some((3 * BLOCK, digest)));
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn only_what_nobody_else_can_have_written_is_gone_on_with() {
        let path = std::env::temp_dir().join(format!("hii-get-own-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        let folder = Folder::open(&path).unwrap();
        let write = |name: &str| fs::write(path.join(name), "before").unwrap();
        let permit = |name: &str, mode| {
            fs::set_permissions(path.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        for name in ["own", "shared", "linked"] {
            write(name);
            permit(name, 0o600);
        }
        permit("shared", 0o666);
        let mut open = fs::OpenOptions::new()
            .write(true)
            .open(path.join("shared"))
            .unwrap();
        fs::hard_link(path.join("linked"), path.join("other")).unwrap();
        symlink("other", path.join("link")).unwrap();
        let len = |name| own(&folder, name).unwrap().metadata().unwrap().len();
        assert_eq!(len("own"), 6);
        for name in ["shared", "linked", "link"] {
            assert_eq!(len(name), 0, "{name}");
            let mode = fs::metadata(path.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        open.write_all(b"afterwards").unwrap();
        assert_eq!(len("shared"), 0);
        assert_eq!(fs::read(path.join("other")).unwrap(), b"before");
        fs::create_dir(path.join("folder")).unwrap();
        assert!(own(&folder, "folder").is_err());
        fs::remove_dir_all(path).unwrap();
    }
}
