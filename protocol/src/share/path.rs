//! Where a file goes beneath the receiver's folder (`WIRE.md` section 8.3).

use core::fmt;

use crate::Escaped;
use crate::escaped::hides;

/// A path that leads nowhere but beneath the folder that it is taken in, on any system: relative, parts between `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path<'a>(&'a str);

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("octet {index}: {flaw}")]
pub struct PathError {
    /// Where, in octets.
    pub index: usize,
    /// What.
    pub flaw: Flaw,
}

/// What no part of a path may be or hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// An empty part: nothing between two `/`, before the first (an absolute path) or after the last.
    #[error("an empty name (an absolute path, or a `/` too many)")]
    Empty,
    /// `.` or `..`.
    #[error("`.` and `..` are not names")]
    Dots,
    /// A control character, NUL and line ends among them.
    #[error("a control character")]
    Control,
    /// A character that is not seen, or turns the direction of text.
    #[error("a character that hides or turns others")]
    Hidden,
    /// `\`, which separates parts on some systems.
    #[error("a backslash, which separates names on some systems")]
    Backslash,
    /// A drive, as `C:`.
    #[error("a drive")]
    Drive,
    /// A name that means a device on some systems, as `NUL` and `com1.txt`.
    #[error("a name that means a device on some systems")]
    Device,
    /// A part that ends in a dot or a space, which some systems leave out.
    #[error("a name that ends in a dot or a space, which some systems leave out")]
    End,
    /// A part of more than 255 octets.
    #[error("a name of more than {max} octets", max = Path::MAX_NAME)]
    LongName,
    /// A path of more than 4,096 octets.
    #[error("a path of more than {max} octets", max = Path::MAX_LEN)]
    Long,
}

impl<'a> Path<'a> {
    /// The most octets of a path.
    pub const MAX_LEN: usize = 4096;

    /// The most octets of one of its names.
    pub const MAX_NAME: usize = 255;

    /// This path.
    ///
    /// # Errors
    /// It could lead somewhere else, or not be what it seems.
    ///
    /// ```
    /// use hii_protocol::share::{Flaw, Path};
    ///
    /// assert!(Path::new("photos/2026/a b.jpg").is_ok());
    /// assert_eq!(Path::new("photos/../../.ssh").unwrap_err().flaw, Flaw::Dots);
    /// assert_eq!(Path::new("/etc/passwd").unwrap_err().flaw, Flaw::Empty);
    /// ```
    pub fn new(path: &'a str) -> Result<Self, PathError> {
        if path.len() > Self::MAX_LEN {
            return Err(PathError {
                index: Self::MAX_LEN,
                flaw: Flaw::Long,
            });
        }
        let mut start = 0;
        for name in path.split('/') {
            check(name).map_err(|(within, flaw)| PathError {
                index: start + within,
                flaw,
            })?;
            start += name.len() + 1;
        }
        Ok(Self(path))
    }

    /// The path as it is.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Its names, from the folder down.
    pub fn names(self) -> impl DoubleEndedIterator<Item = &'a str> {
        self.0.split('/')
    }

    /// The path of the folder that it is in; none at the top.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent))
    }

    /// Whether it is beneath the other.
    #[must_use]
    pub fn is_beneath(self, other: Path<'_>) -> bool {
        let rest = self.0.strip_prefix(other.0);
        rest.is_some_and(|rest| rest.starts_with('/'))
    }
}

/// Shown so that it cannot act on a terminal.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(self.0.as_bytes()).fmt(f)
    }
}

