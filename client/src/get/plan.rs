//! What is wanted of what is offered, and what happens where something has a file's name already.

use std::io;

use hii_protocol::share::{ModifiedAt, Size};
use hii_transport::beneath::{Found, FoundKind, Moment};

use super::names;

/// Names that are tried before giving up.
const MOST_NAMES: u32 = 10_000;

/// What is done where another file has the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum OnExists {
    /// Nothing is received
    #[default]
    Fail,
    /// The file gets a number: `name (1).txt`
    Rename,
    /// The file takes its place, once it is whole
    Overwrite,
    /// The file is not received
    Skip,
}

/// What is done about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is received, under a name.
    Receive {
        /// Where it is not its own.
        name: Option<Box<str>>,
        /// Whether it takes the place of another one.
        replaces: bool,
    },
    /// It is there: a file of this name has its size and time.
    Present {
        /// The name, where it is not its own.
        name: Option<Box<str>>,
    },
    /// It is not wanted.
    Skip,
    /// It cannot be received.
    Refuse(Refusal),
}

/// Why a file cannot be received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another file is there.
    #[error("another file is there")]
    Exists,
    /// A folder or something else is there.
    #[error("something is there that is no file")]
    NoFile,
    /// Its name is that of an unfinished file.
    #[error("its name is that of an unfinished file of `hii get`")]
    LeftOver,
}

impl Decision {
    /// It is received under its own name, which is free.
    pub const RECEIVE: Self = Self::Receive {
        name: None,
        replaces: false,
    };
}

/// Decides about a file. `look` tells what has a name, and `is_taken` whether another file is going to have it.
///
/// # Errors
/// Those of `look`.
pub fn decide(
    name: &str,
    size: Size,
    modified: ModifiedAt,
    on_exists: OnExists,
    mut look: impl FnMut(&str) -> io::Result<Option<Found>>,
    is_taken: impl Fn(&str) -> bool,
) -> io::Result<Decision> {
    if names::is_left_over(name) {
        return Ok(Decision::Refuse(Refusal::LeftOver));
    }
    let is_same = |found: &Found| {
        found.kind == FoundKind::File
            && Size::Known(found.octets) == size
            && found.modified == moment(modified)
    };
    let Some(found) = look(name)? else {
        return Ok(Decision::RECEIVE);
    };
    if is_same(&found) {
        return Ok(Decision::Present { name: None });
    }
    match on_exists {
        OnExists::Fail if found.kind == FoundKind::File => Ok(Decision::Refuse(Refusal::Exists)),
        OnExists::Skip => Ok(Decision::Skip),
        OnExists::Overwrite if found.kind != FoundKind::Folder => Ok(Decision::Receive {
            name: None,
            replaces: true,
        }),
        OnExists::Fail | OnExists::Overwrite => Ok(Decision::Refuse(Refusal::NoFile)),
        OnExists::Rename => {
            for number in 1..MOST_NAMES {
                let other = names::numbered(name, number);
                if is_taken(&other) {
                    continue;
                }
                match look(&other)? {
                    None => {
                        return Ok(Decision::Receive {
                            name: Some(other.into()),
                            replaces: false,
                        });
                    }
                    // What an earlier run has received.
                    Some(found) if is_same(&found) => {
                        let name = Some(other.into());
                        return Ok(Decision::Present { name });
                    }
                    Some(_) => {}
                }
            }
            Ok(Decision::Refuse(Refusal::Exists))
        }
    }
}

