//! What a sender offers, checked as it comes and kept in little memory: all of it is known before anything is written.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use hii_protocol::share::{Entry, Id, Kind, MAX_ENTRIES, MAX_PATHS, Mode, ModifiedAt, Path, Size};
use hii_protocol::{Escaped, share::Problem};

/// What is offered.
#[derive(Debug, Default)]
pub struct Manifest {
    items: Vec<Item>,
    /// All paths, one after the other.
    paths: String,
    /// The octets of all files whose size is known.
    octets: u64,
    /// Finds entries by path, while they come.
    index: HashTable<u32>,
    hashes: RandomState,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    kind: Kind,
    mode: Mode,
    modified: ModifiedAt,
    /// Where its path begins among all paths, and how long it is.
    start: u32,
    len: u16,
}

/// Something that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offered<'a> {
    /// Its number.
    pub id: Id,
    /// What it is.
    pub kind: Kind,
    /// Who may do what with it.
    pub mode: Mode,
    /// When it was changed last.
    pub modified: ModifiedAt,
    /// Where it goes: plain names that lead nowhere but down.
    pub path: &'a str,
}

/// What is wrong with what is offered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// An entry has not the number that follows.
    #[error("entry {wanted} is numbered {found}")]
    Number {
        /// What follows.
        wanted: u64,
        /// What came.
        found: u64,
    },
    /// There are too many entries.
    #[error("more than {MAX_ENTRIES} entries")]
    Entries,
    /// The paths are too long together.
    #[error("more than {MAX_PATHS} octets of paths")]
    Paths,
    /// The sizes do not add up to a number.
    #[error("more octets than there can be")]
    Octets,
    /// Two entries have the same path.
    #[error("two entries are \"{}\"", Escaped(.0.as_bytes()))]
    Twice(String),
    /// An entry comes without or before the folder that it is in.
    #[error("\"{}\" is offered before the folder that it is in", Escaped(.0.as_bytes()))]
    NoFolder(String),
    /// An entry is beneath a file.
    #[error("\"{}\" is beneath a file", Escaped(.0.as_bytes()))]
    BeneathFile(String),
    /// The sender counts otherwise.
    #[error(
        "the sender says that it offers {entries} entries with {octets} octets, which is not what it offered"
    )]
    Count {
        /// Entries, as it says.
        entries: u64,
        /// Octets, as it says.
        octets: u64,
    },
}

impl ManifestError {
    /// What the sender is told.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Entries | Self::Paths | Self::Octets => Problem::Limit,
            _ => Problem::Frame,
        }
    }
}

