//! A service's socket, that takes and sends many datagrams in one system call where the kernel can (GRO and GSO).

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use quinn_udp::{Transmit, UdpSockRef};
use socket2::{SockRef, Socket as Socket2};

use crate::arrivals::{Arrivals, BUFFERS};
use crate::batch_pause::BatchPause;
use crate::clock::Clock;
use crate::datagrams::Peer;
use crate::offload::{self, Offload};
use crate::packet_info::Bound;
use crate::parcels::Carrier;
use crate::receiving::{REST, Received, Receiving};
use crate::recvmsg::receive_one;
use crate::sampled;
use crate::singles::{self, Headers, Single};

/// A socket of a service.
#[derive(Debug)]
pub(crate) struct BatchSocket {
    socket: UdpSocket,
    outlet: Outlet,
    receiving: Receiving,
    /// How many buffers the next call may fill. After a wait it is one, since what comes alone is to be answered before it
    /// is looked for more; where more came than a call could take, it is all.
    rooms: Cell<usize>,
    bound: Bound,
}

impl BatchSocket {
    /// Of a socket that is bound and does not block.
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Self> {
        let outlet = Outlet::of(&socket)?;
        let bound = Bound::of(&SockRef::from(&socket))?;
        Ok(Self {
            socket,
            outlet,
            receiving: Receiving::default(),
            rooms: Cell::new(1),
            bound,
        })
    }

    pub(crate) fn get_ref(&self) -> &UdpSocket {
        &self.socket
    }

    pub(crate) fn bound(&self) -> Bound {
        self.bound
    }

    /// Takes what is there; the datagrams are then in `arrivals`. Returns whether anything came.
    ///
    /// # Errors
    /// The socket has failed for a while, whatever was tried.
    pub(crate) fn receive(&self, arrivals: &mut Arrivals, clock: &Clock) -> io::Result<bool> {
        let rooms = self.rooms.get();
        let state = &self.outlet.offload.state;
        let mut received = Received::Nothing;
        arrivals.fill(rooms, |rooms, metas| {
            received = self.receiving.receive(
                || clock.elapsed(),
                &mut (rooms, metas),
                |(rooms, metas)| state.recv((&self.socket).into(), rooms, metas),
                |(rooms, metas)| receive_one(&self.socket, state, rooms, metas),
            );
            match &received {
                Received::Filled(filled) => Ok(*filled),
                _ => Ok(0),
            }
        })?;
        self.rooms.set(if arrivals.filled() < rooms {
            1
        } else {
            BUFFERS
        });
        match received {
            Received::Filled(_) => return Ok(true),
            Received::Nothing => {}
            Received::Destination(error) => sampled!(debug, "receive", %error),
            Received::Failing(error) => {
                sampled!(debug, "receive", %error);
                std::thread::sleep(REST);
            }
            Received::Failed(error) => return Err(error),
        }
        Ok(false)
    }

    fn send(&self, to: Peer, octets: &[u8], segment: usize) -> io::Result<()> {
        self.outlet
            .send(&SockRef::from(&self.socket), to, octets, segment)
    }

    /// Sends the first, and as many more as go. Tells how many went.
    fn send_singles(&self, singles: &[Single<'_>], headers: &mut Headers) -> io::Result<usize> {
        match singles {
            [] => Ok(0),
            [one] | [one, ..] if singles.len() == 1 || !singles::ARE_SENT_IN_ONE_CALL => {
                self.send(one.to, one.octets, one.octets.len()).map(|()| 1)
            }
            _ => {
                let destination = |address| self.outlet.destination(address);
                let sent = singles::send(&self.socket, singles, destination, headers);
                match (sent, singles) {
                    (Err(error), [one, ..]) if singles::may_refuse_call(&error) => {
                        self.send(one.to, one.octets, one.octets.len()).map(|()| 1)
                    }
                    (sent, _) => sent,
                }
            }
        }
    }
}

/// A service's sockets as what takes its datagrams to the network.
#[derive(Debug)]
pub(crate) struct Carriers<'a> {
    sockets: &'a [BatchSocket],
    /// Each socket's.
    pauses: Vec<BatchPause>,
    clock: &'a Clock,
    headers: Headers,
}

impl<'a> Carriers<'a> {
    pub(crate) fn new(sockets: &'a [BatchSocket], clock: &'a Clock) -> Self {
        Self {
            sockets,
            pauses: vec![BatchPause::default(); sockets.len()],
            clock,
            headers: Headers::default(),
        }
    }

