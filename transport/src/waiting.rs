//! What the loop of a service waits for: datagrams, a point in time, or being asked to stop, whichever is first.
//!
//! One call on few descriptors, and no runtime: a service that has slept answers sooner the less has to be brought back
//! into the processor's caches.

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::clock::Clock;
use crate::stop::Stop;

pub(crate) use imp::Alarm;

/// Waits for some sockets.
pub(crate) struct Waiting<'a> {
    /// The stop, the sockets, and the alarm where that is a descriptor.
    watched: Vec<PollFd<'a>>,
    sockets: usize,
    alarm: &'a Alarm,
}

impl<'a> Waiting<'a> {
    /// For these sockets, with an alarm that nobody else sets.
    pub(crate) fn new(
        sockets: impl Iterator<Item = &'a UdpSocket>,
        alarm: &'a Alarm,
        stop: &'a Stop,
    ) -> Self {
        let mut watched = vec![PollFd::new(&stop.0, PollFlags::IN)];
        watched.extend(sockets.map(|socket| PollFd::new(socket, PollFlags::IN)));
        let sockets = watched.len() - 1;
        watched.extend(alarm.watched());
        Self {
            watched,
            sockets,
            alarm,
        }
    }

    /// Waits until a socket has something, until it is `due` on this clock, or until the service is to stop, and tells
    /// whether it is.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn wait(&mut self, due: Option<Duration>, clock: &Clock) -> io::Result<bool> {
        let limit = self.alarm.limit(due, clock);
        // A wait of centuries may as well have no end.
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut self.watched, limit.as_ref()) {
            Ok(_) => {}
            // By a signal, which another thread handles.
            Err(Errno::INTR) => {
                for watched in &mut self.watched {
                    watched.clear_revents();
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(self.watched.first().is_some_and(is_ready))
    }

    /// The sockets that have something, by their places.
    pub(crate) fn ready(&self) -> impl Iterator<Item = usize> {
        let sockets = self.watched.iter().skip(1).take(self.sockets);
        let sockets = sockets.enumerate();
        sockets.filter_map(|(place, socket)| is_ready(socket).then_some(place))
    }
}

/// Whether there is something, or an error, which shows when it is read.
fn is_ready(watched: &PollFd<'_>) -> bool {
    !watched.revents().is_empty()
}

#[cfg(target_os = "linux")]
mod imp {
    use std::cell::Cell;
    use std::io;
    use std::os::fd::AsFd;
    use std::time::Duration;

    use nix::sys::time::TimeSpec;
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
    use rustix::event::{PollFd, PollFlags};

    use crate::clock::Clock;

    /// A timer of its own: how long a call waits is rounded up by a thousandth, and by what the thread's timers may be late.
    #[derive(Debug)]
    pub(crate) struct Alarm {
        timer: TimerFd,
        set: Cell<Option<Duration>>,
    }

    impl Alarm {
        pub(crate) fn new() -> io::Result<Self> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            Ok(Self {
                timer: TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?,
                set: Cell::new(None),
            })
        }

        /// What becomes ready when it is due.
        pub(super) fn watched(&self) -> [PollFd<'_>; 1] {
            [PollFd::from_borrowed_fd(self.timer.as_fd(), PollFlags::IN)]
        }

        /// Sets the alarm, and gives the time that a call may wait where the alarm will not end it.
        pub(super) fn limit(&self, due: Option<Duration>, clock: &Clock) -> Option<Duration> {
            // One that is set for this time has not gone off while that is to come: it is set after the clock is read.
            let wait = due.map(|due| due.saturating_sub(clock.elapsed()));
            if wait == Some(Duration::ZERO) {
                return wait;
            }
            if due == self.set.get() {
                return None;
            }
            // Setting it also takes back that it went off.
            let result = match wait {
                Some(wait) => {
                    let once = Expiration::OneShot(TimeSpec::from_duration(wait));
                    self.timer.set(once, TimerSetTimeFlags::empty())
                }
                None => self.timer.unset(),
            };
            match result {
                Ok(()) => {
                    self.set.set(due);
                    None
                }
                Err(_) => wait,
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;
    use std::time::Duration;

    use rustix::event::PollFd;

    use crate::clock::Clock;

    #[derive(Debug)]
    pub(crate) struct Alarm;

    impl Alarm {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) fn watched(&self) -> [PollFd<'_>; 0] {
            []
        }

        pub(super) fn limit(&self, due: Option<Duration>, clock: &Clock) -> Option<Duration> {
            due.map(|due| due.saturating_sub(clock.elapsed()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::stopper;
    use crate::udp;

    #[test]
    fn datagrams_times_and_the_stop_end_a_wait() {
        let clock = Clock::start();
        let sockets = [(); 2].map(|()| udp::listen("127.0.0.1:0".parse().unwrap()).unwrap());
        let (stopper, stop) = stopper().unwrap();
        let alarm = Alarm::new().unwrap();
        let mut waiting = Waiting::new(sockets.iter(), &alarm, &stop);
        let second = udp::connect(sockets[1].local_addr().unwrap()).unwrap();
        second.send(b"a").unwrap();
        for _ in 0..2 {
            // It is told as long as nobody takes it.
            assert!(!waiting.wait(None, &clock).unwrap());
            assert_eq!(waiting.ready().collect::<Vec<_>>(), [1]);
        }
        sockets[1].recv(&mut [0; 8]).unwrap();
        for due in [0, 300, 300, 200].map(Duration::from_micros) {
            let due = clock.elapsed() + due;
            while clock.elapsed() < due {
                assert!(!waiting.wait(Some(due), &clock).unwrap());
                assert_eq!(waiting.ready().count(), 0);
            }
        }
        // What is no longer due ends no wait; this one ends by the stop alone.
        let due = clock.elapsed() + Duration::from_micros(100);
        let _ = waiting.wait(Some(due), &clock);
        let stops = std::thread::spawn(|| drop(stopper));
        while !waiting.wait(None, &clock).unwrap() {}
        assert_eq!(waiting.ready().count(), 0);
        stops.join().unwrap();
        assert!(waiting.wait(None, &clock).unwrap());
    }
}