impl Manifest {
    /// Takes the next entry.
    ///
    /// # Errors
    /// It does not go with those before, or is one too many.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), ManifestError> {
        let wanted = self.len() + 1;
        if entry.id.get() != wanted {
            let found = entry.id.get();
            return Err(ManifestError::Number { wanted, found });
        }
        if wanted > MAX_ENTRIES {
            return Err(ManifestError::Entries);
        }
        let path = entry.path.as_str();
        if (self.paths.len() + path.len()) as u64 > MAX_PATHS {
            return Err(ManifestError::Paths);
        }
        if let Some(folder) = entry.path.parent() {
            match self.find(folder).map(|item| item.kind) {
                Some(Kind::Folder) => {}
                Some(Kind::File(_)) => return Err(ManifestError::BeneathFile(path.into())),
                None => return Err(ManifestError::NoFolder(path.into())),
            }
        }
        if self.find(entry.path).is_some() {
            return Err(ManifestError::Twice(path.into()));
        }
        if let Kind::File(Size::Known(octets)) = entry.kind {
            let sum = self.octets.checked_add(octets);
            self.octets = sum.ok_or(ManifestError::Octets)?;
        }
        self.keep(entry)
    }

    fn keep(&mut self, entry: &Entry<'_>) -> Result<(), ManifestError> {
        let path = entry.path.as_str();
        // The limits are far below what these hold.
        let place = u32::try_from(self.items.len()).map_err(|_| ManifestError::Entries)?;
        let start = u32::try_from(self.paths.len()).map_err(|_| ManifestError::Paths)?;
        let len = u16::try_from(path.len()).map_err(|_| ManifestError::Paths)?;
        self.paths.push_str(path);
        self.items.push(Item {
            kind: entry.kind,
            mode: entry.mode,
            modified: entry.modified,
            start,
            len,
        });
        let Self {
            items,
            paths,
            index,
            hashes,
            ..
        } = self;
        index.insert_unique(hashes.hash_one(path), place, |other| {
            hashes.hash_one(path_of(items, paths, *other as usize))
        });
        Ok(())
    }

    /// Everything has come, as the sender counts it.
    ///
    /// # Errors
    /// It counts otherwise.
    pub fn end(&mut self, entries: u64, octets: u64) -> Result<(), ManifestError> {
        if (entries, octets) != (self.len(), self.octets) {
            return Err(ManifestError::Count { entries, octets });
        }
        self.index = HashTable::new();
        Ok(())
    }

    fn find(&self, path: Path<'_>) -> Option<&Item> {
        let path = path.as_str();
        let is_it = |place: &u32| path_of(&self.items, &self.paths, *place as usize) == path;
        let place = self.index.find(self.hashes.hash_one(path), is_it)?;
        self.items.get(*place as usize)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.items.len() as u64
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The octets of all files whose size is known.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// An entry.
    #[must_use]
    pub fn get(&self, id: Id) -> Option<Offered<'_>> {
        let place = usize::try_from(id.get() - 1).ok()?;
        let item = self.items.get(place)?;
        Some(Offered {
            id,
            kind: item.kind,
            mode: item.mode,
            modified: item.modified,
            path: path_of(&self.items, &self.paths, place),
        })
    }

    /// All entries, a folder before what is in it.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = Offered<'_>> {
        (1..=self.len()).filter_map(|number| self.get(Id::new(number)?))
    }

    /// The files.
    pub fn files(&self) -> impl Iterator<Item = Offered<'_>> {
        self.entries().filter(|entry| entry.kind != Kind::Folder)
    }

    /// The only entry, if it is a file.
    #[must_use]
    pub fn single_file(&self) -> Option<Offered<'_>> {
        let first = self.get(Id::FIRST)?;
        (self.len() == 1 && first.kind != Kind::Folder).then_some(first)
    }
}

fn path_of<'a>(items: &[Item], paths: &'a str, place: usize) -> &'a str {
    let item = items.get(place);
    let path = item.and_then(|item| {
        let start = item.start as usize;
        paths.get(start..start + usize::from(item.len))
    });
    path.unwrap_or_default()
}

impl<'a> Offered<'a> {
    /// The path of the folder that it is in, none at the top, and its name there.
    #[must_use]
    pub fn place(&self) -> (Option<&'a str>, &'a str) {
        match self.path.rsplit_once('/') {
            Some((folder, name)) => (Some(folder), name),
            None => (None, self.path),
        }
    }

