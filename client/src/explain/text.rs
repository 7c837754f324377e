//! Explanations for people.

use std::io::{self, Write};

use hii_protocol::Escaped;
use unicode_width::UnicodeWidthStr as _;

use super::Service;
use super::explanation::{Explanation, Fault, Role};
use super::meaning::Meaning;

/// Octets that are shown before and after the one that is wrong.
const BEFORE: usize = 60;
const AFTER: usize = 40;

/// Writes an explanation, with the line of the input that the frame stands on.
pub(super) fn write(
    out: &mut impl Write,
    line: Option<u64>,
    frame: &[u8],
    explanation: &Explanation,
) -> io::Result<()> {
    let mut number = line.map_or(String::new(), |line| format!("line {line}: "));
    for meaning in &explanation.meanings {
        write!(out, "{number}")?;
        write_meaning(out, meaning)?;
        number.clear();
    }
    for fault in &explanation.faults {
        write!(out, "{number}")?;
        write_fault(out, frame, fault)?;
        number.clear();
    }
    Ok(())
}

fn write_meaning(out: &mut impl Write, meaning: &Meaning) -> io::Result<()> {
    let kind = kind(meaning.service, meaning.role);
    writeln!(out, "{kind} `{}`: {}", meaning.name, meaning.says)?;
    for field in &meaning.fields {
        writeln!(out, "  {}: {}", field.name, field.value)?;
    }
    if let Some(canonical) = &meaning.canonical {
        writeln!(out, "  in canonical form: {canonical}")?;
    }
    Ok(())
}

fn write_fault(out: &mut impl Write, frame: &[u8], fault: &Fault) -> io::Result<()> {
    let error = fault.error;
    let kind = kind(fault.service, fault.role);
    writeln!(out, "no {kind}: {error}")?;
    let (shown, column) = marked(frame, error.offset());
    writeln!(out, "  {shown}\n  {:column$}^ rule `{}`", "", error.rule())?;
    match fault.role {
        Role::Request => writeln!(out, "  {} means: {}", error.code(), error.code().meaning()),
        Role::Answer => writeln!(out, "  a receiver ignores it"),
    }
}

fn kind(service: Service, role: Role) -> &'static str {
    match (service, role) {
        (Service::Ping, Role::Request) => "ping request",
        (Service::Ping, Role::Answer) => "ping answer",
        (Service::Relay, Role::Request) => "relay request",
        (Service::Relay, Role::Answer) => "relay answer",
    }
}

/// What stands around this offset, and the column of the offset in it.
fn marked(frame: &[u8], offset: usize) -> (String, usize) {
    let start = boundary(frame, offset.saturating_sub(BEFORE));
    let end = boundary(frame, offset.saturating_add(AFTER));
    let part = |from, to| Escaped(frame.get(from..to).unwrap_or_default());
    let dots = |is_cut| if is_cut { "..." } else { "" };
    let before = format!("{}{}", dots(start > 0), part(start, offset));
    let after = format!("{}{}", part(offset, end), dots(end < frame.len()));
    let column = before.width();
    (before + &after, column)
}

/// The next octet from here on that does not go on a character.
fn boundary(frame: &[u8], index: usize) -> usize {
    let rest = frame.get(index..).unwrap_or_default();
    let inside = rest
        .iter()
        .take(3)
        .take_while(|octet| matches!(octet, 0x80..=0xbf));
    frame.len().min(index + inside.count())
}

#[cfg(test)]
mod tests {
    use super::super::explanation::explain;
    use super::*;

    fn text(frame: &[u8]) -> String {
        let mut out = Vec::new();
        write(&mut out, None, frame, &explain(frame, None)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_caret_stands_under_the_octet_that_is_wrong() {
        assert_eq!(
            text(b"to: 192.0.2.7/90x0; content: hello"),
            "no relay request: 403 at octet 16: expected a port in digits\n  \
             to: 192.0.2.7/90x0; content: hello\n                  \
             ^ rule `port`\n  \
             403 means: a number is not one\n"
        );
        // Wide characters, and what is escaped, take the columns that they take.
        let (shown, column) = marked("\x1b漢字:".as_bytes(), 7);
        assert_eq!((shown.as_str(), column), (r"\u{1b}漢字:", 10));
        // What is missing at the end is missed after it.
        assert_eq!(marked(b"hello", 5), ("hello".into(), 5));
    }

    #[test]
    fn of_a_long_frame_what_stands_around_is_shown() {
        let frame = format!("{}x{}", "é".repeat(100), "é".repeat(100));
        let (shown, column) = marked(frame.as_bytes(), 200);
        assert_eq!(
            shown,
            format!("...{}x{}...", "é".repeat(30), "é".repeat(20))
        );
        assert_eq!(column, 33);
    }

    #[test]
    fn a_meaning_shows_its_parts_escaped() {
        assert_eq!(
            text(b"TO:192.0.2.7/9;content:a\x1bb"),
            "relay request `send`: pass this on\n  \
             to: 192.0.2.7/9\n  content: a\\u{1b}b\n  payload octets: 3\n  \
             in canonical form: to:192.0.2.7/9;content:a\\u{1b}b\n"
        );
    }
}
