//! Receiving in batches where the kernel lets it, one datagram at a time where it does not, and an end where neither goes.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::backoff::Backoff;

/// Batched calls in a row that fail where a single one does not: then they pause.
const MAX_REFUSALS: u32 = 8;

/// Calls in a row that may fail before a socket is given up, each followed by [`REST`]. A lack of memory may pass within
/// that time.
pub(crate) const MAX_FAILURES: u32 = 100;

/// Errors of destinations in a row, with no datagram and no pause between them, before they are the socket's: a sandbox may
/// refuse each call with an error that a destination may have too.
pub(crate) const MAX_DESTINATION_ERRORS: u32 = 1000;

/// How long a failed call is followed by nothing, so that a socket that only fails takes no processor's time.
pub(crate) const REST: Duration = Duration::from_millis(10);

/// What became of a call that receives.
#[derive(Debug)]
pub(crate) enum Received {
    /// This many buffers were filled.
    Filled(usize),
    /// Nothing is there.
    Nothing,
    /// An error of a destination, caused by an earlier send. Reading it consumed it; it concerns no other destination.
    Destination(io::Error),
    /// The socket's error; the next call may go. The caller is to rest first.
    Failing(io::Error),
    /// The socket's error, which has not passed.
    Failed(io::Error),
}

/// How a socket receives. The good case costs one look at a flag.
#[derive(Debug, Default)]
pub(crate) struct Receiving {
    /// Whether anything failed that is not forgotten yet.
    is_troubled: AtomicBool,
    trouble: Mutex<Trouble>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Trouble {
    /// Batched calls in a row that failed where a single one did not.
    refusals: u32,
    /// Batched calls pause.
    backoff: Backoff,
    /// Calls in a row that failed altogether.
    failures: u32,
    /// Calls in a row that gave a destination's error.
    destinations: u32,
}

impl Receiving {
    /// Receives by `many`, which fills several buffers, or by `one`, which fills the first. Both get `room`.
    pub(crate) fn receive<R>(
        &self,
        now: impl Fn() -> Duration,
        room: &mut R,
        many: impl FnOnce(&mut R) -> io::Result<usize>,
        one: impl FnOnce(&mut R) -> io::Result<usize>,
    ) -> Received {
        if self.is_troubled.load(Ordering::Relaxed) {
            return self.receive_troubled(now, room, many, one);
        }
        match classify(many(room)) {
            Err(error) | Ok(Received::Destination(error)) => {
                self.is_troubled.store(true, Ordering::Relaxed);
                self.receive_troubled(now, room, |_| Err(error), one)
            }
            Ok(received) => received,
        }
    }

    fn receive_troubled<R>(
        &self,
        now: impl Fn() -> Duration,
        room: &mut R,
        many: impl FnOnce(&mut R) -> io::Result<usize>,
        one: impl FnOnce(&mut R) -> io::Result<usize>,
    ) -> Received {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let is_paused = trouble.backoff.is_on(&now);
        if !is_paused && let Ok(received) = classify(many(room)) {
            if let Received::Destination(error) = received {
                return trouble.of_destination(error);
            }
            *trouble = Trouble::default();
            self.is_troubled.store(false, Ordering::Relaxed);
            return received;
        }
        match classify(one(room)) {
            Ok(Received::Destination(error)) => trouble.of_destination(error),
            Ok(received) => {
                trouble.failures = 0;
                trouble.destinations = 0;
                trouble.refusals += u32::from(!is_paused);
                if trouble.refusals >= MAX_REFUSALS {
                    trouble.refusals = 0;
                    let pause = trouble.backoff.begin(now());
                    tracing::warn!(?pause, "datagrams cannot be received in batches");
                }
                received
            }
            Err(error) => trouble.of_socket(error),
        }
    }
}

impl Trouble {
    /// An error that a destination may have.
    fn of_destination(&mut self, error: io::Error) -> Received {
        self.destinations = self.destinations.saturating_add(1);
        if self.destinations <= MAX_DESTINATION_ERRORS {
            Received::Destination(error)
        } else {
            self.of_socket(error)
        }
    }

    fn of_socket(&mut self, error: io::Error) -> Received {
        self.failures = self.failures.saturating_add(1);
        if self.failures < MAX_FAILURES {
            Received::Failing(error)
        } else {
            Received::Failed(error)
        }
    }
}

/// Distinguishes errors of the call from others.
fn classify(received: io::Result<usize>) -> io::Result<Received> {
    match received {
        Ok(filled) => Ok(Received::Filled(filled)),
        // A call that was interrupted is made again when the socket is looked at next.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ) =>
        {
            Ok(Received::Nothing)
        }
        Err(error) if is_destination_s(&error) => Ok(Received::Destination(error)),
        Err(error) => Err(error),
    }
}

/// Whether an error is what ICMP reports of a destination. Reading it consumes it.
fn is_destination_s(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, NetworkDown, NetworkUnreachable,
    };
    if matches!(
        error.kind(),
        ConnectionRefused | ConnectionReset | HostUnreachable | NetworkDown | NetworkUnreachable
    ) {
        return true;
    }
    imp::is_destination_s(error)
}

#[cfg(unix)]
mod imp {
    use std::io;

    use nix::errno::Errno;

    /// Those that have no portable kind. EPERM is not among them: it is a sandbox's.
    pub(super) fn is_destination_s(error: &io::Error) -> bool {
        let errno = error.raw_os_error().map(Errno::from_raw);
        matches!(
            errno,
            Some(
                Errno::EMSGSIZE
                    | Errno::EPROTO
                    | Errno::ENOPROTOOPT
                    | Errno::EHOSTDOWN
                    | Errno::EACCES
            )
        )
    }
}

