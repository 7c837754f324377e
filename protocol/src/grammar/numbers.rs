//! Numbers, in decimal and hex.

use core::num::NonZeroU64;

use nom::Err;
use nom::bytes::complete::take_while_m_n;
use nom::error::ErrorKind;

use super::Parsed;

/// `hex = DIGIT / %x61-66`
pub(crate) const fn is_hex(octet: u8) -> bool {
    matches!(octet, b'0'..=b'9' | b'a'..=b'f')
}

/// `8hex`, `16hex`: so many digits, as a number. The fault is at the first octet that is no digit.
#[inline]
pub(crate) fn hex<const DIGITS: usize>(input: &[u8]) -> Parsed<'_, u64> {
    if let Some((digits, rest)) = input.split_first_chunk::<DIGITS>() {
        let nibbles = digits.map(nibble);
        if nibbles.iter().fold(0, |all, one| all | one) <= 0xf {
            let value = nibbles.iter().fold(0, |n, one| n << 4 | u64::from(*one));
            return Ok((rest, value));
        }
    }
    let (rest, _) = take_while_m_n(0, DIGITS, is_hex)(input)?;
    Err(Err::Error(nom::error::ParseError::from_error_kind(
        rest,
        ErrorKind::HexDigit,
    )))
}

/// `token = 32hex`
pub(crate) fn token(input: &[u8]) -> Parsed<'_, [u8; 16]> {
    let (input, high) = hex::<16>(input)?;
    let (input, low) = hex::<16>(input)?;
    let token = u128::from(high) << 64 | u128::from(low);
    Ok((input, token.to_be_bytes()))
}

/// The value of a hex digit, and more than any of another octet.
#[inline]
const fn nibble(octet: u8) -> u8 {
    match octet {
        b'0'..=b'9' => octet - b'0',
        b'a'..=b'f' => octet - b'a' + 10,
        _ => u8::MAX,
    }
}

/// `number = "0" / positive`, at most 2^64 - 1
pub(crate) fn number(input: &[u8]) -> Parsed<'_, u64> {
    let bad = || {
        Err(Err::Error(nom::error::ParseError::from_error_kind(
            input,
            ErrorKind::Digit,
        )))
    };
    let mut rest = input;
    let mut value = 0_u64;
    // Up to 19 digits fit; the twentieth may be too much.
    while input.len() - rest.len() < 19
        && let [digit @ b'0'..=b'9', after @ ..] = rest
    {
        value = value * 10 + u64::from(digit - b'0');
        rest = after;
    }
    if let [digit @ b'0'..=b'9', after @ ..] = rest {
        let more = value.checked_mul(10);
        let Some(more) = more.and_then(|value| value.checked_add(u64::from(digit - b'0'))) else {
            return bad();
        };
        value = more;
        rest = after;
    }
    let is_wrong = match input {
        [b'0', b'0'..=b'9', ..] => true,
        _ => rest.len() == input.len() || matches!(rest, [b'0'..=b'9', ..]),
    };
    if is_wrong { bad() } else { Ok((rest, value)) }
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

/// The value of one `DIGIT`.
#[inline]
pub(super) fn digit(input: &[u8]) -> Parsed<'_, u8> {
    match input {
        [digit @ b'0'..=b'9', rest @ ..] => Ok((rest, digit - b'0')),
        _ => Err(Err::Error(nom::error::ParseError::from_error_kind(
            input,
            ErrorKind::Digit,
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(hex::<8>(b"00c0ffee7").unwrap(), (&b"7"[..], 0x00c0_ffee));
        let Err(Err::Error(fault)) = hex::<8>(b"00C0ffee") else {
            panic!()
        };
        assert_eq!(fault.left, 6);
        let Err(Err::Error(fault)) = hex::<8>(b"00c0") else {
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
