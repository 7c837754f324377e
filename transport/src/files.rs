//! How many files, sockets among them, this program may open.

/// Lets the program have this many files open, or as many as it is allowed to; best effort.
pub fn want(files: u64) {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        // What a shell sets is often far below what the system allows.
        if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
            && soft < files
            && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, files.min(hard), hard)
        {
            tracing::debug!(%error, "the limit of open files stays");
        }
    }
    #[cfg(not(unix))]
    let _ = files;
}

/// Returns how many files the program may have open at once, or `None` if the platform reports no limit.
#[must_use]
pub fn limit() -> Option<u64> {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit};
        getrlimit(Resource::RLIMIT_NOFILE)
            .ok()
            .map(|(soft, _)| soft)
    }
    #[cfg(not(unix))]
    None
}

/// Returns how many files the program has open, or `None` if the platform does not report it.
#[must_use]
pub fn open_now() -> Option<usize> {
    // The folder is open while it is read.
    let files = std::fs::read_dir("/dev/fd").ok()?.count();
    files.checked_sub(1)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn an_open_file_counts() {
        // Other tests open and close files meanwhile, but fewer than that.
        let before = open_now().unwrap();
        let files: Vec<_> = (0..100).map(|_| File::open("/dev/null").unwrap()).collect();
        let after = open_now().unwrap();
        assert!(after >= before + 50, "{before}, {after}");
        assert!(u64::try_from(after).unwrap() < limit().unwrap());
        drop(files);
    }
}
