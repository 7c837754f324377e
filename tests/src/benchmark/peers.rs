//! The programs that ours are measured beside, where they are installed.

use std::path::PathBuf;
use std::time::Duration;

use super::processes::Process;
use super::trouble::{Outcome, Trouble};

/// The version of each of the others, where it is there.
#[derive(Debug)]
pub struct Peers {
    /// A client and server that send on a schedule, as ours do.
    pub irtt: Outcome<String>,
    /// A client and server for round trips one after the other.
    pub sockperf: Outcome<String>,
}

impl Peers {
    /// Looks for them.
    #[must_use]
    pub fn find() -> Self {
        Self {
            irtt: find("irtt", "version"),
            sockperf: find("sockperf", "--version"),
        }
    }

    /// irtt's name, and its version where it is there.
    #[must_use]
    pub fn irtt_title(&self) -> String {
        title("irtt", &self.irtt)
    }

    /// sockperf's name, and its version where it is there.
    #[must_use]
    pub fn sockperf_title(&self) -> String {
        title("sockperf", &self.sockperf)
    }
}

pub(super) fn title(name: &str, version: &Outcome<String>) -> String {
    match version {
        Ok(version) => format!("{name} {version}"),
        Err(_) => name.to_owned(),
    }
}

/// The version of a program that is installed.
pub(super) fn find(name: &str, version: &str) -> Outcome<String> {
    let said = Process::start(&path(name)?, &[version])?.finish(Duration::from_secs(20))?;
    Ok(version_in(&(said.stdout + &said.stderr)))
}

/// Where a program is installed. Servers may be where only the administrator looks.
pub(super) fn path(name: &str) -> Outcome<String> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&paths).chain([PathBuf::from("/usr/sbin")]);
    let found = folders.find_map(|folder| {
        let path = folder.join(name);
        path.is_file().then(|| path.to_string_lossy().into_owned())
    });
    found.ok_or_else(|| Trouble(format!("not installed: apt-get install {name}")))
}

/// The first word that begins with a digit.
fn version_in(text: &str) -> String {
    let mut words = text.split(|of: char| of.is_whitespace() || of == '/');
    let found = words.find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    found.unwrap_or("of unknown version").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_a_program_says() {
        assert_eq!(
            version_in("irtt version: 0.9.0\nprotocol version: 1\n"),
            "0.9.0"
        );
        assert_eq!(version_in("sockperf, version 3.7-no.git\n"), "3.7-no.git");
        assert_eq!(version_in("nginx version: nginx/1.22.1\n"), "1.22.1");
        assert_eq!(version_in("no"), "of unknown version");
    }

    #[test]
    fn what_is_missing_says_how_to_install_it() {
        let missing = find("no-such-program", "--version").unwrap_err();
        assert!(missing.0.ends_with("apt-get install no-such-program"));
    }
}