fn check(name: &str) -> Result<(), (usize, Flaw)> {
    match name {
        "" => return Err((0, Flaw::Empty)),
        "." | ".." => return Err((0, Flaw::Dots)),
        _ => {}
    }
    if name.len() > Path::MAX_NAME {
        return Err((Path::MAX_NAME, Flaw::LongName));
    }
    let flawed = name.char_indices().find_map(|(index, c)| {
        let flaw = match c {
            '\\' => Flaw::Backslash,
            c if c.is_control() => Flaw::Control,
            c if hides(c) => Flaw::Hidden,
            _ => return None,
        };
        Some((index, flaw))
    });
    if let Some(flawed) = flawed {
        return Err(flawed);
    }
    if matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic()) {
        return Err((0, Flaw::Drive));
    }
    if name.ends_with(['.', ' ']) {
        return Err((name.len() - 1, Flaw::End));
    }
    if is_device(name) {
        return Err((0, Flaw::Device));
    }
    Ok(())
}

/// Whether a name, whatever its extension, means a device.
fn is_device(name: &str) -> bool {
    const PLAIN: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
    const NUMBERED: [&str; 2] = ["COM", "LPT"];

    let stem = name.split(['.', ':']).next().unwrap_or_default().trim_end();
    let is = |word: &str, text: &str| text.eq_ignore_ascii_case(word);
    PLAIN.iter().any(|word| is(word, stem))
        || NUMBERED.iter().any(|word| {
            let number = stem.get(word.len()..).unwrap_or_default();
            let is_number = matches!(
                number.chars().next(),
                Some('0'..='9' | '\u{b9}' | '\u{b2}' | '\u{b3}')
            );
            is_number
                && number.chars().count() == 1
                && stem.get(..word.len()).is_some_and(|start| is(word, start))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_that_are_the_same_everywhere() {
        for good in [
            "a",
            "a/b/c",
            "ä/日本 語.txt",
            "...a",
            ".hidden",
            "a..b",
            "12:30.log",
            "COM",
            "com10",
            "console",
            "nulls/x",
        ] {
            assert_eq!(Path::new(good).map(Path::as_str), Ok(good));
        }
        let name = "n".repeat(Path::MAX_NAME);
        assert!(Path::new(&name).is_ok());
    }

    #[test]
    fn rejects_what_leads_elsewhere_or_hides_itself() {
        for (bad, index, flaw) in [
            ("", 0, Flaw::Empty),
            ("/etc", 0, Flaw::Empty),
            ("a//b", 2, Flaw::Empty),
            ("a/", 2, Flaw::Empty),
            (".", 0, Flaw::Dots),
            ("a/../b", 2, Flaw::Dots),
            ("a\0b", 1, Flaw::Control),
            ("a/b\n", 3, Flaw::Control),
            ("\u{9b}", 0, Flaw::Control),
            ("a\u{202e}gpj.exe", 1, Flaw::Hidden),
            ("..\\b", 2, Flaw::Backslash),
            ("C:", 0, Flaw::Drive),
            ("a/c:x", 2, Flaw::Drive),
            ("a/nul", 2, Flaw::Device),
            ("Com1.txt", 0, Flaw::Device),
            ("lpt\u{b2}", 0, Flaw::Device),
            ("AUX .c", 0, Flaw::Device),
            ("nul:x", 0, Flaw::Device),
            ("a.", 1, Flaw::End),
            ("a /b", 1, Flaw::End),
        ] {
            assert_eq!(Path::new(bad), Err(PathError { index, flaw }), "{bad:?}");
        }
        let name = "n".repeat(Path::MAX_NAME + 1);
        assert_eq!(Path::new(&name).unwrap_err().flaw, Flaw::LongName);
        let long = "a/".repeat(Path::MAX_LEN);
        assert_eq!(Path::new(&long).unwrap_err().flaw, Flaw::Long);
    }

    #[test]
    fn knows_what_is_above_it() {
        let path = Path::new("a/b/c").unwrap();
        let parent = path.parent().unwrap();
        assert_eq!(parent.as_str(), "a/b");
        assert!(path.is_beneath(parent) && !parent.is_beneath(path) && !path.is_beneath(path));
        assert!(!Path::new("a/bc").unwrap().is_beneath(parent));
        assert_eq!(Path::new("a").unwrap().parent(), None);
    }
}
