//! Descriptors that the runtime watches for reading, and for nothing else.
//!
//! tokio's own sockets are watched for writing too. Room to write appears whenever a datagram has left the host, so a
//! service would be woken once more for every answer.

pub(crate) use imp::{Socket, Watched};

#[cfg(unix)]
mod imp {
    use std::io;
    pub(crate) use std::net::UdpSocket as Socket;
    use std::os::fd::{AsFd, AsRawFd, RawFd};
    use std::task::{Context, Poll};

    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// A descriptor's owner, watched.
    #[derive(Debug)]
    pub(crate) struct Watched<T: AsFd>(AsyncFd<Raw<T>>);

    /// The owner with the raw descriptor that tokio asks for.
    #[derive(Debug)]
    struct Raw<T>(T);

    impl<T: AsFd> AsRawFd for Raw<T> {
        fn as_raw_fd(&self) -> RawFd {
            self.0.as_fd().as_raw_fd()
        }
    }

    impl Watched<Socket> {
        /// Watches a non-blocking socket.
        pub(crate) fn socket(socket: Socket) -> io::Result<Self> {
            Self::register(socket)
        }
    }

    #[cfg(target_os = "linux")]
    impl Watched<nix::sys::timerfd::TimerFd> {
        /// Watches a non-blocking timer.
        pub(crate) fn timer(timer: nix::sys::timerfd::TimerFd) -> io::Result<Self> {
            Self::register(timer)
        }
    }

    impl<T: AsFd> Watched<T> {
        fn register(owner: T) -> io::Result<Self> {
            // SAFETY: what comes here, a socket or a timer, owns its descriptor, always tells that one, and closes it
            // only when dropped.
            #[expect(
                unsafe_code,
                reason = "tokio offers no safe call for a descriptor that is not its own"
            )]
            let watched =
                unsafe { AsyncFd::register_with_interest(Raw(owner), Interest::READABLE) };
            Ok(Self(watched?))
        }

        /// What is watched.
        pub(crate) fn get_ref(&self) -> &T {
            &self.0.get_ref().0
        }

        /// Ready when there may be something to read.
        pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
            // An error shows again when it is read.
            self.0.poll_read_ready(context).map(drop)
        }

        /// Reads, and notes when there is nothing.
        pub(crate) fn try_read<R>(&self, read: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
            self.0.try_io(Interest::READABLE, |raw| read(&raw.0))
        }

        /// Notes that there was nothing more to read, which saves the call that would say so. What comes later, and what
        /// came since, is an event of its own.
        pub(crate) fn drained(&self) {
            let _ = self.try_read(|_| Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        }

        /// Reads as soon as there is something.
        #[cfg(target_os = "linux")]
        pub(crate) async fn read<R>(
            &self,
            mut read: impl FnMut(&T) -> io::Result<R>,
        ) -> io::Result<R> {
            self.0
                .async_io(Interest::READABLE, |raw| read(&raw.0))
                .await
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use std::io;
    use std::task::{Context, Poll};

    use tokio::io::Interest;
    pub(crate) use tokio::net::UdpSocket as Socket;

    /// A socket, watched; for writing too, where the runtime offers nothing else.
    #[derive(Debug)]
    pub(crate) struct Watched<T>(T);

    impl Watched<Socket> {
        pub(crate) fn socket(socket: std::net::UdpSocket) -> io::Result<Self> {
            Socket::from_std(socket).map(Self)
        }

        pub(crate) fn get_ref(&self) -> &Socket {
            &self.0
        }

        pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
            self.0.poll_recv_ready(context).map(drop)
        }

        pub(crate) fn try_read<R>(
            &self,
            read: impl FnOnce(&Socket) -> io::Result<R>,
        ) -> io::Result<R> {
            self.0.try_io(Interest::READABLE, || read(&self.0))
        }

        /// It has to be found out by reading.
        pub(crate) fn drained(&self) {}
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::Watched;
    use crate::udp;

    fn pair() -> (Watched<super::Socket>, UdpSocket) {
        let socket = udp::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let peer = udp::connect(socket.local_addr().unwrap()).unwrap();
        (Watched::socket(socket).unwrap(), peer)
    }

    async fn readable(socket: &Watched<super::Socket>) {
        poll_fn(|context| socket.poll_readable(context)).await;
    }

    fn take(socket: &Watched<super::Socket>) {
        socket
            .try_read(|socket| socket.recv_from(&mut [0; 8]))
            .unwrap();
    }

    #[tokio::test]
    async fn what_is_drained_is_ready_again_with_the_next_datagram() {
        let (socket, peer) = pair();
        for _ in 0..1000 {
            peer.send(b"a").unwrap();
            readable(&socket).await;
            take(&socket);
            // This one may be there before it is noted that there was none, and is not to be missed for that.
            peer.send(b"b").unwrap();
            socket.drained();
            let next = tokio::time::timeout(Duration::from_secs(60), readable(&socket));
            next.await.unwrap();
            take(&socket);
            socket.drained();
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn room_to_write_is_no_event() {
        use std::os::fd::AsRawFd as _;
        const EPOLLOUT: u32 = 4;
        let (socket, _) = pair();
        let own = socket.get_ref().as_raw_fd().to_string();
        // The kernel tells for each descriptor that watches others which events of which others those are.
        let watched_for = std::fs::read_dir("/proc/self/fdinfo")
            .unwrap()
            .find_map(|entry| {
                let info = std::fs::read_to_string(entry.unwrap().path()).ok()?;
                info.lines().find_map(|line| {
                    let fields: Vec<_> = line.split_whitespace().collect();
                    let [_, descriptor, _, events, ..] = fields[..] else {
                        return None;
                    };
                    let is_own = line.starts_with("tfd:") && descriptor == own;
                    is_own.then(|| u32::from_str_radix(events, 16).unwrap())
                })
            });
        assert_eq!(watched_for.unwrap() & EPOLLOUT, 0);
    }
}
