//! Files beneath a folder, and never anywhere else: no link is followed on the way, not even one that is put there meanwhile.
//!
//! Folders are handles. What is in one is reached by its name and that handle, so that nobody who moves or replaces a folder
//! has a say in where something is written. Where the system has no handles of folders, `portable` looks before each step
//! instead, which somebody on the same machine who is fast can outrun.

use std::fs::File;
use std::io;

#[cfg(any(not(unix), test))]
pub mod portable;
#[cfg(unix)]
pub mod unix;

#[cfg(not(unix))]
pub use portable::{Folder, file_id, is_private, set_attributes, try_lock, withheld};
#[cfg(unix)]
pub use unix::{Folder, file_id, is_private, set_attributes, try_lock, withheld};

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: FoundKind,
    /// Its octets.
    pub octets: u64,
    /// When it was changed last.
    pub modified: Moment,
    /// Which it is.
    pub id: FileId,
}

/// What something in a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A link, a device or the like.
    Other,
}

/// A time: whole seconds since the Unix epoch, rounded down, and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds after that.
    pub nanos: u32,
}

/// Tells a file from all others of this machine; all zero where the system does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileId {
    /// The file system.
    pub device: u64,
    /// The file in it.
    pub file: u64,
}

/// Whether the file stands under this name still.
///
/// # Errors
/// The folder cannot be read.
pub fn is_there(folder: &Folder, name: &str, file: &File) -> io::Result<bool> {
    let id = file_id(file)?;
    Ok(folder.look(name)?.is_some_and(|found| found.id == id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::path::PathBuf;

    /// A directory of a test's own, gone at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("hii-beneath-{name}-{}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// The same for each implementation.
    macro_rules! tests_of {
        ($module:ident) => {
            mod $module {
                use super::*;
                use crate::beneath::$module::{Folder, file_id, set_attributes};

                #[test]
                fn files_are_made_found_renamed_and_removed() {
                    let scratch = Scratch::new(concat!(stringify!($module), "-files"));
                    let root = Folder::open(&scratch.0).unwrap();
                    root.make("a").unwrap();
                    assert!(root.make("a").is_err());
                    root.beneath("a").unwrap().make("b").unwrap();
                    let folder = root.beneath("a/b").unwrap();
                    let mut file = folder.create("part").unwrap();
                    assert!(folder.create("part").is_err(), "exclusive");
                    file.write_all(b"hello").unwrap();
                    let modified = Moment {
                        seconds: 1_000_000_000,
                        nanos: 5000,
                    };
                    set_attributes(&file, 0o640, modified).unwrap();
                    let found = folder.look("part").unwrap().unwrap();
                    assert_eq!((found.kind, found.octets), (FoundKind::File, 5));
                    assert_eq!(found.modified, modified);
                    assert_eq!(found.id, file_id(&file).unwrap());
                    folder.rename("part", "whole").unwrap();
                    assert_eq!(folder.look("part").unwrap(), None);
                    folder.create("part").unwrap();
                    let error = folder.rename("part", "whole").unwrap_err();
                    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
                    let mut text = String::new();
                    let mut whole = folder.open_file("whole").unwrap();
                    whole.read_to_string(&mut text).unwrap();
                    assert_eq!(text, "hello");
                    folder.replace("part", "whole").unwrap();
                    assert_eq!(folder.look("whole").unwrap().unwrap().octets, 0);
                    folder.remove("whole").unwrap();
                    assert!(folder.open_file("whole").is_err());
                    assert!(folder.open_file(".").is_err());
                    folder.sync().unwrap();
                    assert!(folder.free().unwrap() > 0);
                    folder.set_attributes(0o700, modified).unwrap();
                    let found = root.beneath("a").unwrap().look("b").unwrap().unwrap();
                    assert_eq!(found.kind, FoundKind::Folder);
                    if stringify!($module) == "unix" {
                        assert_eq!(found.modified, modified);
                    }
                }

                #[cfg(unix)]
                #[test]
                fn no_link_is_followed_wherever_it_stands() {
                    use std::os::unix::fs::symlink;
                    let scratch = Scratch::new(concat!(stringify!($module), "-links"));
                    let elsewhere = Scratch::new(concat!(stringify!($module), "-elsewhere"));
                    fs::write(elsewhere.0.join("file"), "theirs").unwrap();
                    fs::create_dir_all(scratch.0.join("a/b")).unwrap();
                    symlink(&elsewhere.0, scratch.0.join("a/out")).unwrap();
                    symlink("b", scratch.0.join("a/within")).unwrap();
                    symlink(elsewhere.0.join("file"), scratch.0.join("a/link")).unwrap();
                    symlink(elsewhere.0.join("new"), scratch.0.join("a/dangling")).unwrap();
                    let root = Folder::open(&scratch.0).unwrap();
                    for path in ["a/out", "a/within", "a/within/x", "a/link"] {
                        assert!(root.beneath(path).is_err(), "{path}");
                    }
                    let folder = root.beneath("a").unwrap();
                    assert!(folder.open_file("link").is_err());
                    assert!(folder.create("link").is_err());
                    assert!(folder.create("dangling").is_err());
                    assert!(folder.make("dangling").is_err());
                    let found = folder.look("link").unwrap().unwrap();
                    assert_eq!(found.kind, FoundKind::Other);
                    folder.create("part").unwrap();
                    assert!(folder.rename("part", "dangling").is_err());
                    folder.replace("part", "link").unwrap();
                    folder.remove("out").unwrap();
                    let theirs = fs::read(elsewhere.0.join("file")).unwrap();
                    assert_eq!(theirs, b"theirs");
                    assert_eq!(fs::read_dir(&elsewhere.0).unwrap().count(), 1);
                }
            }
        };
    }

    tests_of!(portable);
    #[cfg(unix)]
    tests_of!(unix);

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_swapped_for_a_link_does_not_lead_away() {
        use std::os::unix::fs::symlink;
        let scratch = Scratch::new("swapped");
        let elsewhere = Scratch::new("swapped-elsewhere");
        fs::create_dir(scratch.0.join("a")).unwrap();
        let root = Folder::open(&scratch.0).unwrap();
        let folder = root.beneath("a").unwrap();
        fs::rename(scratch.0.join("a"), scratch.0.join("moved")).unwrap();
        symlink(&elsewhere.0, scratch.0.join("a")).unwrap();
        folder.create("file").unwrap();
        assert!(scratch.0.join("moved/file").exists());
        assert!(root.beneath("a").is_err());
        assert_eq!(fs::read_dir(&elsewhere.0).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn what_others_may_have_written_is_told_from_a_users_own() {
        use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
        let scratch = Scratch::new("own");
        let root = Folder::open(&scratch.0).unwrap();
        let path = |name: &str| scratch.0.join(name);
        let file = root.create("own").unwrap();
        assert!(root.has_own("own").unwrap() && is_private(&file).unwrap());
        for mode in [0o620, 0o602] {
            fs::set_permissions(path("own"), fs::Permissions::from_mode(mode)).unwrap();
            assert!(!is_private(&file).unwrap(), "{mode:o}");
        }
        symlink("own", path("link")).unwrap();
        fs::write(path("one"), "").unwrap();
        fs::hard_link(path("one"), path("other")).unwrap();
        fs::write(path("theirs"), "").unwrap();
        let mut others = vec!["link", "one", "other"];
        // Only root may give files away.
        if chown(path("theirs"), Some(12345), None).is_ok() {
            others.push("theirs");
        }
        for name in others {
            assert!(!root.has_own(name).unwrap(), "{name}");
            assert!(root.open_file(name).is_err(), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_others_may_have_open_to_write_to_is_not_unlocked() {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = Scratch::new("unlock");
        let root = Folder::open(&scratch.0).unwrap();
        let path = scratch.0.join("part");
        drop(root.create("part").unwrap());
        for (mode, wanted) in [(0o464, None), (0o446, None), (0o444, Some(0o600))] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = root.unlock("part").err().map(|error| error.kind());
            let denied = Some(io::ErrorKind::PermissionDenied);
            assert_eq!(error, denied.filter(|_| wanted.is_none()), "{mode:o}");
            let found = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, wanted.unwrap_or(mode), "{mode:o}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_one_programs_at_a_time_and_known_by_its_place() {
        let scratch = Scratch::new("locked");
        let root = Folder::open(&scratch.0).unwrap();
        let file = root.create("part").unwrap();
        assert!(try_lock(&file).unwrap());
        assert!(!try_lock(&root.open_file("part").unwrap()).unwrap());
        assert!(is_there(&root, "part", &file).unwrap());
        root.rename("part", "whole").unwrap();
        assert!(!is_there(&root, "part", &file).unwrap());
        drop(file);
        assert!(try_lock(&root.open_file("whole").unwrap()).unwrap());
    }
}
