//! How a text travels: as `content` where the classic form carries it, else as `raw` where both the relay and the text's
//! receiver can be ours.

use std::fmt;
use std::str;

use hii_protocol::relay::{Content, ContentError, Forward, Message, Payload, Raw, Request};
use hii_protocol::{Endpoint, MAX_DATAGRAM};
use serde::{Serialize, Serializer};

use super::told::Relay;

/// Octets of a datagram that an original relay reads; it cuts the rest off and passes on what is left.
pub const ORIGINAL_READS: usize = 1024;

/// What carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The classic form.
    Content,
    /// Any octets, for programs of ours only, and why the classic form is not enough.
    Raw(Cannot),
}

impl Form {
    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Raw(_) => "raw",
        }
    }
}

impl Serialize for Form {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
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
    /// No datagram holds the frame, or the one that its receiver would get: the longer one has so many octets.
    Fit(usize),
    /// The text alone has more octets than a datagram. Who reads input reads no more than that of it.
    FitText,
}

/// What stands before each kind of payload, on its way to the relay and from there.
const CONTENT: [&str; 2] = ["content:", "content : "];
const RAW: [&str; 2] = ["raw : ", "raw : "];

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
    if text.len() > MAX_DATAGRAM {
        return Err(Cannot::FitText);
    }
    match content(text) {
        Ok(content) => {
            let frame = frame(to, from, Payload::Content(content))?;
            if relay == Relay::Original {
                original_keeps(&frame, content.as_str(), to)?;
            }
            Ok((frame, Form::Content))
        }
        Err(Some(cannot)) if relay == Relay::Original => Err(cannot),
        Err(Some(cannot)) => {
            let raw = Raw::new(text).map_err(|_| too_long(text, to, from, RAW))?;
            Ok((frame(to, from, Payload::Raw(raw))?, Form::Raw(cannot)))
        }
        Err(None) => Err(too_long(text, to, from, CONTENT)),
    }
}

/// The text as content; else what content cannot carry of it, or nothing but its length.
fn content(text: &[u8]) -> Result<Content<'_>, Option<Cannot>> {
    let text = str::from_utf8(text).map_err(|error| Cannot::CarryNoText(error.valid_up_to()))?;
    Content::new(text).map_err(|error| match error {
        ContentError::Octet { octet, index } => Some(Cannot::CarryOctet { octet, index }),
        _ => None,
    })
}

fn frame(to: Endpoint, from: Endpoint, payload: Payload<'_>) -> Result<Vec<u8>, Cannot> {
    let message = Message::new(to, payload);
    let forward = Forward::new(from, payload);
    match (message, forward) {
        (Ok(message), Ok(_)) => Ok(Request::Send(message).to_vec()),
        (message, forward) => {
            let lens = [message.err(), forward.err()].into_iter().flatten();
            Err(Cannot::Fit(
                lens.map(|error| error.len).max().unwrap_or_default(),
            ))
        }
    }
}

/// How long the longer frame of a text would be that is too long to be a payload.
fn too_long(text: &[u8], to: Endpoint, from: Endpoint, [sent, received]: [&str; 2]) -> Cannot {
    let sent = format!("to:{to};{sent}").len();
    let received = format!("{from} ; {received}").len();
    Cannot::Fit(sent.max(received) + text.len())
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
        match self {
            Self::CarryOctet { octet: b':', index } => write!(
                f,
                "the classic form cannot carry the \":\" at octet {index}"
            ),
            Self::CarryOctet { octet, index } => write!(
                f,
                "the classic form cannot carry a blank at an end ({:?} at octet {index})",
                char::from(*octet)
            ),
            Self::CarryNoText(index) => write!(
                f,
                "the classic form carries UTF-8 only, which octet {index} is not"
            ),
            Self::KeepBlank(c) => write!(f, "an original relay cuts off the {c:?} at its end"),
            Self::KeepLength(len) => write!(
                f,
                "an original relay cuts messages off at {ORIGINAL_READS} octets with their address, and this has {len}"
            ),
            Self::ReachIpv6 => write!(f, "an original relay knows no IPv6 address"),
            Self::Fit(len) => write!(
                f,
                "it is too long: a datagram has at most {MAX_DATAGRAM} octets, and this would have {len}"
            ),
            Self::FitText => write!(
                f,
                "it is too long: a datagram has at most {MAX_DATAGRAM} octets, and this text alone has more"
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
            assert_eq!(
                composed(text, V4, Relay::Hii),
                Ok((frame, Form::Raw(cannot)))
            );
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

    #[test]
    fn what_is_too_long_says_how_long_its_frame_would_be() {
        let heads = [
            (b'x', "[2001:db8::7]/9000 ; content : "),
            (b':', "[2001:db8::7]/9000 ; raw : "),
            (0xff, "[2001:db8::7]/9000 ; raw : "),
        ];
        for (octet, head) in heads {
            // The sender has the longer address; the last two are too long for any payload.
            for len in [65_490, 65_491, 65_500, MAX_DATAGRAM] {
                let cannot = composed(&vec![octet; len], V4, Relay::Hii).unwrap_err();
                assert_eq!(cannot, Cannot::Fit(head.len() + len), "{len}, {octet}");
                let said = format!("would have {}", head.len() + len);
                assert!(cannot.to_string().ends_with(&said), "{cannot}");
            }
        }
        // One octet more: the relay's frame fits, and that of the receiver does not.
        let most = MAX_DATAGRAM - heads[0].1.len();
        assert!(composed(&vec![b'x'; most], V4, Relay::Hii).is_ok());
        let cannot = composed(&vec![b'x'; most + 1], V4, Relay::Hii);
        assert_eq!(cannot, Err(Cannot::Fit(MAX_DATAGRAM + 1)));
        let text = vec![b'x'; MAX_DATAGRAM + 1];
        assert_eq!(composed(&text, V4, Relay::Hii), Err(Cannot::FitText));
    }
}
