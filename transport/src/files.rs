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
