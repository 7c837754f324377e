//! Raw access to a device: sends frames unchanged, and captures all that pass.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};

use super::packet::{Mac, Packet};
use crate::netns::Namespace;

/// Time-out of a test that hangs; no test depends on its length.
const WATCHDOG: Duration = Duration::from_secs(60);

/// What a capture holds until it is read, in octets.
const HELD: usize = 256 << 20;

/// The longest frame, which the device is to segment.
const LONGEST: usize = 1 << 17;

/// Sends frames unchanged.
#[derive(Debug)]
pub struct Injector {
    socket: OwnedFd,
}

impl Injector {
    /// One on this device.
    ///
    /// # Panics
    /// There is no such device.
    pub fn new(at: &Namespace, device: &str) -> Self {
        let socket = at.enter(|| open(device, None));
        Self {
            socket: socket.expect("a device"),
        }
    }

    /// Sends a frame.
    ///
    /// # Panics
    /// The device is gone.
    pub fn send(&self, frame: &[u8]) {
        loop {
            match send(self.socket.as_raw_fd(), frame, MsgFlags::empty()) {
                Ok(_) => return,
                Err(Errno::ENOBUFS | Errno::EINTR | Errno::EAGAIN) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Captures what passes a device, in both directions. When its buffer is full, packets are lost until it is read: a caller
/// that finds the packet it waits for has seen all before it.
#[derive(Debug)]
pub struct Capture {
    socket: OwnedFd,
}

impl Capture {
    /// One of what passes this device from now on.
    ///
    /// # Panics
    /// There is no such device.
    pub fn new(at: &Namespace, device: &str) -> Self {
        let socket = at.enter(|| {
            let socket = open(device, Some(SockProtocol::EthAll))?;
            setsockopt(&socket, sockopt::RcvBufForce, &HELD)?;
            io::Result::Ok(socket)
        });
        let capture = Self {
            socket: socket.expect("a device"),
        };
        // Before it was bound it took what passed other devices.
        while capture.try_next().is_some() {}
        capture
    }

    /// Returns packets up to one for which `is_last` holds.
    ///
    /// # Panics
    /// No such packet comes.
    pub fn until(&self, is_last: impl Fn(&Packet) -> bool) -> Vec<Packet> {
        let mut packets = Vec::new();
        loop {
            while let Some(packet) = self.try_next() {
                let is_last = is_last(&packet);
                packets.push(packet);
                if is_last {
                    return packets;
                }
            }
            let timeout = PollTimeout::try_from(WATCHDOG).expect("a minute");
            let mut sockets = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            let came = poll(&mut sockets, timeout).expect("a socket");
            assert_ne!(came, 0, "nothing passes any more; {} did", packets.len());
        }
    }

    /// The next packet that is one, if it has passed.
    fn try_next(&self) -> Option<Packet> {
        let mut frame = vec![0; LONGEST];
        loop {
            match recv(self.socket.as_raw_fd(), &mut frame, MsgFlags::MSG_DONTWAIT) {
                Ok(len) => {
                    if let Some(packet) = frame.get(..len).and_then(Packet::parse) {
                        return Some(packet);
                    }
                }
                Err(Errno::EAGAIN) => return None,
                Err(Errno::EINTR) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// The hardware address of a device.
///
/// # Panics
/// There is no such device.
#[must_use]
pub fn mac(at: &Namespace, device: &str) -> Mac {
    let address = at.enter(|| address(device)).expect("a device");
    address.addr().expect("an Ethernet device")
}

fn open(device: &str, protocol: Option<SockProtocol>) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Packet, SockType::Raw, flags, protocol)?;
    bind(socket.as_raw_fd(), &address(device)?)?;
    Ok(socket)
}

fn address(device: &str) -> io::Result<LinkAddr> {
    let mut found = getifaddrs()?.filter(|one| one.interface_name == device);
    let address = found.find_map(|one| one.address?.as_link_addr().copied());
    address.ok_or_else(|| io::Error::from(Errno::ENODEV))
}
