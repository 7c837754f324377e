//! `hii-server key`: makes a key, in a file that only its user can read, or on stdout.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use hii_protocol::share::Key;

use super::key::{draw, is_readable_by_others};
use super::offer::shown;
use crate::exit::{Exit, Failure, note};
use crate::logs::LogFormat;

/// The command line of `hii-server key`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hii-server key photos.key                    make the file, which only you can read (mode 0600)\n  \
    hii-server share --key-file photos.key photos\n  \
    hii get 192.0.2.7 --key-file photos.key      on the other host, with a copy of the file\n  \
    HII_KEY=$(hii-server key) hii-server share photos\n\n\
    A key is 128 random bits, as 26 letters and digits. A file that exists is never overwritten.\n\n\
    Exit: 0 fine, 2 usage, 3 no random numbers, 7 the file exists or cannot be written.")]
pub struct KeyArgs {
    /// The file to make [default: print the key on stdout]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Runs `hii-server key`.
///
/// # Errors
/// The file exists or cannot be written, or the system gives no random numbers.
pub fn run_key(args: &KeyArgs, log: LogFormat) -> Result<(), Failure> {
    let key = draw()?;
    let Some(path) = &args.file else {
        if is_readable_by_others(io::stdout()) {
            tracing::warn!(
                "others on this host can read the file that this key is written to: \
                 make it with hii-server key FILE"
            );
        }
        return print(&key).map_err(|error| {
            let what = format_args!("cannot print the key: {error}");
            Failure::new(Exit::Output, what, "give stdout room")
        });
    };
    make(path, &key).map_err(|error| cannot_make(path, &error))?;
    if log == LogFormat::Text {
        let shown = shown(path);
        note(format_args!(
            "{shown} has a new key: hii-server share --key-file {shown} ..."
        ));
    }
    Ok(())
}

fn print(key: &Key) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{key}")?;
    out.flush()
}

fn make(path: &Path, key: &Key) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let file = options.open(path)?;
    write(&file, key).inspect_err(|_| {
        // A part of a key is none, and would be in the way of the next try.
        let _ = fs::remove_file(path);
    })
}

fn write(mut file: &File, key: &Key) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // The umask may have taken the owner's permissions away.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    writeln!(file, "{key}")?;
    file.sync_all()
}

fn cannot_make(path: &Path, error: &io::Error) -> Failure {
    let shown = shown(path);
    if error.kind() == io::ErrorKind::AlreadyExists {
        return Failure::new(
            Exit::Output,
            format_args!("{shown} exists, and is left as it is"),
            "use it with --key-file if it has a key; else remove it, or give another name",
        );
    }
    Failure::new(
        Exit::Output,
        format_args!("cannot make {shown}: {error}"),
        "give a file in a folder that you can write to",
    )
}
