//! A client's socket for high rates: many datagrams to one target in one system call where the kernel can (GSO), and
//! many from there in one (GRO).

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quinn_udp::Transmit;
use socket2::SockRef;

use crate::arrivals::{Arrivals, BUFFERS};
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::elsewhere::Elsewhere;
use crate::offload::{self, Offload, refuses_together};
pub use crate::offload::{MOST_OCTETS, MOST_SEGMENTS};
use crate::receiving::{REST, Received, Receiving};
use crate::recvmsg::receive_one;
use crate::udp::BUFFER;

/// A socket that is connected to one target.
#[derive(Debug)]
pub struct BurstSocket {
    socket: UdpSocket,
    target: SocketAddr,
    offload: Offload,
    /// Whether several datagrams may go in one call.
    together: bool,
    refusal: Refusal,
    receiving: Receiving,
    clock: Clock,
}

impl BurstSocket {
    /// Takes a socket that is connected. `together`: whether the kernel may be asked to send and to hand over several
    /// datagrams at once. What a socket marks (DSCP) goes one by one, to keep its mark.
    ///
    /// # Errors
    /// It is not connected, or its options cannot be set.
    pub fn new(socket: UdpSocket, together: bool) -> io::Result<Self> {
        let target = socket.peer_addr()?;
        let like = SockRef::from(&socket);
        // A smaller buffer than asked for lets fewer datagrams wait for the network card, and nothing else.
        let _ = like.set_send_buffer_size(BUFFER);
        let is_marked = offload::is_marked(&like);
        let offload = offload::prepare(&like, false)?;
        if !together {
            offload::take_one_by_one(&like);
        }
        Ok(Self {
            socket,
            target,
            offload,
            together: together && !is_marked,
            refusal: Refusal::default(),
            receiving: Receiving::default(),
            clock: Clock::start(),
        })
    }

    /// Sends datagrams of this length, one behind the other in `octets`: as many as go in one call. Tells how many those
    /// were.
    ///
    /// # Errors
    /// None went out.
    pub fn send(&self, octets: &[u8], len: usize) -> io::Result<usize> {
        let len = len.max(1);
        let most = if self.together && !self.refusal.is_on(|| self.clock.elapsed()) {
            self.offload.most_together(len)
        } else {
            1
        };
        let one = |datagram: &[u8]| self.socket.send(datagram).map(drop);
        let (gone, refused) = send_some(
            octets,
            len,
            most,
            |group| self.send_together(group, len),
            one,
        )?;
        if refused {
            self.refusal.begin(self.clock.elapsed());
        } else if gone > 1 {
            self.refusal.end();
        }
        Ok(gone)
    }

    fn send_together(&self, octets: &[u8], len: usize) -> io::Result<()> {
        let transmit = Transmit {
            destination: self.target,
            ecn: None,
            contents: octets,
            segment_size: Some(len),
            src_ip: None,
        };
        let socket = (&self.socket).into();
        self.offload.state.try_send(socket, &transmit)
    }

    /// Takes what is there; the datagrams are then in `arrivals`.
    ///
    /// # Errors
    /// Nothing is there ([`WouldBlock`](io::ErrorKind::WouldBlock)), an ICMP error came, or the socket lets nothing be
    /// received: then it takes a while, so that to try again takes no processor's time.
    pub fn receive(&self, arrivals: &mut Arrivals) -> io::Result<()> {
        let state = &self.offload.state;
        arrivals.fill(BUFFERS, |rooms, metas| {
            let received = self.receiving.receive(
                || self.clock.elapsed(),
                &mut (rooms, metas),
                |(rooms, metas)| state.recv((&self.socket).into(), rooms, metas),
                |(rooms, metas)| receive_one(&self.socket, state, rooms, metas),
            );
            match received {
                Received::Filled(filled) => Ok(filled),
                Received::Nothing => Err(io::ErrorKind::WouldBlock.into()),
                Received::Destination(error) => Err(error),
                Received::Failing(error) | Received::Failed(error) => {
                    std::thread::sleep(REST);
                    Err(error)
                }
            }
        })
    }

