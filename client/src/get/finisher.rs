//! A thread that puts files in their places: first their octets have to be on the disk, and that takes its time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use hii_protocol::share::{Id, Mode, ModifiedAt};
use hii_transport::beneath::{Folder, file_id, set_attributes};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::names;
use super::plan::{OnExists, moment};

/// Files that wait for the disk at most, each of them open.
pub const MOST_WAITING: usize = 256;

/// From so many files on it is faster to write all of the file system's than one by one.
const MANY: usize = 4;

/// A file that is whole and verified.
#[derive(Debug)]
pub struct Whole {
    /// Which.
    pub id: Id,
    /// Where it is.
    pub folder: Arc<Folder>,
    /// Its octets.
    pub file: File,
    /// The name it has.
    pub part: String,
    /// The name of its journal.
    pub journal: Option<String>,
    /// The name it gets.
    pub name: String,
    /// Whether it takes the place of another one.
    pub replaces: bool,
    /// Who may do what with it.
    pub mode: Mode,
    /// When it was changed last.
    pub modified: ModifiedAt,
}

/// Who may do what with a file until it gets its name. A later run could not open a read-only one.
const PRIVATE: u16 = 0o600;

/// What became of a file.
#[derive(Debug)]
pub struct Placed {
    /// Which.
    pub id: Id,
    /// The name it has now.
    pub result: io::Result<String>,
}

/// Folders that are written to the disk one by one, rather than with all of the file system.
const FEW_FOLDERS: usize = 8;

/// The thread, and the files that it has still to do.
#[derive(Debug)]
pub struct Finisher {
    whole: SyncSender<Whole>,
    placed: UnboundedReceiver<Placed>,
    thread: JoinHandle<()>,
}

impl Finisher {
    /// Starts it.
    ///
    /// # Errors
    /// There is no room for a thread.
    pub fn start(on_exists: OnExists) -> io::Result<Self> {
        let (whole, files) = sync_channel(MOST_WAITING);
        let (done, placed) = unbounded_channel();
        let thread = thread::Builder::new()
            .name("finisher".into())
            .spawn(move || finish_all(&files, &done, on_exists))?;
        Ok(Self {
            whole,
            placed,
            thread,
        })
    }

    /// Hands a file over.
    ///
    /// # Errors
    /// The thread is gone.
    pub fn place(&self, whole: Whole) -> io::Result<()> {
        self.whole
            .send(whole)
            .map_err(|_| io::Error::other("the thread that puts files in their places is gone"))
    }

    /// The next file that stands in its place, or could not be put there.
    pub async fn placed(&mut self) -> Option<Placed> {
        self.placed.recv().await
    }

    /// Waits until all that were handed over are in their places, and the disk has their names.
    pub fn end(self) -> Vec<Placed> {
        let Self {
            whole,
            mut placed,
            thread,
        } = self;
        drop(whole);
        // It does not panic; what it has said counts.
        let _ = thread.join();
        std::iter::from_fn(|| placed.try_recv().ok()).collect()
    }
}

/// Folders with names that the disk may not have yet, by file system.
#[derive(Debug, Default)]
pub struct Unsynced(BTreeMap<Option<u64>, Vec<Arc<Folder>>>);

fn finish_all(files: &Receiver<Whole>, done: &UnboundedSender<Placed>, on_exists: OnExists) {
    let mut unsynced = Unsynced::default();
    while let Ok(first) = files.recv() {
        let mut batch = vec![first];
        batch.extend(files.try_iter().take(MOST_WAITING));
        let prepared = prepare(&batch);
        for (whole, prepared) in batch.into_iter().zip(prepared) {
            let result = prepared.and_then(|()| finish(&whole, on_exists));
            if result.is_ok() {
                unsynced.add(device(&whole), whole.folder);
            }
            let id = whole.id;
            // Nobody hears it when the program ends.
            let _ = done.send(Placed { id, result });
        }
    }
    unsynced.sync();
}

/// Writes a batch of files to the disk, with their times.
fn prepare(batch: &[Whole]) -> Vec<io::Result<()>> {
    let set = |whole: &Whole| {
        let modified = moment(whole.modified);
        set_attributes(&whole.file, PRIVATE, modified)
    };
    let mut prepared: Vec<_> = batch.iter().map(set).collect();
    let many = batch.first().filter(|_| batch.len() >= MANY);
    // Another file system may be mounted within the folder.
    let synced = many
        .filter(|first| first.folder.sync_everything().is_ok())
        .and_then(device);
    for (whole, prepared) in batch.iter().zip(&mut prepared) {
        if prepared.is_ok() && (synced.is_none() || device(whole) != synced) {
            *prepared = whole.file.sync_all();
        }
    }
    prepared
}

