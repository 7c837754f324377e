//! What octets are to the services: the frames that they can be, or why they are none.

use hii_protocol::{Code, Escaped, ParseError, ping, relay};
use serde::{Serialize, Serializer};

use super::Service;
use super::meaning::Meaning;

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// To the service.
    Request,
    /// From it.
    Answer,
}

/// What a frame is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The frame, escaped.
    #[serde(rename = "frame")]
    pub shown: String,
    /// Its length.
    pub octets: usize,
    /// All that it can be.
    pub meanings: Vec<Meaning>,
    /// When that is nothing, why: what it was most likely meant to be comes first.
    pub faults: Vec<Fault>,
}

/// Why a frame is not what it may have been meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Whose frame it is not.
    pub service: Service,
    /// Which way that would go.
    pub role: Role,
    /// Where it goes wrong.
    pub error: ParseError,
}

/// Explains a frame of this service, or of any.
#[must_use]
pub fn explain(frame: &[u8], service: Option<Service>) -> Explanation {
    let is_wanted = |of: Service| service.is_none_or(|service| service == of);
    let readings = [
        (Service::Relay, Role::Request),
        (Service::Relay, Role::Answer),
        (Service::Ping, Role::Request),
        (Service::Ping, Role::Answer),
    ];
    let wanted = readings
        .into_iter()
        .filter(|(service, _)| is_wanted(*service));
    let readings = wanted.map(|(service, role)| read(frame, service, role));
    let (meanings, faults): (Vec<_>, Vec<_>) = readings.partition(Result::is_ok);
    let mut meanings: Vec<_> = meanings.into_iter().flatten().collect();
    let has_other = meanings.iter().any(|meaning| !meaning.is_any_message);
    let is_for_ping = service == Some(Service::Ping) || is_for_ping(frame);
    meanings.retain(|meaning| !meaning.is_any_message || is_for_ping && !has_other);
    let faults = if meanings.is_empty() {
        likely_first(faults.into_iter().filter_map(Result::err), frame, service)
    } else {
        Vec::new()
    };
    Explanation {
        shown: Escaped(frame).to_string(),
        octets: frame.len(),
        meanings,
        faults,
    }
}

impl Explanation {
    /// Whether the frame has a meaning.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        !self.meanings.is_empty()
    }
}

fn read(frame: &[u8], service: Service, role: Role) -> Result<Meaning, Fault> {
    let meaning = match (service, role) {
        (Service::Ping, Role::Request) => ping::Request::decode(frame).map(Meaning::from),
        (Service::Ping, Role::Answer) => ping::Answer::decode(frame).map(Meaning::from),
        (Service::Relay, Role::Request) => relay::Request::decode(frame).map(Meaning::from),
        (Service::Relay, Role::Answer) => relay::Answer::decode(frame).map(Meaning::from),
    };
    meaning
        .map(|meaning| meaning.unless_canonical(frame))
        .map_err(|error| Fault {
            service,
            role,
            error,
        })
}

/// Whether a message was meant for a ping service: what the original clients send, and what begins like a probe.
fn is_for_ping(frame: &[u8]) -> bool {
    matches!(frame, b"Hello Server" | b"Hello Server." | b"Hii Server") || frame.starts_with(b"P ")
}

/// What a frame was most likely meant to be, and what a relay says to whoever sends it one like that.
fn likely_first(
    faults: impl Iterator<Item = Fault>,
    frame: &[u8],
    service: Option<Service>,
) -> Vec<Fault> {
    let likely = likely(frame, service);
    let is_likely = |fault: &Fault| (fault.service, fault.role) == likely;
    let is_sent = |fault: &Fault| fault.service == likely.0 && fault.role == Role::Request;
    let mut faults: Vec<_> = faults
        .filter(|fault| is_likely(fault) || is_sent(fault))
        .collect();
    faults.sort_by_key(|fault| !is_likely(fault));
    faults
}

