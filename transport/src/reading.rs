//! Files that are read to be sent: opened so that nothing can stand in their place, read without waiting where that can be
//! had, and known again.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// What tells whether a file is still the one that it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Its octets.
    pub size: u64,
    /// When it was changed last.
    pub modified: Modified,
    /// Its device and number, where files have these.
    pub identity: (u64, u64),
    /// When anything of it was changed last, its times included, where that is kept. Nobody can put that back.
    status: (i64, i64),
}

/// A time since the Unix epoch, rounded down to a second, and nanoseconds after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modified {
    /// Whole seconds.
    pub seconds: i64,
    /// The rest.
    pub nanos: u32,
}

impl Stamp {
    /// A file's.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            modified: modified(metadata),
            identity: identity(metadata),
            status: status(metadata),
        }
    }
}

fn modified(metadata: &Metadata) -> Modified {
    let (seconds, nanos) = match metadata.modified().map(|at| at.duration_since(UNIX_EPOCH)) {
        Ok(Ok(after)) => (i64::try_from(after.as_secs()).ok(), after.subsec_nanos()),
        Ok(Err(before)) => {
            let before = before.duration();
            let nanos = before.subsec_nanos();
            // Rounded down, and up again with what is left.
            let (whole, rest) = match nanos {
                0 => (0, 0),
                nanos => (1, 1_000_000_000 - nanos),
            };
            let seconds = 0_i64.checked_sub_unsigned(before.as_secs());
            (seconds.and_then(|seconds| seconds.checked_sub(whole)), rest)
        }
        Err(_) => (None, 0),
    };
    Modified {
        seconds: seconds.unwrap_or_default(),
        nanos,
    }
}

/// Who may do what with it, as the lowest 9 bits of a Unix mode.
#[must_use]
pub fn mode(metadata: &Metadata) -> u32 {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        metadata.permissions().mode() & 0o777
    }
    #[cfg(not(unix))]
    match (metadata.is_dir(), metadata.permissions().readonly()) {
        (true, _) => 0o755,
        (false, true) => 0o444,
        (false, false) => 0o644,
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        (metadata.dev(), metadata.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        (0, 0)
    }
}

fn status(metadata: &Metadata) -> (i64, i64) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        (metadata.ctime(), metadata.ctime_nsec())
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        (0, 0)
    }
}

/// Opens a file to read it from its beginning to its end. A link is not followed, and a pipe is not waited for.
///
/// # Errors
/// It is not there, is a link, or may not be read.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path)?;
    #[cfg(target_os = "linux")]
    {
        // The system reads further ahead. Where it does not, it is slower and no more.
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Sequential);
    }
    Ok(file)
}

/// Reads at a place, as much as there is at once.
///
/// # Errors
/// The file cannot be read.
pub fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    loop {
        #[cfg(unix)]
        let result = std::os::unix::fs::FileExt::read_at(file, buffer, at);
        #[cfg(windows)]
        let result = std::os::windows::fs::FileExt::seek_read(file, buffer, at);
        match result {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Reads at a place what is in memory already; none where the disk would have to be waited for, or nobody can tell.
///
/// # Errors
/// The file cannot be read.
pub fn read_ready(file: &File, buffer: &mut [u8], at: u64) -> io::Result<Option<usize>> {
    #[cfg(target_os = "linux")]
    {
        use rustix::io::{Errno, ReadWriteFlags, preadv2};
        let mut buffers = [io::IoSliceMut::new(buffer)];
        match preadv2(file, &mut buffers, at, ReadWriteFlags::NOWAIT) {
            Ok(len) => Ok(Some(len)),
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, buffer, at);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("hii-reading-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    #[test]
    fn times_are_rounded_down_before_the_epoch_too() {
        let path = scratch("times");
        let file = File::create(&path).unwrap();
        for (offset, before, wanted) in [
            (Duration::new(5, 7), false, (5, 7)),
            (Duration::ZERO, false, (0, 0)),
            (Duration::new(5, 0), true, (-5, 0)),
            (Duration::new(0, 1), true, (-1, 999_999_999)),
            (Duration::new(5, 250_000_000), true, (-6, 750_000_000)),
        ] {
            let at: SystemTime = if before {
                UNIX_EPOCH - offset
            } else {
                UNIX_EPOCH + offset
            };
            file.set_modified(at).unwrap();
            let Modified { seconds, nanos } = Stamp::of(&file.metadata().unwrap()).modified;
            assert_eq!((seconds, nanos), wanted);
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_was_just_written_is_in_memory_and_both_ways_read_the_same() {
        let path = scratch("ready");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"0123456789").unwrap();
        let file = open(&path).unwrap();
        let mut buffer = [0; 4];
        assert_eq!(read_at(&file, &mut buffer, 3).unwrap(), 4);
        assert_eq!(&buffer, b"3456");
        let mut again = [0; 4];
        if let Some(len) = read_ready(&file, &mut again, 3).unwrap() {
            assert_eq!((len, &again), (4, b"3456"));
        }
        assert_eq!(read_at(&file, &mut buffer, 10).unwrap(), 0);
        std::fs::remove_file(path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed_and_pipes_not_waited_for() {
        let (target, link, pipe) = (scratch("target"), scratch("link"), scratch("pipe"));
        File::create(&target).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(open(&target).is_ok());
        assert!(open(&link).is_err());
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{CWD, FileType, Mode, mknodat};
            mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
            // Nobody writes to it.
            assert!(open(&pipe).is_ok());
        }
        for path in [target, link, pipe] {
            let _ = std::fs::remove_file(path);
        }
    }
}
