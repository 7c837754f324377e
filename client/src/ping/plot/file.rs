//! Where a picture goes: looked at before the run, written after it.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use hii_protocol::Escaped;
use hii_server::exit::{Exit, Failure};

/// The form of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Scalable Vector Graphics.
    Svg,
    /// Portable Network Graphics.
    Png,
    /// A page that shows values under the pointer.
    Html,
}

/// A file that will hold a picture, in the form that its name's ending says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlotFile {
    path: PathBuf,
    form: Form,
}

impl TryFrom<PathBuf> for PlotFile {
    type Error = String;

    fn try_from(path: PathBuf) -> Result<Self, String> {
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        let is_directory = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        let form = match ending.to_str() {
            Some("svg") if !is_directory => Form::Svg,
            Some("png") if !is_directory => Form::Png,
            Some("html") if !is_directory => Form::Html,
            _ => return Err("a picture's name has to end in .svg, .png or .html".into()),
        };
        Ok(Self { path, form })
    }
}

impl fmt::Display for PlotFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(self.path.as_os_str().as_encoded_bytes()).fmt(f)
    }
}

impl PlotFile {
    /// The form of the picture.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// The file of one of several pictures: `run.svg` is `run-2.svg` for the second.
    #[must_use]
    pub fn numbered(&self, number: usize) -> Self {
        let mut name = self.path.file_stem().unwrap_or_default().to_owned();
        name.push(format!("-{number}."));
        name.push(self.path.extension().unwrap_or_default());
        Self {
            path: self.path.with_file_name(name),
            form: self.form,
        }
    }

    /// Tries whether it can be written, and leaves everything as it was.
    ///
    /// # Errors
    /// It cannot.
    pub fn check(&self) -> Result<(), Failure> {
        let tried = match self.place() {
            Ok(Place::Beside(path)) => Temporary::beside(&path).map(drop),
            Ok(Place::Into(_)) => Ok(()),
            Err(error) => Err(error),
        };
        tried.map_err(|error| self.failure(&error))
    }

    /// Writes the picture: all of it, or nothing.
    ///
    /// # Errors
    /// The disk is full, or the directory is gone.
    pub fn write(&self, octets: &[u8]) -> Result<(), Failure> {
        let written = match self.place() {
            Ok(Place::Beside(path)) => {
                Temporary::beside(&path).and_then(|file| file.replace(&path, octets))
            }
            Ok(Place::Into(mut file)) => file.write_all(octets),
            Err(error) => Err(error),
        };
        written.map_err(|error| self.failure(&error))
    }

    /// Says that it cannot be written, and what to do.
    #[must_use]
    pub fn failure(&self, error: &io::Error) -> Failure {
        let advice = match error.kind() {
            io::ErrorKind::NotFound => "make its directory first, or give another path",
            io::ErrorKind::IsADirectory => "give the name of a file in it",
            io::ErrorKind::StorageFull => "free some space, or give a path on another disk",
            _ => "give a path that you may write to",
        };
        Failure::new(
            Exit::Output,
            format_args!("cannot write the picture {self}: {error}"),
            advice,
        )
    }

    fn place(&self) -> io::Result<Place> {
        match fs::metadata(&self.path) {
            Ok(is) if is.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(is) if is.is_file() => {
                // Replacing it does not ask whether it may be written; the user would.
                OpenOptions::new().append(true).open(&self.path)?;
                // A link stays one: what it points at is replaced.
                fs::canonicalize(&self.path).map(Place::Beside)
            }
            // A device, a pipe.
            Ok(_) => OpenOptions::new()
                .write(true)
                .open(&self.path)
                .map(Place::Into),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Place::Beside(self.path.clone()))
            }
            Err(error) => Err(error),
        }
    }
}

/// How a path is written to.
enum Place {
    /// By a file beside it, which then takes its name.
    Beside(PathBuf),
    /// As it is.
    Into(File),
}

/// A new file beside another one; removed unless it replaces that one.
struct Temporary {
    file: File,
    path: PathBuf,
}

impl Temporary {
    fn beside(path: &Path) -> io::Result<Self> {
        // Within what a name may be long, whatever that of the picture is.
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for number in 0..100 {
            let mut name = OsString::from(".hii-");
            name.push(format!("{}-{number}.tmp", std::process::id()));
            let path = path.with_file_name(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { file, path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn replace(mut self, path: &Path, octets: &[u8]) -> io::Result<()> {
        self.file.write_all(octets)?;
        if let Ok(old) = fs::metadata(path) {
            // Whoever could read the old one can read the new one.
            self.file.set_permissions(old.permissions())?;
        }
        // A full disk may tell only now.
        self.file.sync_all()?;
        fs::rename(&self.path, path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is none.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path) -> PlotFile {
        PlotFile::try_from(path.to_owned()).unwrap()
    }

    /// An empty directory, removed at the end.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("hii-{name}-{}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
            let names = fs::read_dir(&self.0).unwrap().map(name);
            names.map(|name| name.into_string().unwrap()).collect()
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn the_ending_is_the_form() {
        for (name, form) in [
            ("a.svg", Form::Svg),
            ("b/c.PNG", Form::Png),
            ("d.e.html", Form::Html),
        ] {
            assert_eq!(file(Path::new(name)).form(), form);
        }
        for name in [
            "", "a", "svg", ".svg", "a.svgz", "a.svg/", "a.pdf", "a.svg.gz",
        ] {
            assert!(PlotFile::try_from(PathBuf::from(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn one_of_several_has_its_number_before_the_ending() {
        let second = file(Path::new("a/b.c.svg")).numbered(2);
        assert_eq!(second, file(Path::new("a/b.c-2.svg")));
    }

    #[test]
    fn a_check_changes_nothing_and_a_write_replaces_all() {
        let directory = Directory::new("replaces");
        let path = directory.0.join("a.svg");
        file(&path).check().unwrap();
        assert_eq!(directory.names(), Vec::<String>::new());
        fs::write(&path, "the old one, which is longer").unwrap();
        file(&path).check().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"the old one, which is longer");
        file(&path).write(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(directory.names(), ["a.svg"]);
    }

    #[test]
    fn rejects_a_directory_and_a_missing_one() {
        let directory = Directory::new("rejects");
        let taken = directory.0.join("taken.svg");
        fs::create_dir(&taken).unwrap();
        for path in [taken, directory.0.join("missing/a.svg")] {
            let failure = file(&path).check().unwrap_err();
            assert_eq!(failure.exit(), Exit::Output, "{failure}");
            assert_eq!(file(&path).write(b"new").unwrap_err(), failure);
        }
        assert_eq!(directory.names(), ["taken.svg"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_a_full_device_says_so() {
        use std::os::unix::fs::symlink;
        let directory = Directory::new("links");
        fs::write(directory.0.join("real.svg"), "old").unwrap();
        let link = directory.0.join("link.svg");
        symlink("real.svg", &link).unwrap();
        file(&link).write(b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(directory.0.join("real.svg")).unwrap(), b"new");
        #[cfg(target_os = "linux")]
        {
            let full = directory.0.join("full.svg");
            symlink("/dev/full", &full).unwrap();
            file(&full).check().unwrap();
            let failure = file(&full).write(b"new").unwrap_err();
            assert!(failure.to_string().contains("free some space"), "{failure}");
        }
    }
}
