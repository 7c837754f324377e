//! Answers to probes, and what they report (`WIRE.md` section 2.2).

use super::probe::{Probe, ProbeSize, Run, Seq, emit_numbered, field, numbered};
use crate::Rule;
use crate::digits::decimal_len;
use crate::encode::{Emit, Sink, impl_encode};
use crate::grammar::{Parsed, fault, hex, number, padding, positive};

/// What a server knows of a run when it answers a probe of it (`WIRE.md` section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Report {
    /// Well-formed probes of this sender and run received so far, this one and duplicates included.
    pub count: Seq,
    /// Bit k is set when probe `seq - k` had been received when this one was.
    pub window: u64,
    /// Nanoseconds from the probe's receipt to its answer, delay on purpose included.
    pub held: u64,
    /// The server's wall clock at the probe's receipt, in nanoseconds since the Unix epoch.
    pub received: u64,
    /// Probes of this sender and run received so far that were not answered because of a limit.
    pub limited: u64,
}

/// The answer to a probe. Fields that the probe's size did not hold are missing, from the right.
///
/// A client of a fast run keeps and passes on one for each probe, so it is not larger than it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProbeAnswer {
    run: Run,
    size: ProbeSize,
    /// How many fields of the report are there, from the left.
    fields: u8,
    seq: Seq,
    /// Zero, and 1 for `count`, where it is not there.
    report: Report,
}

const COUNT: u8 = 1;
const WINDOW: u8 = 2;
const HELD: u8 = 3;
const RECEIVED: u8 = 4;
const LIMITED: u8 = 5;

impl ProbeAnswer {
    /// The run of the probe answered.
    #[must_use]
    pub const fn run(self) -> Run {
        self.run
    }

    /// The number of the probe answered.
    #[must_use]
    pub const fn seq(self) -> Seq {
        self.seq
    }

    /// The answer's length on the wire, which is the probe's.
    #[must_use]
    pub const fn size(self) -> ProbeSize {
        self.size
    }

    /// Well-formed probes of this run that the server received so far, this one and duplicates included.
    #[must_use]
    pub const fn count(self) -> Option<Seq> {
        if self.fields >= COUNT {
            Some(self.report.count)
        } else {
            None
        }
    }

    /// Bit k is set when the server had received probe `seq - k`.
    #[must_use]
    pub const fn window(self) -> Option<u64> {
        self.field(WINDOW, self.report.window)
    }

    /// Nanoseconds from the probe's receipt to this answer.
    #[must_use]
    pub const fn held(self) -> Option<u64> {
        self.field(HELD, self.report.held)
    }

    /// The server's wall clock at the probe's receipt, in nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn received(self) -> Option<u64> {
        self.field(RECEIVED, self.report.received)
    }

    /// Probes of this run received so far that were not answered because of a limit.
    #[must_use]
    pub const fn limited(self) -> Option<u64> {
        self.field(LIMITED, self.report.limited)
    }

    const fn field(self, place: u8, value: u64) -> Option<u64> {
        if self.fields >= place {
            Some(value)
        } else {
            None
        }
    }

    const fn probe(self) -> Probe {
        Probe {
            run: self.run,
            seq: self.seq,
            size: self.size,
        }
    }
}

impl Probe {
    /// The answer to this probe, exactly as long: it has the fields of the report, from the left, that fit.
    #[must_use]
    pub fn answer(self, report: &Report) -> ProbeAnswer {
        let spare = self.size.get() - Self::smallest(self.seq);
        let mut answer = self.bare_answer();
        let fitting = &mut answer.report;
        let mut used = 0;
        let mut fits = |len: usize| {
            used += 1 + len;
            used <= spare
        };
        if fits(decimal_len(report.count.get())) {
            fitting.count = report.count;
            answer.fields = COUNT;
            if fits(16) {
                fitting.window = report.window;
                answer.fields = WINDOW;
                if fits(decimal_len(report.held)) {
                    fitting.held = report.held;
                    answer.fields = HELD;
                    if fits(decimal_len(report.received)) {
                        fitting.received = report.received;
                        answer.fields = RECEIVED;
                        if fits(decimal_len(report.limited)) {
                            fitting.limited = report.limited;
                            answer.fields = LIMITED;
                        }
                    }
                }
            }
        }
        answer
    }

    /// The answer of a server that can no longer tell the window: the count alone, if it fits.
    #[must_use]
    pub fn answer_with_count(self, count: Seq) -> ProbeAnswer {
        let mut answer = self.bare_answer();
        if Self::smallest(self.seq) + 1 + decimal_len(count.get()) <= self.size.get() {
            answer.report.count = count;
            answer.fields = COUNT;
        }
        answer
    }

    const fn bare_answer(self) -> ProbeAnswer {
        ProbeAnswer {
            run: self.run,
            size: self.size,
            fields: 0,
            seq: self.seq,
            report: Report {
                count: Seq::MIN,
                window: 0,
                held: 0,
                received: 0,
                limited: 0,
            },
        }
    }
}

