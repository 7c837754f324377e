//! Standard error, for all that these programs say there: it can be kept back while one of them draws on the terminal.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Octets kept back at most; beyond that the oldest go.
const MOST_KEPT: usize = 256 * 1024;

static KEPT: Mutex<Option<Kept>> = Mutex::new(None);

/// Standard error, or what keeps it back. What is written in one call stays together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match &mut *kept() {
            Some(kept) => kept.add(octets),
            None => io::stderr().write_all(octets)?,
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Keeps back what is written from now on.
pub fn keep_back() {
    kept().get_or_insert_default();
}

/// Writes what was kept back, and keeps nothing back any more.
pub fn let_go() {
    if let Some(kept) = kept().take() {
        // Nobody to hear it is no reason to end.
        let _ = kept.write_to(&mut io::stderr());
    }
}

/// How many messages have been kept back.
pub fn messages() -> u64 {
    kept().as_ref().map_or(0, |kept| kept.messages)
}

fn kept() -> MutexGuard<'static, Option<Kept>> {
    // It is whole between calls, whatever thread ended early.
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last messages, in bounded memory.
#[derive(Debug, Default)]
struct Kept {
    last: VecDeque<Vec<u8>>,
    octets: usize,
    messages: u64,
}

impl Kept {
    fn add(&mut self, message: &[u8]) {
        self.messages += 1;
        self.octets += message.len();
        self.last.push_back(message.to_vec());
        while self.octets > MOST_KEPT
            && let Some(oldest) = self.last.pop_front()
        {
            self.octets -= oldest.len();
        }
    }

    fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        let gone = self.messages - self.last.len() as u64;
        if gone > 0 {
            writeln!(out, "({gone} earlier messages were too many to keep)")?;
        }
        self.last
            .iter()
            .try_for_each(|message| out.write_all(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(kept: &Kept) -> String {
        let mut out = Vec::new();
        kept.write_to(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_last_messages_are_kept_and_the_rest_is_counted() {
        let mut kept = Kept::default();
        assert_eq!(written(&kept), "");
        kept.add(b"one\n");
        kept.add(b"two\n");
        assert_eq!(written(&kept), "one\ntwo\n");
        for _ in 0..4 {
            kept.add(&vec![b'x'; MOST_KEPT / 4]);
        }
        assert!(kept.octets <= MOST_KEPT);
        let text = written(&kept);
        assert!(text.starts_with("(2 earlier messages were too many to keep)\nxxx"));
        kept.add(&vec![b'y'; 2 * MOST_KEPT]);
        assert_eq!((kept.octets, kept.last.len()), (0, 0));
    }
}
