//! Which code a frame earns that is no request: the table of `WIRE.md` section 3.2, row by row.
//!
//! The grammar in `request` decides what is a request; this decides only why something is not, so it may take its time.

use crate::grammar::{address, ipv6, is_blank, is_digit, is_hex, trim, value_of};
use crate::relay::request::raw_data;
use crate::{ParseError, Rule};

/// A part of the frame and where it starts.
#[derive(Clone, Copy)]
struct Part<'a> {
    text: &'a [u8],
    start: usize,
}

impl Part<'_> {
    fn end(self) -> usize {
        self.start + self.text.len()
    }

    fn find(self, octet: u8) -> Option<usize> {
        self.text.iter().position(|found| *found == octet)
    }

    /// The parts before and after the octet at `index`.
    fn split(self, index: usize) -> (Self, Self) {
        let (before, after) = self
            .text
            .split_at_checked(index)
            .unwrap_or((self.text, &[]));
        let after = Self {
            text: after.get(1..).unwrap_or_default(),
            start: self.start + index + 1,
        };
        (
            Self {
                text: before,
                ..self
            },
            after,
        )
    }

    /// Without the blanks around it; when there is nothing else, the empty part at its end.
    fn trimmed(self) -> Self {
        let leading = self
            .text
            .iter()
            .take_while(|octet| is_blank(**octet))
            .count();
        Self {
            text: trim(self.text),
            start: self.start + leading,
        }
    }

    /// Where the only `octet` stands, or the offset of the second, or of the end where one is missing.
    fn only(self, octet: u8) -> Result<usize, usize> {
        let mut found = self
            .text
            .iter()
            .enumerate()
            .filter(|(_, o)| **o == octet)
            .map(|(i, _)| i);
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only),
            (_, Some(second)) => Err(self.start + second),
            (None, _) => Err(self.end()),
        }
    }
}

/// Why the frame is no request. The frame is one that the grammar refused.
#[cold]
pub(super) fn judge(frame: &[u8]) -> ParseError {
    match rows(frame) {
        Ok(()) => ParseError::new(Rule::Separator, frame.len()),
        Err((rule, offset)) => ParseError::new(rule, offset),
    }
}

fn rows(frame: &[u8]) -> Result<(), (Rule, usize)> {
    let whole = Part {
        text: frame,
        start: 0,
    };
    let Some(separator) = whole.find(b';') else {
        utf8(whole)?;
        return Err(no_separator(frame));
    };
    let (header, data) = whole.split(separator);
    let is_raw = raw_data(data.text).is_ok();
    utf8(if is_raw { header } else { whole })?;

    let (key, address_text, port) = header_parts(header)?;
    let data_colon = if is_raw {
        None
    } else {
        Some(
            data.only(b':')
                .map_err(|offset| (Rule::DataColon, offset))?,
        )
    };

    let key = key.trimmed();
    if !key.text.eq_ignore_ascii_case(b"to") {
        return Err((Rule::HeaderKey, key.start));
    }
    let port = port.trimmed();
    match port.text.iter().position(|octet| !is_digit(*octet)) {
        Some(wrong) => return Err((Rule::Port, port.start + wrong)),
        None if port.text.is_empty() => return Err((Rule::Port, port.start)),
        None => {}
    }
    if let Some(colon) = data_colon {
        let key = data.split(colon).0.trimmed();
        if !key.text.eq_ignore_ascii_case(b"content") {
            return Err((Rule::DataKey, key.start));
        }
    }
    let address_text = address_text.trimmed();
    if !matches!(address(address_text.text), Ok((&[], _))) {
        return Err((Rule::Address, address_text.start));
    }
    if !(1..=65535).contains(&value_of(port.text)) {
        return Err((Rule::PortValue, port.start));
    }
    Ok(())
}

fn utf8(part: Part<'_>) -> Result<(), (Rule, usize)> {
    core::str::from_utf8(part.text)
        .map(|_| ())
        .map_err(|error| (Rule::Utf8, part.start + error.valid_up_to()))
}

/// A frame without `;` that is no greeting.
fn no_separator(frame: &[u8]) -> (Rule, usize) {
    let end = frame.len();
    match frame {
        [b'h' | b'H', b'i' | b'I', b'i' | b'I', b' ', rest @ ..] => {
            let (rule, wrong) = match rest {
                [b'?', padding @ ..] => (
                    Rule::Padding,
                    padding
                        .iter()
                        .position(|octet| *octet != b' ')
                        .map(|index| index + 1),
                ),
                token => {
                    let wrong = token.iter().take(32).position(|octet| !is_hex(*octet));
                    (Rule::Token, wrong.or((token.len() > 32).then_some(32)))
                }
            };
            (rule, wrong.map_or(end, |index| index + "hii ".len()))
        }
        _ => (Rule::Separator, end),
    }
}

