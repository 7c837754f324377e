//! Where the key comes from: a file, the environment, or the system's randomness. Never the command line, which others on
//! this host can see.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::path::Path;

use hii_protocol::share::Key;
use hii_transport::reading::mode;
use rand::TryRng as _;

use super::offer::shown;
use crate::exit::{Exit, Failure};

/// The environment variable that may hold the key.
pub const VARIABLE: &str = "HII_KEY";

/// The most octets of a file that are looked at: a key has 26 characters, and maybe blanks around.
const LONGEST: u64 = 1024;

/// How to make a file with a key.
const MAKE: &str = "make one: hii-server key FILE, or let this program draw one";

/// A key, and what the user has to be told about it.
#[derive(Debug)]
pub struct Given {
    /// The key.
    pub key: Key,
    /// Whether it was drawn here.
    pub is_new: bool,
    /// Whether others on this host can read the file that it is in.
    pub is_open: bool,
}

impl Given {
    /// The key of this file; or else of the environment; or else a new one.
    ///
    /// # Errors
    /// There is no key where one is said to be, or no randomness.
    pub fn find(file: Option<&Path>) -> Result<Self, Failure> {
        let (is_new, is_open) = (false, false);
        if let Some(path) = file {
            let (key, is_open) = read(path)?;
            return Ok(Self {
                key,
                is_new,
                is_open,
            });
        }
        let (key, is_new) = match std::env::var_os(VARIABLE) {
            // One that is set and empty is a mistake, not the wish for a new key.
            Some(text) => (parse(&text.to_string_lossy(), VARIABLE)?, false),
            None => (draw()?, true),
        };
        Ok(Self {
            key,
            is_new,
            is_open,
        })
    }
}

/// The key in a file, and whether others on this host can read it.
fn read(path: &Path) -> Result<(Key, bool), Failure> {
    let shown = shown(path);
    let mut text = String::new();
    let read = File::open(path).and_then(|file| {
        let metadata = file.metadata()?;
        file.take(LONGEST).read_to_string(&mut text)?;
        Ok(is_open(&metadata))
    });
    let is_open = read.map_err(|error| {
        let what = format!("cannot read the key from {shown}: {error}");
        Failure::new(Exit::Output, what, MAKE)
    })?;
    // What stands after the first line is not looked at, as in the client.
    Ok((
        parse(text.lines().next().unwrap_or_default(), &shown)?,
        is_open,
    ))
}

/// Whether it is a file that others on this host can read.
pub(super) fn is_open(metadata: &Metadata) -> bool {
    cfg!(unix) && metadata.is_file() && mode(metadata) & 0o044 != 0
}

/// Whether this output is a file that others on this host can read.
#[cfg(unix)]
pub(super) fn is_readable_by_others(output: impl std::os::fd::AsFd) -> bool {
    let file = output.as_fd().try_clone_to_owned().map(File::from);
    let metadata = file.and_then(|file| file.metadata());
    metadata.is_ok_and(|metadata| is_open(&metadata))
}

/// Who can read a file there is not in its mode.
#[cfg(not(unix))]
pub(super) fn is_readable_by_others<T>(_output: T) -> bool {
    false
}

/// What it says is not shown: it may be nearly the key.
fn parse(text: &str, origin: &str) -> Result<Key, Failure> {
    text.parse().map_err(|error| {
        let what = format!("there is no key in {origin}: {error}");
        Failure::new(Exit::Usage, what, MAKE)
    })
}

/// A new key.
///
/// # Errors
/// The system gives no random numbers.
pub(super) fn draw() -> Result<Key, Failure> {
    let mut octets = [0; 16];
    rand::rngs::SysRng
        .try_fill_bytes(&mut octets)
        .map_err(|error| {
            Failure::new(
                Exit::Unreachable,
                format_args!("the system gives no random numbers: {error}"),
                "without them a key would keep nobody out; see to /dev/urandom",
            )
        })?;
    Ok(Key::new(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "MZXW6YTBOJTG633CMFZGM33PMI";

    #[test]
    fn the_first_line_of_a_file_is_the_key_whatever_follows() {
        let path = std::env::temp_dir().join(format!("hii-share-key-{}", std::process::id()));
        for after in ["", "\n", "\r\n", "\n\n \n\n", "\nmore\n"] {
            std::fs::write(&path, format!("{TEXT}{after}")).unwrap();
            assert_eq!(read(&path).unwrap().0.to_string(), TEXT, "{after:?}");
        }
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(read(&path).unwrap_err().exit(), Exit::Usage);
        std::fs::remove_file(&path).unwrap();
    }
}