    /// Hears what comes to its port from elsewhere.
    ///
    /// # Errors
    /// The platform has nothing for it, the kernel refuses, or there is no descriptor.
    pub fn hear_elsewhere(&self) -> io::Result<Elsewhere> {
        imp::hear_elsewhere(&self.socket)
    }

    /// Waits until there is something to take, or so long.
    pub fn wait(&self, wait: Duration) {
        imp::wait(&self.socket, wait);
    }
}

/// Whether the kernel refused several datagrams that went one by one. Then it is asked again after a pause.
#[derive(Debug, Default)]
struct Refusal {
    /// Whether it did since it last took several. The pause is looked at only then.
    was_refused: AtomicBool,
    pause: Mutex<Backoff>,
}

impl Refusal {
    fn is_on(&self, now: impl FnOnce() -> Duration) -> bool {
        self.was_refused.load(Ordering::Relaxed) && self.pause().is_on(now)
    }

    fn begin(&self, now: Duration) {
        let pause = self.pause().begin(now);
        self.was_refused.store(true, Ordering::Relaxed);
        tracing::debug!(
            ?pause,
            "batches of datagrams are refused: datagrams go one by one for a while"
        );
    }

    fn end(&self) {
        if self.was_refused.load(Ordering::Relaxed) {
            self.pause().reset();
            self.was_refused.store(false, Ordering::Relaxed);
        }
    }

    /// Nothing is done under this lock that could leave its content half written.
    fn pause(&self) -> MutexGuard<'_, Backoff> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends up to so many datagrams together, or the first alone where the kernel refuses that. Tells how many went, and
/// whether it was refused.
fn send_some(
    octets: &[u8],
    len: usize,
    most: usize,
    together: impl FnOnce(&[u8]) -> io::Result<()>,
    one: impl FnOnce(&[u8]) -> io::Result<()>,
) -> io::Result<(usize, bool)> {
    let group = octets.get(..most * len).unwrap_or(octets);
    let mut refused = false;
    if group.len() > len {
        match together(group) {
            Err(error) if refuses_together(&error) => refused = true,
            result => return result.map(|()| (group.len().div_ceil(len), false)),
        }
    }
    one(group.get(..len).unwrap_or(group))?;
    Ok((1, refused))
}

#[cfg(target_os = "linux")]
mod imp {
    use std::io;
    use std::net::UdpSocket;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use crate::elsewhere::Elsewhere;

    pub(super) fn hear_elsewhere(socket: &UdpSocket) -> io::Result<Elsewhere> {
        Elsewhere::beside(&[socket])
    }

