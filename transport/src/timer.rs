//! A timer for a service's connections that is finer than tokio's, whose grain is 1 ms.

use std::io;
use std::time::Duration;

/// A timer that can be set again and again.
#[derive(Debug)]
pub struct Timer(imp::Timer);

impl Timer {
    /// A timer that is not set.
    ///
    /// # Errors
    /// There is no descriptor for it.
    pub fn new() -> io::Result<Self> {
        imp::Timer::new().map(Self)
    }

    /// Returns after `wait`; never, when there is nothing to wait for.
    pub async fn wait(&self, wait: Option<Duration>) {
        match wait {
            // A wait of zero would disarm the timer.
            Some(wait) => self.0.wait(wait.max(Duration::from_nanos(1))).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::io;
    use std::os::fd::{AsFd as _, AsRawFd, RawFd};
    use std::time::Duration;

    use nix::sys::time::TimeSpec;
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    #[derive(Debug)]
    pub(super) struct Timer(AsyncFd<Raw>);

    /// The timer with the raw descriptor that tokio asks for.
    #[derive(Debug)]
    struct Raw(TimerFd);

    impl AsRawFd for Raw {
        fn as_raw_fd(&self) -> RawFd {
            self.0.as_fd().as_raw_fd()
        }
    }

    impl Timer {
        pub(super) fn new() -> io::Result<Self> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
            // SAFETY: a timer owns its descriptor, always tells that one, and closes it only when dropped.
            #[expect(
                unsafe_code,
                reason = "tokio offers no safe call for a descriptor that is not its own"
            )]
            let watched =
                unsafe { AsyncFd::register_with_interest(Raw(timer), Interest::READABLE) };
            Ok(Self(watched?))
        }

        pub(super) async fn wait(&self, wait: Duration) {
            let once = Expiration::OneShot(TimeSpec::from_duration(wait));
            let timer = &self.0.get_ref().0;
            if timer.set(once, TimerSetTimeFlags::empty()).is_err() {
                return tokio::time::sleep(wait).await;
            }
            // Setting the timer again has taken back an expiry that was not read. Reading it fails on no account.
            let _ = self
                .0
                .async_io(Interest::READABLE, |timer| {
                    timer.0.wait().map_err(io::Error::from)
                })
                .await;
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;
    use std::time::Duration;

    #[derive(Debug)]
    pub(super) struct Timer;

    impl Timer {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn wait(&self, wait: Duration) {
            tokio::time::sleep(wait).await;
        }
    }
}
