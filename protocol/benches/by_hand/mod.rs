//! A relay's message parsed by hand: what the grammar's parsers are measured against.
//!
//! It does the same job for classic messages (`WIRE.md` section 3.2 without IPv6 and raw payloads), with `memchr` and
//! whatever else makes it fast, but it tells a refused frame's code only: neither offset nor rule.

use std::net::Ipv4Addr;

use memchr::memchr;

/// Destination, port and content, or the code that the frame earns.
#[inline]
pub(crate) fn decode(frame: &[u8]) -> Result<(Ipv4Addr, u16, &str), u16> {
    accept(frame).ok_or_else(|| judge(frame))
}

/// One way through a good frame. That the header has one `:` and one `/` needs no count: what may stand elsewhere in
/// it is neither.
#[inline]
fn accept(frame: &[u8]) -> Option<(Ipv4Addr, u16, &str)> {
    if frame.len() > 65_507 {
        return None;
    }
    let text = str::from_utf8(frame).ok()?;
    let rest = key(skip_blanks(frame), b"to")?;
    let rest = mark(skip_blanks(rest), b':')?;
    let (address, rest) = dotted_quad(skip_blanks(rest))?;
    let rest = mark(skip_blanks(rest), b'/')?;
    let (port, rest) = port(skip_blanks(rest))?;
    let rest = mark(skip_blanks(rest), b';')?;
    let rest = key(skip_blanks(rest), b"content")?;
    let rest = mark(skip_blanks(rest), b':')?;
    if memchr(b':', rest).is_some() {
        return None;
    }
    let start = frame.len() - skip_blanks(rest).len();
    let last = rest.iter().rposition(|octet| !is_blank(*octet));
    let end = last.map_or(start, |last| frame.len() - rest.len() + last + 1);
    Some((address, port, &text[start..end]))
}

#[inline]
fn key<'a, const LEN: usize>(text: &'a [u8], key: &[u8; LEN]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_first_chunk::<LEN>()?;
    let same = start
        .iter()
        .zip(key)
        .all(|(octet, wanted)| octet | 0x20 == *wanted);
    same.then_some(rest)
}

#[inline]
fn mark(text: &[u8], mark: u8) -> Option<&[u8]> {
    match text {
        [first, rest @ ..] if *first == mark => Some(rest),
        _ => None,
    }
}

#[inline]
fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t'..=b'\r')
}

#[inline]
fn skip_blanks(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && *first <= b' '
        && is_blank(*first)
    {
        text = rest;
    }
    text
}

#[inline]
fn digit(text: &[u8]) -> Option<(u32, &[u8])> {
    match text {
        [digit @ b'0'..=b'9', rest @ ..] => Some((u32::from(digit - b'0'), rest)),
        _ => None,
    }
}

#[inline]
fn dotted_quad(text: &[u8]) -> Option<(Ipv4Addr, &[u8])> {
    let mut parts = [0_u8; 4];
    let mut rest = text;
    for (index, part) in parts.iter_mut().enumerate() {
        if index > 0 {
            rest = mark(rest, b'.')?;
        }
        let mut value;
        (value, rest) = digit(rest)?;
        if value > 0 {
            for _ in 0..2 {
                let Some((next, after)) = digit(rest) else {
                    break;
                };
                value = value * 10 + next;
                rest = after;
            }
        }
        *part = u8::try_from(value).ok()?;
    }
    Some((Ipv4Addr::from(parts), rest))
}

#[inline]
fn port(text: &[u8]) -> Option<(u16, &[u8])> {
    let mut value = 0;
    let mut rest = text;
    while let Some((next, after)) = digit(rest) {
        value = (value * 10 + next).min(65_536);
        rest = after;
    }
    let port = u16::try_from(value).ok()?;
    (port > 0).then_some((port, rest))
}

/// The code of a frame that was not accepted.
#[cold]
fn judge(frame: &[u8]) -> u16 {
    if frame.len() > 65_507 || str::from_utf8(frame).is_err() {
        return 400;
    }
    let Some(semicolon) = memchr(b';', frame) else {
        return 400;
    };
    let (header, data) = (&frame[..semicolon], &frame[semicolon + 1..]);
    let (Some(colon), Some(slash), Some(data_colon)) =
        (only(header, b':'), only(header, b'/'), only(data, b':'))
    else {
        return 401;
    };
    if slash < colon {
        return 401;
    }
    let port = trim(&header[slash + 1..]);
    if !trim(&header[..colon]).eq_ignore_ascii_case(b"to") {
        402
    } else if port.is_empty() || !port.iter().all(u8::is_ascii_digit) {
        403
    } else if !trim(&data[..data_colon]).eq_ignore_ascii_case(b"content") {
        404
    } else {
        405
    }
}

/// Where the only `mark` stands.
fn only(text: &[u8], mark: u8) -> Option<usize> {
    let at = memchr(mark, text)?;
    memchr(mark, &text[at + 1..]).is_none().then_some(at)
}

fn trim(text: &[u8]) -> &[u8] {
    let rest = skip_blanks(text);
    let last = rest.iter().rposition(|octet| !is_blank(*octet));
    &rest[..last.map_or(0, |last| last + 1)]
}
