//! Clients of a relay: so many messages under way, between addresses that are all different or in bursts.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hii_transport::arrivals::Arrivals;
use hii_transport::burst::BurstSocket;
use hii_transport::udp;

use super::figures::median;
use super::trouble::{Outcome, Trouble};

/// Messages under way at once.
pub const UNDER_WAY: usize = BURSTING * BURST;

/// Pairs that send bursts: while one's is on its way back, the relay has the other's.
const BURSTING: usize = 2;

/// Messages in a burst: as many as one call takes of the longest that are measured.
const BURST: usize = 60;

/// When nothing came for so long, what was under way is lost.
const LOST: Duration = Duration::from_millis(200);

/// How messages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// Each from another sender, to another receiver.
    Spread,
    /// In bursts from one sender to one receiver, a system call for each.
    Burst,
    /// The same, in one system call, and taken so.
    Together,
}

/// One end of a relay's.
struct Party {
    socket: BurstSocket,
    port: u16,
}

/// Senders and receivers in pairs.
pub struct RelayLoad {
    pairs: Vec<(Party, Party)>,
    /// For each pair what its sender sends at once, and how long one message of it is.
    bursts: Vec<Vec<u8>>,
    octets: usize,
    arrivals: Arrivals,
}

impl RelayLoad {
    /// Pairs that have greeted this relay, for messages of so many octets.
    ///
    /// # Errors
    /// It does not answer.
    pub fn new(relay: SocketAddr, pattern: Pattern, octets: usize) -> Outcome<Self> {
        let (pairs, each) = match pattern {
            Pattern::Spread => (UNDER_WAY, 1),
            Pattern::Burst | Pattern::Together => (BURSTING, BURST),
        };
        let together = pattern == Pattern::Together;
        let mut arrivals = Arrivals::new();
        let mut party = || Party::new(relay, together, &mut arrivals);
        let pairs = (0..pairs).map(|_| Ok((party()?, party()?)));
        let pairs = pairs.collect::<Outcome<Vec<_>>>()?;
        let bursts = pairs.iter().map(|(_, to)| {
            let mut message = format!("to:127.0.0.1/{};content:", to.port).into_bytes();
            message.resize(octets, b'x');
            message.repeat(each)
        });
        Ok(Self {
            bursts: bursts.collect(),
            pairs,
            octets,
            arrivals,
        })
    }

    /// Keeps messages under way for so long, and waits for the last of them.
    ///
    /// # Errors
    /// Nothing listens there.
    pub fn run(&mut self, time: Duration) -> Outcome<Arrived> {
        let each = UNDER_WAY / self.pairs.len();
        for ((from, _), burst) in self.pairs.iter().zip(&self.bursts) {
            from.send(burst, self.octets)?;
        }
        let mut arrived = 0;
        let start = Instant::now();
        while start.elapsed() < time {
            for ((from, to), burst) in self.pairs.iter().zip(&self.bursts) {
                arrived += to.take(each, &mut self.arrivals) as u64;
                from.take(each, &mut self.arrivals);
                from.send(burst, self.octets)?;
            }
        }
        let (within, time) = (arrived, start.elapsed());
        for (from, to) in &self.pairs {
            arrived += to.take(each, &mut self.arrivals) as u64;
            from.take(each, &mut self.arrivals);
        }
        Ok(Arrived {
            within,
            time,
            all: arrived,
        })
    }

    /// Sends one burst, and does not wait for what comes of it.
    ///
    /// # Errors
    /// Nothing listens there.
    pub fn flood(&mut self) -> Outcome<()> {
        if let (Some((from, to)), Some(burst)) = (self.pairs.first(), self.bursts.first()) {
            // Its own buffer may be full: then others have had a rest.
            let _ = from.send(burst, self.octets);
            from.take_there(&mut self.arrivals);
            to.take_there(&mut self.arrivals);
        }
        Ok(())
    }

