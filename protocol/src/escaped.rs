//! Octets from the network, safe to show.

use core::fmt::{self, Write as _};

/// Shows octets as text that cannot act on a terminal: control characters, the characters that turn the direction of
/// text, and octets that are not UTF-8 are escaped.
///
/// ```
/// use hii_protocol::Escaped;
///
/// assert_eq!(Escaped(b"caf\xc3\xa9\n\x1b[2J\xff").to_string(), r"café\n\u{1b}[2J\xff");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(
    /// The octets.
    pub &'a [u8],
);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() || c == '\\' || hides(c) {
                    write!(f, "{}", c.escape_default())?;
                } else {
                    f.write_char(c)?;
                }
            }
            for octet in chunk.invalid() {
                write!(f, "\\x{octet:02x}")?;
            }
        }
        Ok(())
    }
}

/// Characters that show nothing of their own and change how others look: bidirectional controls, zero-width ones, line
/// and paragraph separators, tags.
pub(crate) const fn hides(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::Escaped;
    use std::string::ToString;

    #[test]
    fn nothing_shown_acts_on_a_terminal() {
        let all: std::string::String = ('\0'..='\u{2100}').collect();
        let shown = Escaped(all.as_bytes()).to_string();
        assert!(!shown.chars().any(|c| c.is_control() || super::hides(c)));
        assert_eq!(Escaped(b"\\n").to_string(), r"\\n");
        assert_eq!(Escaped("a\u{202e}b".as_bytes()).to_string(), r"a\u{202e}b");
    }
}
