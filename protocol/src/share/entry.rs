//! What a sender offers, entry by entry (`WIRE.md` section 8.3).

use core::num::NonZeroU64;

use crate::Rule;
use crate::encode::{Emit, Sink};
use crate::grammar::{Parsed, fault, number, octet, positive, rule};
use crate::share::Path;

/// The number of an entry, from 1 in the order of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(NonZeroU64);

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A file, and how long it is.
    File(Size),
    /// A folder; what is in it has entries of its own.
    Folder,
}

/// The octets of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Size {
    /// So many.
    Known(u64),
    /// The sender does not know yet: it reads them from a pipe.
    Unknown,
}

/// Who may read, write and execute: the lowest 9 bits of a Unix mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mode(u16);

/// When a file was changed last, since the Unix epoch; before it, the seconds are negative and the rest counts up.
/// The epoch itself by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ModifiedAt {
    seconds: i64,
    nanos: u32,
}

/// A file or folder that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry<'a> {
    /// Its number.
    pub id: Id,
    /// What it is.
    pub kind: Kind,
    /// Who may do what with it.
    pub mode: Mode,
    /// When it was changed last.
    pub modified: ModifiedAt,
    /// Where it goes.
    pub path: Path<'a>,
}

impl Id {
    /// The first.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// This number; none is 0.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Mode {
    /// The lowest 9 bits of a mode.
    #[must_use]
    pub const fn new(mode: u32) -> Self {
        Self((mode & 0o777) as u16)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }
}

impl ModifiedAt {
    /// This time; none of so many nanoseconds make a second.
    #[must_use]
    pub const fn new(seconds: i64, nanos: u32) -> Option<Self> {
        if nanos < 1_000_000_000 {
            Some(Self { seconds, nanos })
        } else {
            None
        }
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after that.
    #[must_use]
    pub const fn nanos(self) -> u32 {
        self.nanos
    }
}

/// `id = positive`
pub(super) fn id(input: &[u8]) -> Parsed<'_, Id> {
    let (rest, number) = rule(Rule::Id, positive)(input)?;
    Ok((rest, Id(number)))
}

/// `entry = id SP kind SP mode SP modified SP path LF`
pub(super) fn entry(input: &[u8]) -> Parsed<'_, Entry<'_>> {
    let (input, id) = id(input)?;
    let (input, ()) = separator(Rule::Id, input)?;
    let (input, kind) = rule(Rule::Kind, kind)(input)?;
    let (input, ()) = separator(Rule::Kind, input)?;
    let (input, mode) = rule(Rule::Mode, mode)(input)?;
    let (input, ()) = separator(Rule::Mode, input)?;
    let (input, modified) = rule(Rule::Modified, modified)(input)?;
    let (input, ()) = separator(Rule::Modified, input)?;
    let (input, path) = path(input)?;
    let entry = Entry {
        id,
        kind,
        mode,
        modified,
        path,
    };
    Ok((input, entry))
}

/// The SP after a field; what stands there instead belongs to the field.
pub(super) fn separator(field: Rule, input: &[u8]) -> Parsed<'_, ()> {
    rule(field, |input| octet(b' ', input))(input)
}

/// `kind = %s"dir" / %s"file" SP (octets / "?")`
fn kind(input: &[u8]) -> Parsed<'_, Kind> {
    if let Some(rest) = input.strip_prefix(b"dir") {
        return Ok((rest, Kind::Folder));
    }
    let Some(rest) = input.strip_prefix(b"file ") else {
        return fault(Rule::Kind, input);
    };
    if let Some(rest) = rest.strip_prefix(b"?") {
        return Ok((rest, Kind::File(Size::Unknown)));
    }
    let (rest, octets) = rule(Rule::Octets, number)(rest)?;
    Ok((rest, Kind::File(Size::Known(octets))))
}

/// `mode = 3%x30-37`
fn mode(input: &[u8]) -> Parsed<'_, Mode> {
    match input {
        [a @ b'0'..=b'7', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
            let bits = [a, b, c]
                .into_iter()
                .fold(0, |bits, digit| bits << 3 | u16::from(digit - b'0'));
            Ok((rest, Mode(bits)))
        }
        _ => fault(Rule::Mode, input),
    }
}

/// `modified = ["-"] number "." 9DIGIT`
fn modified(input: &[u8]) -> Parsed<'_, ModifiedAt> {
    let (unsigned, is_negative) = match input {
        [b'-', rest @ ..] => (rest, true),
        _ => (input, false),
    };
    let (rest, size) = number(unsigned)?;
    let seconds = if is_negative {
        // There is one spelling of zero.
        0_i64.checked_sub_unsigned(size).filter(|_| size > 0)
    } else {
        i64::try_from(size).ok()
    };
    let (rest, ()) = octet(b'.', rest)?;
    let digits = rest
        .get(..9)
        .filter(|digits| digits.iter().all(u8::is_ascii_digit));
    let (Some(seconds), Some(digits)) = (seconds, digits) else {
        return fault(Rule::Modified, input);
    };
    let nanos = digits
        .iter()
        .fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
    let rest = rest.get(9..).unwrap_or_default();
    Ok((rest, ModifiedAt { seconds, nanos }))
}

/// `path LF`
fn path(input: &[u8]) -> Parsed<'_, Path<'_>> {
    let end = input.iter().position(|octet| *octet == b'\n');
    let Some((line, rest)) = end.and_then(|end| Some((input.get(..end)?, input.get(end + 1..)?)))
    else {
        return fault(Rule::Entry, &[]);
    };
    let text = match core::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => {
            return fault(
                Rule::Utf8,
                input.get(error.valid_up_to()..).unwrap_or_default(),
            );
        }
    };
    match Path::new(text) {
        Ok(path) => Ok((rest, path)),
        Err(error) => fault(Rule::Path, input.get(error.index..).unwrap_or_default()),
    }
}

impl Emit for Entry<'_> {
    fn emit(&self, sink: &mut impl Sink) {
        sink.decimal(self.id.get());
        match self.kind {
            Kind::Folder => sink.put(b" dir "),
            Kind::File(Size::Unknown) => sink.put(b" file ? "),
            Kind::File(Size::Known(octets)) => {
                sink.put(b" file ");
                sink.decimal(octets);
                sink.put(b" ");
            }
        }
        sink.text(format_args!("{:03o} ", self.mode.0));
        let ModifiedAt { seconds, nanos } = self.modified;
        sink.text(format_args!("{seconds}.{nanos:09} "));
        sink.put(self.path.as_str().as_bytes());
        sink.put(b"\n");
    }
}
