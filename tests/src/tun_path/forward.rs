//! The thread that moves the packets.

use std::io::{PipeReader, Read as _};
use std::net::IpAddr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl::set_timerslack;
use nix::sys::time::TimeSpec;
use nix::unistd::gettid;

use super::device::Device;
use super::lane::{Lane, Parcel};
use super::packet::{Headers, Transport};
use super::plan::TooBig;
use super::record::{Delivery, Direction, Fate, Passage, Record};

/// More than any packet that a device without offload has.
const MAX_PACKET: usize = 1 << 16;

/// What the thread leaves: the record, and the devices, which count what they dropped.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) record: Record,
    _devices: [Device; 2],
}

/// A direction of the path, from the device of one host to that of the other.
pub(super) struct Way {
    pub(super) direction: Direction,
    pub(super) from: Device,
    pub(super) lane: Lane,
    /// The source of the errors of this direction, for IPv4 and IPv6.
    pub(super) routers: [IpAddr; 2],
}

impl Way {
    /// Takes a packet that its sender has sent; returns whether there was one.
    fn read(&mut self, buffer: &mut [u8], start: Instant, record: &mut Record) -> bool {
        let Some(packet) = self.from.read(buffer) else {
            return false;
        };
        let entered = start.elapsed();
        let headers = Headers::parse(packet);
        let Some(headers) = headers.filter(|headers| !headers.stays_on_link()) else {
            return true;
        };
        let number = self.lane.number();
        let parcel = Parcel {
            index: record.next_index(),
            packet: packet.to_vec(),
        };
        let fate = self.lane.take(entered, &headers, parcel);
        if let (Fate::TooBig, Some((mtu, TooBig::Reported))) = (fate, self.lane.plan().mtu) {
            let [v4, v6] = self.routers;
            let router = if headers.source.is_ipv4() { v4 } else { v6 };
            if let Some(error) = headers.too_big(packet, router, mtu) {
                self.from.write(&error);
            }
        }
        let payload = match headers.transport {
            Transport::Udp => packet[headers.payload].to_vec(),
            Transport::Tcp | Transport::Other => Vec::new(),
        };
        record.enter(Passage {
            direction: self.direction,
            number,
            transport: headers.transport,
            source: headers.source,
            destination: headers.destination,
            len: packet.len(),
            payload,
            entered,
            fate,
            deliveries: Vec::new(),
        });
        true
    }

    /// Delivers what is due.
    fn deliver(&mut self, to: &Device, start: Instant, record: &mut Record) {
        loop {
            let left = start.elapsed();
            let Some((due, parcel)) = self.lane.pop_due(left) else {
                return;
            };
            to.write(&parcel.packet);
            record.leave(parcel.index, Delivery { due, left });
        }
    }
}

/// Moves packets until `control` ends, or a byte comes from it: then it moves what was sent until then, and returns.
///
/// # Panics
/// A device is gone.
pub(super) fn forward(ways: [Way; 2], mut control: PipeReader, start: Instant) -> Ended {
    run_at_once();
    let [mut forward, mut back] = ways;
    let mut record = Record::default();
    let mut buffer = vec![0; MAX_PACKET];
    loop {
        let came = forward.read(&mut buffer, start, &mut record)
            | back.read(&mut buffer, start, &mut record);
        forward.deliver(&back.from, start, &mut record);
        back.deliver(&forward.from, start, &mut record);
        if came {
            continue;
        }
        let files = [control.as_fd(), forward.from.as_fd(), back.from.as_fd()];
        let [is_asked, ..] = wait(files, next_due(&forward, &back), start);
        if is_asked {
            break;
        }
    }
    let is_to_finish = control.read(&mut [0]).is_ok_and(|bytes| bytes > 0);
    if is_to_finish {
        for way in [&mut forward, &mut back] {
            while way.read(&mut buffer, start, &mut record) {}
        }
    }
    while is_to_finish && let Some(due) = next_due(&forward, &back) {
        wait([], Some(due), start);
        forward.deliver(&back.from, start, &mut record);
        back.deliver(&forward.from, start, &mut record);
    }
    Ended {
        record,
        _devices: [forward.from, back.from],
    }
}

/// Lets this thread run as soon as a packet comes or is due, if this process may set so: the machine may be busy, and the
/// timer adds 50 us to each wait otherwise.
fn run_at_once() {
    let _ = set_timerslack(1);
    let _ = Command::new("chrt")
        .args(["--fifo", "--pid", "50", &gettid().to_string()])
        .stderr(Stdio::null())
        .status();
}

fn next_due(forward: &Way, back: &Way) -> Option<Duration> {
    let due = [forward.lane.next_due(), back.lane.next_due()];
    due.into_iter().flatten().min()
}

/// Waits until one of the files can be read, or until this time; returns which can be read.
fn wait<const N: usize>(
    files: [BorrowedFd<'_>; N],
    until: Option<Duration>,
    start: Instant,
) -> [bool; N] {
    let mut files = files.map(|file| PollFd::new(file, PollFlags::POLLIN));
    let timeout = until.map(|until| TimeSpec::from(until.saturating_sub(start.elapsed())));
    match ppoll(&mut files, timeout, None) {
        Ok(_) | Err(Errno::EINTR) => files.map(|file| file.any().unwrap_or(true)),
        Err(error) => panic!("cannot wait: {error}"),
    }
}
