//! A network path for tests: it stands between clients and a server on this machine and does to
//! the datagrams what it is told.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a reader waits before it looks whether it is to end. Only a backstop: who ends it
/// sends it a datagram too.
const IDLE: Duration = Duration::from_secs(5);

/// What a reader needs besides its buffer, which is not on its stack.
const STACK: usize = 64 * 1024;

/// What becomes of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes on at once.
    Pass,
    /// It is lost.
    Drop,
    /// It goes on at once, twice.
    Twice,
    /// It goes on right after the next datagram of its direction, of whichever client: they swap.
    /// Several in a row come out backwards. If the next is lost, it goes on all the same.
    AfterNext,
    /// It goes on after this time; others overtake it.
    Delay(Duration),
}

/// Says what becomes of a datagram: its index, counted from 0 in its direction over all clients,
/// and its octets. A panic in here ends the path and comes up again where the path is dropped.
pub type Judge = Box<dyn FnMut(u64, &[u8]) -> Fate + Send>;

/// Loses one of so many, the fourth first.
#[must_use]
pub fn loses_one_of(many: u64) -> Judge {
    Box::new(move |index, _| match index % many {
        3 => Fate::Drop,
        _ => Fate::Pass,
    })
}

/// A path to one server. It ends when it is dropped, with all that is still on the way.
///
/// The server sees each client as a socket of its own. Whatever cannot be sent is lost in silence;
/// neither side learns that the other's port is closed.
#[derive(Debug)]
pub struct Path {
    addr: SocketAddr,
    events: Sender<Event>,
    hub: Option<JoinHandle<()>>,
}

impl Path {
    /// A path to `server`, which must be on this machine. `there` judges what clients send, `back`
    /// what the server sends.
    ///
    /// # Errors
    ///
    /// If a socket or a thread cannot be had.
    pub fn new(server: SocketAddr, there: Judge, back: Judge) -> io::Result<Self> {
        let (events, inbox) = mpsc::channel();
        let front = Reader::start(server, None, events.clone())?;
        let addr = front.addr;
        let hub = Hub {
            server,
            front,
            upstreams: HashMap::new(),
            there: Direction::new(there),
            back: Direction::new(back),
            delayed: BTreeMap::new(),
            delays: 0,
            events: events.clone(),
            inbox,
        };
        let hub = thread::Builder::new().spawn(|| hub.run())?;
        Ok(Self {
            addr,
            events,
            hub: Some(hub),
        })
    }

    /// Where clients send to.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        // It fails only if the hub has ended already.
        let _ = self.events.send(Event::Stop);
        if let Some(Err(cause)) = self.hub.take().map(JoinHandle::join)
            && !thread::panicking()
        {
            panic::resume_unwind(cause);
        }
    }
}

#[derive(Debug)]
enum Event {
    /// A datagram came in: at the front if there is no client, else at that client's upstream.
    Datagram {
        client: Option<SocketAddr>,
        from: SocketAddr,
        octets: Vec<u8>,
    },
    Stop,
}

/// A datagram on its way.
struct Parcel {
    client: SocketAddr,
    octets: Vec<u8>,
}

struct Direction {
    judge: Judge,
    seen: u64,
    /// Goes on after the next datagram, in this order.
    held: Vec<Parcel>,
}

impl Direction {
    fn new(judge: Judge) -> Self {
        Self {
            judge,
            seen: 0,
            held: Vec::new(),
        }
    }

    /// What goes on because of this datagram, and after what time.
    fn take(&mut self, client: SocketAddr, octets: Vec<u8>) -> (Duration, Vec<Parcel>) {
        let fate = (self.judge)(self.seen, &octets);
        self.seen += 1;
        let mut parcels = Vec::new();
        if fate == Fate::Twice {
            parcels.push(Parcel {
                client,
                octets: octets.clone(),
            });
        }
        if fate != Fate::Drop {
            parcels.push(Parcel { client, octets });
        }
        parcels.append(&mut self.held);
        match fate {
            Fate::AfterNext => {
                self.held = parcels;
                (Duration::ZERO, Vec::new())
            }
            Fate::Delay(time) => (time, parcels),
            Fate::Pass | Fate::Drop | Fate::Twice => (Duration::ZERO, parcels),
        }
    }
}

#[derive(Clone, Copy)]
enum Way {
    There,
    Back,
}

/// The one thread that judges and sends. All the others only read.
struct Hub {
    server: SocketAddr,
    front: Reader,
    upstreams: HashMap<SocketAddr, Reader>,
    there: Direction,
    back: Direction,
    /// By the time they are due, and those of one time by their number.
    delayed: BTreeMap<(Instant, u64), (Way, Vec<Parcel>)>,
    delays: u64,
    events: Sender<Event>,
    inbox: Receiver<Event>,
}

