//! What keeps a figure from being measured.

use std::fmt;
use std::io;

/// In a word, why there is no figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble(
    /// The word.
    pub String,
);

/// A figure, or why there is none.
pub type Outcome<T> = Result<T, Trouble>;

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trouble {}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<&str> for Trouble {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}
