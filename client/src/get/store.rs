//! The folder that files are received in.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use hii_protocol::share::{Digest, Id, Kind, ModifiedAt, Size};
use hii_transport::beneath::{Folder, FoundKind, withheld};
use hii_transport::boot::boot_id;

use super::finisher::{Finisher, Placed, Unsynced, Whole};
use super::manifest::{Manifest, Offered};
use super::names;
use super::part::{Part, is_resumable};
use super::plan::{Decision, OnExists, Refusal, decide, moment};

/// What its owner needs to do with a folder, so that more can come into it.
const USABLE: u16 = 0o700;

/// The folder, and what is being received.
#[derive(Debug)]
pub struct Store {
    root: Arc<Folder>,
    /// The name of the only file, where the user gave one.
    only: Option<String>,
    on_exists: OnExists,
    /// The folder that was used last.
    last: Option<(String, Arc<Folder>)>,
    boot: Option<[u8; 16]>,
    current: Option<(Part, bool)>,
    /// The folders that this run or an interrupted one has made; others stay as they are.
    made: Vec<Id>,
    /// The folders that these are in, until the disk has their names.
    unsynced: Unsynced,
    finisher: Finisher,
}

/// The paths that files are going to have.
type Taken<'a> = HashSet<Cow<'a, str>>;

/// What is to be done, and what it takes.
#[derive(Debug, Default)]
pub struct Plan {
    /// What is done about each entry, in their order; nothing about folders.
    pub decisions: Vec<Decision>,
    /// Octets that are still to come, as far as sizes are known.
    pub octets: u64,
}

/// Why something cannot be received in this folder.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}")]
pub struct StoreError {
    /// Where, safe to show.
    pub path: String,
    /// Why.
    pub error: io::Error,
}

/// Why nothing is planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A folder, safe to show, has the name of an unfinished file.
    #[error("{0}: {why}", why = Refusal::LeftOver)]
    LeftOver(String),
}

impl Store {
    /// Receives in this folder; the only file under this name.
    ///
    /// # Errors
    /// There is no room for a thread.
    pub fn new(root: Folder, only: Option<String>, on_exists: OnExists) -> io::Result<Self> {
        Ok(Self {
            root: Arc::new(root),
            only,
            on_exists,
            last: None,
            boot: boot_id(),
            current: None,
            made: Vec::new(),
            unsynced: Unsynced::default(),
            finisher: Finisher::start(on_exists)?,
        })
    }

    /// Looks what is there, and decides about each file. Nothing is written yet.
    ///
    /// # Errors
    /// A folder cannot be used, or has a name that is none for it.
    pub fn plan(&mut self, manifest: &Manifest) -> Result<Plan, PlanError> {
        let mut plan = Plan::default();
        let mut taken = Taken::new();
        if self.on_exists == OnExists::Rename {
            taken.extend(manifest.entries().map(|entry| Cow::Borrowed(entry.path)));
        }
        for entry in manifest.entries() {
            let decision = match entry.kind {
                Kind::Folder if names::is_left_over(entry.place().1) => {
                    return Err(PlanError::LeftOver(shown(&entry)));
                }
                Kind::Folder => Decision::Skip,
                Kind::File(_) => self.decide(&entry, &taken, &mut plan).map_err(at(&entry))?,
            };
            if let Decision::Receive {
                name: Some(name), ..
            } = &decision
            {
                taken.insert(beside(&entry, name).into());
            }
            plan.decisions.push(decision);
        }
        Ok(plan)
    }