    pub(super) fn wait(socket: &UdpSocket, wait: Duration) {
        let mut sockets = [PollFd::new(socket, PollFlags::IN)];
        // A wait of centuries may as well have no end. An interrupted one is for the caller to begin again.
        let wait = Timespec::try_from(wait).ok();
        let _ = poll(&mut sockets, wait.as_ref());
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;
    use std::net::UdpSocket;
    use std::time::Duration;

    use crate::elsewhere::Elsewhere;

    pub(super) fn hear_elsewhere(_: &UdpSocket) -> io::Result<Elsewhere> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Without a portable way to wait for a socket and a fine time at once, the socket is looked at so often.
    const GLANCE: Duration = Duration::from_micros(200);

    pub(super) fn wait(_: &UdpSocket, wait: Duration) {
        std::thread::sleep(wait.min(GLANCE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udp;
    use std::cell::RefCell;
    use std::net::Ipv4Addr;

    /// What is transmitted of "aa", "bb" and "cc", two of which may go together, and what comes of it.
    fn sent(kernel: impl Fn(&[u8]) -> io::Result<()>) -> (Vec<String>, io::Result<(usize, bool)>) {
        let calls = RefCell::new(Vec::new());
        let transmit = |octets: &[u8]| {
            let text = String::from_utf8_lossy(octets);
            calls.borrow_mut().push(text.into_owned());
            kernel(octets)
        };
        let result = send_some(b"aabbcc", 2, 2, transmit, transmit);
        (calls.into_inner(), result)
    }

    #[test]
    fn what_is_refused_together_goes_one_by_one() {
        let (calls, result) = sent(|_| Ok(()));
        assert_eq!(
            (calls, result.unwrap()),
            (vec!["aabb".to_owned()], (2, false))
        );
        for errno in [5, 22, 90] {
            let refused = || io::Error::from_raw_os_error(errno);
            let (calls, result) = sent(|octets| match octets {
                b"aabb" => Err(refused()),
                _ => Ok(()),
            });
            assert_eq!(calls, ["aabb", "aa"]);
            assert_eq!(result.unwrap(), (1, true));
            // The first cannot go alone either.
            let (calls, result) = sent(|_| Err(refused()));
            assert_eq!((calls.len(), result.is_err()), (2, true));
        }
        let (calls, result) = sent(|_| Err(io::ErrorKind::WouldBlock.into()));
        assert_eq!(calls, ["aabb"]);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn refused_batch_is_tried_again_after_a_pause() {
        let refusal = Refusal::default();
        let second = Duration::from_secs(1);
        assert!(!refusal.is_on(|| unreachable!("the clock is not read")));
        refusal.begin(second);
        assert!(refusal.is_on(|| second) && !refusal.is_on(|| 2 * second));
        refusal.begin(2 * second);
        assert!(refusal.is_on(|| 3 * second) && !refusal.is_on(|| 4 * second));
        refusal.end();
        assert!(!refusal.is_on(|| second));
        refusal.begin(5 * second);
        assert!(!refusal.is_on(|| 6 * second));
    }

    fn burst(len: usize, count: usize) -> Vec<u8> {
        (0..count)
            .flat_map(|index| vec![u8::try_from(index % 251).unwrap(); len])
            .collect()
    }

    #[test]
    fn a_burst_arrives_as_its_datagrams_in_order_together_or_not() {
        for (together, len, count) in [
            (true, 64, 200),
            (false, 64, 200),
            (true, 1, 3),
            // Too long to go together.
            (true, 5_000, 9),
            (true, 65_507, 2),
        ] {
            let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let socket = udp::connect(peer.local_addr().unwrap()).unwrap();
            peer.connect(socket.local_addr().unwrap()).unwrap();
            let socket = BurstSocket::new(socket, together).unwrap();
            let peer = BurstSocket::new(peer, together).unwrap();
            let octets = burst(len, count);
            let mut arrivals = Arrivals::new();
            let mut found = Vec::new();
            // No more at once than any buffer holds.
            for some in octets.chunks(50 * len) {
                let mut rest = some;
                while !rest.is_empty() {
                    let gone = socket.send(rest, len).unwrap();
                    rest = &rest[gone * len..];
                }
                let end = found.len() + some.len();
                while found.len() < end {
                    match peer.receive(&mut arrivals) {
                        Ok(()) => {
                            for datagram in arrivals.datagrams() {
                                assert_eq!(datagram.len(), len);
                                found.extend_from_slice(datagram);
                            }
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            peer.wait(Duration::from_secs(10));
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            assert!(found == octets, "{together} {len} {count}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn marked_datagrams_keep_their_mark() {
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for (mark, together) in [(0, true), (0xb8, false)] {
            let socket = udp::connect(peer.local_addr().unwrap()).unwrap();
            SockRef::from(&socket).set_tos_v4(mark).unwrap();
            let socket = BurstSocket::new(socket, true).unwrap();
            let gone = socket.send(&burst(64, 3), 64).unwrap();
            assert_eq!(gone > 1, together, "{mark}");
        }
    }

    #[test]
    fn a_wait_ends_without_a_datagram() {
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let socket = udp::connect(peer.local_addr().unwrap()).unwrap();
        let socket = BurstSocket::new(socket, true).unwrap();
        socket.wait(Duration::from_micros(50));
        let nothing = socket.receive(&mut Arrivals::new()).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }
}
