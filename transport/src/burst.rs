//! A client's socket for high rates: many datagrams to one target in one system call where the kernel can (GSO), and
//! many from there in one (GRO).

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use quinn_udp::{Transmit, UdpSocketState};
use socket2::SockRef;

use crate::arrivals::Arrivals;
use crate::offload::{self, most_together, refuses_together};
use crate::udp::BUFFER;

/// A socket that is connected to one target.
#[derive(Debug)]
pub struct BurstSocket {
    socket: UdpSocket,
    target: SocketAddr,
    state: UdpSocketState,
    /// Whether several datagrams may go in one call.
    together: bool,
}

impl BurstSocket {
    /// Takes a socket that is connected. `together`: whether the kernel may be asked to send and to hand over several
    /// datagrams at once.
    ///
    /// # Errors
    /// It is not connected, or its options cannot be set.
    pub fn new(socket: UdpSocket, together: bool) -> io::Result<Self> {
        let target = socket.peer_addr()?;
        let like = SockRef::from(&socket);
        // A smaller buffer than asked for lets fewer datagrams wait for the network card, and nothing else.
        let _ = like.set_send_buffer_size(BUFFER);
        let state = offload::prepare(&like)?;
        if !together {
            offload::take_one_by_one(&like);
        }
        Ok(Self {
            socket,
            target,
            state,
            together,
        })
    }

    /// Sends datagrams of this length, one behind the other in `octets`. Tells how many went out, and why the next one
    /// did not.
    pub fn send(&self, octets: &[u8], len: usize) -> (usize, io::Result<()>) {
        let len = len.max(1);
        let mut gone = 0;
        let mut rest = octets;
        while !rest.is_empty() {
            let most = if self.together {
                most_together(&self.state, len)
            } else {
                1
            };
            let (group, others) = rest.split_at_checked(most * len).unwrap_or((rest, &[]));
            let (of_group, result) = send_group(
                group,
                len,
                |group| self.send_together(group, len),
                |datagram| self.socket.send(datagram).map(drop),
            );
            gone += of_group;
            if result.is_err() {
                return (gone, result);
            }
            rest = others;
        }
        (gone, Ok(()))
    }

    fn send_together(&self, octets: &[u8], len: usize) -> io::Result<()> {
        let transmit = Transmit {
            destination: self.target,
            ecn: None,
            contents: octets,
            segment_size: Some(len),
            src_ip: None,
        };
        self.state.try_send((&self.socket).into(), &transmit)
    }

    /// Takes what is there; the datagrams are then in `arrivals`.
    ///
    /// # Errors
    /// Nothing is there ([`WouldBlock`](io::ErrorKind::WouldBlock)), or an ICMP error came.
    pub fn receive(&self, arrivals: &mut Arrivals) -> io::Result<()> {
        arrivals.fill(false, |rooms, metas| {
            self.state.recv((&self.socket).into(), rooms, metas)
        })
    }

    /// Waits until there is something to take, or so long.
    pub fn wait(&self, wait: Duration) {
        imp::wait(&self.socket, wait);
    }
}

/// Sends all together, or one by one where there is one or the kernel refuses that.
fn send_group(
    group: &[u8],
    len: usize,
    together: impl FnOnce(&[u8]) -> io::Result<()>,
    singly: impl Fn(&[u8]) -> io::Result<()>,
) -> (usize, io::Result<()>) {
    let datagrams = group.chunks(len);
    let count = datagrams.len();
    if count > 1 {
        match together(group) {
            Ok(()) => return (count, Ok(())),
            Err(error) if refuses_together(&error) => {}
            Err(error) => return (0, Err(error)),
        }
    }
    for (index, datagram) in datagrams.enumerate() {
        if let Err(error) = singly(datagram) {
            return (index, Err(error));
        }
    }
    (count, Ok(()))
}

#[cfg(target_os = "linux")]
mod imp {
    use std::net::UdpSocket;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    pub(super) fn wait(socket: &UdpSocket, wait: Duration) {
        let mut sockets = [PollFd::new(socket, PollFlags::IN)];
        // A wait of centuries may as well have no end. An interrupted one is for the caller to begin again.
        let wait = Timespec::try_from(wait).ok();
        let _ = poll(&mut sockets, wait.as_ref());
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::net::UdpSocket;
    use std::time::Duration;

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

    /// What is transmitted of "aa", "bb" and "cc", and what is told of it, when the kernel answers so.
    fn sent(kernel: impl Fn(&[u8]) -> io::Result<()>) -> (Vec<String>, usize, bool) {
        let calls = RefCell::new(Vec::new());
        let transmit = |octets: &[u8]| {
            calls
                .borrow_mut()
                .push(String::from_utf8_lossy(octets).into_owned());
            kernel(octets)
        };
        let (gone, result) = send_group(b"aabbcc", 2, transmit, transmit);
        (calls.into_inner(), gone, result.is_ok())
    }

    #[test]
    fn what_is_refused_together_goes_one_by_one_up_to_the_first_that_cannot_go() {
        assert_eq!(sent(|_| Ok(())), (vec!["aabbcc".to_owned()], 3, true));
        for errno in [5, 22, 90] {
            let (calls, gone, whole) = sent(|octets| match octets {
                b"aa" | b"cc" => Ok(()),
                _ => Err(io::Error::from_raw_os_error(errno)),
            });
            assert_eq!(calls, ["aabbcc", "aa", "bb"]);
            assert_eq!((gone, whole), (1, false));
        }
        let (calls, gone, whole) = sent(|_| Err(io::ErrorKind::WouldBlock.into()));
        assert_eq!((calls.len(), gone, whole), (1, 0, false));
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
                let (gone, result) = socket.send(some, len);
                result.unwrap();
                assert_eq!(gone, some.len() / len);
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
