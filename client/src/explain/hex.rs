//! Octets that are given in hex digits: alone, or as xxd, hexdump -C and tcpdump -X print them.

use std::ops::Range;

/// Takes lines of hex digits.
#[derive(Debug, Default)]
pub(super) struct Hex {
    octets: Vec<u8>,
    /// The first digit of an octet.
    high: Option<u8>,
    /// Whether its lines begin with offsets.
    is_dump: bool,
}

impl Hex {
    /// The octets of one text, or the index of what is no hex digit.
    pub(super) fn octets(text: &[u8]) -> Result<Vec<u8>, usize> {
        let mut hex = Self::default();
        let mut start = 0;
        for line in text.split(|octet| *octet == b'\n') {
            hex.take(line).map_err(|index| start + index)?;
            start += line.len() + 1;
        }
        hex.finish().map_err(|()| text.len())
    }

    /// Takes a line; an error is the index of what is no hex digit.
    pub(super) fn take(&mut self, line: &[u8]) -> Result<(), usize> {
        let digits = match self.dumped(line) {
            Some(digits) => {
                self.is_dump = true;
                digits
            }
            None => 0..line.len(),
        };
        let start = digits.start;
        let digits = line.get(digits).unwrap_or_default();
        self.take_digits(digits).map_err(|index| start + index)
    }

    /// All octets; an error is one whose second digit is missing.
    pub(super) fn finish(self) -> Result<Vec<u8>, ()> {
        match self.high {
            None => Ok(self.octets),
            Some(_) => Err(()),
        }
    }

    /// Whether this line goes on with a dump.
    pub(super) fn goes_on(&self, line: &[u8]) -> bool {
        self.is_dump && !self.octets.is_empty() && self.dumped(line).is_some()
    }

    /// Whether more lines of a dump may come.
    pub(super) fn is_dump(&self) -> bool {
        self.is_dump
    }

    /// Where the digits of a line stand that begins with an offset: behind that, and before the text beside them. An offset
    /// tells how many octets came before it, so that other digits are not taken for one.
    fn dumped(&self, line: &[u8]) -> Option<Range<usize>> {
        let start = line.len() - line.trim_ascii_start().len();
        let text = line.get(start..)?;
        let prefix = if text.starts_with(b"0x") { 2 } else { 0 };
        let digits = text.get(prefix..)?;
        let count = digits.iter().take_while(|c| c.is_ascii_hexdigit()).count();
        let offset = str::from_utf8(digits.get(..count)?).ok()?;
        let is_here = count >= 4 && usize::from_str_radix(offset, 16) == Ok(self.octets.len());
        if !is_here || self.high.is_some() {
            return None;
        }
        let begin = start + prefix + count;
        let rest = line.get(begin..)?;
        let (begin, has_end) = if let Some(rest) = rest.strip_prefix(b":") {
            let blanks = rest.len() - rest.trim_ascii_start().len();
            if blanks == 0 && !rest.is_empty() {
                return None;
            }
            let begin = begin + 1 + blanks;
            let column = line.get(begin..)?.windows(2);
            (begin, column.into_iter().position(|pair| pair == b"  "))
        } else if rest.starts_with(b"  ") && count == 8 {
            (begin, rest.iter().position(|c| *c == b'|'))
        } else if rest.trim_ascii().is_empty() && count == 8 && self.is_dump {
            // The length, at the end.
            (begin, None)
        } else {
            return None;
        };
        let end = has_end.map_or(line.len(), |end| begin + end);
        Some(begin..end)
    }

    fn take_digits(&mut self, digits: &[u8]) -> Result<(), usize> {
        let mut is_start = true;
        let mut rest = digits.iter().enumerate().peekable();
        while let Some((index, c)) = rest.next() {
            if c.is_ascii_whitespace() || *c == b':' {
                is_start = true;
                continue;
            }
            let prefixes = is_start && self.high.is_none() && *c == b'0';
            is_start = false;
            if prefixes && rest.next_if(|(_, c)| matches!(c, b'x' | b'X')).is_some() {
                continue;
            }
            let digit = char::from(*c).to_digit(16);
            let digit = digit
                .and_then(|digit| u8::try_from(digit).ok())
                .ok_or(index)?;
            match self.high.take() {
                None => self.high = Some(digit),
                Some(high) => self.octets.push(high << 4 | digit),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_pairs_of_digits_with_blanks_anywhere() {
        let octets = Hex::octets;
        assert_eq!(octets(b"68 6969\n0A f F"), Ok(b"hii\x0a\xff".to_vec()));
        assert_eq!(octets(b"68:69:69"), Ok(b"hii".to_vec()));
        assert_eq!(octets(b"0x68 0X69 0x6900"), Ok(b"hii\0".to_vec()));
        assert_eq!(octets(b""), Ok(vec![]));
        assert_eq!(octets(b"68x9"), Err(2));
        assert_eq!(octets(b"68\n6x"), Err(4));
        assert_eq!(octets(b"680x69"), Err(3));
        assert_eq!(octets(b"686"), Err(3));
        assert_eq!(octets(b"+1"), Err(0));
    }

    #[test]
    fn a_dump_has_offsets_before_its_digits_and_text_beside_them() {
        let frame = b"to:192.0.2.7/90;content:a  |b\n";
        for dump in [
            "00000000: 746f 3a31 3932 2e30 2e32 2e37 2f39 303b  to:192.0.2.7/90;\n\
             00000010: 636f 6e74 656e 743a 6120 207c 620a       content:a  |b.\n",
            "00000000  74 6f 3a 31 39 32 2e 30  2e 32 2e 37 2f 39 30 3b  |to:192.0.2.7/90;|\n\
             00000010  63 6f 6e 74 65 6e 74 3a  61 20 20 7c 62 0a        |content:a  |b.|\n\
             0000001e\n",
            "\t0x0000:  746f 3a31 3932 2e30 2e32 2e37 2f39 303b  to:192.0.2.7/90;\n\
             \t0x0010:  636f 6e74 656e 743a 6120 207c 620a       content:a  |b.\n",
        ] {
            assert_eq!(Hex::octets(dump.as_bytes()), Ok(frame.to_vec()), "{dump}");
        }
        assert_eq!(Hex::octets(b"00000000: 6869"), Ok(b"hi".to_vec()));
        assert_eq!(Hex::octets(b"00000000: 68zz"), Err(12));
    }

    #[test]
    fn what_does_not_tell_where_it_stands_is_no_offset() {
        let octets = Hex::octets;
        assert_eq!(octets(b"6869: 6a6b"), Ok(b"hijk".to_vec()));
        assert_eq!(octets(b"0000"), Ok(vec![0, 0]));
        assert_eq!(octets(b"00000000"), Ok(vec![0; 4]));
        assert_eq!(octets(b"0000:0001"), Ok(vec![0, 0, 0, 1]));
        // A line is missing, as where hexdump writes a star.
        assert_eq!(octets(b"00000000  00 00  |..|\n*\n00000020\n"), Err(22));
    }
}
