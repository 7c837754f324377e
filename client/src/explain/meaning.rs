//! What each frame says, in words.

use std::fmt::Display;

use hii_protocol::relay::Payload;
use hii_protocol::{Escaped, ping, relay};
use serde::Serialize;

use super::Service;
use super::explanation::Role;

/// What a frame means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Meaning {
    /// Whose frame it is.
    pub service: Service,
    /// Which way it goes.
    pub role: Role,
    /// Its rule in the grammar.
    pub name: &'static str,
    /// What it says.
    pub says: &'static str,
    /// Its parts.
    pub fields: Vec<Field>,
    /// The same frame as our programs write it, escaped, where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canonical: Option<String>,
    /// Whether it is what every other message is too.
    #[serde(skip)]
    pub is_any_message: bool,
}

/// A part of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its rule in the grammar.
    pub name: &'static str,
    /// Its value, escaped.
    pub value: String,
}

impl Meaning {
    fn new(service: Service, role: Role, name: &'static str, says: &'static str) -> Self {
        Self {
            service,
            role,
            name,
            says,
            fields: Vec::new(),
            canonical: None,
            is_any_message: false,
        }
    }

    fn with(mut self, name: &'static str, value: impl Display) -> Self {
        let value = value.to_string();
        self.fields.push(Field { name, value });
        self
    }

    fn with_some(self, name: &'static str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    fn with_payload(self, payload: Payload<'_>) -> Self {
        let (name, octets) = match payload {
            Payload::Content(content) => ("content", content.as_str().as_bytes()),
            Payload::Raw(raw) => ("raw", raw.as_bytes()),
        };
        self.with(name, Escaped(octets))
            .with("payload octets", octets.len())
    }

    fn with_canonical(mut self, octets: &[u8]) -> Self {
        self.canonical = Some(Escaped(octets).to_string());
        self
    }

    /// Forgets the canonical form where that is the frame itself.
    pub(super) fn unless_canonical(mut self, frame: &[u8]) -> Self {
        let shown = Escaped(frame).to_string();
        self.canonical = self.canonical.filter(|canonical| *canonical != shown);
        self
    }
}

impl From<relay::Request<'_>> for Meaning {
    fn from(request: relay::Request<'_>) -> Self {
        let meaning = |name, says| Self::new(Service::Relay, Role::Request, name, says);
        let meaning = match request {
            relay::Request::Greeting => meaning("greeting", "tell me my own address"),
            relay::Request::TokenRequest => {
                meaning("token-request", "tell me my own address, with a token")
            }
            relay::Request::TokenGreeting(token) => meaning(
                "token-greeting",
                "I get what is sent to my address: here is the token",
            )
            .with("token", token),
            relay::Request::ExitServer => meaning(
                "exit-server",
                "stop; there is no answer, or 400 where that is not allowed",
            ),
            relay::Request::Send(message) => meaning("send", "pass this on")
                .with("to", message.to())
                .with_payload(message.payload()),
        };
        meaning.with_canonical(&request.to_vec())
    }
}

impl From<relay::Answer<'_>> for Meaning {
    fn from(answer: relay::Answer<'_>) -> Self {
        let meaning = |name, says| Self::new(Service::Relay, Role::Answer, name, says);
        match answer {
            relay::Answer::Address(address) => {
                meaning("address-answer", "your address, as I see it").with("address", address)
            }
            relay::Answer::Token(address, token) => meaning(
                "token-answer",
                "your address, as I see it, and a token that proves it",
            )
            .with("address", address)
            .with("token", token),
            relay::Answer::Sent => meaning("sent", "your message went out"),
            relay::Answer::Refused(code) => meaning("code", "your request was refused")
                .with("code", code)
                .with("meaning", code.meaning()),
            relay::Answer::Forward(forward) => meaning(
                "forward",
                "a message for you; the sender shown is no proof of who wrote it",
            )
            .with("from", forward.from())
            .with_payload(forward.payload()),
        }
    }
}

impl From<ping::Request<'_>> for Meaning {
    fn from(request: ping::Request<'_>) -> Self {
        let meaning = |name, says| Self::new(Service::Ping, Role::Request, name, says);
        let meaning = match request {
            ping::Request::Calibrate(size) => {
                meaning("calibrate", "expect probes of this size").with("size", size)
            }
            ping::Request::Exit => meaning(
                "exit",
                "stop; where that is not allowed, it is a message like any other",
            ),
            ping::Request::Probe(probe) => meaning(
                "probe",
                "a numbered message, to be answered with its number",
            )
            .with("run", probe.run())
            .with("seq", probe.seq())
            .with("size", probe.size()),
            ping::Request::Message(message) => Self {
                is_any_message: true,
                ..meaning("message", "an ordinary message, to be acknowledged")
                    .with("octets", message.as_bytes().len())
            },
        };
        meaning.with_canonical(&request.to_vec())
    }
}

impl From<ping::Answer> for Meaning {
    fn from(answer: ping::Answer) -> Self {
        let meaning = |name, says| Self::new(Service::Ping, Role::Answer, name, says);
        match answer {
            ping::Answer::Calibrated => meaning("calibrated", "the answer to `C <size>`"),
            ping::Answer::Stopping => meaning("stopping", "the answer to an `exit` that is obeyed"),
            ping::Answer::PacketAcknowledged => {
                meaning("packet-acknowledged", "the answer to an ordinary message")
            }
            ping::Answer::Acknowledgement => meaning(
                "acknowledgement",
                "the answer to any message on a classic TCP connection",
            ),
            ping::Answer::Probe(answer) => meaning("probe-answer", "the answer to a probe")
                .with("run", answer.run())
                .with("seq", answer.seq())
                .with_some("count", answer.count())
                .with_some("window", answer.window().map(|bits| format!("{bits:016x}")))
                .with_some("held", answer.held().map(|ns| format!("{ns} ns")))
                .with_some(
                    "received",
                    answer
                        .received()
                        .map(|ns| format!("{ns} ns since the Unix epoch")),
                )
                .with_some(
                    "limited",
                    answer.limited().map(|limited| format!("{limited} probes")),
                )
                .with("size", answer.size()),
            ping::Answer::LimitedNotice(notice) => meaning(
                "limited-notice",
                "probes of this run are not answered because of a limit of the server",
            )
            .with("run", notice.run())
            .with("seq", notice.seq())
            .with_some("count", notice.count())
            .with_some(
                "limited",
                notice.limited().map(|limited| format!("{limited} probes")),
            ),
            ping::Answer::Refused(code) => meaning("code", "your request was refused")
                .with("code", code)
                .with("meaning", code.meaning()),
        }
    }
}
