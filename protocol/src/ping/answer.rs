//! What a ping service answers (`WIRE.md` section 2.2).

use crate::encode::{Emit, Sink, impl_encode, impl_frame};
use crate::grammar::whole;
use crate::ping::limited_notice::limited_notice;
use crate::ping::probe_answer::probe_answer;
use crate::ping::{LimitedNotice, ProbeAnswer};
use crate::{Code, Limits, ParseError, Rule, grammar};

/// An answer of a ping service. It borrows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// To a calibration.
    Calibrated,
    /// To an `exit` that is honoured.
    Stopping,
    /// To an ordinary message, and to an `exit` that is not honoured.
    PacketAcknowledged,
    /// To any message on a classic TCP connection.
    Acknowledgement,
    /// To a probe.
    Probe(ProbeAnswer),
    /// In place of answers to probes that are over a limit of the server.
    LimitedNotice(LimitedNotice),
    /// To a request that breaks the grammar.
    Refused(Code),
}

impl Answer {
    const FIXED: [Self; 4] = [
        Self::Calibrated,
        Self::Stopping,
        Self::PacketAcknowledged,
        Self::Acknowledgement,
    ];

    /// Takes one whole datagram.
    ///
    /// # Errors
    /// It is no answer of a ping service, or over the limit.
    pub fn decode(frame: &[u8]) -> Result<Self, ParseError> {
        Self::decode_with(frame, &Limits::DEFAULT)
    }

    /// As [`decode`](Self::decode), with limits of your own.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_with(frame: &[u8], limits: &Limits) -> Result<Self, ParseError> {
        grammar::datagram(frame, limits)?;
        if frame.starts_with(b"A ") {
            return whole(frame, probe_answer).map(Self::Probe);
        }
        if frame.starts_with(b"L ") {
            return whole(frame, limited_notice).map(Self::LimitedNotice);
        }
        Self::FIXED
            .into_iter()
            .find(|answer| answer.text().as_bytes() == frame)
            .or_else(|| Code::from_answer(frame).map(Self::Refused))
            .ok_or(ParseError::new(Rule::PingAnswer, 0))
    }

    /// The text of an answer that is always the same.
    const fn text(&self) -> &'static str {
        match self {
            Self::Calibrated => "Buffer Size Calibrated at Server.",
            Self::Stopping => "Stopping the Server.",
            Self::PacketAcknowledged => "Packet Acknowledged",
            Self::Acknowledgement => "Acknowledgement",
            Self::Refused(code) => code.answer(),
            Self::Probe(_) | Self::LimitedNotice(_) => "",
        }
    }
}

impl Emit for Answer {
    fn emitted_len(&self) -> usize {
        match self {
            Self::Probe(answer) => answer.emitted_len(),
            Self::LimitedNotice(notice) => notice.emitted_len(),
            fixed => fixed.text().len(),
        }
    }

    fn emit(&self, sink: &mut impl Sink) {
        match self {
            Self::Probe(answer) => answer.emit(sink),
            Self::LimitedNotice(notice) => notice.emit(sink),
            fixed => sink.put(fixed.text().as_bytes()),
        }
    }
}

impl_encode!(Answer);
impl_frame!(Answer => Answer::decode_with);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(frame: &str, rule: Rule, offset: usize) {
        let error = Answer::decode(frame.as_bytes()).unwrap_err();
        assert_eq!((error.rule(), error.offset()), (rule, offset), "{frame:?}");
    }

    #[test]
    fn names_the_field_that_is_wrong() {
        refused("A x", Rule::Run, 2);
        refused("A 00c0ffeex", Rule::Run, 2);
        refused("A 00c0ffee", Rule::Seq, 10);
        refused("A 00c0ffee 0", Rule::Seq, 11);
        refused("A 00c0ffee 7 0", Rule::Count, 13);
        refused("A 00c0ffee 7  6", Rule::Padding, 14);
        refused("A 00c0ffee 7 6 5f", Rule::Window, 15);
        refused("A 00c0ffee 7 6 000000000000005f 01", Rule::Held, 32);
        refused("A 00c0ffee 7 6 000000000000005f 1 x", Rule::Received, 34);
        refused("A 00c0ffee 7 6 000000000000005f 1 2 x", Rule::Limited, 36);
        refused("A 00c0ffee 7 6 000000000000005f 1 2 3 4", Rule::Padding, 38);
        refused("L 00c0ffee", Rule::Seq, 10);
        refused("L 00c0ffee 7 ", Rule::Count, 13);
        refused("L 00c0ffee 7 6 05", Rule::Limited, 15);
        refused("L 00c0ffee 7 6 5 ", Rule::LimitedNotice, 16);
        refused("A 00c0ffee 7x", Rule::Seq, 11);
        refused("Hello", Rule::PingAnswer, 0);
        refused("", Rule::PingAnswer, 0);
    }
}
