//! Why something could not be shared (`WIRE.md` section 8.5).

use core::fmt;

use crate::Rule;
use crate::grammar::{Parsed, fault};

/// Defines [`Problem`] from one table: variant, word on the wire, meaning.
macro_rules! problems {
    ($($variant:ident, $word:literal, $meaning:literal;)*) => {
        /// Why something could not be shared.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Problem {
            $(#[doc = concat!("`", $word, "`: ", $meaning, ".")] $variant,)*
        }

        impl Problem {
            /// Every problem.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word on the wire.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What it means, for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

problems! {
    Version,    "version",    "the other side does not speak this version";
    Frame,      "frame",      "a frame that is malformed, or not expected there";
    Limit,      "limit",      "more than the other side takes";
    Busy,       "busy",       "the sender has as many receivers as it wants";
    Unreadable, "unreadable", "the file cannot be read";
    Changed,    "changed",    "the file changed since it was offered";
    Unknown,    "unknown",    "there is no such entry";
    Storage,    "storage",    "the receiver cannot write";
    Stopping,   "stopping",   "the other side is stopping";
}

/// `problem`
pub(super) fn problem(input: &[u8]) -> Parsed<'_, Problem> {
    let word = input
        .split(|octet| *octet == b' ')
        .next()
        .unwrap_or_default();
    let found = Problem::ALL
        .iter()
        .find(|problem| problem.word().as_bytes() == word);
    match (found, input.get(word.len()..)) {
        (Some(problem), Some(rest)) => Ok((rest, *problem)),
        _ => fault(Rule::Problem, input),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning())
    }
}
