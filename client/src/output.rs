//! What programs print, for people and for machines.

use std::io;

use hii_protocol::Escaped;
use hii_server::exit::{Exit, Failure};
use serde::Serialize;
use serde_json::ser::Formatter;

/// JSON on one line, in ASCII: what stands in it from the network is whole, and cannot act on a terminal.
///
/// # Errors
/// The value cannot be told in JSON.
pub fn json_line(value: &impl Serialize) -> io::Result<String> {
    let mut octets = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut octets,
        Ascii,
    ))?;
    String::from_utf8(octets).map_err(io::Error::other)
}

/// What somebody said who is not what was looked for, in quotes: the beginning of it, without the padding at its end.
#[must_use]
pub fn said(octets: &[u8]) -> String {
    const MOST: usize = 80;
    let all = octets.trim_ascii_end();
    match all.get(..MOST) {
        Some(start) if all.len() > MOST => format!("\"{}...\"", Escaped(start)),
        _ => format!("\"{}\"", Escaped(all)),
    }
}

/// What cannot be printed ends a program.
#[must_use]
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is handed over by map_err"
)]
pub fn cannot_print(error: io::Error) -> Failure {
    let advice = match error.kind() {
        io::ErrorKind::BrokenPipe => "the program that read it has ended",
        _ => "give stdout room",
    };
    Failure::new(
        Exit::Output,
        format_args!("cannot write the output: {error}"),
        advice,
    )
}

/// Escapes all that is not printable ASCII.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for c in fragment.chars() {
            if matches!(c, ' '..='~') {
                write!(writer, "{c}")?;
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_says_is_short_and_cannot_act_on_a_terminal() {
        assert_eq!(said(b"hii ?\x1b   "), "\"hii ?\\u{1b}\"");
        assert_eq!(said(&[b'a'; 80]), format!("\"{}\"", "a".repeat(80)));
        assert_eq!(said(&[b'a'; 81]), format!("\"{}...\"", "a".repeat(80)));
        assert_eq!(said(b" "), "\"\"");
    }

    #[test]
    fn nothing_in_json_acts_on_a_terminal_and_all_of_it_comes_back() {
        let text: String = ('\0'..='\u{2100}').chain("\u{1f600}".chars()).collect();
        let line = json_line(&text).unwrap();
        assert!(line.bytes().all(|octet| matches!(octet, b' '..=b'~')));
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        assert_eq!(
            json_line(&"a\"\n\u{9b}é").unwrap(),
            r#""a\"\n\u009b\u00e9""#
        );
    }
}