/// The file system that a file is in, where the system tells.
fn device(whole: &Whole) -> Option<u64> {
    file_id(&whole.file).ok().map(|id| id.device)
}

impl Unsynced {
    /// The disk may not have the name of something in this folder, which is on this file system.
    pub fn add(&mut self, device: Option<u64>, folder: Arc<Folder>) {
        let folders = self.0.entry(device).or_default();
        // One more than a few stands for all others.
        if folders.len() <= FEW_FOLDERS && !folders.iter().any(|other| Arc::ptr_eq(other, &folder))
        {
            folders.push(folder);
        }
    }

    /// The folders, by file system.
    #[cfg(test)]
    pub fn folders(&self) -> impl Iterator<Item = &[Arc<Folder>]> {
        self.0.values().map(Vec::as_slice)
    }

    /// Until then, a power cut could undo that what is in them has its name.
    pub fn sync(self) {
        for folders in self.0.into_values() {
            let all = folders.first().filter(|_| folders.len() > FEW_FOLDERS);
            if all.is_some_and(|folder| folder.sync_everything().is_ok()) {
                continue;
            }
            for folder in folders {
                if let Err(error) = folder.sync() {
                    tracing::warn!(%error, "the names in a folder may not be on the disk yet");
                }
            }
        }
    }
}

/// Gives a file its permissions and its name, and tells that.
fn finish(whole: &Whole, on_exists: OnExists) -> io::Result<String> {
    let set = |mode| set_attributes(&whole.file, mode, moment(whole.modified));
    set(whole.mode.bits())?;
    rename(whole, on_exists).inspect_err(|_| {
        // It stays for a later run; if it cannot be had then, that is told.
        let _ = set(PRIVATE);
    })
}

/// Gives a file its name, and tells it.
fn rename(whole: &Whole, on_exists: OnExists) -> io::Result<String> {
    let Whole {
        folder, part, name, ..
    } = whole;
    let name = if whole.replaces {
        folder.replace(part, name).map(|()| name.clone())
    } else {
        rename_anew(folder, part, name, on_exists)
    }?;
    if let Some(journal) = &whole.journal {
        // What is left of it does no harm, and the next run removes it.
        let _ = folder.remove(journal);
    }
    Ok(name)
}

/// Something may have taken the name meanwhile, or have one that this file system holds for the same.
fn rename_anew(folder: &Folder, part: &str, name: &str, on_exists: OnExists) -> io::Result<String> {
    let mut number = 0;
    let mut wanted = name.to_owned();
    loop {
        match folder.rename(part, &wanted) {
            Ok(()) => return Ok(wanted),
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists
                    && on_exists == OnExists::Rename
                    && number < u32::from(u16::MAX) =>
            {
                number += 1;
                wanted = names::numbered(name, number);
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_has_its_permissions_only_with_its_name() {
        let path = std::env::temp_dir().join(format!("hii-get-placed-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        let folder = Arc::new(Folder::open(&path).unwrap());
        fs::write(path.join("taken"), "").unwrap();
        for (name, wanted, mode) in [("free", "free", 0o444), ("taken", "part", PRIVATE)] {
            let whole = Whole {
                id: Id::FIRST,
                folder: Arc::clone(&folder),
                file: folder.create("part").unwrap(),
                part: "part".into(),
                journal: None,
                name: name.into(),
                replaces: false,
                mode: Mode::new(0o444),
                modified: ModifiedAt::default(),
            };
            let finisher = Finisher::start(OnExists::Fail).unwrap();
            finisher.place(whole).unwrap();
            let [placed] = &finisher.end()[..] else {
                panic!("one file");
            };
            assert_eq!(placed.result.is_ok(), name == "free", "{placed:?}");
            let metadata = fs::metadata(path.join(wanted)).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, u32::from(mode));
        }
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn each_file_system_has_its_own_folders_to_sync() {
        let folder = || Arc::new(Folder::open(&std::env::temp_dir()).unwrap());
        let mut unsynced = Unsynced::default();
        let same = folder();
        for _ in 0..3 {
            unsynced.add(Some(1), Arc::clone(&same));
        }
        for _ in 0..2 * FEW_FOLDERS {
            unsynced.add(Some(2), folder());
        }
        unsynced.add(Some(3), folder());
        let counts: Vec<_> = unsynced.0.values().map(Vec::len).collect();
        assert_eq!(counts, [1, FEW_FOLDERS + 1, 1]);
    }
}
