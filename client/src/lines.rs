//! Lines of input, in bounded memory.

use std::io::{self, BufRead};

/// Reads lines of any octets. Of a longer line, so many octets come and the rest is passed over.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    most: usize,
}

impl<R: BufRead> Lines<R> {
    /// The lines of `input`, at most so many octets of each.
    pub fn new(input: R, most: usize) -> Self {
        Self { input, most }
    }

    fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut is_first = true;
        loop {
            let held = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                held => held?,
            };
            if held.is_empty() {
                return Ok((!is_first).then_some(line));
            }
            is_first = false;
            let end = held.iter().position(|octet| *octet == b'\n');
            let part = held.get(..end.unwrap_or(held.len())).unwrap_or_default();
            let room = self.most.saturating_sub(line.len());
            line.extend_from_slice(part.get(..room).unwrap_or(part));
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(Some(line));
            }
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], most: usize) -> Vec<Vec<u8>> {
        // Read in pieces of two octets, so that lines end anywhere in them.
        let input = io::BufReader::with_capacity(2, input);
        Lines::new(input, most).map(Result::unwrap).collect()
    }

    #[test]
    fn line_ends_are_no_part_of_lines_and_other_octets_are() {
        assert_eq!(
            lines(b"one\n\r\n\ntwo \r\n\xff", 100),
            [&b"one"[..], b"", b"", b"two ", b"\xff"]
        );
        assert!(lines(b"", 100).is_empty());
    }

    #[test]
    fn what_is_too_long_is_cut_and_the_next_line_is_whole() {
        assert_eq!(lines(b"123456789\nab", 4), [&b"1234"[..], b"ab"]);
    }
}
