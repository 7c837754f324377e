//! What takes the octets: a folder, or standard output.

use std::io::{self, Write as _};

use hii_protocol::share::{Digest, Id};
use hii_server::exit::{Exit, Failure};

use super::finisher::Placed;
use super::manifest::{Manifest, Offered};
use super::part::Part;
use super::plan::{Decision, OnExists, Refusal};
use super::progress::human;
use super::store::{Plan, PlanError, Store, StoreError, refused};

/// Files in the way that are named.
const NAMED: usize = 5;

/// What takes the octets.
#[derive(Debug)]
pub enum Output {
    /// A folder.
    Folder(Box<Store>),
    /// Standard output, and the hash of what went there.
    Stdout(Box<blake3::Hasher>),
}

/// What a whole file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// Right, and where it belongs.
    InPlace,
    /// Right, and on its way to its place.
    Placing,
    /// Not what was sent.
    Wrong,
    /// Nothing was taken of it.
    Nothing,
}

impl Output {
    /// Decides about all files, and makes their folders, when there is room and nothing in the way.
    ///
    /// # Errors
    /// There is no room, or something in the way.
    pub fn plan(&mut self, manifest: &Manifest, on_exists: OnExists) -> Result<Plan, Failure> {
        let store = match self {
            Self::Folder(store) => store,
            Self::Stdout(_) => {
                return Ok(Plan {
                    decisions: manifest.entries().map(|_| Decision::RECEIVE).collect(),
                    octets: manifest.octets(),
                });
            }
        };
        let plan = store.plan(manifest).map_err(|error| match error {
            PlanError::Store(error) => in_the_way(error),
            PlanError::LeftOver(_) => Failure::new(
                Exit::Output,
                format_args!("cannot use {error}"),
                "have it renamed on the sender's side; nothing was written",
            ),
        })?;
        if on_exists == OnExists::Fail {
            nothing_is_there(manifest, &plan)?;
        }
        if let Ok(free) = store.free()
            && free < plan.octets
        {
            return Err(Failure::new(
                Exit::Output,
                format_args!(
                    "{} are to come, and there is room for {}",
                    human(plan.octets),
                    human(free)
                ),
                "free some space, or give another folder with -o",
            ));
        }
        store.make_folders(manifest).map_err(in_the_way)?;
        Ok(plan)
    }

    /// Opens what is there of a file.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn prepare(
        &mut self,
        entry: &Offered<'_>,
        decision: &Decision,
    ) -> Result<Option<Part>, StoreError> {
        match self {
            Self::Folder(store) => store.prepare(entry, decision),
            Self::Stdout(_) => Ok(None),
        }
    }

    /// A file begins.
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
        match self {
            Self::Folder(store) => store.begin(entry, decision, prepared, offset),
            Self::Stdout(_) => Ok(()),
        }
    }

    /// Takes octets of the file that has begun.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Folder(store) => store.write(octets),
            Self::Stdout(hasher) => {
                hasher.update(octets);
                io::stdout().write_all(octets)
            }
        }
    }

    /// The file has all its octets.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn finish(&mut self, entry: &Offered<'_>, digest: Digest) -> io::Result<Verified> {
        match self {
            Self::Folder(store) if !store.is_receiving() => Ok(Verified::Nothing),
            Self::Folder(store) => Ok(if store.finish(entry, digest)? {
                Verified::Placing
            } else {
                Verified::Wrong
            }),
            Self::Stdout(hasher) => {
                io::stdout().flush()?;
                Ok(if Digest(hasher.finalize().into()) == digest {
                    Verified::InPlace
                } else {
                    Verified::Wrong
                })
            }
        }
    }

    /// The file does not go on.
    pub fn stop(&mut self, may_go_on: bool) {
        if let Self::Folder(store) = self {
            store.stop(may_go_on);
        }
    }

    /// The next file that is in its place.
    pub async fn placed(&mut self) -> Placed {
        if let Self::Folder(store) = self
            && let Some(placed) = store.placed().await
        {
            return placed;
        }
        std::future::pending().await
    }

    /// Waits for all files that are verified to be in their places.
    ///
    /// # Errors
    /// There is no room for a new thread.
    pub fn settle(&mut self) -> io::Result<Vec<Placed>> {
        match self {
            Self::Folder(store) => store.settle(),
            Self::Stdout(_) => Ok(Vec::new()),
        }
    }

    /// No more files come, and all are there or some are not: gives the folders that were made their times.
    ///
    /// # Errors
    /// One cannot be changed.
    pub fn finish_folders(
        &mut self,
        manifest: &Manifest,
        is_complete: bool,
    ) -> Result<(), StoreError> {
        match self {
            Self::Folder(store) => store.finish_folders(manifest, is_complete),
            Self::Stdout(_) => Ok(()),
        }
    }

    /// Whether a single file comes, under the name that the user gave.
    #[must_use]
    pub fn is_one_name(&self) -> bool {
        matches!(self, Self::Folder(store) if store.is_one_name())
    }

    /// Whether a later run goes on where this one stopped.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        matches!(self, Self::Folder(_))
    }
}

/// Refuses to begin where other files are in the way.
fn nothing_is_there(manifest: &Manifest, plan: &Plan) -> Result<(), Failure> {
    let path = |(id, decision): (Id, &Decision)| {
        let is_other = *decision == Decision::Refuse(Refusal::LeftOver);
        let entry = manifest.get(id).filter(|_| !is_other)?;
        Some(hii_protocol::Escaped(entry.path.as_bytes()).to_string())
    };
    let in_the_way: Vec<_> = refused(manifest, plan).filter_map(path).collect();
    if in_the_way.is_empty() {
        return Ok(());
    }
    let named = in_the_way.get(..NAMED).unwrap_or(&in_the_way).join(", ");
    let others = match in_the_way.len().saturating_sub(NAMED) {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    Err(Failure::new(
        Exit::Output,
        format_args!("other files are there under these names: {named}{others}"),
        "give another folder with -o, or --on-exists rename, overwrite or skip",
    ))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is handed over by map_err"
)]
fn in_the_way(error: StoreError) -> Failure {
    let advice = match error.error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "give a folder with -o that you may write to"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space, or give another folder with -o"
        }
        _ => "move away what is there (links are not followed), or give another folder with -o",
    };
    Failure::new(Exit::Output, format_args!("cannot use {error}"), advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file system may refuse a name, and the sender's side can hardly know.
    #[test]
    fn only_what_is_left_over_has_to_be_renamed_by_the_sender() {
        let failure = in_the_way(StoreError {
            path: "a:b".into(),
            error: io::ErrorKind::InvalidInput.into(),
        });
        assert!(!failure.advice().contains("nothing was written"));
    }
}
