//! Addresses and ports.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::NonZeroU16;

use nom::Err;
use nom::bytes::complete::take_while;
use nom::error::ErrorKind;

use super::numbers::{digit, digits, positive};
use super::{Parsed, end, fault, octet, rule};
use crate::{Endpoint, Rule};

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
}