/// The time of a file, as file systems keep it.
#[must_use]
pub fn moment(modified: ModifiedAt) -> Moment {
    Moment {
        seconds: modified.seconds(),
        nanos: modified.nanos(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hii_transport::beneath::FileId;

    const SIZE: Size = Size::Known(5);

    fn time() -> ModifiedAt {
        ModifiedAt::new(7, 8).unwrap()
    }

    fn found(kind: FoundKind, octets: u64, nanos: u32) -> Found {
        Found {
            kind,
            octets,
            modified: Moment { seconds: 7, nanos },
            id: FileId::default(),
        }
    }

    /// What is decided about `a.b` where these are there.
    fn decided(on_exists: OnExists, there: &[(&str, Found)]) -> Decision {
        let look = |name: &str| {
            let found = there.iter().find(|(there, _)| *there == name);
            Ok(found.map(|(_, found)| *found))
        };
        let is_taken = |name: &str| name == "a (3).b";
        decide("a.b", SIZE, time(), on_exists, look, is_taken).unwrap()
    }

    const ALL: [OnExists; 4] = [
        OnExists::Fail,
        OnExists::Rename,
        OnExists::Overwrite,
        OnExists::Skip,
    ];

    #[test]
    fn a_free_name_is_received_and_the_same_file_is_not_received_again() {
        let same = found(FoundKind::File, 5, 8);
        for on_exists in ALL {
            assert_eq!(decided(on_exists, &[]), Decision::RECEIVE);
            assert_eq!(
                decided(on_exists, &[("a.b", same)]),
                Decision::Present { name: None }
            );
        }
    }

    #[test]
    fn another_file_is_what_the_user_says() {
        for other in [found(FoundKind::File, 4, 8), found(FoundKind::File, 5, 9)] {
            let decided = |on_exists| decided(on_exists, &[("a.b", other)]);
            assert_eq!(decided(OnExists::Fail), Decision::Refuse(Refusal::Exists));
            assert_eq!(decided(OnExists::Skip), Decision::Skip);
            let overwrite = Decision::Receive {
                name: None,
                replaces: true,
            };
            assert_eq!(decided(OnExists::Overwrite), overwrite);
            let rename = Decision::Receive {
                name: Some("a (1).b".into()),
                replaces: false,
            };
            assert_eq!(decided(OnExists::Rename), rename);
        }
    }

    #[test]
    fn a_number_is_the_first_that_is_free_or_has_the_file() {
        let (other, same) = (found(FoundKind::File, 4, 8), found(FoundKind::File, 5, 8));
        let both = [("a.b", other), ("a (1).b", other)];
        let Decision::Receive { name, .. } = decided(OnExists::Rename, &both) else {
            panic!("it is received");
        };
        assert_eq!(name.as_deref(), Some("a (2).b"));
        let there = [("a.b", other), ("a (1).b", same)];
        assert_eq!(
            decided(OnExists::Rename, &there),
            Decision::Present {
                name: Some("a (1).b".into())
            }
        );
    }

    #[test]
    fn a_number_that_another_file_is_going_to_have_is_left_to_it() {
        let (other, same) = (found(FoundKind::File, 4, 8), found(FoundKind::File, 5, 8));
        let there = [
            ("a.b", other),
            ("a (1).b", other),
            ("a (2).b", other),
            ("a (3).b", same),
        ];
        let Decision::Receive { name, .. } = decided(OnExists::Rename, &there) else {
            panic!("it is received");
        };
        assert_eq!(name.as_deref(), Some("a (4).b"));
    }

    #[test]
    fn no_file_takes_the_place_of_a_folder() {
        let folder = [("a.b", found(FoundKind::Folder, 5, 8))];
        let refused = Decision::Refuse(Refusal::NoFile);
        assert_eq!(decided(OnExists::Fail, &folder), refused);
        assert_eq!(decided(OnExists::Overwrite, &folder), refused);
        let link = [("a.b", found(FoundKind::Other, 5, 8))];
        assert_eq!(decided(OnExists::Fail, &link), refused);
        assert!(matches!(
            decided(OnExists::Overwrite, &link),
            Decision::Receive { replaces: true, .. }
        ));
    }

    #[test]
    fn unfinished_files_are_not_received_as_such() {
        let name = names::part("a");
        let decision = decide(
            &name,
            SIZE,
            time(),
            OnExists::Overwrite,
            |_| Ok(None),
            |_| false,
        );
        assert_eq!(decision.unwrap(), Decision::Refuse(Refusal::LeftOver));
    }
}
