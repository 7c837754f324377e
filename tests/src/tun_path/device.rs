//! A TUN device in a network namespace.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::thread;

use nix::libc;

use crate::netns::Namespace;

/// The device's name in its namespace.
const NAME: &str = "path";

/// Packets that the device holds until they are read: more than come while the reader does not run.
const QUEUE: usize = 100_000;

nix::ioctl_write_ptr_bad!(
    /// Attaches an open `/dev/net/tun` to a device.
    tun_set_iff,
    nix::request_code_write!(b'T', 202, size_of::<libc::c_int>()),
    libc::ifreq
);

/// A TUN device, which is there as long as this is. It offers no offload, so that the kernel cuts each GSO batch into
/// packets with their checksums before they are read, and checks the checksums of those that are written.
#[derive(Debug)]
pub(super) struct Device {
    file: File,
}

impl Device {
    /// A device in this namespace, up, with this MTU and the path's addresses that end in this number.
    ///
    /// # Errors
    /// This process may not make one.
    ///
    /// # Panics
    /// It was made and cannot be configured.
    pub(super) fn open(at: &Namespace, mtu: u16, number: u8) -> io::Result<Self> {
        let file = at.enter(attach)?;
        for variable in ["accept_dad", "router_solicitations"] {
            at.set(&format!("ipv6/conf/{NAME}/{variable}"), "0");
        }
        let [v4, v6] = [super::v4(number).to_string(), super::v6(number).to_string()];
        at.ip(&format!(
            "link set {NAME} mtu {mtu} txqueuelen {QUEUE} addrgenmode none up\n\
             address add {v4}/24 dev {NAME}\n\
             address add {v6}/64 dev {NAME} nodad"
        ));
        // The kernel adds the route to an IPv6 address of its own later, and drops what comes before that.
        let route = format!("{:032x} 80 ", super::v6(number).to_bits());
        at.enter(|| {
            let has_route = || {
                let routes = fs::read_to_string("/proc/thread-self/net/ipv6_route");
                let routes = routes.expect("a list of routes");
                routes.lines().any(|line| line.starts_with(&route))
            };
            while !has_route() {
                thread::yield_now();
            }
        });
        Ok(Self { file })
    }

    /// Reads a packet, unless none waits.
    ///
    /// # Panics
    /// The device is gone.
    pub(super) fn read<'a>(&self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        loop {
            match (&self.file).read(buffer) {
                Ok(len) => return Some(&buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => panic!("cannot read from the device: {error}"),
            }
        }
    }

    /// Passes a packet to the kernel, which has delivered it to its socket on return.
    ///
    /// # Panics
    /// The kernel does not take it.
    pub(super) fn write(&self, packet: &[u8]) {
        let written = (&self.file)
            .write(packet)
            .expect("the device takes packets");
        assert_eq!(written, packet.len(), "packets are taken whole");
    }

    /// How many packets were dropped before they were read or after they were written.
    ///
    /// # Panics
    /// The device is gone.
    pub(super) fn dropped(at: &Namespace) -> u64 {
        let table = at.enter(|| fs::read_to_string("/proc/thread-self/net/dev"));
        let table = table.expect("a list of devices");
        let row = table
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(NAME)?.strip_prefix(':'))
            .expect("the device");
        let figures: Vec<u64> = row
            .split_whitespace()
            .map(|figure| figure.parse().expect("a count"))
            .collect();
        // In each direction: bytes, packets, errors, drops, and four more when receiving.
        [2, 3, 10, 11].map(|column| figures[column]).iter().sum()
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Makes a device in the namespace of this thread.
fn attach() -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    // SAFETY: all zeros is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(NAME.bytes()) {
        *to = libc::c_char::try_from(from).expect("ASCII");
    }
    let flags = libc::IFF_TUN | libc::IFF_NO_PI;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).expect("16 bits");
    // SAFETY: the request is an `ifreq` with a name that ends in a zero, and the file is open during the call.
    unsafe { tun_set_iff(file.as_raw_fd(), &raw const request) }?;
    Ok(file)
}