/// What octets that are no frame were most likely meant to be.
fn likely(frame: &[u8], service: Option<Service>) -> (Service, Role) {
    let service = service.unwrap_or(match frame {
        [b'C', ..] | [b'A' | b'L', b' ', ..] => Service::Ping,
        _ => Service::Relay,
    });
    let role = match (service, frame) {
        (Service::Ping, [b'C', ..]) => Role::Request,
        (Service::Ping, _) | (Service::Relay, [b'(' | b'[' | b'0'..=b'9', ..]) => Role::Answer,
        (Service::Relay, _) => Role::Request,
    };
    (service, role)
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row {
            service: Service,
            role: Role,
            code: u16,
            offset: usize,
            rule: &'static str,
            expected: &'static str,
            meaning: &'static str,
        }
        let error = self.error;
        let row = Row {
            service: self.service,
            role: self.role,
            code: Code::number(error.code()),
            offset: error.offset(),
            rule: error.rule().name(),
            expected: error.rule().expected(),
            meaning: error.code().meaning(),
        };
        row.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(frame: &str, service: Option<Service>) -> Vec<&'static str> {
        let explanation = explain(frame.as_bytes(), service);
        let names = explanation.meanings.iter().map(|meaning| meaning.name);
        names.collect()
    }

    #[test]
    fn each_kind_of_frame_is_known_by_its_name_in_the_grammar() {
        let padded = format!("{:<96}", "hii ?");
        let token = "hii 000102030405060708090a0b0c0d0e0f";
        for (frame, expected) in [
            ("hii", "greeting"),
            (&padded, "token-request"),
            (token, "token-greeting"),
            ("exit server", "exit-server"),
            ("to:192.0.2.7/9;content:x", "send"),
            ("('192.0.2.7', 9)", "address-answer"),
            (
                &format!("('192.0.2.7', 9) ; token : {}", &token[4..]),
                "token-answer",
            ),
            ("200, UDP Packet Sent Successfully", "sent"),
            ("192.0.2.7/9 ; raw : x", "forward"),
            ("C 128", "calibrate"),
            ("exit", "exit"),
            ("P 00c0ffee 7   ", "probe"),
            ("P 00C0FFEE 7   ", "message"),
            ("Hello Server", "message"),
            ("A 00c0ffee 7", "probe-answer"),
            ("L 00c0ffee 7 601 599", "limited-notice"),
            ("Packet Acknowledged", "packet-acknowledged"),
            ("Acknowledgement", "acknowledgement"),
        ] {
            assert_eq!(names(frame, None), [expected], "{frame}");
        }
        // Both services tell codes.
        assert_eq!(names("401", None), ["code", "code"]);
        assert_eq!(names("401", Some(Service::Relay)), ["code"]);
        assert_eq!(names("anything", Some(Service::Ping)), ["message"]);
    }

    #[test]
    fn what_is_no_frame_is_judged_as_what_it_was_most_likely_meant_to_be() {
        for (frame, service, expected) in [
            (
                "to:1.2.3.4/x;content:a",
                None,
                &[(Service::Relay, Role::Request)][..],
            ),
            ("C", None, &[(Service::Ping, Role::Request)]),
            ("A 1", None, &[(Service::Ping, Role::Answer)]),
            ("L 1", None, &[(Service::Ping, Role::Answer)]),
            (
                "('x', 1)",
                None,
                &[
                    (Service::Relay, Role::Answer),
                    (Service::Relay, Role::Request),
                ],
            ),
            (
                "C",
                Some(Service::Relay),
                &[(Service::Relay, Role::Request)],
            ),
            ("", None, &[(Service::Relay, Role::Request)]),
        ] {
            let explanation = explain(frame.as_bytes(), service);
            let faults: Vec<_> = explanation
                .faults
                .iter()
                .map(|fault| (fault.service, fault.role))
                .collect();
            assert_eq!(faults, expected, "{frame}");
        }
    }

    proptest! {
        #[test]
        fn every_frame_has_a_meaning_or_a_fault(
            frame in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                "(to|hii|A|P|C|\\(')?[ :;/'0-9a-z]{0,40}".prop_map(String::into_bytes),
            ],
            service in prop::option::of(prop_oneof![Just(Service::Ping), Just(Service::Relay)]),
        ) {
            let explanation = explain(&frame, service);
            prop_assert_eq!(explanation.is_fine(), explanation.faults.is_empty());
            for fault in &explanation.faults {
                prop_assert!(fault.error.offset() <= frame.len());
            }
        }
    }
}
