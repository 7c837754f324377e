//! Where `-o` says that files go.

use std::path::{Path, PathBuf};

use hii_server::exit::{Exit, Failure};

/// What has the name that `-o` gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    /// Nothing.
    Nothing,
    /// A folder.
    Folder,
    /// A file or something else.
    Other,
}

/// Where files go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Standard output: the octets of the only file.
    Stdout,
    /// A folder.
    Folder(PathBuf),
    /// A folder, and in it the only file under this name.
    File(PathBuf, String),
}

impl There {
    /// What has this name.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Self::Folder,
            Ok(_) => Self::Other,
            // A link that leads nowhere has the name all the same.
            Err(_) if std::fs::symlink_metadata(path).is_ok() => Self::Other,
            Err(_) => Self::Nothing,
        }
    }
}

impl Destination {
    /// What `-o` means, where that is there and the sender offers one file alone or not.
    ///
    /// # Errors
    /// It takes one file, and there are more or none.
    pub fn new(output: &Path, there: There, is_single: bool) -> Result<Self, Failure> {
        if output.as_os_str() == "-" {
            return if is_single {
                Ok(Self::Stdout)
            } else {
                Err(Failure::new(
                    Exit::Usage,
                    "-o - takes a single file, and that is not what is offered",
                    "give a folder with -o",
                ))
            };
        }
        let ends_as_folder = output.as_os_str().as_encoded_bytes().ends_with(b"/");
        match there {
            There::Folder => Ok(Self::Folder(output.into())),
            There::Nothing if ends_as_folder || !is_single => Ok(Self::Folder(output.into())),
            There::Other if ends_as_folder || !is_single => Err(Failure::new(
                Exit::Output,
                format_args!("{} is there, and is no folder", output.display()),
                "give a folder with -o",
            )),
            There::Nothing | There::Other => {
                let name = output.file_name().and_then(|name| name.to_str());
                let Some(name) = name else {
                    return Err(Failure::new(
                        Exit::Usage,
                        format_args!("{} is no name for a file", output.display()),
                        "give a name in UTF-8, or a folder",
                    ));
                };
                let folder = match output.parent() {
                    Some(folder) if !folder.as_os_str().is_empty() => folder.into(),
                    _ => PathBuf::from("."),
                };
                Ok(Self::File(folder, name.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Destination::{File, Folder, Stdout};

    fn destination(output: &str, there: There, is_single: bool) -> Option<Destination> {
        Destination::new(Path::new(output), there, is_single).ok()
    }

    #[test]
    fn one_file_may_have_a_name_and_more_have_a_folder() {
        for (output, there, is_single, wanted) in [
            ("-", There::Nothing, true, Some(Stdout)),
            ("-", There::Nothing, false, None),
            (".", There::Folder, true, Some(Folder(".".into()))),
            ("a", There::Folder, true, Some(Folder("a".into()))),
            (
                "a",
                There::Nothing,
                true,
                Some(File(".".into(), "a".into())),
            ),
            ("a", There::Other, true, Some(File(".".into(), "a".into()))),
            (
                "b/a",
                There::Nothing,
                true,
                Some(File("b".into(), "a".into())),
            ),
            (
                "/a",
                There::Nothing,
                true,
                Some(File("/".into(), "a".into())),
            ),
            ("a", There::Nothing, false, Some(Folder("a".into()))),
            ("a/", There::Nothing, true, Some(Folder("a/".into()))),
            ("a", There::Other, false, None),
            ("a/", There::Other, true, None),
            ("..", There::Nothing, true, None),
        ] {
            let found = destination(output, there, is_single);
            assert_eq!(found, wanted, "{output} {there:?} {is_single}");
        }
    }
}
