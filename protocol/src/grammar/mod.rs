//! The rules that several frames share, one function per ABNF rule (`WIRE.md` section 1).
//!
//! Only nom's `complete` parsers are used: a frame is whole when it comes here, so there is nothing to wait for.
#![expect(
    clippy::inline_always,
    reason = "a message's parsers become one function, which takes a tenth fewer instructions"
)]

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::{NonZeroU16, NonZeroU64};

use nom::bytes::complete::{tag, take_while, take_while_m_n};
use nom::error::ErrorKind;
use nom::{Err, IResult};

use crate::{Endpoint, Limits, MAX_DATAGRAM, ParseError, Rule};

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

/// `hex = DIGIT / %x61-66`
pub(crate) const fn is_hex(octet: u8) -> bool {
    matches!(octet, b'0'..=b'9' | b'a'..=b'f')
}

/// `8hex`, `16hex`: so many digits, as a number. The fault is at the first octet that is no digit.
pub(crate) fn hex(digits: usize, input: &[u8]) -> Parsed<'_, u64> {
    let (rest, taken) = take_while_m_n(0, digits, is_hex)(input)?;
    if taken.len() < digits {
        return Err(Err::Error(nom::error::ParseError::from_error_kind(
            rest,
            ErrorKind::HexDigit,
        )));
    }
    Ok((rest, taken.iter().fold(0, |n, d| n << 4 | nibble(*d))))
}

/// `token = 32hex`
pub(crate) fn token(input: &[u8]) -> Parsed<'_, [u8; 16]> {
    let (input, high) = hex(16, input)?;
    let (input, low) = hex(16, input)?;
    let token = u128::from(high) << 64 | u128::from(low);
    Ok((input, token.to_be_bytes()))
}

const fn nibble(digit: u8) -> u64 {
    (match digit {
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'0'),
    }) as u64
}

/// `number = "0" / positive`, at most 2^64 - 1
pub(crate) fn number(input: &[u8]) -> Parsed<'_, u64> {
    let bad = || {
        Err(Err::Error(nom::error::ParseError::from_error_kind(
            input,
            ErrorKind::Digit,
        )))
    };
    let (rest, digits) = take_while_m_n(1, 20, is_digit)(input)?;
    if matches!(digits, [b'0', _, ..]) || matches!(rest, [b'0'..=b'9', ..]) {
        return bad();
    }
    let (first, last) = digits.split_at_checked(19).unwrap_or((digits, &[]));
    // Up to 19 digits fit; the twentieth may be too much.
    let first = first
        .iter()
        .fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'));
    let value = last.iter().try_fold(first, |value, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    });
    match value {
        Some(value) => Ok((rest, value)),
        None => bad(),
    }
}

/// `positive = %x31-39 *19DIGIT`, at most 2^64 - 1
pub(crate) fn positive(input: &[u8]) -> Parsed<'_, NonZeroU64> {
    let (rest, value) = number(input)?;
    match NonZeroU64::new(value) {
        Some(value) => Ok((rest, value)),
        None => Err(Err::Error(nom::error::ParseError::from_error_kind(
            input,
            ErrorKind::Digit,
        ))),
    }
}

/// `1*DIGIT` with any number of leading zeros; a value that is too large for `u32` is `u32::MAX`.
#[inline(always)]
pub(crate) fn digits(input: &[u8]) -> Parsed<'_, u32> {
    let (mut input, first) = digit(input)?;
    let mut value = u32::from(first);
    while let Ok((rest, next)) = digit(input) {
        value = value.saturating_mul(10).saturating_add(u32::from(next));
        input = rest;
    }
    Ok((input, value))
}

/// The value of digits, `u32::MAX` when it is larger.
#[inline]
pub(crate) fn value_of(digits: &[u8]) -> u32 {
    digits.iter().fold(0_u32, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(u32::from(digit.wrapping_sub(b'0')))
    })
}

pub(crate) const fn is_digit(octet: u8) -> bool {
    octet.is_ascii_digit()
}

/// `port`, within 1 to 65535
#[inline(always)]
pub(crate) fn port(input: &[u8]) -> Parsed<'_, NonZeroU16> {
    let (rest, value) = digits(input)?;
    match u16::try_from(value).ok().and_then(NonZeroU16::new) {
        Some(port) => Ok((rest, port)),
        None => fault(Rule::PortValue, input),
    }
}

/// `plain-port = positive`, within 1 to 65535
pub(crate) fn plain_port(input: &[u8]) -> Parsed<'_, NonZeroU16> {
    let (rest, value) = positive(input)?;
    match NonZeroU16::try_from(value) {
        Ok(port) => Ok((rest, port)),
        Err(_) => Err(Err::Error(nom::error::ParseError::from_error_kind(
            input,
            ErrorKind::Digit,
        ))),
    }
}

/// `dec-octet = DIGIT / %x31-39 DIGIT / "1" 2DIGIT / "2" %x30-34 DIGIT / "25" %x30-35`
#[inline]
fn dec_octet(input: &[u8]) -> Parsed<'_, u8> {
    let (mut rest, first) = digit(input)?;
    let mut value = u16::from(first);
    // Nothing follows a leading zero, and 255 has three digits.
    for _ in 0..2 {
        if first == 0 {
            break;
        }
        let Ok((after, next)) = digit(rest) else {
            break;
        };
        (rest, value) = (after, value * 10 + u16::from(next));
    }
    match u8::try_from(value) {
        Ok(octet) => Ok((rest, octet)),
        Err(_) => fault(Rule::Address, input),
    }
}