    /// One message or burst after the other: how long each took from its sender until all of it had arrived, in
    /// nanoseconds.
    ///
    /// # Errors
    /// Nothing arrives.
    pub fn latencies(&mut self, time: Duration) -> Outcome<Latencies> {
        let each = UNDER_WAY / self.pairs.len();
        let mut latencies = Vec::new();
        let end = Instant::now() + time;
        let pairs = self.pairs.iter().zip(&self.bursts);
        for ((from, to), burst) in pairs.cycle() {
            let sent = Instant::now();
            if sent >= end {
                break;
            }
            from.send(burst, self.octets)?;
            if to.take(each, &mut self.arrivals) == each {
                latencies.push(sent.elapsed().as_nanos() as f64);
            }
            from.take(each, &mut self.arrivals);
        }
        latencies.sort_by(f64::total_cmp);
        let p99 = latencies.get(latencies.len() * 99 / 100).copied();
        match (median(&latencies), p99) {
            (Some(median), Some(p99)) => Ok(Latencies { median, p99 }),
            _ => Err("nothing arrives".into()),
        }
    }

    /// Sends so many messages, one every so often, whatever becomes of them. Returns how many of a hundred were lost.
    ///
    /// # Errors
    /// Nothing listens there.
    pub fn losses(&mut self, messages: usize, interval: Duration) -> Outcome<f64> {
        let (Some((from, to)), Some(burst)) = (self.pairs.first(), self.bursts.first()) else {
            return Err("no pairs".into());
        };
        let start = Instant::now();
        let mut arrived = 0;
        for n in 0..messages {
            let due = interval * u32::try_from(n).unwrap_or(u32::MAX);
            std::thread::sleep(due.saturating_sub(start.elapsed()));
            from.send(burst, self.octets)?;
            arrived += to.take_there(&mut self.arrivals);
            from.take_there(&mut self.arrivals);
        }
        arrived += to.take(messages.saturating_sub(arrived), &mut self.arrivals);
        let lost = messages.saturating_sub(arrived);
        Ok(100.0 * lost as f64 / messages as f64)
    }
}

/// How many messages arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// While others were sent.
    pub within: u64,
    /// How long that was.
    pub time: Duration,
    /// The last ones with them.
    pub all: u64,
}

/// How long messages took, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latencies {
    /// Half of them at most.
    pub median: f64,
    /// Of a hundred, ninety-nine at most.
    pub p99: f64,
}

impl Party {
    fn new(relay: SocketAddr, together: bool, arrivals: &mut Arrivals) -> Outcome<Self> {
        let socket = udp::connect(relay)?;
        let port = socket.local_addr()?.port();
        let socket = BurstSocket::new(socket, together)?;
        let party = Self { socket, port };
        party.send(b"hii", 3)?;
        match party.take(1, arrivals) {
            0 => Err(Trouble(format!("{relay} does not answer"))),
            _ => Ok(party),
        }
    }

    fn send(&self, octets: &[u8], len: usize) -> Outcome<()> {
        let mut rest = octets;
        while !rest.is_empty() {
            let gone = self.socket.send(rest, len)? * len;
            rest = rest.get(gone..).unwrap_or_default();
        }
        Ok(())
    }

    /// Waits for so many datagrams, and returns how many came before it gave up.
    fn take(&self, wanted: usize, arrivals: &mut Arrivals) -> usize {
        let mut taken = 0;
        let mut since = Instant::now();
        while taken < wanted && since.elapsed() < LOST {
            let more = self.take_there(arrivals);
            if more > 0 {
                since = Instant::now();
            } else {
                self.socket.wait(LOST);
            }
            taken += more;
        }
        taken
    }

    /// What has come.
    fn take_there(&self, arrivals: &mut Arrivals) -> usize {
        let mut taken = 0;
        while self.socket.receive(arrivals).is_ok() {
            taken += arrivals.datagrams().count();
        }
        taken
    }
}
