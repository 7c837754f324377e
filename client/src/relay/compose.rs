//! How a text travels: as `content` where the classic form carries it, else as `raw` where both the relay and the text's
//! receiver can be ours.

use std::fmt;
use std::str;

use hii_protocol::relay::{Content, ContentError, Forward, Message, Payload, Raw, Request};
use hii_protocol::{Endpoint, MAX_DATAGRAM};
use serde::Serialize;

use super::told::Relay;

/// Octets of a datagram that an original relay reads; it cuts the rest off and passes on what is left.
pub const ORIGINAL_READS: usize = 1024;

/// What carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The classic form.
    Content,
    /// Any octets, for programs of ours only.
    Raw,
}

/// Why a text cannot be sent by this relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cannot {
    /// The classic form cannot carry this octet where it stands.
    CarryOctet {
        /// The octet.
        octet: u8,
        /// Where it stands.
        index: usize,
    },
    /// The classic form carries UTF-8 only, up to here.
    CarryNoText(usize),
    /// An original relay cuts off a blank that is not ASCII's.
    KeepBlank(char),
    /// An original relay cuts off what is beyond 1,024 octets of a datagram, and this one would have so many.
    KeepLength(usize),
    /// An original relay knows no IPv6 address.
    ReachIpv6,
    /// No datagram holds it, or the one that its receiver would get.
    Fit(usize),
}

/// The frame that sends a text through this relay, for a sender of this address.
///
/// # Errors
/// The relay cannot carry the text, or not to there.
pub fn compose(
    text: &[u8],
    to: Endpoint,
    from: Endpoint,
    relay: Relay,
) -> Result<(Vec<u8>, Form), Cannot> {
    match content(text) {
        Ok(content) => {
            let frame = frame(to, from, Payload::Content(content))?;
            if relay == Relay::Original {
                original_keeps(&frame, content.as_str(), to)?;
            }
            Ok((frame, Form::Content))
        }
        Err(cannot @ Cannot::Fit(_)) => Err(cannot),
        Err(cannot) if relay == Relay::Original => Err(cannot),
        Err(_) => {
            let raw = Raw::new(text).map_err(|_| Cannot::Fit(text.len()))?;
            Ok((frame(to, from, Payload::Raw(raw))?, Form::Raw))
        }
    }
}

fn content(text: &[u8]) -> Result<Content<'_>, Cannot> {
    let text = str::from_utf8(text).map_err(|error| Cannot::CarryNoText(error.valid_up_to()))?;
    Content::new(text).map_err(|error| match error {
        ContentError::Octet { octet, index } => Cannot::CarryOctet { octet, index },
        _ => Cannot::Fit(text.len()),
    })
}

fn frame(to: Endpoint, from: Endpoint, payload: Payload<'_>) -> Result<Vec<u8>, Cannot> {
    let message = Message::new(to, payload).map_err(|error| Cannot::Fit(error.len))?;
    Forward::new(from, payload).map_err(|error| Cannot::Fit(error.len))?;
    Ok(Request::Send(message).to_vec())
}

/// Whether an original relay passes on all of it.
fn original_keeps(frame: &[u8], text: &str, to: Endpoint) -> Result<(), Cannot> {
    if to.ip().is_ipv6() {
        return Err(Cannot::ReachIpv6);
    }
    if frame.len() > ORIGINAL_READS {
        return Err(Cannot::KeepLength(frame.len()));
    }
    let is_trimmed = |c: &char| c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}');
    let mut ends = text.chars().next().into_iter().chain(text.chars().last());
    ends.find(is_trimmed)
        .map_or(Ok(()), |c| Err(Cannot::KeepBlank(c)))
}

impl fmt::Display for Cannot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ORIGINAL: &str = "and the relay is an original one, which knows no other";
        match self {
            Self::CarryOctet { octet: b':', index } => write!(
                f,
                "the classic form cannot carry the \":\" at octet {index}, {ORIGINAL}"
            ),
            Self::CarryOctet { octet, index } => write!(
                f,
                "the classic form cannot carry a blank at an end ({:?} at octet {index}), {ORIGINAL}",
                char::from(*octet)
            ),
            Self::CarryNoText(index) => write!(
                f,
                "the classic form carries UTF-8 only, which octet {index} is not, {ORIGINAL}"
            ),
            Self::KeepBlank(c) => write!(f, "an original relay cuts off the {c:?} at its end"),
            Self::KeepLength(len) => write!(
                f,
                "an original relay cuts messages off at {ORIGINAL_READS} octets with their address, and this has {len}"
            ),
            Self::ReachIpv6 => write!(f, "an original relay knows no IPv6 address"),
            Self::Fit(len) => write!(
                f,
                "it is too long: a datagram has at most {MAX_DATAGRAM} octets, and this would have {len} or more"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = "192.0.2.7/9000";
    const V6: &str = "[2001:db8::7]/9000";

    fn composed(text: &[u8], to: &str, relay: Relay) -> Result<(Vec<u8>, Form), Cannot> {
        compose(text, to.parse().unwrap(), V6.parse().unwrap(), relay)
    }

    #[test]
    fn what_the_classic_form_carries_is_classic() {
        let frame = b"to:192.0.2.7/9000;content:a;b".to_vec();
        for relay in [Relay::Hii, Relay::Original] {
            assert_eq!(
                composed(b"a;b", V4, relay),
                Ok((frame.clone(), Form::Content))
            );
        }
    }

    #[test]
    fn what_it_does_not_carry_is_raw_or_is_named() {
        for (text, cannot) in [
            (
                &b"12:30"[..],
                Cannot::CarryOctet {
                    octet: b':',
                    index: 2,
                },
            ),
            (
                b" a",
                Cannot::CarryOctet {
                    octet: b' ',
                    index: 0,
                },
            ),
            (
                b"a\t",
                Cannot::CarryOctet {
                    octet: b'\t',
                    index: 1,
                },
            ),
            (b"a\xff", Cannot::CarryNoText(1)),
        ] {
            let frame = [b"to:192.0.2.7/9000;raw : ", text].concat();
            assert_eq!(composed(text, V4, Relay::Hii), Ok((frame, Form::Raw)));
            assert_eq!(composed(text, V4, Relay::Original), Err(cannot));
        }
    }

    #[test]
    fn what_an_original_relay_would_change_is_not_sent_through_one() {
        let long = [b'x'; 1000];
        for (text, to, cannot) in [
            ("a\u{a0}".as_bytes(), V4, Cannot::KeepBlank('\u{a0}')),
            (b"\x1fa", V4, Cannot::KeepBlank('\u{1f}')),
            (&long, V4, Cannot::KeepLength(1026)),
            (b"a", V6, Cannot::ReachIpv6),
        ] {
            assert_eq!(composed(text, to, Relay::Original), Err(cannot));
            assert!(composed(text, to, Relay::Hii).is_ok());
        }
        assert!(composed(&long[..998], V4, Relay::Original).is_ok());
    }

    #[test]
    fn what_its_receiver_could_not_be_sent_is_not_sent() {
        let text = vec![b'x'; MAX_DATAGRAM - "to:192.0.2.7/9000;content:".len()];
        // The sender's address is longer than that of the receiver.
        assert!(matches!(
            composed(&text, V4, Relay::Hii),
            Err(Cannot::Fit(_))
        ));
        assert!(composed(&text[20..], V4, Relay::Hii).is_ok());
        let raw = vec![b':'; MAX_DATAGRAM];
        assert!(matches!(
            composed(&raw, V4, Relay::Hii),
            Err(Cannot::Fit(_))
        ));
    }
}
