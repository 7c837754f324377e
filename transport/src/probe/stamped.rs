//! The socket on Linux, which are two: one sends, one receives.
//!
//! The kernel puts the time at which it sent a datagram into the socket's queue of errors, and each time wakes whoever
//! waits for answers on that socket, while the answer is under way. So there is a second socket at the same address and
//! port that does nothing but send, and whose notes are read when nobody is in a hurry. The first one is connected and so
//! is preferred for all that comes from the target, ICMP errors included.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::errno::Errno;
use nix::libc::sock_extended_err;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, TimestampingFlag, recvmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;

use super::{Buffer, Icmp, IcmpVersion, Note, Received};
use crate::clock::Clock;
use crate::elsewhere::Elsewhere;
use crate::options::SocketOptions;
use crate::udp;

/// Where an error came from (`linux/errqueue.h`).
const ORIGIN_LOCAL: u8 = 1;
const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;
const ORIGIN_TIMESTAMPING: u8 = 4;

/// A socket that sends to a target and takes datagrams from there alone.
#[derive(Debug)]
pub struct ProbeSocket {
    receiver: UdpSocket,
    sender: Result<Sender, String>,
}

#[derive(Debug)]
struct Sender {
    socket: UdpSocket,
    target: SocketAddr,
}

impl ProbeSocket {
    /// How many descriptors one takes.
    pub const DESCRIPTORS: usize = 2;

    /// A socket from a free port.
    ///
    /// # Errors
    /// There is no free port, no route to the target, or the kernel refuses an option.
    pub fn connect(target: SocketAddr, options: &SocketOptions) -> io::Result<Self> {
        let receiver = udp::connect_with(target, options)?;
        tell_errors(&receiver, target);
        // A kernel that does not count them has none to tell.
        let _ = setsockopt(&receiver, sockopt::RxqOvfl, &1);
        let sender = Sender::beside(&receiver, target, options)
            .inspect_err(|error| tracing::debug!(%error, "no kernel time stamps"))
            .map_err(|error| error.to_string());
        Ok(Self { receiver, sender })
    }

    /// Why the kernel tells no times, where it does not.
    #[must_use]
    pub fn lacks_stamps(&self) -> Option<&str> {
        self.sender.as_ref().err().map(String::as_str)
    }

    /// Hears what comes to its port from elsewhere.
    ///
    /// # Errors
    /// The kernel refuses, or there is no descriptor.
    pub fn hear_elsewhere(&self) -> io::Result<Elsewhere> {
        let sender = self.sender.as_ref().ok().map(|sender| &sender.socket);
        let sockets: Vec<_> = [&self.receiver].into_iter().chain(sender).collect();
        Elsewhere::beside(&sockets)
    }

    /// Watches for datagrams.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let descriptor = self.receiver.as_raw_fd();
        registry.register(&mut SourceFd(&descriptor), token, Interest::READABLE)
    }

    /// Sends a datagram, without waiting for room.
    ///
    /// # Errors
    /// It was not sent.
    pub fn send(&self, datagram: &[u8]) -> io::Result<()> {
        if let Ok(sender) = &self.sender {
            return sender.socket.send_to(datagram, sender.target).map(drop);
        }
        match self.receiver.send(datagram) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            // The error may be about an earlier one, and has kept this one from being sent.
            Err(_) => self.receiver.send(datagram).map(drop),
        }
    }

    /// Takes a datagram that is there, and the time on this clock.
    ///
    /// # Errors
    /// There is none, or there are notes first.
    pub fn receive(&self, buffer: &mut Buffer, clock: &Clock) -> io::Result<Received> {
        let mut received = Received::default();
        let mut at = Duration::ZERO;
        let arrived = || at = clock.elapsed();
        received.len = read(
            &self.receiver,
            buffer,
            MsgFlags::empty(),
            arrived,
            |control| match control {
                ControlMessageOwned::ScmTimestampsns(times) => received.stamp = wall(times.system),
                ControlMessageOwned::RxqOvfl(drops) => received.drops = drops,
                _ => {}
            },
        )?;
        received.at = at;
        Ok(received)
    }

    /// The next note about what was sent.
    pub fn note_of_sending<'a>(&self, buffer: &'a mut Buffer) -> Option<Note<'a>> {
        let socket = match &self.sender {
            Ok(sender) => &sender.socket,
            Err(_) => &self.receiver,
        };
        next_note(socket, buffer)
    }

    /// The next note that came from the network.
    pub fn note_of_receiving<'a>(&self, buffer: &'a mut Buffer) -> Option<Note<'a>> {
        next_note(&self.receiver, buffer)
    }
}

