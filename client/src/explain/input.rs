//! Where the frames come from.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal as _, Read as _, StdinLock};
use std::iter::Peekable;
use std::path::Path;

use hii_protocol::MAX_DATAGRAM;
use hii_server::exit::{Exit, Failure, note};

use super::Args;
use super::hex::Hex;
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
    Lines(Peekable<Lines<StdinLock<'static>>>, u64),
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
            Frames::Lines(Lines::new(io::stdin().lock(), most).peekable(), 0)
        };
        Ok(Self {
            frames,
            is_hex: args.hex,
        })
    }
}

impl Iterator for Input {
    type Item = Result<Frame, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let is_hex = self.is_hex;
        match &mut self.frames {
            Frames::One(given) => {
                let given = given.take()?;
                let octets = if is_hex {
                    Hex::octets(&given).map_err(|index| no_hex(None, index))
                } else {
                    Ok(given)
                };
                Some(octets.map(|octets| Frame { line: None, octets }))
            }
            Frames::Lines(lines, number) => {
                *number += 1;
                let line = Some(*number);
                let octets = match lines.next()? {
                    Ok(first) if is_hex => rest_of_dump(&first, lines, number),
                    given => given.map_err(|error| unreadable("stdin", &error)),
                };
                Some(octets.map(|octets| Frame { line, octets }))
            }
        }
    }
}

/// The octets of a line in hex digits, and of those behind it that go on with the same dump.
fn rest_of_dump(
    first: &[u8],
    lines: &mut Peekable<Lines<StdinLock<'static>>>,
    number: &mut u64,
) -> Result<Vec<u8>, Failure> {
    let mut hex = Hex::default();
    hex.take(first)
        .map_err(|index| no_hex(Some(*number), index))?;
    let goes_on =
        |hex: &Hex, line: &io::Result<Vec<u8>>| line.as_ref().is_ok_and(|line| hex.goes_on(line));
    // Only a dump is worth waiting for another line.
    while hex.is_dump()
        && let Some(Ok(line)) = lines.next_if(|line| goes_on(&hex, line))
    {
        *number += 1;
        hex.take(&line)
            .map_err(|index| no_hex(Some(*number), index))?;
    }
    hex.finish()
        .map_err(|()| no_hex(Some(*number), first.len()))
}

/// What so many octets take in hex digits, whatever stands between and beside them.
const fn hex_len(octets: usize) -> usize {
    octets * 8
}

fn read(path: &Path, is_hex: bool) -> Result<Vec<u8>, Failure> {
    let most = if is_hex { hex_len(MOST) } else { MOST } as u64;
    let mut octets = Vec::new();
    File::open(path)
        .and_then(|file| BufReader::new(file).take(most).read_to_end(&mut octets))
        .map_err(|error| unreadable(&path.display().to_string(), &error))?;
    Ok(octets)
}

fn no_hex(line: Option<u64>, index: usize) -> Failure {
    let line = line.map_or(String::new(), |line| format!("line {line}: "));
    Failure::new(
        Exit::Usage,
        format_args!("{line}not pairs of hex digits, at index {index}"),
        "give two digits for each octet, as 686969 or a dump of xxd or hexdump -Cv, or leave out --hex",
    )
}

fn unreadable(what: &str, error: &io::Error) -> Failure {
    Failure::new(
        Exit::Usage,
        format_args!("cannot read {what:?}: {error}"),
        "give a file that can be read, or the frame itself",
    )
}
