//! What is offered: the files and folders that the command line names, and what is in them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path as FilePath, PathBuf};

use hii_protocol::Escaped;
use hii_protocol::share::{
    Answer, Entry, Flaw, Id, Kind, MAX_ENTRIES, MAX_PATHS, Mode, ModifiedAt, PageBuf, PageBuilder,
    Path, PathError, Size,
};
use hii_transport::reading::{self, Stamp};
use walkdir::WalkDir;

/// What stands on the command line for what comes from stdin.
const STDIN: &str = "-";

/// All that is offered.
#[derive(Debug, Default)]
pub struct Offer {
    /// Where the parts that the command line names are.
    roots: Vec<PathBuf>,
    items: Vec<Item>,
    octets: u64,
    path_octets: u64,
    skipped: Vec<Skipped>,
}

/// One entry. It holds no path of its own on this host: a million of them would be too much.
#[derive(Debug)]
struct Item {
    /// Which of the roots it is, or is in.
    root: usize,
    path: Box<str>,
    mode: u32,
    what: What,
}

#[derive(Debug)]
enum What {
    Folder(Stamp),
    File(Stamp),
    Stdin,
}

/// Something that is not offered, since it is neither a file nor a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub why: &'static str,
}

/// What can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sendable {
    /// A file at this path, which was like that when it was offered.
    File(PathBuf, Stamp),
    /// What comes from stdin.
    Stdin,
}

/// Why there is nothing to send for a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSendable {
    /// No entry has this number.
    Unknown,
    /// It is a folder.
    Folder,
}

/// Why an offer cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {error}", shown(path))]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A name is not UTF-8.
    #[error("the name {} is not UTF-8", shown(path))]
    NotUtf8 {
        /// Whose.
        path: PathBuf,
    },
    /// No receiver would take a path.
    #[error("no receiver takes the name {}: {error}", Escaped(path.as_bytes()))]
    Name {
        /// Which, as it would be offered.
        path: String,
        /// What is wrong with it.
        error: PathError,
    },
    /// What is named has no name that it could be offered by.
    #[error("{} has no name to offer it by", shown(path))]
    Nameless {
        /// Which.
        path: PathBuf,
    },
    /// Two of them have the same name.
    #[error("{} and {} would both be offered as {}", shown(one), shown(other), Escaped(name.as_bytes()))]
    Twice {
        /// The first.
        one: PathBuf,
        /// The second.
        other: PathBuf,
        /// Their name.
        name: String,
    },
    /// There is more than a receiver takes.
    #[error("there are more than {MAX_ENTRIES} files and folders, or more than {} MiB of paths", MAX_PATHS >> 20)]
    TooMuch,
    /// There is nothing.
    #[error("there is nothing to offer")]
    Nothing,
}

/// A path of this host, safe to show.
pub(super) fn shown(path: &FilePath) -> String {
    Escaped(path.as_os_str().as_encoded_bytes()).to_string()
}

impl Offer {
    /// Offers these files and folders with all that is in them; `-` is stdin, offered under this name.
    ///
    /// # Errors
    /// One of them cannot be read, or offered.
    pub fn of(paths: &[PathBuf], stdin_name: &str) -> Result<Self, OfferError> {
        let mut offer = Self::default();
        let mut names: HashMap<String, PathBuf> = HashMap::new();
        for path in paths {
            let is_stdin = path.as_os_str() == STDIN;
            let name = if is_stdin {
                stdin_name.to_owned()
            } else {
                name_of(path)?
            };
            if let Some(one) = names.insert(name.clone(), path.clone()) {
                let other = path.clone();
                return Err(OfferError::Twice { one, other, name });
            }
            let root = offer.roots.len();
            offer.roots.push(path.clone());
            if is_stdin {
                offer.add(root, name, 0o644, What::Stdin)?;
            } else {
                offer.walk(root, path, &name)?;
            }
        }
        if offer.items.is_empty() {
            return Err(OfferError::Nothing);
        }
        Ok(offer)
    }

