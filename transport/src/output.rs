//! Whether anybody reads what a program prints.

/// Waits until nobody reads standard output any more: a pipe's other end is closed, a terminal is gone. Where that cannot
/// be known, as of a file, it waits for ever, or returns false.
#[must_use]
pub fn wait_until_closed() -> bool {
    imp::wait_until_closed()
}

#[cfg(unix)]
mod imp {
    use std::io::stdout;
    use std::os::fd::AsFd as _;

    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    pub(super) fn wait_until_closed() -> bool {
        let stdout = stdout();
        loop {
            // Nothing is asked for: errors and ends are told unasked.
            let mut watched = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
            match poll(&mut watched, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                Err(_) => return false,
                Ok(_) => {
                    let [told] = watched;
                    let ends = PollFlags::POLLERR | PollFlags::POLLHUP;
                    return told.revents().is_some_and(|told| told.intersects(ends));
                }
            }
        }
    }
}

#[cfg(not(unix))]
mod imp {
    pub(super) fn wait_until_closed() -> bool {
        false
    }
}
