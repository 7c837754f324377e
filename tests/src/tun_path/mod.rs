//! A path of which it is known what became of each packet.
//!
//! ```text
//! client --- TUN device --- thread of the test --- TUN device --- server
//! ```
//!
//! The two hosts are network namespaces. Whatever one sends to the other, over IPv4 or IPv6, passes the thread, which delays,
//! loses, reorders, repeats and damages it by the [`Plan`] of its [`Direction`], and [records](Record) each packet's
//! [`Fate`]. The programs under test see an ordinary device; UDP GSO works, since the kernel cuts the batches before the
//! device. [`crate::path`] is for tests without root: it stands between sockets of one host, and sees only UDP payloads.
//!
//! The thread has a real-time priority and a timer without slack. Of 10,000 packets, 2,000 or 20,000 a second, the median
//! left 30 to 40 us later than due, and 99 % less than 0.2 ms later, on a virtual machine with two cores; while other
//! programs kept both busy, less than 2 ms. `delay_is_never_shorter_than_planned` in `world_path` prints these figures.

mod device;
mod forward;
mod lane;
mod packet;
mod plan;
mod record;

use std::io::{PipeWriter, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::panic::resume_unwind;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use device::Device;
use forward::{Ended, Way};
use lane::Lane;
pub use packet::Transport;
pub use plan::{Damage, OVERTAKEN_WITHIN, Pick, Plan, Predicate, Reordering, Room, TooBig};
pub use record::{Delivery, Direction, Fate, Passage, Record};

use crate::netns::Namespace;
use crate::world;

/// A host at an end of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The host from which packets go [forward](Direction::Forward).
    Client,
    /// The other one.
    Server,
}

impl End {
    fn number(self) -> u8 {
        match self {
            Self::Client => 1,
            Self::Server => 2,
        }
    }

    /// Its IPv4 address.
    #[must_use]
    pub fn v4(self) -> IpAddr {
        v4(self.number()).into()
    }

    /// Its IPv6 address.
    #[must_use]
    pub fn v6(self) -> IpAddr {
        v6(self.number()).into()
    }

    /// Both.
    #[must_use]
    pub fn addresses(self) -> [IpAddr; 2] {
        [self.v4(), self.v6()]
    }
}

/// The last part of the address of the router that reports packets that are too big.
const ROUTER: u8 = 254;

/// The IPv4 address with this last part (RFC 5737).
fn v4(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, number)
}

/// The IPv6 address with this last part (RFC 3849).
fn v6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into())
}

/// What a path is to be like.
pub struct Builder {
    forward: Plan,
    back: Plan,
    mtu: u16,
    seed: u64,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            forward: Plan::default(),
            back: Plan::default(),
            mtu: 1500,
            seed: 1,
        }
    }
}

impl Builder {
    /// Sets what happens in a direction; by default nothing.
    #[must_use]
    pub fn plan(mut self, direction: Direction, plan: Plan) -> Self {
        match direction {
            Direction::Forward => self.forward = plan,
            Direction::Return => self.back = plan,
        }
        self
    }

    /// Sets the MTU of the devices, by default 1500.
    #[must_use]
    pub fn mtu(mut self, mtu: u16) -> Self {
        self.mtu = mtu;
        self
    }

    /// Sets from what the random choices are derived. With the same seed the same packets are picked.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Starts the path; `None` where a test may not make one, after [`world::skip`].
    ///
    /// # Panics
    /// It was begun and could not be finished, or must not be skipped.
    #[must_use]
    pub fn start(self) -> Option<TunPath> {
        let client = match Namespace::new() {
            Ok(client) if Path::new("/proc/sys/net/ipv6").exists() => client,
            _ => {
                world::skip("no network namespaces here, or no IPv6");
                return None;
            }
        };
        let server = Namespace::new().expect("one more namespace");
        let open = |at: &Namespace, end: End| Device::open(at, self.mtu, end.number());
        let forward_from = match open(&client, End::Client) {
            Ok(device) => device,
            Err(error) => {
                world::skip(&format!("no TUN devices here: {error}"));
                return None;
            }
        };
        let back_from = open(&server, End::Server).expect("one more device");
        let way = |direction, from, plan, seed| Way {
            direction,
            from,
            lane: Lane::new(plan, seed),
            routers: [v4(ROUTER).into(), v6(ROUTER).into()],
        };
        let ways = [
            way(
                Direction::Forward,
                forward_from,
                self.forward,
                2 * self.seed,
            ),
            way(Direction::Return, back_from, self.back, 2 * self.seed + 1),
        ];
        let (asked, asks) = std::io::pipe().expect("a pipe");
        let start = Instant::now();
        let thread = thread::spawn(move || forward::forward(ways, asked, start));
        Some(TunPath {
            client,
            server,
            control: Some(asks),
            thread: Some(thread),
        })
    }
}

/// A path between two hosts. It ends with the test, in every case: the hosts and the devices are held by file descriptors
/// of this process only.
#[derive(Debug)]
pub struct TunPath {
    client: Namespace,
    server: Namespace,
    /// To the thread: a byte asks it to finish, the end to stop.
    control: Option<PipeWriter>,
    thread: Option<JoinHandle<Ended>>,
}

impl TunPath {
    /// A path with these plans, [started](Builder::start).
    #[must_use]
    pub fn start(forward: Plan, back: Plan) -> Option<Self> {
        Builder::default()
            .plan(Direction::Forward, forward)
            .plan(Direction::Return, back)
            .start()
    }

    /// The namespace of a host.
    #[must_use]
    pub fn at(&self, end: End) -> &Namespace {
        match end {
            End::Client => &self.client,
            End::Server => &self.server,
        }
    }

    /// Delivers what was sent up to now, each packet when it is due, and returns what became of all packets. What is sent
    /// later is not delivered.
    ///
    /// # Panics
    /// A device dropped packets, so that the record would not be true.
    #[must_use]
    pub fn finish(mut self) -> Record {
        if let Some(mut control) = self.control.take() {
            // It fails only if the thread has ended, by a panic that is passed on.
            let _ = control.write_all(&[0]);
        }
        let thread = self.thread.take().expect("a path is finished once");
        let ended = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        for end in [End::Client, End::Server] {
            let dropped = Device::dropped(self.at(end));
            assert_eq!(dropped, 0, "dropped by the device of the {end:?}");
        }
        ended.record
    }
}

impl Drop for TunPath {
    fn drop(&mut self) {
        drop(self.control.take());
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}