impl Hub {
    fn run(mut self) {
        loop {
            let event = match self.send_due() {
                None => self.inbox.recv().ok(),
                Some(wait) => match self.inbox.recv_timeout(wait) {
                    Err(mpsc::RecvTimeoutError::Timeout) => continue,
                    event => event.ok(),
                },
            };
            match event {
                Some(Event::Datagram {
                    client: None,
                    from,
                    octets,
                }) => {
                    let (delay, parcels) = self.there.take(from, octets);
                    self.dispatch(Way::There, delay, parcels);
                }
                Some(Event::Datagram {
                    client: Some(client),
                    from,
                    octets,
                }) => {
                    // A stranger's datagram is no answer.
                    if from == self.server {
                        let (delay, parcels) = self.back.take(client, octets);
                        self.dispatch(Way::Back, delay, parcels);
                    }
                }
                Some(Event::Stop) | None => return,
            }
        }
    }

    fn dispatch(&mut self, way: Way, delay: Duration, parcels: Vec<Parcel>) {
        if delay.is_zero() {
            self.send(way, &parcels);
        } else if let Some(due) = Instant::now().checked_add(delay) {
            self.delays += 1;
            self.delayed.insert((due, self.delays), (way, parcels));
        }
    }

    /// Sends everything delayed that is due, and says how long there is to the next.
    fn send_due(&mut self) -> Option<Duration> {
        loop {
            let entry = self.delayed.first_entry()?;
            let wait = entry.key().0.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                return Some(wait);
            }
            let (way, parcels) = entry.remove();
            self.send(way, &parcels);
        }
    }

    fn send(&mut self, way: Way, parcels: &[Parcel]) {
        let server = self.server;
        for Parcel { client, octets } in parcels {
            // What cannot be sent is lost, as on any path.
            let _ = match way {
                Way::There => self.upstream(*client).socket.send_to(octets, server),
                Way::Back => self.front.socket.send_to(octets, client),
            };
        }
    }

    /// The socket that stands for `client`, opened when it is first needed. Without one the test
    /// would measure this machine's limits, so it is to fail.
    fn upstream(&mut self, client: SocketAddr) -> &Reader {
        self.upstreams.entry(client).or_insert_with(|| {
            Reader::start(self.server, Some(client), self.events.clone())
                .expect("a socket and a thread for one more client")
        })
    }
}

/// A socket, and a thread that passes on what it receives.
///
/// The standard library cannot wait for several sockets at once, so each has its own thread, asleep
/// but for the moments in which a datagram comes in.
#[derive(Debug)]
struct Reader {
    socket: Arc<UdpSocket>,
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// A reader on a free loopback port of the same family as `server`.
    fn start(
        server: SocketAddr,
        client: Option<SocketAddr>,
        events: Sender<Event>,
    ) -> io::Result<Self> {
        let local: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::LOCALHOST, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::LOCALHOST, 0).into(),
        };
        // Not connected, for two reasons: a closed port is no error, and it hears itself.
        let socket = Arc::new(UdpSocket::bind(local)?);
        socket.set_read_timeout(Some(IDLE))?;
        let addr = socket.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (source, stopped) = (Arc::clone(&socket), Arc::clone(&stop));
        let thread = thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || read(&source, client, &events, &stopped))?;
        Ok(Self {
            socket,
            addr,
            stop,
            thread: Some(thread),
        })
    }
}

fn read(
    socket: &UdpSocket,
    client: Option<SocketAddr>,
    events: &Sender<Event>,
    stopped: &AtomicBool,
) {
    use io::ErrorKind::{ConnectionReset, Interrupted, TimedOut, WouldBlock};
    let mut buffer = vec![0; 65_536];
    while !stopped.load(Ordering::Acquire) {
        match socket.recv_from(&mut buffer) {
            // The datagram that only wakes.
            Ok(_) if stopped.load(Ordering::Acquire) => return,
            Ok((length, from)) => {
                let octets = buffer[..length].to_vec();
                if events
                    .send(Event::Datagram {
                        client,
                        from,
                        octets,
                    })
                    .is_err()
                {
                    return;
                }
            }
            Err(error) => match error.kind() {
                ConnectionReset | Interrupted | TimedOut | WouldBlock => {}
                _ => return,
            },
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // If this fails, the thread sees it when its wait is over.
        let _ = self.socket.send_to(&[], self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
