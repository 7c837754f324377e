//! The share service: a sender offers files, a receiver takes what it lacks (`WIRE.md` section 8).
//!
//! These frames go through an encrypted channel, one in each of its messages.
//!
//! ```
//! use hii_protocol::share::{Answer, Digest, Id, Request, Start};
//!
//! let id = Id::new(7).ok_or("from 1")?;
//! let want = Request::Want { id, start: Start::After { offset: 3.try_into()?, digest: Digest([0xab; 32]) } };
//! let octets = want.to_vec();
//! assert!(octets.starts_with(b"want 7 3 abab"));
//! assert_eq!(Request::decode(&octets)?, want);
//!
//! assert_eq!(Answer::decode(b"file 7 3")?, Answer::File { id, offset: 3 });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::num::NonZeroU64;

mod answer;
mod digest;
mod entry;
mod key;
mod page;
mod path;
mod problem;
mod request;
mod text;

pub use answer::Answer;
#[cfg(feature = "alloc")]
pub use answer::{AnswerBuf, DataBuf};
pub use digest::Digest;
pub use entry::{Entry, Id, Kind, Mode, ModifiedAt, Size};
pub use key::{Key, KeyError};
pub use page::{Entries, Page};
#[cfg(feature = "alloc")]
pub use page::{PageBuf, PageBuilder};
pub use path::{Flaw, Path, PathError};
pub use problem::Problem;
#[cfg(feature = "alloc")]
pub use request::RequestBuf;
pub use request::{Request, Start};
#[cfg(feature = "alloc")]
pub use text::TextBuf;
pub use text::{Data, DataLength, Text, TextTooLong};

/// The version of these frames.
pub const VERSION: NonZeroU64 = NonZeroU64::MIN;

/// What both sides mix into the handshake, so that it fails with a side that means something else.
pub const PROLOGUE: &[u8] = b"hii share 1";

/// The most entries that a receiver takes.
pub const MAX_ENTRIES: u64 = 1_000_000;

/// The most octets of paths, of all entries together, that a receiver takes.
pub const MAX_PATHS: u64 = 64 * 1024 * 1024;
