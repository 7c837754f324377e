//! Notices that probes are not answered because of a limit (`WIRE.md` section 2.2).

use super::probe::{Probe, Run, Seq, field, numbered};
use crate::Rule;
use crate::digits::decimal_len;
use crate::encode::{Emit, Sink, impl_encode};
use crate::grammar::{Parsed, end, number, positive};

/// A report that a limit of the server keeps the probes of a run from being answered. It is not an answer to its probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LimitedNotice {
    run: Run,
    seq: Seq,
    count: Option<Seq>,
    limited: Option<u64>,
}

impl LimitedNotice {
    /// The run of the probe that the notice is sent for.
    #[must_use]
    pub const fn run(self) -> Run {
        self.run
    }

    /// The number of the probe that the notice is sent for.
    #[must_use]
    pub const fn seq(self) -> Seq {
        self.seq
    }

    /// Well-formed probes of this run that the server received so far, this one and duplicates included.
    #[must_use]
    pub const fn count(self) -> Option<Seq> {
        self.count
    }

    /// Those of them that were not answered because of a limit, this one included.
    #[must_use]
    pub const fn limited(self) -> Option<u64> {
        self.limited
    }
}

impl Probe {
    /// The notice for this probe, at most as long as it; fields that do not fit are left out from the right. A server without
    /// an entry for the run has no `count`, and leaves out `limited` with it.
    #[must_use]
    pub const fn limited_notice(self, count: Option<Seq>, limited: u64) -> LimitedNotice {
        let mut notice = LimitedNotice {
            run: self.run,
            seq: self.seq,
            count: None,
            limited: None,
        };
        let Some(count) = count else {
            return notice;
        };
        let with_count = Self::smallest(self.seq) + 1 + decimal_len(count.get());
        if with_count <= self.size.get() {
            notice.count = Some(count);
            if with_count + 1 + decimal_len(limited) <= self.size.get() {
                notice.limited = Some(limited);
            }
        }
        notice
    }
}

/// `limited-notice = %s"L" SP run SP seq [SP count [SP limited]]`
pub(crate) fn limited_notice(frame: &[u8]) -> Parsed<'_, LimitedNotice> {
    let (input, (run, seq)) = numbered(b'L', frame)?;
    let mut notice = LimitedNotice {
        run,
        seq,
        count: None,
        limited: None,
    };
    if input.is_empty() {
        return Ok((input, notice));
    }
    let (input, count) = field(Rule::Count, positive, input)?;
    notice.count = Some(count);
    if input.is_empty() {
        return Ok((input, notice));
    }
    let (input, limited) = field(Rule::Limited, number, input)?;
    notice.limited = Some(limited);
    let (input, ()) = end(Rule::LimitedNotice, input)?;
    Ok((input, notice))
}

impl Emit for LimitedNotice {
    fn emit(&self, sink: &mut impl Sink) {
        sink.put(b"L ");
        sink.hex::<8>(u64::from(self.run.0));
        for number in [Some(self.seq.get()), self.count.map(Seq::get), self.limited]
            .into_iter()
            .flatten()
        {
            sink.put(b" ");
            sink.decimal(number);
        }
    }
}

impl_encode!(LimitedNotice);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::{Answer, ProbeSize};
    use std::string::ToString;

    fn a_probe(size: usize) -> Probe {
        let seq = Seq::new(7).unwrap();
        Probe::new(Run(0x00c0_ffee), seq, ProbeSize::new(size).unwrap()).unwrap()
    }

    #[test]
    fn notice_is_never_longer_than_its_probe() {
        let whole = "L 00c0ffee 7 601 599";
        for size in Probe::smallest(Seq::MIN)..=128 {
            let notice = a_probe(size).limited_notice(Seq::new(601), 599);
            let text = notice.to_string();
            assert!(text.len() <= size, "{text}");
            let lost = whole.strip_prefix(&text).unwrap();
            assert!(lost.is_empty() || lost.starts_with(' '), "{text}");
            // A field that fits is there.
            let next = lost.trim_start().split(' ').next().unwrap();
            assert!(lost.is_empty() || text.len() + 1 + next.len() > size);
            let decoded = Answer::decode(text.as_bytes());
            assert_eq!(decoded, Ok(Answer::LimitedNotice(notice)));
        }
        let bare = a_probe(128).limited_notice(None, 599).to_string();
        assert_eq!(bare, "L 00c0ffee 7");
    }
}
