//! Handles of folders, as Unix has them.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, FlockOperation, Mode, OFlags, Stat, Timespec, Timestamps, fchmod, flock,
    fstat, fstatvfs, fsync, futimens, linkat, mkdirat, open, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{geteuid, umask};

use super::{FileId, Found, FoundKind, Moment};

/// What nobody else may read before it is whole.
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Nobody else may use a folder either. The sticky bit means nothing there, and so tells that it is not finished yet.
const UNFINISHED_FOLDER: Mode = Mode::RWXU.union(Mode::SVTX);

/// How a folder is opened, and nothing else is.
const FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::RDONLY)
    .union(OFlags::CLOEXEC);

/// Why something is not opened.
const NOT_OWN: &str = "that is no plain file of this user with one name";

/// A folder that is open.
#[derive(Debug)]
pub struct Folder(OwnedFd);

impl Folder {
    /// The folder at this path, which is the user's own and may lead through links.
    ///
    /// # Errors
    /// There is none, or it may not be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(open(path, FOLDER, Mode::empty())?))
    }

    /// The folder at a relative path of plain names.
    ///
    /// # Errors
    /// There is none, it may not be read, or a link is on the way.
    pub fn beneath(&self, path: &str) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{ResolveFlags, openat2};
            let resolve =
                ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            match openat2(&self.0, path, FOLDER, Mode::empty(), resolve) {
                // A kernel before 5.6, or a sandbox that does not know the call.
                Err(Errno::NOSYS | Errno::PERM) => {}
                result => return Ok(Self(result?)),
            }
        }
        self.walk(path)
    }

    /// The same name by name, none of which may be a link.
    fn walk(&self, path: &str) -> io::Result<Self> {
        let mut folder = None;
        for name in path.split('/') {
            if matches!(name, "" | "." | "..") {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let above = folder.as_ref().unwrap_or(&self.0);
            let flags = FOLDER | OFlags::NOFOLLOW;
            folder = Some(openat(above, name, flags, Mode::empty())?);
        }
        folder.map(Self).ok_or(io::ErrorKind::InvalidInput.into())
    }

    /// Makes a folder that only its owner may use, until it is given its permissions.
    ///
    /// # Errors
    /// The name is taken, or there is no room.
    pub fn make(&self, name: &str) -> io::Result<()> {
        Ok(mkdirat(&self.0, name, UNFINISHED_FOLDER)?)
    }

    /// Whether a folder stands there that this user's program made and did not give its permissions.
    ///
    /// # Errors
    /// There is none, or the folder may not be searched.
    pub fn has_unfinished(&self, name: &str) -> io::Result<bool> {
        let stat = statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        // It may have its group from the folder that it is in.
        let mode = Mode::from_raw_mode(stat.st_mode) - Mode::SGID;
        Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            && mode == UNFINISHED_FOLDER
            && stat.st_uid == geteuid().as_raw())
    }

    /// Makes a file that only its owner may use, to read and write.
    ///
    /// # Errors
    /// The name is taken, if only by a link, or there is no room.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::CREATE | OFlags::EXCL;
        self.file(name, flags)
    }

    /// Opens a file that is there, to read and write.
    ///
    /// # Errors
    /// There is none, it is not this user's own plain file, or it may not be opened.
    pub fn open_file(&self, name: &str) -> io::Result<File> {
        // A pipe or a device would have it wait.
        let file = self.file(name, OFlags::NONBLOCK)?;
        if is_own(&fstat(&file)?) {
            Ok(file)
        } else {
            Err(io::Error::other(NOT_OWN))
        }
    }

    /// Lets this user write again to a file of its own that it may only read, and that no other program holds.
    ///
    /// # Errors
    /// There is none, it may not be read either, it is held, or others might have it open to write to.
    pub fn unlock(&self, name: &str) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file: File = openat(&self.0, name, flags, Mode::empty())?.into();
        if !is_own(&fstat(&file)?) {
            return Err(io::Error::other(NOT_OWN));
        }
        if !try_lock(&file)? {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        // Afterwards nobody could tell that it was not private.
        if !is_private(&file)? {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(fchmod(&file, PRIVATE_FILE)?)
    }

    /// Whether a plain file of this user stands there, which has no other name.
    ///
    /// # Errors
    /// There is none, or the folder may not be searched.
    pub fn has_own(&self, name: &str) -> io::Result<bool> {
        Ok(is_own(&statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    fn file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.0, name, flags, PRIVATE_FILE)?.into())
    }

    /// What stands under this name, if anything does.
    ///
    /// # Errors
    /// The folder may not be searched.
    pub fn look(&self, name: &str) -> io::Result<Option<Found>> {
        match statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(found(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a file another name, which nothing has yet.
    ///
    /// # Errors
    /// Something has it, or the folder cannot be written.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_vendor = "apple"))]
        {
            use rustix::fs::{RenameFlags, renameat_with};
            match renameat_with(&self.0, from, &self.0, to, RenameFlags::NOREPLACE) {
                // A file system that does not know how.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
                result => return Ok(result?),
            }
        }
        match linkat(&self.0, from, &self.0, to, AtFlags::empty()) {
            Ok(()) => self.remove(from),
            Err(Errno::EXIST) => Err(Errno::EXIST.into()),
            // No second names either: the name is taken with an empty file, which nobody else replaces.
            Err(_) => {
                self.create(to)?;
                self.replace(from, to)
            }
        }
    }

    /// Gives a file another name, in the place of the file or link that has it.
    ///
    /// # Errors
    /// A folder has it, or the folder cannot be written.
    pub fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&self.0, from, &self.0, to)?)
    }

    /// Removes a file or link.
    ///
    /// # Errors
    /// There is none, or the folder cannot be written.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Sets who may do what with the folder, and when it was changed last.
    ///
    /// # Errors
    /// It belongs to somebody else.
    pub fn set_attributes(&self, mode: u16, modified: Moment) -> io::Result<()> {
        set_all(&self.0, mode, modified)
    }

    /// Waits until the names in it are on the disk.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn sync(&self) -> io::Result<()> {
        match fsync(&self.0) {
            // A file system without such a thing.
            Err(Errno::INVAL) => Ok(()),
            result => Ok(result?),
        }
    }

    /// Waits until all files of this file system are on the disk: for many, faster than one by one.
    ///
    /// # Errors
    /// Something cannot be written, or there is no such call here.
    pub fn sync_everything(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        return Ok(rustix::fs::syncfs(&self.0)?);
        #[cfg(not(target_os = "linux"))]
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Octets that this user may still write there.
    ///
    /// # Errors
    /// The file system does not tell.
    pub fn free(&self) -> io::Result<u64> {
        let room = fstatvfs(&self.0)?;
        Ok(room.f_bavail.saturating_mul(room.f_frsize))
    }
}