    fn decide(
        &mut self,
        entry: &Offered<'_>,
        taken: &Taken<'_>,
        plan: &mut Plan,
    ) -> io::Result<Decision> {
        let folder = match self.folder_of(entry) {
            Ok(folder) => Some(folder),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let look = |name: &str| match &folder {
            Some(folder) => folder.look(name),
            None => Ok(None),
        };
        let name = self.name_of(entry);
        let size = entry.size();
        let is_taken = |name: &str| taken.contains(beside(entry, name).as_str());
        let decision = decide(name, size, entry.modified, self.on_exists, look, is_taken)?;
        match (&decision, size) {
            (Decision::Receive { name: other, .. }, Size::Known(octets)) => {
                let name = other.as_deref().unwrap_or(name);
                let there = if is_resumable(size) {
                    look(&names::part(name))?.map_or(0, |part| part.octets)
                } else {
                    0
                };
                let missing = octets.saturating_sub(there);
                plan.octets = plan.octets.saturating_add(missing);
            }
            // An interrupted run may have left its journal.
            (Decision::Present { name: other }, _) if is_resumable(size) => {
                let name = other.as_deref().unwrap_or(name);
                if let Some(folder) = &folder {
                    let _ = folder.remove(&names::journal(name));
                }
            }
            _ => {}
        }
        Ok(decision)
    }

    /// Octets that there is room for.
    ///
    /// # Errors
    /// The file system does not tell.
    pub fn free(&self) -> io::Result<u64> {
        self.root.free()
    }

    /// Makes the folders that are missing.
    ///
    /// # Errors
    /// One cannot be made, or something else has its name.
    pub fn make_folders(&mut self, manifest: &Manifest) -> Result<(), StoreError> {
        for entry in manifest.entries() {
            if entry.kind == Kind::Folder {
                self.make(&entry).map_err(at(&entry))?;
            }
        }
        Ok(())
    }

    fn make(&mut self, entry: &Offered<'_>) -> io::Result<()> {
        let (_, name) = entry.place();
        let folder = self.folder_of(entry)?;
        match folder.make(name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match folder.look(name)?.map(|found| found.kind) {
                    Some(FoundKind::Folder) if folder.has_unfinished(name)? => {}
                    Some(FoundKind::Folder) => return Ok(()),
                    _ => return Err(io::Error::other("something is there that is no folder")),
                }
            }
            Err(error) => return Err(error),
        }
        self.made.push(entry.id);
        let device = folder.look(name)?.map(|found| found.id.device);
        self.unsynced.add(device, folder);
        Ok(())
    }

    /// Gives the folders that were made their times and permissions, from the bottom up, since what comes into one changes
    /// it. One that nothing can come into then has to wait while files are missing, for the run that brings them.
    ///
    /// # Errors
    /// One cannot be changed.
    pub fn finish_folders(
        &mut self,
        manifest: &Manifest,
        is_complete: bool,
    ) -> Result<(), StoreError> {
        let folders = self.made.iter().rev();
        for entry in folders.filter_map(|id| manifest.get(*id)) {
            let mode = entry.mode.bits() & !withheld();
            if is_complete || mode & USABLE == USABLE {
                self.root
                    .beneath(entry.path)
                    .and_then(|folder| folder.set_attributes(mode, moment(entry.modified)))
                    .map_err(at(&entry))?;
            }
        }
        Ok(())
    }

