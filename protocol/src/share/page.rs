//! What a sender offers, a page at a time (`WIRE.md` section 8.3).

use crate::Rule;
use crate::encode::Sink;
use crate::grammar::{Parsed, fault};
use crate::share::Entry;
use crate::share::entry::entry;

/// Entries, one to a line. Every line has been read once: iterating cannot fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Page<'a>(&'a [u8]);

/// The entries of a [`Page`].
#[derive(Debug, Clone)]
pub struct Entries<'a>(&'a [u8]);

impl<'a> Page<'a> {
    /// Its entries.
    #[must_use]
    pub const fn entries(self) -> Entries<'a> {
        Entries(self.0)
    }

    pub(super) fn emit(self, sink: &mut impl Sink) {
        sink.put(self.0);
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (rest, next) = entry(self.0).ok()?;
        self.0 = rest;
        Some(next)
    }
}

impl<'a> IntoIterator for Page<'a> {
    type Item = Entry<'a>;
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        self.entries()
    }
}

/// `page = 1*entry`, to the end of the frame
pub(super) fn page(input: &[u8]) -> Parsed<'_, Page<'_>> {
    if input.is_empty() {
        return fault(Rule::Entry, input);
    }
    let mut rest = input;
    while !rest.is_empty() {
        (rest, _) = entry(rest)?;
    }
    Ok((rest, Page(input)))
}

#[cfg(feature = "alloc")]
mod owned {
    use alloc::vec::Vec;

    use super::Page;
    use crate::MAX_DATAGRAM;
    use crate::encode::Emit;
    use crate::share::Entry;

    /// A [`Page`] that owns its lines.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    pub struct PageBuf(Vec<u8>);

    /// Fills pages.
    #[derive(Debug, Clone, Default)]
    pub struct PageBuilder(Vec<u8>);

    impl PageBuf {
        /// The page, borrowed.
        #[must_use]
        pub fn as_page(&self) -> Page<'_> {
            Page(&self.0)
        }
    }

    impl From<Page<'_>> for PageBuf {
        fn from(page: Page<'_>) -> Self {
            Self(page.0.into())
        }
    }

    impl PageBuilder {
        /// The most octets that the lines of one page have.
        pub const ROOM: usize = MAX_DATAGRAM - "page ".len();

        /// Adds an entry. Where the page is full, that is given, and the entry is the first of the next one.
        pub fn add(&mut self, entry: &Entry<'_>) -> Option<PageBuf> {
            let before = self.0.len();
            let needed = entry.emitted_len();
            let full = if before + needed > Self::ROOM {
                self.take()
            } else {
                None
            };
            let start = self.0.len();
            self.0.resize(start + needed, 0);
            if let Some(room) = self.0.get_mut(start..) {
                // The room is as long as the entry.
                let _ = entry.emit_into(room);
            }
            full
        }

        /// What was added since the last full page, if anything was.
        pub fn take(&mut self) -> Option<PageBuf> {
            let lines = core::mem::take(&mut self.0);
            (!lines.is_empty()).then_some(PageBuf(lines))
        }
    }
}
#[cfg(feature = "alloc")]
pub use owned::{PageBuf, PageBuilder};

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;
    use crate::share::{Answer, Id, Kind, Mode, ModifiedAt, Path, Size};
    use std::format;
    use std::vec::Vec;

    #[test]
    fn pages_are_filled_and_none_is_over_the_limit() {
        let mut builder = PageBuilder::default();
        let paths: Vec<_> = (0..5000).map(|number| format!("folder/{number}")).collect();
        let mut id = Id::FIRST;
        let mut pages = Vec::new();
        let mut wanted = Vec::new();
        for path in &paths {
            let entry = Entry {
                id,
                kind: Kind::File(Size::Known(id.get() * 7)),
                mode: Mode::new(0o644),
                modified: ModifiedAt::new(1_789_000_000, 5).unwrap(),
                path: Path::new(path).unwrap(),
            };
            pages.extend(builder.add(&entry));
            wanted.push(entry);
            id = id.next();
        }
        pages.extend(builder.take());
        assert!(pages.len() > 2);
        assert_eq!(builder.take(), None);
        let mut found = Vec::new();
        for page in &pages {
            let frame = Answer::Page(page.as_page()).to_vec();
            assert!(Answer::decode(&frame).is_ok());
            found.extend(page.as_page());
        }
        assert_eq!(found, wanted);
    }
}