/// `probe-answer = %s"A" SP run SP seq [SP count [SP window [SP held [SP received [SP limited]]]]] padding`
pub(crate) fn probe_answer(frame: &[u8]) -> Parsed<'_, ProbeAnswer> {
    let (input, (run, seq)) = numbered(b'A', frame)?;
    let (input, count) = next_field(true, Rule::Count, positive, input)?;
    let (input, window) = next_field(count.is_some(), Rule::Window, hex::<16>, input)?;
    let (input, held) = next_field(window.is_some(), Rule::Held, number, input)?;
    let (input, received) = next_field(held.is_some(), Rule::Received, number, input)?;
    let (input, limited) = next_field(received.is_some(), Rule::Limited, number, input)?;
    let (input, ()) = padding(input)?;
    let Ok(size) = ProbeSize::new(frame.len()) else {
        return fault(Rule::Datagram, input);
    };
    // Each is there only if the one to its left is.
    let is_there = [
        count.is_some(),
        window.is_some(),
        held.is_some(),
        received.is_some(),
        limited.is_some(),
    ];
    let answer = ProbeAnswer {
        run,
        size,
        fields: is_there.into_iter().map(u8::from).sum(),
        seq,
        report: Report {
            count: count.unwrap_or(Seq::MIN),
            window: window.unwrap_or(0),
            held: held.unwrap_or(0),
            received: received.unwrap_or(0),
            limited: limited.unwrap_or(0),
        },
    };
    Ok((input, answer))
}

/// `[SP field]`, where the field to the left is there: nothing where the padding begins.
fn next_field<'a, T>(
    has_left: bool,
    name: Rule,
    parser: impl FnOnce(&'a [u8]) -> Parsed<'a, T>,
    input: &'a [u8],
) -> Parsed<'a, Option<T>> {
    match input {
        [b' ', next, ..] if has_left && *next != b' ' => {
            let (input, value) = field(name, parser, input)?;
            Ok((input, Some(value)))
        }
        _ => Ok((input, None)),
    }
}

impl Emit for ProbeAnswer {
    fn emitted_len(&self) -> usize {
        self.size.get()
    }

    fn emit(&self, sink: &mut impl Sink) {
        emit_numbered(self.probe(), b"A ", sink);
        let mut spare = self.size.get() - Probe::smallest(self.seq);
        if let Some(count) = self.count() {
            sink.put(b" ");
            sink.decimal(count.get());
            spare -= 1 + decimal_len(count.get());
        }
        if let Some(window) = self.window() {
            sink.put(b" ");
            sink.hex::<16>(window);
            spare -= 1 + 16;
        }
        for number in [self.held(), self.received(), self.limited()]
            .into_iter()
            .flatten()
        {
            sink.put(b" ");
            sink.decimal(number);
            spare -= 1 + decimal_len(number);
        }
        sink.pad(spare);
    }
}

impl_encode!(ProbeAnswer);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::Answer;
    use std::string::ToString;

    const REPORT: Report = Report {
        count: Seq::new(6).unwrap(),
        window: 0x5f,
        held: 1200,
        received: 1_789_000_000_000_000_000,
        limited: 3,
    };

    fn a_probe(size: usize) -> Probe {
        Probe::new(
            Run(0x00c0_ffee),
            Seq::new(7).unwrap(),
            ProbeSize::new(size).unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn an_answer_is_as_long_as_its_probe_and_loses_fields_from_the_right() {
        let whole = "A 00c0ffee 7 6 000000000000005f 1200 1789000000000000000 3";
        for size in Probe::smallest(Seq::MIN)..=128 {
            let text = a_probe(size).answer(&REPORT).to_string();
            assert_eq!(text.len(), size);
            let told = text.trim_end();
            assert!(whole.starts_with(told), "{text}");
            // What is told is told whole.
            assert!(whole[told.len()..].is_empty() || whole[told.len()..].starts_with(' '));
            let decoded = Answer::decode(text.as_bytes()).unwrap();
            assert_eq!(decoded, Answer::Probe(a_probe(size).answer(&REPORT)));
        }
        assert_eq!(a_probe(128).answer(&REPORT).limited(), Some(REPORT.limited));
    }

    fn answer_of_128_with_numbers_of(number: u64) -> ProbeAnswer {
        let seq = Seq::new(number).unwrap();
        let probe = Probe::new(Run(u32::MAX), seq, ProbeSize::new(128).unwrap()).unwrap();
        probe.answer(&Report {
            count: seq,
            window: u64::MAX,
            held: number,
            received: number,
            limited: number,
        })
    }

    #[test]
    fn default_size_holds_every_field_of_19_digits() {
        let longest = 10_u64.pow(19) - 1;
        let answer = answer_of_128_with_numbers_of(longest);
        assert_eq!(answer.limited(), Some(longest));
        // With 20 digits in each number only the last field is left out.
        let answer = answer_of_128_with_numbers_of(u64::MAX);
        assert_eq!(
            (answer.received(), answer.limited()),
            (Some(u64::MAX), None)
        );
    }
}
