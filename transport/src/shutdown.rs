//! Being asked to stop.

use std::io;

/// Completes at the first SIGHUP, SIGINT (Ctrl-C) or SIGTERM after the call, and returns which it was. Those that the program
/// was started to ignore, as `nohup` does with SIGHUP and shells with SIGINT for jobs in the background, stay ignored.
///
/// # Errors
/// The signals cannot be caught.
pub fn asked_to_stop() -> io::Result<impl Future<Output = &'static str>> {
    #[cfg(unix)]
    {
        imp::asked_to_stop()
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
        "Ctrl-C"
    })
}

#[cfg(unix)]
mod imp {
    use std::future::poll_fn;
    use std::io;
    use std::mem::MaybeUninit;
    use std::ptr;
    use std::task::Poll;

    use nix::errno::Errno;
    use nix::libc;
    use tokio::signal::unix::{SignalKind, signal};

    pub(super) fn asked_to_stop() -> io::Result<impl Future<Output = &'static str>> {
        let mut caught = Vec::new();
        for (kind, name) in [
            (SignalKind::hangup(), "SIGHUP"),
            (SignalKind::interrupt(), "SIGINT"),
            (SignalKind::terminate(), "SIGTERM"),
        ] {
            if !is_ignored(kind)? {
                caught.push((signal(kind)?, name));
            }
        }
        Ok(poll_fn(move |context| {
            let came = caught.iter_mut().find_map(|(signal, name)| {
                let has_come = signal.poll_recv(context).is_ready();
                has_come.then_some(*name)
            });
            came.map_or(Poll::Pending, Poll::Ready)
        }))
    }

    fn is_ignored(kind: SignalKind) -> io::Result<bool> {
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: without a new action sigaction changes nothing, and it has filled in the old one when it succeeds.
        #[expect(
            unsafe_code,
            reason = "no safe call reads what a signal does without changing it"
        )]
        let action = unsafe {
            let read = libc::sigaction(kind.as_raw_value(), ptr::null(), action.as_mut_ptr());
            Errno::result(read)?;
            action.assume_init()
        };
        Ok(action.sa_sigaction == libc::SIG_IGN)
    }
}