#[cfg(not(unix))]
mod imp {
    use std::io;

    pub(super) fn is_destination_s(_: &io::Error) -> bool {
        false
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const EPERM: i32 = 1;
    const EHOSTUNREACH: i32 = 113;
    const EMSGSIZE: i32 = 90;
    const ECONNREFUSED: i32 = 111;
    const ENOMEM: i32 = 12;
    const ENOSYS: i32 = 38;

    /// A kernel whose two calls answer so; counts how often each is asked.
    #[derive(Default)]
    struct Kernel {
        receiving: Receiving,
        now: Duration,
        asked: (u32, u32),
    }

    impl Kernel {
        fn receive(&mut self, many: Result<usize, i32>, one: Result<usize, i32>) -> Received {
            let answer = |answer: Result<_, i32>| answer.map_err(io::Error::from_raw_os_error);
            let now = self.now;
            self.receiving.receive(
                || now,
                &mut self.asked,
                |asked| {
                    asked.0 += 1;
                    answer(many)
                },
                |asked| {
                    asked.1 += 1;
                    answer(one)
                },
            )
        }

        fn assert_fills(
            &mut self,
            many: Result<usize, i32>,
            one: Result<usize, i32>,
            count: usize,
        ) {
            let received = self.receive(many, one);
            assert!(matches!(received, Received::Filled(filled) if filled == count));
        }
    }

    #[test]
    fn batches_are_received_by_one_call() {
        let mut kernel = Kernel::default();
        for _ in 0..20 {
            kernel.assert_fills(Ok(7), Err(EPERM), 7);
        }
        assert_eq!(kernel.asked, (20, 0));
        let nothing = rustix::io::Errno::AGAIN.raw_os_error();
        let received = kernel.receive(Err(nothing), Err(EPERM));
        assert!(matches!(received, Received::Nothing));
        assert_eq!(kernel.asked, (21, 0));
    }

    #[test]
    fn batched_call_that_always_fails_pauses_and_single_ones_receive() {
        for errno in [ENOSYS, EPERM] {
            let mut kernel = Kernel::default();
            for _ in 0..100 {
                kernel.assert_fills(Err(errno), Ok(1), 1);
            }
            assert_eq!(kernel.asked, (MAX_REFUSALS, 100));
            kernel.now += crate::backoff::MAX_PAUSE;
            kernel.assert_fills(Ok(5), Ok(1), 5);
            // It goes again, and nothing is remembered.
            kernel.assert_fills(Ok(6), Ok(1), 6);
            assert_eq!(kernel.asked, (MAX_REFUSALS + 2, 100));
        }
    }

    #[test]
    fn socket_that_only_fails_is_given_up() {
        let mut kernel = Kernel::default();
        for _ in 1..MAX_FAILURES {
            let received = kernel.receive(Err(ENOSYS), Err(EPERM));
            assert!(matches!(received, Received::Failing(_)));
        }
        let received = kernel.receive(Err(ENOSYS), Err(EPERM));
        let Received::Failed(error) = received else {
            panic!("{received:?}");
        };
        assert_eq!(error.raw_os_error(), Some(EPERM));
    }

    #[test]
    fn socket_that_only_gives_errors_of_destinations_is_given_up_too() {
        const EACCES: i32 = 13;
        let mut kernel = Kernel::default();
        for _ in 0..MAX_DESTINATION_ERRORS {
            let received = kernel.receive(Err(EACCES), Err(EACCES));
            assert!(matches!(received, Received::Destination(_)));
        }
        // From then on each is followed by a pause.
        for _ in 1..MAX_FAILURES {
            let received = kernel.receive(Err(EACCES), Err(EACCES));
            assert!(matches!(received, Received::Failing(_)));
        }
        let received = kernel.receive(Err(EACCES), Err(EACCES));
        assert!(matches!(received, Received::Failed(_)));
        // A datagram between them begins the count again.
        let mut kernel = Kernel::default();
        for _ in 0..3 {
            for _ in 0..MAX_DESTINATION_ERRORS {
                let received = kernel.receive(Err(EACCES), Err(EACCES));
                assert!(matches!(received, Received::Destination(_)));
            }
            kernel.assert_fills(Ok(1), Ok(1), 1);
        }
    }

    #[test]
    fn failure_that_passes_is_forgotten() {
        let mut kernel = Kernel::default();
        for _ in 0..3 {
            for _ in 1..MAX_FAILURES {
                let received = kernel.receive(Err(ENOMEM), Err(ENOMEM));
                assert!(matches!(received, Received::Failing(_)));
            }
            kernel.assert_fills(Ok(3), Ok(1), 3);
        }
    }

    #[test]
    fn destination_s_error_is_consumed_and_changes_nothing() {
        let mut kernel = Kernel::default();
        for errno in [ECONNREFUSED, EHOSTUNREACH, EMSGSIZE] {
            for _ in 0..2 * MAX_FAILURES {
                let received = kernel.receive(Err(errno), Err(EPERM));
                assert!(matches!(received, Received::Destination(_)));
            }
        }
        assert_eq!(kernel.asked.1, 0);
        // Nor does it end what failed before.
        let received = kernel.receive(Err(ENOSYS), Err(ECONNREFUSED));
        assert!(matches!(received, Received::Destination(_)));
        kernel.assert_fills(Ok(4), Ok(1), 4);
    }
}