    /// Its octets, as far as they are known.
    #[must_use]
    pub fn size(&self) -> Size {
        match self.kind {
            Kind::File(size) => size,
            Kind::Folder => Size::Known(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use proptest::prelude::*;

    const FILE: Kind = Kind::File(Size::Known(5));

    fn entry(number: u64, kind: Kind, path: &str) -> Entry<'_> {
        Entry {
            id: Id::new(number).unwrap(),
            kind,
            mode: Mode::new(0o644),
            modified: ModifiedAt::new(1, 2).unwrap(),
            path: Path::new(path).unwrap(),
        }
    }

    fn manifest(entries: &[(Kind, &str)]) -> Result<Manifest, ManifestError> {
        let mut manifest = Manifest::default();
        for (number, (kind, path)) in (1..).zip(entries) {
            manifest.add(&entry(number, *kind, path))?;
        }
        Ok(manifest)
    }

    #[test]
    fn accepts_folders_before_what_is_in_them() {
        let mut all = manifest(&[
            (Kind::Folder, "a"),
            (Kind::Folder, "a/b"),
            (FILE, "a/b/c"),
            (Kind::File(Size::Unknown), "a/bc"),
            (FILE, "z"),
        ])
        .unwrap();
        assert_eq!(all.end(5, 10), Ok(()));
        let paths: Vec<_> = all.entries().map(|entry| entry.path).collect();
        assert_eq!(paths, ["a", "a/b", "a/b/c", "a/bc", "z"]);
        assert_eq!(all.files().count(), 3);
        let third = all.get(Id::new(3).unwrap()).unwrap();
        assert_eq!(third.place(), (Some("a/b"), "c"));
        assert_eq!(all.get(Id::new(6).unwrap()), None);
        assert_eq!(all.single_file(), None);
        let single = manifest(&[(FILE, "x")]).unwrap();
        assert_eq!(single.single_file().unwrap().place(), (None, "x"));
        assert_eq!(
            manifest(&[(Kind::Folder, "x")]).unwrap().single_file(),
            None
        );
    }

    #[test]
    fn rejects_what_does_not_go_together() {
        use ManifestError::{BeneathFile, NoFolder, Twice};
        let error = |entries: &[(Kind, &str)]| manifest(entries).unwrap_err();
        assert_eq!(error(&[(FILE, "a"), (FILE, "a")]), Twice("a".into()));
        assert_eq!(
            error(&[(FILE, "a"), (Kind::Folder, "a")]),
            Twice("a".into())
        );
        assert_eq!(
            error(&[(FILE, "a"), (FILE, "a/b")]),
            BeneathFile("a/b".into())
        );
        assert_eq!(
            error(&[(FILE, "a/b"), (Kind::Folder, "a")]),
            NoFolder("a/b".into())
        );
        assert_eq!(
            error(&[(Kind::Folder, "a"), (FILE, "a/b/c")]),
            NoFolder("a/b/c".into())
        );
    }

    #[test]
    fn rejects_numbers_with_gaps_and_a_wrong_count() {
        let mut manifest = Manifest::default();
        let error = manifest.add(&entry(2, FILE, "a")).unwrap_err();
        assert_eq!(
            error,
            ManifestError::Number {
                wanted: 1,
                found: 2
            }
        );
        manifest.add(&entry(1, FILE, "a")).unwrap();
        assert!(manifest.add(&entry(1, FILE, "b")).is_err());
        for (entries, octets) in [(0, 5), (2, 5), (1, 4), (1, 6)] {
            let error = ManifestError::Count { entries, octets };
            assert_eq!(manifest.end(entries, octets), Err(error));
        }
        assert_eq!(manifest.end(1, 5), Ok(()));
    }

    #[test]
    fn rejects_more_than_a_receiver_takes() {
        let mut all = Manifest::default();
        let names: Vec<_> = (0..=MAX_ENTRIES).map(|number| number.to_string()).collect();
        for (number, name) in (1..=MAX_ENTRIES).zip(&names) {
            all.add(&entry(number, FILE, name)).unwrap();
        }
        let error = all.add(&entry(MAX_ENTRIES + 1, FILE, "more")).unwrap_err();
        assert_eq!(error, ManifestError::Entries);
        assert_eq!(error.problem(), Problem::Limit);

        let huge = Kind::File(Size::Known(u64::MAX));
        let error = manifest(&[(huge, "a"), (FILE, "b")]).unwrap_err();
        assert_eq!(error, ManifestError::Octets);

        let mut long = Manifest::default();
        let folder = vec!["n".repeat(255); 14].join("/");
        let mut number = 0;
        for (place, _) in folder.match_indices('/').chain([(folder.len(), "")]) {
            number += 1;
            let entry = entry(number, Kind::Folder, &folder[..place]);
            long.add(&entry).unwrap();
        }
        let error = loop {
            number += 1;
            let path = format!("{folder}/{number:0200}");
            if let Err(error) = long.add(&entry(number, FILE, &path)) {
                break error;
            }
        };
        assert_eq!(error, ManifestError::Paths);
        assert!(long.paths.len() as u64 <= MAX_PATHS);
    }

    proptest! {
        /// Few names, so that they meet; judged by the rules as they are written.
        #[test]
        fn takes_exactly_what_the_rules_allow(
            entries in prop::collection::vec((any::<bool>(), "[ab](/[ab]){0,2}"), 0..12)
        ) {
            let mut known = HashMap::new();
            let is_right = entries.iter().all(|(is_folder, path)| {
                let mut folders = path.match_indices('/').map(|(end, _)| &path[..end]);
                let stands = folders.all(|folder| known.get(folder) == Some(&true));
                stands && known.insert(path.clone(), *is_folder).is_none()
            });
            let offered: Vec<_> = entries
                .iter()
                .map(|(is_folder, path)| (if *is_folder { Kind::Folder } else { FILE }, path.as_str()))
                .collect();
            prop_assert_eq!(manifest(&offered).is_ok(), is_right);
        }
    }
}
