//! The rules that several frames share, one function per ABNF rule (`WIRE.md` section 1).
//!
//! Only nom's `complete` parsers are used: a frame is whole when it comes here, so there is nothing to wait for.
#![expect(
    clippy::inline_always,
    reason = "a message's parsers become one function, which takes a tenth fewer instructions"
)]

mod addresses;
mod numbers;

use nom::bytes::complete::{tag, take_while};
use nom::error::ErrorKind;
use nom::{Err, IResult};

use crate::{Limits, MAX_DATAGRAM, ParseError, Rule};

pub(crate) use addresses::{address, bare_ip, endpoint, endpoint_prefix, ipv6, plain_port, port};
pub(crate) use numbers::{hex, is_digit, is_hex, number, positive, token, value_of};

pub(crate) type Parsed<'a, T> = IResult<&'a [u8], T, Fault>;

/// Where a parser stopped, as octets left, and the rule it wanted there, once a rule has claimed the fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    left: usize,
    rule: Option<Rule>,
}

impl<'a> nom::error::ParseError<&'a [u8]> for Fault {
    fn from_error_kind(input: &'a [u8], _: ErrorKind) -> Self {
        Self {
            left: input.len(),
            rule: None,
        }
    }

    fn append(_: &'a [u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// The fault that `rule` was not found at the start of `input`.
pub(crate) fn fault<T>(rule: Rule, input: &[u8]) -> Parsed<'_, T> {
    Err(Err::Error(Fault {
        left: input.len(),
        rule: Some(rule),
    }))
}

/// Claims the faults of `parser` that no inner rule has claimed.
pub(crate) fn rule<'a, T>(
    rule: Rule,
    mut parser: impl FnMut(&'a [u8]) -> Parsed<'a, T>,
) -> impl FnMut(&'a [u8]) -> Parsed<'a, T> {
    move |input| {
        parser(input).map_err(|error| {
            error.map(|fault| Fault {
                rule: fault.rule.or(Some(rule)),
                ..fault
            })
        })
    }
}

/// Runs a parser over a whole frame. The parser takes all of it or says what is wrong with the rest.
pub(crate) fn whole<'a, T>(
    frame: &'a [u8],
    parser: impl FnOnce(&'a [u8]) -> Parsed<'a, T>,
) -> Result<T, ParseError> {
    match parser(frame) {
        Ok((_, value)) => Ok(value),
        Err(Err::Error(fault) | Err::Failure(fault)) => Err(ParseError::new(
            fault.rule.unwrap_or(Rule::Datagram),
            frame.len() - fault.left,
        )),
        Err(Err::Incomplete(_)) => Err(ParseError::new(Rule::Datagram, frame.len())),
    }
}

/// `datagram`: the frame is not over the limit.
pub(crate) fn datagram(frame: &[u8], limits: &Limits) -> Result<(), ParseError> {
    let limit = limits.datagram.min(MAX_DATAGRAM);
    if frame.len() > limit {
        return Err(ParseError::new(Rule::Datagram, limit));
    }
    Ok(())
}

/// Nothing follows; what does breaks `rule`.
pub(crate) fn end(rule: Rule, input: &[u8]) -> Parsed<'_, ()> {
    if input.is_empty() {
        Ok((input, ()))
    } else {
        fault(rule, input)
    }
}

/// `blank = SP / HTAB / LF / %x0B / %x0C / CR`
pub(crate) const fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t'..=b'\r')
}

/// `blanks = *blank`
#[inline]
pub(crate) fn blanks(input: &[u8]) -> Parsed<'_, &[u8]> {
    match input {
        [first, ..] if *first <= b' ' => take_while(is_blank)(input),
        // Most often there is none.
        _ => Ok((input, &[])),
    }
}

/// The text without the blanks around it.
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    trim_end(trim_start(text))
}

/// The text without the blanks before it.
#[inline]
pub(crate) fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_blank(*first)
    {
        text = rest;
    }
    text
}

/// The text without the blanks after it.
#[inline]
pub(crate) fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., last] = text
        && is_blank(*last)
    {
        text = rest;
    }
    text
}

/// A fixed text; the fault is at the first octet that differs.
pub(crate) fn literal<'a>(text: &'static [u8], input: &'a [u8]) -> Parsed<'a, &'a [u8]> {
    tag(text)(input).map_err(|_: Err<Fault>| {
        let same = text.iter().zip(input).take_while(|(a, b)| a == b).count();
        Err::Error(Fault {
            left: input.len() - same,
            rule: None,
        })
    })
}

/// A word in any letter case, given in lower case.
#[inline]
pub(crate) fn word<'a, const LEN: usize>(lower: &[u8; LEN], input: &'a [u8]) -> Parsed<'a, ()> {
    match input.split_first_chunk::<LEN>() {
        // With this bit set a letter is lower case, and nothing else becomes a letter.
        Some((start, rest)) if start.map(|octet| octet | 0x20) == *lower => Ok((rest, ())),
        _ => Err(Err::Error(nom::error::ParseError::from_error_kind(
            input,
            ErrorKind::Tag,
        ))),
    }
}

/// One fixed octet.
#[inline]
pub(crate) fn octet(wanted: u8, input: &[u8]) -> Parsed<'_, ()> {
    match input {
        [first, rest @ ..] if *first == wanted => Ok((rest, ())),
        _ => Err(Err::Error(nom::error::ParseError::from_error_kind(
            input,
            ErrorKind::Char,
        ))),
    }
}

/// Whether an octet is among the others.
#[inline]
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without a branch for each octet the loop becomes vector code"
)]
pub(crate) fn contains(octets: &[u8], wanted: u8) -> bool {
    octets
        .iter()
        .fold(false, |found, octet| found | (*octet == wanted))
}

/// Whether all octets are this one.
#[inline]
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without a branch for each octet the loop becomes vector code"
)]
fn is_all(octets: &[u8], wanted: u8) -> bool {
    octets
        .iter()
        .fold(true, |same, octet| same & (*octet == wanted))
}

/// `padding = *SP`, to the end of the frame
pub(crate) fn padding(input: &[u8]) -> Parsed<'_, ()> {
    if is_all(input, b' ') {
        return Ok((&[], ()));
    }
    let (rest, _) = take_while(|octet| octet == b' ')(input)?;
    end(Rule::Padding, rest)
}