    fn by(&self, peer: &Peer) -> io::Result<&'a BatchSocket> {
        let socket = self.sockets.get(peer.socket);
        socket.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Carrier for Carriers<'_> {
    fn joins(&self, to: &Peer, len: usize, octets: usize, datagrams: usize, first: usize) -> bool {
        let is_paused = |pause: &BatchPause| pause.is_on(|| self.clock.elapsed());
        self.by(to).is_ok_and(|socket| {
            socket.outlet.offload.joins(len, octets, datagrams, first)
                && !self.pauses.get(to.socket).is_some_and(is_paused)
        })
    }

    fn send_together(&mut self, to: Peer, octets: &[u8], len: usize) -> io::Result<()> {
        let sent = self.by(&to).and_then(|socket| socket.send(to, octets, len));
        sent.inspect_err(|error| not_sent(to, error))
    }

    fn send_singles(&mut self, singles: &[Single<'_>]) -> io::Result<usize> {
        let Some(Single { to, .. }) = singles.first() else {
            return Ok(0);
        };
        let sent = self
            .by(to)
            .and_then(|socket| socket.send_singles(singles, &mut self.headers));
        sent.inspect_err(|error| not_sent(*to, error))
    }

    fn went_together(&mut self, to: &Peer) {
        if let Some(pause) = self.pauses.get_mut(to.socket) {
            pause.went();
        }
    }

    fn refused_together(&mut self, to: &Peer, len: usize, error: &io::Error) -> Option<Duration> {
        let now = self.clock.elapsed();
        let pause = self.pauses.get_mut(to.socket)?;
        pause.refused(to.address.ip(), len, error, now)
    }
}

fn not_sent(to: Peer, error: &io::Error) {
    sampled!(debug, "not sent", to = %to.address, %error);
}

/// How a socket sends.
#[derive(Debug)]
struct Outlet {
    offload: Offload,
    is_ipv6: bool,
    takes_ipv4: bool,
}

impl Outlet {
    fn of(socket: &UdpSocket) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let is_ipv6 = address.is_ipv6();
        let socket = SockRef::from(socket);
        Ok(Self {
            offload: offload::prepare(&socket, true)?,
            is_ipv6,
            takes_ipv4: !is_ipv6 || !socket.only_v6()?,
        })
    }

    /// The address as the socket wants it.
    fn destination(&self, address: SocketAddr) -> SocketAddr {
        if self.is_ipv6 {
            as_ipv6(address)
        } else {
            address
        }
    }

    /// Sends datagrams of this length, the last of which may be shorter, one behind the other in `octets`.
    fn send(&self, socket: &Socket2, to: Peer, octets: &[u8], segment: usize) -> io::Result<()> {
        let destination = self.destination(to.address);
        if octets.len() <= segment && to.asked.is_none() {
            // Nothing but a destination is to be said, and that is cheaper said so.
            return socket.send_to(octets, &destination.into()).map(drop);
        }
        let transmit = Transmit {
            destination,
            ecn: None,
            contents: octets,
            segment_size: (octets.len() > segment).then_some(segment),
            src_ip: to.asked,
        };
        // Waiting for room would delay everybody else: a full send buffer costs these datagrams.
        self.offload
            .state
            .try_send(UdpSockRef::from(socket), &transmit)
    }
}

/// Sends single datagrams from a service's sockets beside its loop.
#[derive(Debug)]
pub struct Sender {
    sockets: Vec<(UdpSocket, Outlet)>,
}

impl Sender {
    /// From these sockets, which stay whose they are.
    ///
    /// # Errors
    /// There are no files for it, or an option cannot be set.
    pub fn of<'a>(sockets: impl IntoIterator<Item = &'a UdpSocket>) -> io::Result<Self> {
        let sockets = sockets.into_iter().map(|socket| {
            let socket = socket.try_clone()?;
            let outlet = Outlet::of(&socket)?;
            Ok((socket, outlet))
        });
        let sockets = sockets.collect::<io::Result<_>>()?;
        Ok(Self { sockets })
    }

    /// Which of the sockets sends to this address, if one does.
    #[must_use]
    pub fn socket_for(&self, address: SocketAddr) -> Option<usize> {
        self.sockets.iter().position(|(_, outlet)| {
            if address.is_ipv4() {
                outlet.takes_ipv4
            } else {
                outlet.is_ipv6
            }
        })
    }

    /// Sends a datagram.
    ///
    /// # Errors
    /// The network would not take it.
    pub fn send(&self, to: Peer, datagram: &[u8]) -> io::Result<()> {
        match self.sockets.get(to.socket) {
            Some((socket, outlet)) => {
                outlet.send(&SockRef::from(socket), to, datagram, datagram.len())
            }
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// The address as a dual-stack socket wants it.
fn as_ipv6(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        v6 @ SocketAddr::V6(_) => v6,
    }
}

#[cfg(all(test, target_os = "linux"))]
#[path = "batch_tests.rs"]
mod tests;
