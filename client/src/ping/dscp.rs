//! Differentiated services code points by number and by name.

/// Names, and how RFC 2474, RFC 2597, RFC 3246, RFC 5865 and RFC 8622 number them.
const NAMES: [(&str, u8); 24] = [
    ("default", 0),
    ("le", 1),
    ("cs0", 0),
    ("cs1", 8),
    ("cs2", 16),
    ("cs3", 24),
    ("cs4", 32),
    ("cs5", 40),
    ("cs6", 48),
    ("cs7", 56),
    ("af11", 10),
    ("af12", 12),
    ("af13", 14),
    ("af21", 18),
    ("af22", 20),
    ("af23", 22),
    ("af31", 26),
    ("af32", 28),
    ("af33", 30),
    ("af41", 34),
    ("af42", 36),
    ("af43", 38),
    ("ef", 46),
    ("va", 44),
];

/// The code point of a number, decimal or hexadecimal as `0x2e`, or of a name.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn dscp(text: &str) -> Result<u8, String> {
    let lower = text.to_ascii_lowercase();
    let named = NAMES.iter().find(|(name, _)| *name == lower);
    let digits = |text: &str, radix| {
        let plain = text.bytes().all(|octet| octet.is_ascii_alphanumeric());
        u8::from_str_radix(text, radix).ok().filter(|_| plain)
    };
    let number = match (named, lower.strip_prefix("0x")) {
        (Some((_, number)), _) => Some(*number),
        (None, Some(hex)) => digits(hex, 16),
        (None, None) => digits(&lower, 10),
    };
    number.filter(|number| *number < 64).ok_or_else(|| {
        format!("{text:?} is no code point: give 0 to 63, or a name as ef, af41, cs1, va, le")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_numbers_and_names() {
        for (text, number) in [
            ("0", 0),
            ("63", 63),
            ("0x2e", 46),
            ("EF", 46),
            ("af41", 34),
            ("cs7", 56),
            ("va", 44),
            ("le", 1),
        ] {
            assert_eq!(dscp(text), Ok(number), "{text}");
        }
        // RFC 2597 section 6: class and drop precedence.
        for (name, number) in NAMES {
            if let Some([class, drop]) = name.strip_prefix("af").map(str::as_bytes) {
                assert_eq!(number, 8 * (class - b'0') + 2 * (drop - b'0'), "{name}");
            }
        }
    }

    #[test]
    fn rejects_what_is_no_code_point() {
        for text in [
            "", "64", "-1", "+1", "0x40", "0x", "af44", "cs8", "1.5", "e f",
        ] {
            assert!(dscp(text).is_err(), "{text}");
        }
    }
}
