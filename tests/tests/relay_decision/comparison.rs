//! What both say about a frame, and whether that is the same.

use std::net::{Ipv4Addr, Ipv6Addr};

use hii_protocol::relay::{Payload, Request};
use hii_tests::classic::decision::{Decision, decide};
use proptest::prelude::*;

use crate::LONGEST;

/// What both say about a frame, in words of neither.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Greeting,
    ExitServer,
    Send(Ipv4Addr, u16, String),
    Code(u16),
    /// Meant for Hii alone.
    New,
}

fn classic(frame: &[u8]) -> Verdict {
    match decide(frame) {
        Decision::Greeting => Verdict::Greeting,
        Decision::ExitServer => Verdict::ExitServer,
        Decision::Code(code) => Verdict::Code(code),
        Decision::Send { ip, port, content } => Verdict::Send(ip, port, content.to_owned()),
    }
}

fn ours(frame: &[u8]) -> Verdict {
    let message = match Request::decode(frame) {
        Ok(Request::Greeting) => return Verdict::Greeting,
        Ok(Request::ExitServer) => return Verdict::ExitServer,
        Ok(Request::TokenRequest | Request::TokenGreeting(_)) => return Verdict::New,
        Err(error) => return Verdict::Code(error.code().number()),
        Ok(Request::Send(message)) => message,
    };
    let to = message.to();
    match (to.ip(), message.payload()) {
        (std::net::IpAddr::V4(ip), Payload::Content(content)) => {
            Verdict::Send(ip, to.port(), content.as_str().to_owned())
        }
        _ => Verdict::New,
    }
}

/// What a frame has that the original does not know.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) ipv6: bool,
    pub(crate) raw: bool,
    token: bool,
}

impl News {
    const NONE: Self = Self {
        ipv6: false,
        raw: false,
        token: false,
    };
}

/// The classic counterpart of a frame, and what had to give way: an IPv6 literal becomes an IPv4 address, raw data
/// becomes content. The rest stays, mistakes and all, so the classic table decides about it.
pub(crate) fn counterpart(frame: &[u8]) -> (Vec<u8>, News) {
    let mut news = News::NONE;
    let Some(separator) = position(frame, b';') else {
        news.token = is_token_frame(frame);
        return (frame.to_vec(), news);
    };
    let (header, data) = (&frame[..separator], &frame[separator + 1..]);
    let mut counterpart = header.to_vec();
    if let Some(colon) = position(header, b':')
        && let Some(len) = position(&header[colon + 1..], b'/')
    {
        let (start, end) = (colon + 1, colon + 1 + len);
        if is_ipv6_literal(trimmed(&header[start..end])) {
            news.ipv6 = true;
            counterpart.splice(start..end, *b"192.0.2.7");
        }
    }
    counterpart.push(b';');
    if is_raw_data(data) {
        news.raw = true;
        counterpart.extend(b"content:x");
    } else {
        counterpart.extend(data);
    }
    (counterpart, news)
}

fn position(octets: &[u8], wanted: u8) -> Option<usize> {
    octets.iter().position(|octet| *octet == wanted)
}

fn trimmed(octets: &[u8]) -> &[u8] {
    let (start, end) = (leading_blanks(octets), octets.len());
    let trailing = octets.iter().rev().take_while(|octet| is_blank(**octet));
    octets.get(start..end - trailing.count()).unwrap_or(b"")
}

fn leading_blanks(octets: &[u8]) -> usize {
    octets.iter().take_while(|octet| is_blank(**octet)).count()
}

fn is_blank(octet: u8) -> bool {
    b" \t\n\x0b\x0c\r".contains(&octet)
}

fn is_ipv6_literal(text: &[u8]) -> bool {
    str::from_utf8(text)
        .ok()
        .and_then(|text| text.strip_prefix('[')?.strip_suffix(']'))
        .is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok())
}

fn is_raw_data(data: &[u8]) -> bool {
    let key = &data[leading_blanks(data)..];
    key.strip_prefix(b"raw")
        .is_some_and(|rest| rest[leading_blanks(rest)..].starts_with(b": "))
}

/// A token request or a token greeting.
fn is_token_frame(frame: &[u8]) -> bool {
    let Some((hii, rest)) = frame.split_at_checked(4) else {
        return false;
    };
    let is_request = frame.len() >= 96 && rest[0] == b'?' && rest[1..].iter().all(|o| *o == b' ');
    let is_greeting =
        rest.len() == 32 && rest.iter().all(|o| matches!(o, b'0'..=b'9' | b'a'..=b'f'));
    hii.eq_ignore_ascii_case(b"hii ") && (is_request || is_greeting)
}

pub(crate) fn agree(frame: &[u8]) -> Result<(), TestCaseError> {
    let (ours, classic_verdict) = (ours(frame), classic(frame));
    let shown = || String::from_utf8_lossy(frame).into_owned();
    // Ahead of all else, for the counterpart is shorter.
    if frame.len() > LONGEST {
        prop_assert_eq!(&ours, &Verdict::Code(400));
        prop_assert_eq!(classic_verdict, ours);
        return Ok(());
    }
    let (counterpart, news) = counterpart(frame);
    if news == News::NONE {
        prop_assert_eq!(ours, classic_verdict, "{:?}", shown());
        return Ok(());
    }
    // What is new is free to be so: the original has nothing but an error for it.
    prop_assert!(
        matches!(classic_verdict, Verdict::Code(_)),
        "{:?} {:?}",
        classic_verdict,
        shown()
    );
    if news.token {
        prop_assert_eq!(classic_verdict, Verdict::Code(400), "{:?}", shown());
        prop_assert_eq!(ours, Verdict::New, "{:?}", shown());
        return Ok(());
    }
    let counterpart = classic(&counterpart);
    match Request::decode(frame) {
        Err(_) => prop_assert_eq!(ours, counterpart, "{:?}", shown()),
        Ok(Request::Send(message)) => {
            let Verdict::Send(ip, port, content) = &counterpart else {
                let why = format!(
                    "{message:?}, its counterpart {counterpart:?}: {:?}",
                    shown()
                );
                return Err(TestCaseError::fail(why));
            };
            prop_assert_eq!(message.to().port(), *port, "{:?}", shown());
            match message.payload() {
                Payload::Content(text) => {
                    prop_assert!(!news.raw, "{:?}", shown());
                    prop_assert_eq!(text.as_str(), content, "{:?}", shown());
                }
                Payload::Raw(raw) => {
                    prop_assert!(news.raw, "{:?}", shown());
                    prop_assert_eq!(Some(raw.as_bytes()), raw_of(frame), "{:?}", shown());
                }
            }
            if news.ipv6 {
                prop_assert_eq!(
                    Some(message.to().ip()),
                    literal_of(frame).map(|ip| ip.to_canonical()),
                    "{:?}",
                    shown()
                );
            } else {
                prop_assert_eq!(message.to().ip(), *ip, "{:?}", shown());
            }
        }
        Ok(other) => return Err(TestCaseError::fail(format!("{other:?}: {:?}", shown()))),
    }
    Ok(())
}

/// What stands behind the data's `:` SP.
fn raw_of(frame: &[u8]) -> Option<&[u8]> {
    let data = &frame[position(frame, b';')? + 1..];
    data.get(position(data, b':')? + 2..)
}

/// The address of a header that holds one in brackets.
fn literal_of(frame: &[u8]) -> Option<std::net::IpAddr> {
    let (start, end) = (position(frame, b'[')? + 1, position(frame, b']')?);
    let literal = str::from_utf8(frame.get(start..end)?).ok()?;
    literal.parse::<Ipv6Addr>().ok().map(Into::into)
}