/// The header's key, address and port: exactly one `:` and then exactly one `/`, the colons of a valid IPv6 literal
/// aside.
fn header_parts(header: Part<'_>) -> Result<(Part<'_>, Part<'_>, Part<'_>), (Rule, usize)> {
    let colon = if let Some((colon, rest)) = before_ipv6(header) {
        match rest.find(b':') {
            Some(second) => Err(rest.start + second),
            None => Ok(colon),
        }
    } else {
        header.only(b':')
    };
    let colon = colon.map_err(|offset| (Rule::HeaderColon, offset))?;
    let slash = header
        .only(b'/')
        .map_err(|offset| (Rule::HeaderSlash, offset))?;
    if slash < colon {
        return Err((Rule::HeaderSlash, header.start + slash));
    }
    let (before_slash, port) = header.split(slash);
    let (key, address) = before_slash.split(colon);
    Ok((key, address, port))
}

/// When a valid IPv6 literal in brackets stands between the first `:` and the first `/` after it: where that `:` is,
/// and what follows the `/`.
fn before_ipv6(header: Part<'_>) -> Option<(usize, Part<'_>)> {
    let colon = header.find(b':')?;
    let (_, after_colon) = header.split(colon);
    let (address, rest) = after_colon.split(after_colon.find(b'/')?);
    let literal = address
        .trimmed()
        .text
        .strip_prefix(b"[")?
        .strip_suffix(b"]")?;
    ipv6(literal).map(|_| (colon, rest))
}

#[cfg(test)]
mod tests {
    use crate::relay::Request;

    #[track_caller]
    fn refused(frame: impl AsRef<[u8]>, code: u16, rule: &str, offset: usize) {
        let frame = frame.as_ref();
        let error = Request::decode(frame).unwrap_err();
        assert_eq!(
            (error.code().number(), error.rule().name(), error.offset()),
            (code, rule, offset),
            "{:?}",
            std::string::String::from_utf8_lossy(frame)
        );
    }

    #[test]
    fn rejects_what_is_no_request_with_400() {
        refused("", 400, "separator", 0);
        refused(" hii", 400, "separator", 4);
        refused("hello", 400, "separator", 5);
        refused(b"hel\xfflo", 400, "utf-8", 3);
        refused(b"to:1.2.3.4/5;content:\xff", 400, "utf-8", 21);
        refused("hii ?", 400, "padding", 5);
        refused("hii ?  x", 400, "padding", 7);
        refused("hii ", 400, "token", 4);
        refused("hii 0001X", 400, "token", 8);
        refused("hii 000102030405060708090a0b0c0d0e0f0", 400, "token", 36);
        refused("x".repeat(65_508), 400, "datagram", 65_507);
    }

    #[test]
    fn rejects_wrong_parts_with_401() {
        refused("to 1.2.3.4/5;content:x", 401, "header-colon", 12);
        refused("to:1:2.3.4/5;content:x", 401, "header-colon", 4);
        refused("to:1.2.3.4 5;content:x", 401, "header-slash", 12);
        refused("to:1.2.3.4/5/6;content:x", 401, "header-slash", 12);
        refused("a/b:c;content:x", 401, "header-slash", 1);
        refused("to:1.2.3.4/5;content x", 401, "data-colon", 22);
        refused("to:1.2.3.4/5;content:12:30", 401, "data-colon", 23);
        refused("to:[::1%1]/5;content:x", 401, "header-colon", 4);
        refused("to:[::1]/5:;content:x", 401, "header-colon", 10);
        refused("to:1.2.3.4/5;raw:a:b", 401, "data-colon", 18);
    }

    #[test]
    fn rejects_keys_numbers_and_addresses_in_the_order_of_the_table() {
        refused("t o:x/y;z:x", 402, "header-key", 0);
        refused(" :x/y;z:x", 402, "header-key", 1);
        refused("to:x/ y ;z:x", 403, "port", 6);
        refused("to:x/ ;z:x", 403, "port", 6);
        refused("to:x/+5;z:x", 403, "port", 5);
        refused("to:x/5_000;z:x", 403, "port", 6);
        refused("to:x/0; z:x", 404, "data-key", 8);
        refused("to:x/0;raw:x", 404, "data-key", 7);
        refused("to:x/0;content:x", 405, "address", 3);
        refused("to:1.2.3.4/0;content:x", 405, "port-value", 11);
        refused("to:1.2.3.4/65536;content:x", 405, "port-value", 11);
        refused("to:[1.2.3.4]/1;content:x", 405, "address", 3);
        refused("to:127.1/1;content:x", 405, "address", 3);
        refused(b"tx:1.2.3.4/1;raw : \xff", 402, "header-key", 0);
        refused(b"\xff:1.2.3.4/1;raw : \xff", 400, "utf-8", 0);
    }
}