/// The value of one `DIGIT`.
#[inline]
fn digit(input: &[u8]) -> Parsed<'_, u8> {
    match input {
        [digit @ b'0'..=b'9', rest @ ..] => Ok((rest, digit - b'0')),
        _ => Err(Err::Error(nom::error::ParseError::from_error_kind(
            input,
            ErrorKind::Digit,
        ))),
    }
}

/// `ipv4 = dec-octet 3("." dec-octet)`
#[inline(always)]
fn ipv4(input: &[u8]) -> Parsed<'_, Ipv4Addr> {
    let (mut input, first) = dec_octet(input)?;
    let mut octets = [first, 0, 0, 0];
    let [_, others @ ..] = &mut octets;
    for other in others {
        let (rest, ()) = octet(b'.', input)?;
        (input, *other) = dec_octet(rest)?;
    }
    Ok((input, octets.into()))
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

/// `ipv6`, all of the text
pub(crate) fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

/// `address = ipv4 / "[" ipv6 "]"`
#[inline(always)]
pub(crate) fn address(input: &[u8]) -> Parsed<'_, IpAddr> {
    let [b'[', inner @ ..] = input else {
        let (input, ip) = ipv4(input)?;
        return Ok((input, ip.into()));
    };
    let (rest, literal) = take_while(|octet| octet != b']')(inner)?;
    match ipv6(literal) {
        Some(ip) => Ok((octet(b']', rest)?.0, ip.into())),
        None => fault(Rule::Address, input),
    }
}

/// `bare-ip = ipv4 / ipv6`, up to `stop`
pub(crate) fn bare_ip(stop: u8, input: &[u8]) -> Parsed<'_, IpAddr> {
    let (rest, text) = take_while(|octet| octet != stop)(input)?;
    let ip = core::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok());
    match ip {
        Some(ip) => Ok((rest, ip)),
        None => Err(Err::Error(nom::error::ParseError::from_error_kind(
            input,
            ErrorKind::Verify,
        ))),
    }
}

/// `address "/" plain-port`, and nothing after it
pub(crate) fn endpoint(input: &[u8]) -> Parsed<'_, Endpoint> {
    let (input, endpoint) = endpoint_prefix(input)?;
    end(Rule::PortValue, input)?;
    Ok((input, endpoint))
}

/// `address "/" plain-port`
pub(crate) fn endpoint_prefix(input: &[u8]) -> Parsed<'_, Endpoint> {
    let (input, ip) = rule(Rule::Address, address)(input)?;
    let (input, ()) = rule(Rule::HeaderSlash, |input| octet(b'/', input))(input)?;
    let (input, port) = rule(Rule::PortValue, plain_port)(input)?;
    Ok((input, Endpoint::from_parts(ip, port)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_dotted_quads_and_nothing_like_them() {
        for good in ["0.0.0.0", "127.0.0.1", "255.255.255.255", "9.10.99.100"] {
            let (rest, ip) = ipv4(good.as_bytes()).unwrap();
            assert_eq!((rest, ip), (&b""[..], good.parse().unwrap()));
        }
        for bad in [
            "",
            "1",
            "1.2.3",
            "256.1.1.1",
            "1.2.3.256",
            "01.2.3.4",
            "1.2.3.x",
            "1..2.3",
            " 1.2.3.4",
        ] {
            assert!(ipv4(bad.as_bytes()).is_err(), "{bad}");
        }
        // What follows is for the next rule to refuse.
        for longer in ["1.2.3.04", "1.2.3.2500", "1.2.3.4.5"] {
            assert!(!ipv4(longer.as_bytes()).unwrap().0.is_empty(), "{longer}");
        }
    }

    #[test]
    fn numbers_have_no_leading_zero_and_end_at_u64_max() {
        assert_eq!(number(b"0 ").unwrap().1, 0);
        assert_eq!(number(b"18446744073709551615").unwrap().1, u64::MAX);
        for bad in [
            "",
            "00",
            "01",
            "18446744073709551616",
            "99999999999999999999",
            "184467440737095516150",
            "+1",
        ] {
            assert!(number(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(positive(b"0").is_err());
    }

    #[test]
    fn hex_is_lower_case_and_its_fault_is_at_the_first_wrong_octet() {
        assert_eq!(hex(8, b"00c0ffee7").unwrap(), (&b"7"[..], 0x00c0_ffee));
        let Err(Err::Error(fault)) = hex(8, b"00C0ffee") else {
            panic!()
        };
        assert_eq!(fault.left, 6);
        let Err(Err::Error(fault)) = hex(8, b"00c0") else {
            panic!()
        };
        assert_eq!(fault.left, 0);
    }

    #[test]
    fn digits_saturate() {
        assert_eq!(digits(b"0000000000000000000080").unwrap().1, 80);
        assert_eq!(digits(&[b'9'; 100]).unwrap().1, u32::MAX);
    }
}