    /// Opens what is there of a file, where it may be worth it.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn prepare(
        &mut self,
        entry: &Offered<'_>,
        decision: &Decision,
    ) -> Result<Option<Part>, StoreError> {
        if !is_resumable(entry.size()) {
            return Ok(None);
        }
        self.open(entry, decision).map(Some)
    }

    fn open(&mut self, entry: &Offered<'_>, decision: &Decision) -> Result<Part, StoreError> {
        let name = match decision {
            Decision::Receive {
                name: Some(name), ..
            } => name.to_string(),
            _ => self.name_of(entry).to_owned(),
        };
        self.folder_of(entry)
            .and_then(|folder| Part::open(&folder, &name, entry, self.boot))
            .map_err(at(entry))
    }

    /// A file begins after so many octets; what was prepared for it is used.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn begin(
        &mut self,
        entry: &Offered<'_>,
        decision: &Decision,
        prepared: Option<Part>,
        offset: u64,
    ) -> Result<(), StoreError> {
        let mut part = match prepared {
            Some(part) => part,
            None => self.open(entry, decision)?,
        };
        if offset == 0 && part.there().is_some() {
            part.start_anew().map_err(at(entry))?;
        }
        let replaces = matches!(decision, Decision::Receive { replaces: true, .. });
        self.current = Some((part, replaces));
        Ok(())
    }

    /// Takes octets of the file that has begun, if one has.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.current {
            Some((part, _)) => part.write(octets),
            None => Ok(()),
        }
    }

    /// The file has all its octets; whether they are the right ones. If so, it goes to its place.
    ///
    /// # Errors
    /// The thread that puts it there is gone.
    pub fn finish(&mut self, entry: &Offered<'_>, digest: Digest) -> io::Result<bool> {
        let Some((part, replaces)) = self.current.take() else {
            return Ok(false);
        };
        let complete = part.complete();
        if complete.digest != Some(digest) {
            complete.discard();
            return Ok(false);
        }
        let name = complete.name;
        self.finisher.place(Whole {
            id: entry.id,
            folder: complete.folder,
            file: complete.file,
            part: names::part(&name),
            journal: complete.has_journal.then(|| names::journal(&name)),
            name,
            replaces,
            mode: entry.mode,
            modified: modified(entry),
        })?;
        Ok(true)
    }

    /// Whether a file has begun and not ended.
    #[must_use]
    pub fn is_receiving(&self) -> bool {
        self.current.is_some()
    }

    /// The file does not go on. What is there is kept where a later run can go on with it.
    pub fn stop(&mut self, may_go_on: bool) {
        match self.current.take() {
            Some((part, _)) if may_go_on => part.keep(),
            Some((part, _)) => part.discard(),
            None => {}
        }
    }

    /// The next file that is in its place.
    pub async fn placed(&mut self) -> Option<Placed> {
        self.finisher.placed().await
    }

    /// Waits for all files that are verified to be in their places.
    ///
    /// # Errors
    /// There is no room for a new thread.
    pub fn settle(&mut self) -> io::Result<Vec<Placed>> {
        let finisher = Finisher::start(self.on_exists)?;
        let placed = std::mem::replace(&mut self.finisher, finisher).end();
        std::mem::take(&mut self.unsynced).sync();
        Ok(placed)
    }

    /// Whether a single file comes, under the name that the user gave.
    #[must_use]
    pub fn is_one_name(&self) -> bool {
        self.only.is_some()
    }

    /// The name that a file gets, when it is free.
    fn name_of<'a>(&'a self, entry: &Offered<'a>) -> &'a str {
        let (_, name) = entry.place();
        self.only.as_deref().unwrap_or(name)
    }

    /// The folder that an entry is in.
    fn folder_of(&mut self, entry: &Offered<'_>) -> io::Result<Arc<Folder>> {
        let (Some(path), _) = entry.place() else {
            return Ok(Arc::clone(&self.root));
        };
        if let Some((last, folder)) = &self.last
            && last == path
        {
            return Ok(Arc::clone(folder));
        }
        let folder = Arc::new(self.root.beneath(path)?);
        self.last = Some((path.to_owned(), Arc::clone(&folder)));
        Ok(folder)
    }
}

/// The first entry that the plan refuses, and how many others.
pub fn refused<'a>(
    manifest: &'a Manifest,
    plan: &'a Plan,
) -> impl Iterator<Item = (Id, &'a Decision)> {
    manifest
        .entries()
        .map(|entry| entry.id)
        .zip(&plan.decisions)
        .filter(|(_, decision)| matches!(decision, Decision::Refuse(_)))
}

/// When a file was changed last. A pipe tells no time: it is that of its arrival.
fn modified(entry: &Offered<'_>) -> ModifiedAt {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok();
    let arrival = now.and_then(|now| {
        let seconds = i64::try_from(now.as_secs()).ok()?;
        ModifiedAt::new(seconds, now.subsec_nanos())
    });
    match arrival {
        Some(arrival)
            if entry.size() == Size::Unknown && entry.modified == ModifiedAt::default() =>
        {
            arrival
        }
        _ => entry.modified,
    }
}

/// The path of another name in the same folder.
fn beside(entry: &Offered<'_>, name: &str) -> String {
    match entry.place() {
        (Some(folder), _) => format!("{folder}/{name}"),
        (None, _) => name.to_owned(),
    }
}

fn shown(entry: &Offered<'_>) -> String {
    hii_protocol::Escaped(entry.path.as_bytes()).to_string()
}

fn at(entry: &Offered<'_>) -> impl FnOnce(io::Error) -> StoreError {
    let path = shown(entry);
    |error| StoreError { path, error }
}

#[cfg(all(test, unix))]
#[path = "store_tests.rs"]
mod tests;
