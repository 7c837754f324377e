//! What a session tells of.

use std::time::Duration;

use hii_protocol::relay::PayloadBuf;
use hii_protocol::{Code, Endpoint, ParseError};
use serde::Serialize;

use super::compose::{Cannot, Form};

/// What kind of relay it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relay {
    /// One that gives tokens, or speaks frames.
    Hii,
    /// One that knows the classic frames only.
    Original,
}

/// Names a message that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The relay knows us, by this address: the first time, under another address than before, after a silence, or
    /// because it was asked for.
    Registered(Endpoint, Relay),
    /// A message came.
    Message(Endpoint, PayloadBuf),
    /// What became of a message of ours.
    Settled(Ticket, Outcome),
    /// What became of a message that was told as unanswered.
    SettledLate(Ticket, Outcome),
    /// The relay does not answer, or its port is closed. It is asked again and again.
    Silent,
    /// The relay does not take the tokens that it gives.
    Rejected,
    /// What came of asking the relay to stop.
    Stop(Stop),
    /// What no relay sends.
    Foreign(Vec<u8>, ParseError),
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The relay passed it on, and said so after this time.
    Sent(Form, Duration),
    /// The relay could not pass it on, or would not.
    Refused(Form, Code),
    /// Nobody knows: there was no answer in this time.
    Unanswered(Form, Duration),
    /// It was not sent, since this relay cannot carry it.
    Cannot(Cannot),
    /// It was not sent, or nobody took it: the relay is not there.
    NoRelay,
}

/// What came of asking the relay to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It answers no more.
    Stopped,
    /// It will not.
    Refused,
    /// It still answers; the request may be lost.
    StillRuns,
}
