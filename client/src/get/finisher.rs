//! A thread that puts files in their places: first their octets have to be on the disk, and that takes its time.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use hii_protocol::share::{Id, Mode, ModifiedAt};
use hii_transport::beneath::{Folder, set_attributes};
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

/// What became of a file.
#[derive(Debug)]
pub struct Placed {
    /// Which.
    pub id: Id,
    /// The name it has now.
    pub result: io::Result<String>,
}

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

    /// Waits until all that were handed over are in their places.
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

fn finish_all(files: &Receiver<Whole>, done: &UnboundedSender<Placed>, on_exists: OnExists) {
    while let Ok(first) = files.recv() {
        let mut batch = vec![first];
        batch.extend(files.try_iter().take(MOST_WAITING));
        for placed in finish(batch, on_exists) {
            // Nobody hears it when the program ends.
            let _ = done.send(placed);
        }
    }
}

/// Writes a batch of files to the disk, gives them their names, and writes those.
fn finish(batch: Vec<Whole>, on_exists: OnExists) -> Vec<Placed> {
    let set =
        |whole: &Whole| set_attributes(&whole.file, whole.mode.bits(), moment(whole.modified));
    let prepared: Vec<_> = batch.iter().map(set).collect();
    let many = batch.first().filter(|_| batch.len() >= MANY);
    let are_synced = many.is_some_and(|first| first.folder.sync_everything().is_ok());
    let mut placed = Vec::with_capacity(batch.len());
    let mut folders: Vec<Arc<Folder>> = Vec::new();
    for (whole, prepared) in batch.into_iter().zip(prepared) {
        let result = prepared
            .and_then(|()| {
                if are_synced {
                    Ok(())
                } else {
                    whole.file.sync_all()
                }
            })
            .and_then(|()| rename(&whole, on_exists));
        if result.is_ok()
            && !folders
                .iter()
                .any(|other| Arc::ptr_eq(other, &whole.folder))
        {
            folders.push(whole.folder);
        }
        let id = whole.id;
        placed.push(Placed { id, result });
    }
    for folder in folders {
        if let Err(error) = folder.sync() {
            // The files stand there; only a power cut could still undo that.
            tracing::warn!(%error, "the names in a folder may not be on the disk yet");
        }
    }
    placed
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