/// Sets who may do what with a file, and when it was changed last.
///
/// # Errors
/// The file system does not take it.
pub fn set_attributes(file: &File, mode: u16, modified: Moment) -> io::Result<()> {
    set_all(file, mode, modified)
}

fn set_all(fd: impl AsFd, mode: u16, modified: Moment) -> io::Result<()> {
    fchmod(&fd, Mode::from_bits_truncate(mode.into()))?;
    let time = Timespec {
        tv_sec: modified.seconds,
        tv_nsec: modified.nanos.into(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(futimens(&fd, &times)?)
}

/// Takes the file for this program alone, until it is closed; false where another one has it.
///
/// # Errors
/// The file system has no such thing.
pub fn try_lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The permissions that this user gives nobody.
pub fn withheld() -> u16 {
    static WITHHELD: OnceLock<u16> = OnceLock::new();
    *WITHHELD.get_or_init(|| {
        // It is told only when it is set; what is made meanwhile is nobody else's.
        let mask = umask(Mode::RWXG | Mode::RWXO);
        umask(mask);
        u16::try_from(mask.bits()).unwrap_or_default()
    })
}

/// Whether nobody but this user may write to it.
///
/// # Errors
/// It cannot be asked.
pub fn is_private(file: &File) -> io::Result<bool> {
    let mode = Mode::from_raw_mode(fstat(file)?.st_mode);
    Ok(!mode.intersects(Mode::WGRP | Mode::WOTH))
}

/// What has another name too may be somebody else's under that one.
fn is_own(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_nlink == 1
        && stat.st_uid == geteuid().as_raw()
}

/// Which file it is.
///
/// # Errors
/// It cannot be asked.
pub fn file_id(file: &File) -> io::Result<FileId> {
    Ok(id(&fstat(file)?))
}

// The fields have other types on other systems.
#[allow(
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    reason = "what the system says fits, or is nonsense anyway"
)]
fn found(stat: &Stat) -> Found {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FoundKind::File,
        FileType::Directory => FoundKind::Folder,
        _ => FoundKind::Other,
    };
    Found {
        kind,
        octets: stat.st_size as u64,
        modified: Moment {
            seconds: stat.st_mtime as i64,
            nanos: stat.st_mtime_nsec as u32,
        },
        id: id(stat),
    }
}

#[allow(
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    reason = "numbers that are only compared"
)]
fn id(stat: &Stat) -> FileId {
    FileId {
        device: stat.st_dev as u64,
        file: stat.st_ino as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walking_follows_no_link_either() {
        use std::os::unix::fs::symlink;
        let path = std::env::temp_dir().join(format!("hii-walk-{}", std::process::id()));
        std::fs::create_dir_all(path.join("a/b/c")).unwrap();
        symlink("b", path.join("a/link")).unwrap();
        let root = Folder::open(&path).unwrap();
        assert!(root.walk("a/b/c").is_ok());
        for wrong in ["a/link", "a/link/c", "..", "a/../a", "", "/", "a/none"] {
            assert!(root.walk(wrong).is_err(), "{wrong}");
        }
        std::fs::remove_dir_all(path).unwrap();
    }
}
