//! Probes: numbered messages of a stated size (`WIRE.md` section 2.1).

use core::fmt;
use core::num::NonZeroU64;

use crate::Rule;
use crate::digits::decimal_len;
use crate::encode::{Emit, Sink, impl_encode};
use crate::grammar::{Parsed, fault, hex, octet, padding, positive, rule};
use crate::limits::MAX_DATAGRAM;

/// A probe's number within its run, from 1.
pub type Seq = NonZeroU64;

/// What a client draws at random for each run, so that no answer to another run is ever counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run(
    /// Shown as 8 hex digits.
    pub u32,
);

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Run({self})")
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// The size of a probe in octets, 1 to 65,507.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeSize(u16);

/// Not a size that the probe can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeSizeError {
    /// No datagram has that size.
    #[error("a probe has 1 to 65507 octets, not {0}")]
    OutOfRange(usize),
    /// The size does not hold the run and this number.
    #[error("{size} octets do not hold probe number {seq}, which needs {needed}")]
    TooSmall {
        /// The size asked for.
        size: usize,
        /// The probe's number.
        seq: Seq,
        /// The smallest size that holds it.
        needed: usize,
    },
}

impl ProbeSize {
    /// The largest size.
    #[expect(clippy::cast_possible_truncation, reason = "65,507 fits")]
    pub const MAX: Self = Self(MAX_DATAGRAM as u16);

    /// A size of so many octets.
    ///
    /// # Errors
    /// No datagram has that size.
    pub const fn new(octets: usize) -> Result<Self, ProbeSizeError> {
        if octets == 0 || octets > MAX_DATAGRAM {
            return Err(ProbeSizeError::OutOfRange(octets));
        }
        #[expect(clippy::cast_possible_truncation, reason = "65,507 fits")]
        Ok(Self(octets as u16))
    }

    /// The size in octets.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ProbeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A numbered message; its length on the wire is its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Probe {
    pub(super) run: Run,
    pub(super) seq: Seq,
    pub(super) size: ProbeSize,
}

impl Probe {
    /// A probe of that size.
    ///
    /// # Errors
    /// The size does not hold the run and the number.
    pub fn new(run: Run, seq: Seq, size: ProbeSize) -> Result<Self, ProbeSizeError> {
        let needed = Self::smallest(seq);
        if size.get() < needed {
            return Err(ProbeSizeError::TooSmall {
                size: size.get(),
                seq,
                needed,
            });
        }
        Ok(Self { run, seq, size })
    }

    /// The smallest size of a probe with that number, in octets.
    #[must_use]
    pub const fn smallest(seq: Seq) -> usize {
        "P 00000000 ".len() + decimal_len(seq.get())
    }

    /// The run that the probe belongs to.
    #[must_use]
    pub const fn run(self) -> Run {
        self.run
    }

    /// The probe's number within its run.
    #[must_use]
    pub const fn seq(self) -> Seq {
        self.seq
    }

    /// The probe's length on the wire.
    #[must_use]
    pub const fn size(self) -> ProbeSize {
        self.size
    }
}

/// `probe = %s"P" SP run SP seq padding`
pub(crate) fn probe(frame: &[u8]) -> Parsed<'_, Probe> {
    let (input, (run, seq)) = numbered(b'P', frame)?;
    let (input, ()) = padding(input)?;
    match ProbeSize::new(frame.len()) {
        Ok(size) => Ok((input, Probe { run, seq, size })),
        Err(_) => fault(Rule::Datagram, input),
    }
}

/// `letter SP run SP seq`
pub(super) fn numbered(letter: u8, input: &[u8]) -> Parsed<'_, (Run, Seq)> {
    let (input, ()) = octet(letter, input)?;
    let (input, run) = field(Rule::Run, hex::<8>, input)?;
    let (input, seq) = field(Rule::Seq, positive, input)?;
    // Eight digits fill 32 bits.
    Ok((input, (Run(u32::try_from(run).unwrap_or_default()), seq)))
}

/// `SP field`: the field reaches to the next SP or the end, and is whole or wrong.
pub(super) fn field<'a, T>(
    name: Rule,
    parser: impl FnOnce(&'a [u8]) -> Parsed<'a, T>,
    input: &'a [u8],
) -> Parsed<'a, T> {
    let (input, ()) = rule(name, |input| octet(b' ', input))(input)?;
    match parser(input) {
        Ok((rest @ ([] | [b' ', ..]), value)) => Ok((rest, value)),
        _ => fault(name, input),
    }
}

impl Emit for Probe {
    fn emitted_len(&self) -> usize {
        self.size.get()
    }

    fn emit(&self, sink: &mut impl Sink) {
        emit_numbered(*self, b"P ", sink);
        sink.pad(self.size.get() - Self::smallest(self.seq));
    }
}

pub(super) fn emit_numbered(probe: Probe, letter: &[u8], sink: &mut impl Sink) {
    sink.put(letter);
    sink.hex::<8>(u64::from(probe.run.0));
    sink.put(b" ");
    sink.decimal(probe.seq.get());
}

impl_encode!(Probe);

#[cfg(test)]
mod tests {
    use crate::ping::Request;

    #[test]
    fn what_is_not_quite_a_probe_is_a_message() {
        assert!(matches!(
            Request::decode(b"P 00c0ffee 7    "),
            Ok(Request::Probe(_))
        ));
        for text in [
            "P 00c0ffee 7 x",
            "P 00C0FFEE 7",
            "P 00c0ffee 07",
            "P 00c0ffee 0",
            "P  00c0ffee 7",
            "P 00c0ffee",
            "P 00c0ffee 18446744073709551616",
            "p 00c0ffee 7",
            "P 00c0ffee 7\t",
        ] {
            assert!(
                matches!(Request::decode(text.as_bytes()), Ok(Request::Message(_))),
                "{text}"
            );
        }
    }
}
