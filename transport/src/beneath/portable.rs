//! Folders by their paths, for systems without handles of them: each step looks for links first. Whoever puts a link there
//! between that look and the step wins, which takes another program of the same machine.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{FileId, Found, FoundKind, Moment};

/// A folder.
#[derive(Debug)]
pub struct Folder {
    /// Where it all begins: links up to here are the user's own.
    root: PathBuf,
    /// The names from there on.
    names: Vec<String>,
}

impl Folder {
    /// The folder at this path, which is the user's own and may lead through links.
    ///
    /// # Errors
    /// There is none, or it may not be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let root = path.canonicalize()?;
        if !root.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let names = Vec::new();
        Ok(Self { root, names })
    }

    /// The folder at a relative path of plain names.
    ///
    /// # Errors
    /// There is none, or a link is on the way.
    pub fn beneath(&self, path: &str) -> io::Result<Self> {
        let mut names = self.names.clone();
        names.extend(path.split('/').map(str::to_owned));
        let root = self.root.clone();
        let folder = Self { root, names };
        folder.path()?;
        Ok(folder)
    }

    /// The path, on which no link is.
    fn path(&self) -> io::Result<PathBuf> {
        let mut path = self.root.clone();
        for name in &self.names {
            if matches!(name.as_str(), "" | "." | "..") {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            path.push(name);
            if !fs::symlink_metadata(&path)?.is_dir() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
        }
        Ok(path)
    }

    fn at(&self, name: &str) -> io::Result<PathBuf> {
        if matches!(name, "" | "." | "..") {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(self.path()?.join(name))
    }

    /// Makes a folder.
    ///
    /// # Errors
    /// The name is taken, or there is no room.
    pub fn make(&self, name: &str) -> io::Result<()> {
        fs::create_dir(self.at(name)?)
    }

    /// Never: folders have no permissions here to tell it by.
    ///
    /// # Errors
    /// Never.
    pub fn has_unfinished(&self, _name: &str) -> io::Result<bool> {
        Ok(false)
    }

    /// Makes a file, to read and write.
    ///
    /// # Errors
    /// The name is taken, or there is no room.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        options.open(self.at(name)?)
    }

    /// Opens a file that is there, to read and write.
    ///
    /// # Errors
    /// There is none, it is no plain file, or it may not be opened.
    pub fn open_file(&self, name: &str) -> io::Result<File> {
        let path = self.at(name)?;
        if !fs::symlink_metadata(&path)?.is_file() {
            return Err(io::Error::other("that is no plain file"));
        }
        OpenOptions::new().read(true).write(true).open(path)
    }

    /// Never: permissions are the system's.
    ///
    /// # Errors
    /// Always.
    pub fn unlock(&self, _name: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether a plain file stands there.
    ///
    /// # Errors
    /// There is none, or the folder may not be searched.
    pub fn has_own(&self, name: &str) -> io::Result<bool> {
        Ok(fs::symlink_metadata(self.at(name)?)?.is_file())
    }

    /// What stands under this name, if anything does.
    ///
    /// # Errors
    /// The folder may not be searched.
    pub fn look(&self, name: &str) -> io::Result<Option<Found>> {
        let metadata = match fs::symlink_metadata(self.at(name)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata?,
        };
        let kind = match metadata.file_type() {
            kind if kind.is_file() => FoundKind::File,
            kind if kind.is_dir() => FoundKind::Folder,
            _ => FoundKind::Other,
        };
        Ok(Some(Found {
            kind,
            octets: metadata.len(),
            modified: moment(metadata.modified()?),
            id: id_of(&metadata),
        }))
    }

    /// Gives a file another name, which nothing has yet.
    ///
    /// # Errors
    /// Something has it, or the folder cannot be written.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        // The name is taken with an empty file, which nobody else replaces.
        self.create(to)?;
        self.replace(from, to)
    }

    /// Gives a file another name, in the place of the file or link that has it.
    ///
    /// # Errors
    /// A folder has it, or the folder cannot be written.
    pub fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from)?, self.at(to)?)
    }

    /// Removes a file or link.
    ///
    /// # Errors
    /// There is none, or the folder cannot be written.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.at(name)?)
    }

    /// Does nothing: a folder's time and permissions cannot be set without a handle of it.
    ///
    /// # Errors
    /// Never.
    pub fn set_attributes(&self, _mode: u16, _modified: Moment) -> io::Result<()> {
        Ok(())
    }

    /// Does nothing: there is no such thing.
    ///
    /// # Errors
    /// Never.
    pub fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// There is no such call.
    ///
    /// # Errors
    /// Always.
    pub fn sync_everything(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// As much as there may be: the standard library does not tell.
    ///
    /// # Errors
    /// Never.
    pub fn free(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

/// Sets when a file was changed last; permissions are the system's.
///
/// # Errors
/// The file system does not take it.
pub fn set_attributes(file: &File, _mode: u16, modified: Moment) -> io::Result<()> {
    let seconds = Duration::from_secs(modified.seconds.unsigned_abs());
    let whole = if modified.seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    let nanos = Duration::from_nanos(modified.nanos.into());
    let time = whole.and_then(|whole| whole.checked_add(nanos));
    file.set_modified(time.ok_or(io::ErrorKind::InvalidInput)?)
}

/// Takes nothing: each program has to have a folder of its own.
///
/// # Errors
/// Never.
#[cfg_attr(test, allow(dead_code, reason = "tests try the other one"))]
pub fn try_lock(_file: &File) -> io::Result<bool> {
    Ok(true)
}

/// None: permissions are the system's.
#[cfg_attr(test, allow(dead_code, reason = "tests try the other one"))]
#[must_use]
pub fn withheld() -> u16 {
    0
}

/// Permissions are the system's.
///
/// # Errors
/// Never.
#[cfg_attr(test, allow(dead_code, reason = "tests try the other one"))]
pub fn is_private(_file: &File) -> io::Result<bool> {
    Ok(true)
}

/// Which file it is, as far as its size tells.
///
/// # Errors
/// It cannot be asked.
pub fn file_id(file: &File) -> io::Result<FileId> {
    Ok(id_of(&file.metadata()?))
}

/// The standard library tells files apart nowhere but on Unix.
fn id_of(_metadata: &fs::Metadata) -> FileId {
    FileId::default()
}

fn moment(time: SystemTime) -> Moment {
    let nanos = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i128::try_from(since.as_nanos()).unwrap_or_default(),
        Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or_default(),
    };
    Moment {
        seconds: i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or_default(),
        nanos: u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or_default(),
    }
}