impl Sender {
    /// A socket that sends from where the other one does, with the kernel's stamps switched on for both.
    fn beside(
        receiver: &UdpSocket,
        target: SocketAddr,
        options: &SocketOptions,
    ) -> io::Result<Self> {
        use TimestampingFlag as Flag;
        let software = Flag::SOF_TIMESTAMPING_SOFTWARE;
        let back = software | Flag::SOF_TIMESTAMPING_RX_SOFTWARE;
        setsockopt(receiver, sockopt::Timestamping, &back)?;

        let socket = udp::for_client(target, options)?;
        let local = udp::bind_beside(&socket, &[receiver])?;
        // What a stranger sends to the port is for neither of them.
        socket.connect(&local.into())?;

        // Without `OPT_TSONLY` the packet that was sent comes back with its time, and tells by itself which one it was.
        let there = software | Flag::SOF_TIMESTAMPING_TX_SOFTWARE | Flag::SOF_TIMESTAMPING_OPT_ID;
        setsockopt(&socket, sockopt::Timestamping, &there)?;
        let socket = socket.into();
        tell_errors(&socket, target);
        Ok(Self { socket, target })
    }
}

/// Has errors queued with the datagram that each is about.
fn tell_errors(socket: &UdpSocket, target: SocketAddr) {
    let result = if target.is_ipv6() {
        setsockopt(socket, sockopt::Ipv6RecvErr, &true)
    } else {
        setsockopt(socket, sockopt::Ipv4RecvErr, &true)
    };
    if let Err(error) = result {
        tracing::debug!(%error, "ICMP errors stay untold");
    }
}

/// The next note in a socket's queue of errors.
fn next_note<'a>(socket: &UdpSocket, buffer: &'a mut Buffer) -> Option<Note<'a>> {
    let mut stamp = None;
    let mut error = None;
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let len = read(
        socket,
        buffer,
        flags,
        || {},
        |control| match control {
            ControlMessageOwned::ScmTimestampsns(times) => stamp = wall(times.system),
            ControlMessageOwned::Ipv4RecvErr(of, _) | ControlMessageOwned::Ipv6RecvErr(of, _) => {
                error = Some(of);
            }
            _ => {}
        },
    )
    .ok()?;
    let octets = buffer.octets.get(..len).unwrap_or_default();
    let note = match (error, stamp) {
        (Some(error), Some(stamp)) if error.ee_origin == ORIGIN_TIMESTAMPING => Note::Transmitted {
            stamp,
            packet: octets,
        },
        (Some(error), _) => of_error(&error, octets),
        (None, _) => Note::Other,
    };
    Some(note)
}

fn of_error<'a>(error: &sock_extended_err, octets: &'a [u8]) -> Note<'a> {
    let icmp = |version| Note::Refused {
        icmp: Icmp {
            version,
            kind: error.ee_type,
            code: error.ee_code,
            mtu: error.ee_info,
        },
        quoted: octets,
    };
    match error.ee_origin {
        ORIGIN_ICMP => icmp(IcmpVersion::V4),
        ORIGIN_ICMP6 => icmp(IcmpVersion::V6),
        ORIGIN_LOCAL if error.ee_errno == Errno::EMSGSIZE as u32 => Note::TooLong {
            path_mtu: error.ee_info,
        },
        _ => Note::Other,
    }
}

/// Takes a message and shows what came with it, after it is told that it is there; returns the number of its octets.
fn read(
    socket: &UdpSocket,
    buffer: &mut Buffer,
    flags: MsgFlags,
    arrived: impl FnOnce(),
    show: impl FnMut(ControlMessageOwned),
) -> nix::Result<usize> {
    let mut octets = [IoSliceMut::new(&mut buffer.octets)];
    let control = Some(buffer.control.as_mut_slice());
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut octets, control, flags)?;
    arrived();
    message.cmsgs().into_iter().flatten().for_each(show);
    Ok(message.bytes)
}

/// Nanoseconds since the Unix epoch.
fn wall(time: TimeSpec) -> Option<u64> {
    let seconds = u64::try_from(time.tv_sec()).ok()?;
    let nanos = u64::try_from(time.tv_nsec()).ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_socket_does_where_there_can_be_no_second() {
        let target = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = target.local_addr().unwrap();
        let mut socket = ProbeSocket::connect(address, &SocketOptions::default()).unwrap();
        socket.sender = Err("there is none".into());
        assert_eq!(socket.lacks_stamps(), Some("there is none"));
        let mut buffer = Buffer::for_datagrams();

        socket.send(b"hello").unwrap();
        let mut octets = [0; 8];
        let (len, from) = target.recv_from(&mut octets).unwrap();
        target.send_to(&octets[..len], from).unwrap();
        let received = loop {
            match socket.receive(&mut buffer, &Clock::start()) {
                // It may take a moment.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                result => break result.unwrap(),
            }
        };
        assert_eq!(buffer.octets(&received), b"hello");

        // What is refused keeps nothing from being sent, and each tells which one it was.
        drop(target);
        for number in 0..5_u8 {
            socket.send(&[number]).unwrap();
        }
        for number in 0..5 {
            let note = socket.note_of_receiving(&mut buffer);
            assert!(
                matches!(note, Some(Note::Refused { quoted: [quoted], .. }) if *quoted == number),
                "{note:?}"
            );
        }
        assert_eq!(socket.note_of_sending(&mut buffer), None);
    }
}
