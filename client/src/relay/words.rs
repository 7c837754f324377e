//! What became of a message, in words and for machines.

use std::time::Duration;

use hii_protocol::{Code, Endpoint};
use serde::Serialize;

use super::compose::{Cannot, Form};
use super::told::Outcome;

/// What an address of this host's loopback is good for.
pub const HERE_ONLY: &str = "only programs on this host can write to it";

/// What to do about a text that an original relay does not carry.
const LEAVE_OUT: &str = "leave it out, or use a relay of Hii's own (hii-server relay)";

/// Whether an address that the relay tells means nothing on other hosts.
#[must_use]
pub fn is_of_this_host(own: Endpoint) -> bool {
    own.ip().is_loopback()
}

/// Why a message is not known to have been passed on, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What happened.
    pub what: String,
    /// What to do about it.
    pub advice: &'static str,
    /// Nobody knows whether it was passed on.
    pub is_doubtful: bool,
}

/// An outcome in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutcomeRow {
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<Form>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Why this message was not passed on; none if it was.
#[must_use]
pub fn trouble(outcome: &Outcome, to: Endpoint) -> Option<Trouble> {
    let (what, advice) = match outcome {
        Outcome::Sent(..) => return None,
        Outcome::Refused(Form::Raw(cannot), Code::Undeliverable) => (
            format!(
                "the relay cannot or will not send it to {to} in the raw form (405), and {cannot}"
            ),
            "the raw form goes to Hii clients that are registered there (hii listen, hii chat); leave that out for others",
        ),
        Outcome::Refused(Form::Content, Code::Undeliverable) => (
            format!("the relay cannot or will not send to {to} (405)"),
            "the receiver has to be registered there (hii listen, hii chat) with the address that it is shown",
        ),
        Outcome::Refused(_, code) => (
            format!("the relay refuses it: {code}, {}", code.meaning()),
            "it may know only some of the forms; `hii explain` tells what each frame means",
        ),
        Outcome::Unanswered(_, time) => (
            format!(
                "no answer in {}: the message may have been passed on or not",
                took(*time)
            ),
            "send it again, though it may then arrive twice, or give the relay more time",
        ),
        Outcome::Cannot(cannot @ (Cannot::Fit(_) | Cannot::FitText)) => {
            (cannot.to_string(), "send less at once")
        }
        Outcome::Cannot(cannot @ Cannot::ReachIpv6) => (
            cannot.to_string(),
            "both sides need a relay of Hii's own (hii-server relay)",
        ),
        Outcome::Cannot(cannot @ Cannot::KeepLength(_)) => (
            cannot.to_string(),
            "send less at once, or use a relay of Hii's own (hii-server relay)",
        ),
        Outcome::Cannot(cannot @ Cannot::KeepBlank(_)) => (cannot.to_string(), LEAVE_OUT),
        Outcome::Cannot(cannot @ (Cannot::CarryOctet { .. } | Cannot::CarryNoText(_))) => (
            format!("{cannot}, and the relay is an original one, which knows no other"),
            LEAVE_OUT,
        ),
        Outcome::NoRelay => (
            "the relay does not answer".into(),
            "check that it still runs, and the network",
        ),
    };
    Some(Trouble {
        what,
        advice,
        is_doubtful: matches!(outcome, Outcome::Unanswered(..)),
    })
}

/// A time in people's units.
#[must_use]
pub fn took(time: Duration) -> String {
    let nanos = u32::try_from(time.as_nanos()).unwrap_or(u32::MAX);
    match nanos {
        0..1_000_000 => format!("{:.1} us", f64::from(nanos) / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", f64::from(nanos) / 1e6),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

impl OutcomeRow {
    /// This outcome's row, of a message to there.
    #[must_use]
    pub fn new(outcome: &Outcome, to: Endpoint) -> Self {
        let (result, form) = match outcome {
            Outcome::Sent(form, _) => ("sent", Some(*form)),
            Outcome::Refused(form, _) => ("refused", Some(*form)),
            Outcome::Unanswered(form, _) => ("unanswered", Some(*form)),
            Outcome::Cannot(_) => ("not-sent", None),
            Outcome::NoRelay => ("no-relay", None),
        };
        Self {
            result,
            form,
            code: match outcome {
                Outcome::Refused(_, code) => Some(code.number()),
                _ => None,
            },
            took_ns: match outcome {
                Outcome::Sent(_, took) => u64::try_from(took.as_nanos()).ok(),
                _ => None,
            },
            reason: trouble(outcome, to).map(|trouble| trouble.what),
        }
    }

    /// The row of a message whose relay was not there or is gone: in doubt, where it waited for its answer.
    #[must_use]
    pub fn without_relay(reason: &str, is_doubtful: bool) -> Self {
        Self {
            result: if is_doubtful {
                "unanswered"
            } else {
                "no-relay"
            },
            form: None,
            code: None,
            took_ns: None,
            reason: Some(reason.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_passed_on_says_why() {
        let to = "192.0.2.7/9000".parse().unwrap();
        let sent = Outcome::Sent(Form::Content, Duration::from_micros(1500));
        assert_eq!(trouble(&sent, to), None);
        let row = OutcomeRow::new(&sent, to);
        assert_eq!(
            serde_json::to_string(&row).unwrap(),
            r#"{"result":"sent","form":"content","took_ns":1500000}"#
        );
        let refused = Outcome::Refused(Form::Raw(Cannot::CarryNoText(3)), Code::Undeliverable);
        let trouble = trouble(&refused, to).unwrap();
        assert!(trouble.what.contains("192.0.2.7/9000") && trouble.advice.contains("raw"));
        assert_eq!(OutcomeRow::new(&refused, to).code, Some(405));
    }

    #[test]
    fn what_the_classic_form_cannot_carry_is_named_whoever_knows_no_other() {
        let to = "192.0.2.7/9000".parse().unwrap();
        let octet = |octet, index| Cannot::CarryOctet { octet, index };
        for (cannot, named) in [
            (octet(b':', 2), "the \":\" at octet 2"),
            (octet(b' ', 0), "a blank at an end (' ' at octet 0)"),
            (Cannot::CarryNoText(1), "UTF-8 only, which octet 1 is not"),
        ] {
            let refused = Outcome::Refused(Form::Raw(cannot), Code::Undeliverable);
            for outcome in [refused, Outcome::Cannot(cannot)] {
                let told = trouble(&outcome, to).unwrap();
                assert!(told.what.contains(named), "{told:?}");
                let is_relay = told.what.contains("the relay is an original one");
                assert_eq!(is_relay, outcome != refused, "{told:?}");
                assert_eq!(OutcomeRow::new(&outcome, to).reason, Some(told.what));
            }
        }
    }

    #[test]
    fn what_nobody_knows_is_not_said_to_be_lost() {
        let to = "192.0.2.7/9000".parse().unwrap();
        let unanswered = Outcome::Unanswered(Form::Content, Duration::from_secs(3));
        let trouble = trouble(&unanswered, to).unwrap();
        assert!(trouble.is_doubtful);
        assert_eq!(
            trouble.what,
            "no answer in 3.0 s: the message may have been passed on or not"
        );
    }

    #[test]
    fn times_have_units() {
        assert_eq!(took(Duration::from_nanos(1500)), "1.5 us");
        assert_eq!(took(Duration::from_micros(1500)), "1.5 ms");
        assert_eq!(took(Duration::from_secs(90)), "90.0 s");
    }
}