    /// Adds what is at a path. What is gone meanwhile is not offered.
    fn walk(&mut self, root: usize, path: &FilePath, name: &str) -> Result<(), OfferError> {
        // What the command line names itself has to be there.
        let top = fs::symlink_metadata(path).map_err(|error| OfferError::Read {
            path: path.into(),
            error,
        })?;
        if !top.is_dir() {
            return self.add_found(root, path, name.to_owned(), &top);
        }
        for found in WalkDir::new(path).sort_by_file_name() {
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    let path = error.path().unwrap_or(path).to_owned();
                    let error = error.into_io_error();
                    let error = error.unwrap_or_else(|| io::ErrorKind::Other.into());
                    if error.kind() == io::ErrorKind::NotFound {
                        self.skip(&path, "is gone");
                        continue;
                    }
                    return Err(OfferError::Read { path, error });
                }
            };
            let offered = beneath(name, path, found.path())?;
            match found.metadata() {
                Ok(metadata) => self.add_found(root, found.path(), offered, &metadata)?,
                Err(_) => self.skip(found.path(), "is gone"),
            }
        }
        Ok(())
    }

    fn add_found(
        &mut self,
        root: usize,
        path: &FilePath,
        offered: String,
        metadata: &Metadata,
    ) -> Result<(), OfferError> {
        let kind = metadata.file_type();
        let stamp = Stamp::of(metadata);
        let what = if kind.is_dir() {
            What::Folder(stamp)
        } else if kind.is_file() {
            // A receiver is not to find out in the middle that one cannot be had.
            match reading::open(path) {
                Ok(_) => What::File(stamp),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.skip(path, "is gone");
                    return Ok(());
                }
                Err(error) => {
                    let path = path.into();
                    return Err(OfferError::Read { path, error });
                }
            }
        } else {
            let why = if kind.is_symlink() {
                "is a symbolic link"
            } else {
                "is neither a file nor a folder"
            };
            self.skip(path, why);
            return Ok(());
        };
        self.add(root, offered, reading::mode(metadata), what)
    }

    fn skip(&mut self, path: &FilePath, why: &'static str) {
        let path = path.into();
        self.skipped.push(Skipped { path, why });
    }

    fn add(&mut self, root: usize, path: String, mode: u32, what: What) -> Result<(), OfferError> {
        if let Err(error) = Path::new(&path) {
            return Err(OfferError::Name { path, error });
        }
        self.path_octets += u64::try_from(path.len()).unwrap_or(u64::MAX);
        if let What::File(stamp) = &what {
            self.octets = self.octets.saturating_add(stamp.size);
        }
        self.items.push(Item {
            root,
            path: path.into(),
            mode,
            what,
        });
        if self.entries() > MAX_ENTRIES || self.path_octets > MAX_PATHS {
            return Err(OfferError::TooMuch);
        }
        Ok(())
    }

    /// How many entries there are.
    #[must_use]
    pub fn entries(&self) -> u64 {
        u64::try_from(self.items.len()).unwrap_or(u64::MAX)
    }

    /// How many of them are files.
    #[must_use]
    pub fn files(&self) -> u64 {
        let is_file = |item: &&Item| !matches!(item.what, What::Folder(_));
        u64::try_from(self.items.iter().filter(is_file).count()).unwrap_or(u64::MAX)
    }

    /// The octets of all files whose size is known.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Whether stdin is among them, which can be read once.
    #[must_use]
    pub fn has_stdin(&self) -> bool {
        let is_stdin = |item: &Item| matches!(item.what, What::Stdin);
        self.items.iter().any(is_stdin)
    }

    /// What was found and is not offered.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// The next page of entries, after so many of them, and how many it has; none after the last.
    #[must_use]
    pub fn page(&self, after: u64) -> Option<(PageBuf, u64)> {
        let mut builder = PageBuilder::default();
        let mut count = 0;
        let start = usize::try_from(after).ok()?;
        for (item, number) in self.items.get(start..)?.iter().zip(after + 1..) {
            let Some(entry) = item.entry(number) else {
                continue;
            };
            if let Some(page) = builder.add(&entry) {
                return Some((page, count));
            }
            count += 1;
        }
        builder.take().map(|page| (page, count))
    }

    /// What closes the list.
    #[must_use]
    pub fn end(&self) -> Answer<'static> {
        Answer::End {
            entries: self.entries(),
            octets: self.octets,
        }
    }

    /// What is to be sent for this number.
    ///
    /// # Errors
    /// It is no file's.
    pub fn sendable(&self, id: Id) -> Result<Sendable, NotSendable> {
        let item = self.item(id).ok_or(NotSendable::Unknown)?;
        match &item.what {
            What::Folder(_) => Err(NotSendable::Folder),
            What::Stdin => Ok(Sendable::Stdin),
            What::File(stamp) => Ok(Sendable::File(self.place(item), *stamp)),
        }
    }

    /// The path that this number is offered by.
    #[must_use]
    pub fn path(&self, id: Id) -> Option<Path<'_>> {
        Path::new(&self.item(id)?.path).ok()
    }

    fn item(&self, id: Id) -> Option<&Item> {
        let index = usize::try_from(id.get()).ok()?.checked_sub(1)?;
        self.items.get(index)
    }

    /// Where it is on this host: the root, and what its path has after the root's name.
    fn place(&self, item: &Item) -> PathBuf {
        let mut place = self.roots.get(item.root).cloned().unwrap_or_default();
        if let Some((_, beneath)) = item.path.split_once('/') {
            place.extend(beneath.split('/'));
        }
        place
    }
}

