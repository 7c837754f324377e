//! The names of what is beside a file while it comes.

/// The unfinished file.
const PART: &str = ".hii-part";

/// Its journal.
const JOURNAL: &str = ".hii-journal";

/// Octets of the file's own name that are kept, so that people see what it is.
const KEPT: usize = 180;

/// The longest name that a file may have.
const LONGEST: usize = 255;

/// The name of the unfinished file. Names that some file systems hold for the same have different ones.
#[must_use]
pub fn part(name: &str) -> String {
    beside(name, PART)
}

/// The name of its journal.
#[must_use]
pub fn journal(name: &str) -> String {
    beside(name, JOURNAL)
}

/// Whether it is the name of such a file: something that an interrupted run left, and no file of its own.
#[must_use]
pub fn is_left_over(name: &str) -> bool {
    let folded = name.to_ascii_lowercase();
    folded.ends_with(PART) || folded.ends_with(JOURNAL)
}

fn beside(name: &str, end: &str) -> String {
    let hash = blake3::hash(name.as_bytes()).to_hex();
    let hash = hash.get(..8).unwrap_or_default();
    format!(".{}.{hash}{end}", cut(name, KEPT))
}

/// The name with a number, before its extension.
#[must_use]
pub fn numbered(name: &str, number: u32) -> String {
    let (stem, extension) = match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, ""),
    };
    let number = format!(" ({number})");
    let room = LONGEST - number.len();
    let extension = if extension.len() < room {
        extension
    } else {
        ""
    };
    format!("{}{number}{extension}", cut(stem, room - extension.len()))
}

/// At most so many octets of a text.
fn cut(text: &str, most: usize) -> &str {
    let mut ends = (0..=most.min(text.len())).rev();
    ends.find_map(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ() {
        let long = "é".repeat(127);
        let longer = format!("{long}x");
        for name in ["a", "A", "a.b", &long, &longer] {
            for beside in [part(name), journal(name)] {
                assert!(beside.len() <= LONGEST && beside.starts_with('.'));
                assert!(is_left_over(&beside) && is_left_over(&beside.to_uppercase()));
            }
        }
        assert_ne!(part("a").to_lowercase(), part("A").to_lowercase());
        assert_ne!(part(&long), part(&longer));
        assert!(!is_left_over("a.part"));
    }

    #[test]
    fn numbers_stand_before_the_extension() {
        assert_eq!(numbered("a.tar.gz", 1), "a.tar (1).gz");
        assert_eq!(numbered("a", 12), "a (12)");
        assert_eq!(numbered(".hidden", 1), ".hidden (1)");
        let long = format!("{}.txt", "é".repeat(125));
        let numbered = numbered(&long, 7);
        assert!(numbered.len() <= LONGEST && numbered.ends_with(" (7).txt"));
    }
}
