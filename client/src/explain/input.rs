//! Where the frames come from.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal as _, Read as _, StdinLock};
use std::path::Path;

use hii_protocol::MAX_DATAGRAM;
use hii_server::exit::{Exit, Failure, note};

use super::Args;
use crate::lines::Lines;

/// One octet more than a frame can have, so that one which is too long is seen to be.
const MOST: usize = MAX_DATAGRAM + 1;

/// A frame, and the line of stdin that it stands on.
pub(super) struct Frame {
    pub(super) line: Option<u64>,
    pub(super) octets: Vec<u8>,
}

/// All frames that were asked about.
pub(super) struct Input {
    frames: Frames,
    is_hex: bool,
}

enum Frames {
    One(Option<Vec<u8>>),
    Lines(Lines<StdinLock<'static>>, u64),
}

impl Input {
    pub(super) fn open(args: &Args) -> Result<Self, Failure> {
        let frames = if let Some(path) = &args.file {
            Frames::One(Some(read(path, args.hex)?))
        } else if let Some(frame) = &args.frame {
            Frames::One(Some(frame.as_encoded_bytes().to_vec()))
        } else {
            if io::stdin().is_terminal() {
                note("hii: each line that you type is a frame; Ctrl-D ends");
            }
            let most = if args.hex { hex_len(MOST) } else { MOST };
            Frames::Lines(Lines::new(io::stdin().lock(), most), 0)
        };
        Ok(Self {
            frames,
            is_hex: args.hex,
        })
    }

    fn next_given(&mut self) -> Option<Result<Frame, Failure>> {
        match &mut self.frames {
            Frames::One(frame) => frame.take().map(|octets| Ok(Frame { line: None, octets })),
            Frames::Lines(lines, number) => {
                *number += 1;
                let line = Some(*number);
                let frame = |octets| Frame { line, octets };
                Some(
                    lines
                        .next()?
                        .map(frame)
                        .map_err(|error| unreadable("stdin", &error)),
                )
            }
        }
    }
}

impl Iterator for Input {
    type Item = Result<Frame, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let frame = self.next_given()?;
        if !self.is_hex {
            return Some(frame);
        }
        Some(frame.and_then(|frame| {
            let octets = octets_of(&frame.octets).map_err(|index| no_hex(frame.line, index))?;
            Ok(Frame { octets, ..frame })
        }))
    }
}

/// Octets of hex digits with blanks between all of them, for so many octets.
const fn hex_len(octets: usize) -> usize {
    octets * 4
}

fn read(path: &Path, is_hex: bool) -> Result<Vec<u8>, Failure> {
    let most = if is_hex { hex_len(MOST) } else { MOST } as u64;
    let mut octets = Vec::new();
    File::open(path)
        .and_then(|file| BufReader::new(file).take(most).read_to_end(&mut octets))
        .map_err(|error| unreadable(&path.display().to_string(), &error))?;
    Ok(octets)
}

/// The octets that hex digits stand for, or the index of what is none.
fn octets_of(hex: &[u8]) -> Result<Vec<u8>, usize> {
    let mut octets = Vec::new();
    let mut high = None;
    for (index, c) in hex.iter().enumerate() {
        if c.is_ascii_whitespace() {
            continue;
        }
        let digit = char::from(*c).to_digit(16);
        let digit = digit
            .and_then(|digit| u8::try_from(digit).ok())
            .ok_or(index)?;
        match high.take() {
            None => high = Some(digit),
            Some(high) => octets.push(high << 4 | digit),
        }
    }
    match high {
        None => Ok(octets),
        Some(_) => Err(hex.len()),
    }
}

fn no_hex(line: Option<u64>, index: usize) -> Failure {
    let line = line.map_or(String::new(), |line| format!("line {line}: "));
    Failure::new(
        Exit::Usage,
        format_args!("{line}not pairs of hex digits, at index {index}"),
        "give two digits for each octet, as 686969, or leave out --hex",
    )
}

fn unreadable(what: &str, error: &io::Error) -> Failure {
    Failure::new(
        Exit::Usage,
        format_args!("cannot read {what:?}: {error}"),
        "give a file that can be read, or the frame itself",
    )
}

#[cfg(test)]
mod tests {
    use super::octets_of;

    #[test]
    fn hex_is_pairs_of_digits_with_blanks_anywhere() {
        assert_eq!(octets_of(b"68 6969\n0A f F"), Ok(b"hii\x0a\xff".to_vec()));
        assert_eq!(octets_of(b""), Ok(vec![]));
        assert_eq!(octets_of(b"68x9"), Err(2));
        assert_eq!(octets_of(b"686"), Err(3));
        assert_eq!(octets_of(b"+1"), Err(0));
    }
}
