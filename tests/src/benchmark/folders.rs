//! Folders in memory for what is handed over, so that no disk is measured. None outlives the benchmark.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::trouble::{Outcome, Trouble};

/// Where Linux keeps files in memory.
const IN_MEMORY: &str = "/dev/shm";

/// The folders that there are.
static FOLDERS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn folders() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    // The set is whole between calls.
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes all folders, when the benchmark ends before they are dropped. None is made after that.
pub(super) fn remove_all() {
    let folders = folders();
    for folder in folders.iter() {
        let _ = fs::remove_dir_all(folder);
    }
    std::mem::forget(folders);
}

/// A folder with all that is in it, gone at the end.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new one in memory, or where the system has no such place, among temporary files; `name` tells it from others.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(name: &str) -> Outcome<Self> {
        let within = if Path::new(IN_MEMORY).is_dir() {
            IN_MEMORY.into()
        } else {
            std::env::temp_dir()
        };
        let path = within.join(format!("hii-benchmark-{name}-{}", std::process::id()));
        let mut folders = folders();
        fs::create_dir(&path)
            .map_err(|error| Trouble(format!("cannot make {}: {error}", path.display())))?;
        folders.insert(path.clone());
        Ok(Self(path))
    }

    /// The path of a file in it.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    /// The octets of the file in it whose name ends so; none without one.
    #[must_use]
    pub fn octets_of(&self, end: &str) -> Option<u64> {
        let mut entries = fs::read_dir(&self.0).ok()?.flatten();
        let found = entries.find(|entry| entry.file_name().to_string_lossy().ends_with(end))?;
        Some(found.metadata().ok()?.len())
    }

    /// The octets of all files in it.
    ///
    /// # Errors
    /// They cannot be looked at.
    pub fn octets(&self) -> io::Result<u64> {
        fs::read_dir(&self.0)?
            .map(|entry| Ok(entry?.metadata()?.len()))
            .sum()
    }

    /// Removes all that is in it.
    ///
    /// # Errors
    /// Something stays.
    pub fn empty(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.0)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
        folders().remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_emptied_and_gone_at_its_end() {
        let folder = Folder::new("unit-test").unwrap();
        fs::write(folder.path(".a.part"), "octets").unwrap();
        assert_eq!(folder.octets_of(".part"), Some(6));
        folder.empty().unwrap();
        assert_eq!(folder.octets_of(".part"), None);
        let path = folder.path("");
        drop(folder);
        assert!(!Path::new(&path).exists());
    }
}