impl Item {
    fn entry(&self, number: u64) -> Option<Entry<'_>> {
        let (kind, stamp) = match &self.what {
            What::Folder(stamp) => (Kind::Folder, Some(stamp)),
            What::File(stamp) => (Kind::File(Size::Known(stamp.size)), Some(stamp)),
            What::Stdin => (Kind::File(Size::Unknown), None),
        };
        let modified = stamp.map_or((0, 0), |stamp| {
            (stamp.modified.seconds, stamp.modified.nanos)
        });
        Some(Entry {
            id: Id::new(number)?,
            kind,
            mode: Mode::new(self.mode),
            modified: ModifiedAt::new(modified.0, modified.1)?,
            path: Path::new(&self.path).ok()?,
        })
    }
}

/// The name that a part of the command line is offered by: its last, or, as of `.`, the one that it really has.
fn name_of(path: &FilePath) -> Result<String, OfferError> {
    let read = |error| OfferError::Read {
        path: path.into(),
        error,
    };
    let named = match path.file_name() {
        Some(_) => path.to_owned(),
        None => path.canonicalize().map_err(read)?,
    };
    let nameless = || OfferError::Nameless { path: path.into() };
    utf8(named.file_name().ok_or_else(nameless)?, path)
}

/// The path that something beneath a root is offered by.
fn beneath(name: &str, root: &FilePath, found: &FilePath) -> Result<String, OfferError> {
    let mut offered = name.to_owned();
    for part in found.strip_prefix(root).unwrap_or(found) {
        let part = utf8(part, found)?;
        // Elsewhere a name may hold what parts names here.
        if part.contains('/') {
            let flaw = Flaw::Empty;
            let error = PathError { index: 0, flaw };
            return Err(OfferError::Name { path: part, error });
        }
        offered.push('/');
        offered.push_str(&part);
    }
    Ok(offered)
}

fn utf8(name: &OsStr, of: &FilePath) -> Result<String, OfferError> {
    let text = name.to_str().map(str::to_owned);
    text.ok_or_else(|| OfferError::NotUtf8 { path: of.into() })
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", shown(&self.path), self.why)
    }
}

#[cfg(test)]
#[path = "offer_tests.rs"]
mod tests;
