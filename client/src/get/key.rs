//! Where the key comes from: a file, the environment or a prompt, and never the command line, which others can see.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use hii_protocol::share::Key;
use hii_server::exit::{Exit, Failure};

/// The variable that may hold the key.
pub const VARIABLE: &str = "HII_KEY";

/// Octets of a file that are looked at.
const MOST: u64 = 4096;

/// The key, from wherever the user gives it.
///
/// # Errors
/// There is none, or it is none.
pub fn find(file: Option<&Path>) -> Result<Key, Failure> {
    if let Some(path) = file {
        let from = path.display().to_string();
        let text = first_line(path).map_err(|error| {
            Failure::new(
                Exit::Usage,
                format_args!("cannot read the key from {from}: {error}"),
                "give a file whose first line is the key that the sender shows",
            )
        })?;
        return parse(&text, &from);
    }
    match std::env::var(VARIABLE) {
        Ok(text) => parse(&text, VARIABLE),
        Err(_) => prompt(),
    }
}

fn prompt() -> Result<Key, Failure> {
    let text = rpassword::prompt_password("Key: ").map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => Failure::new(
            Exit::Interrupted,
            "interrupted before the key",
            "nothing was received",
        ),
        _ => Failure::new(
            Exit::Usage,
            format_args!("cannot ask for the key: {error}"),
            format_args!("give it with --key-file, or in the variable {VARIABLE}"),
        ),
    })?;
    parse(&text, "what was typed")
}

fn first_line(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MOST).read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// What is wrong is told without a character of what was given.
fn parse(text: &str, from: &str) -> Result<Key, Failure> {
    text.parse().map_err(|error| {
        Failure::new(
            Exit::Usage,
            format_args!("{from} is not a key: {error}"),
            "give the 26 characters that the sender shows when it starts",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "MZXW6YTBOJTG633CMFZGM33PMI";

    #[test]
    fn the_first_line_of_a_file_is_the_key() {
        let path = std::env::temp_dir().join(format!("hii-key-{}", std::process::id()));
        std::fs::write(&path, format!("{}\r\nmore\n", TEXT.to_lowercase())).unwrap();
        assert_eq!(find(Some(&path)).unwrap().to_string(), TEXT);
        std::fs::write(&path, format!("{TEXT}\n\n \n\n")).unwrap();
        assert_eq!(find(Some(&path)).unwrap().to_string(), TEXT);
        std::fs::write(&path, "").unwrap();
        assert_eq!(find(Some(&path)).unwrap_err().exit(), Exit::Usage);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(find(Some(&path)).unwrap_err().exit(), Exit::Usage);
    }

    #[test]
    fn a_wrong_key_is_not_told() {
        let wrong = format!("{}1", &TEXT[..25]);
        let failure = parse(&wrong, "x").unwrap_err();
        assert!(!failure.to_string().contains(&TEXT[..4]), "{failure}");
    }
}
