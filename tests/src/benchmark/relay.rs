//! `hii-server relay` beside a plain loop that passes messages on, on loopback (`docs/benchmarks.md`).

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Add;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;

use super::figures::{Rounds, Unit};
use super::options::Parts;
use super::relay_load::{Pattern, RelayLoad, UNDER_WAY};
use super::series::{Series, borrow};
use super::servers::Server;
use super::table::{Goal, Row};
use super::trouble::{Outcome, Trouble};
use super::usage;

const SECONDS: u64 = 3;

/// How many times in a round each relay is measured, started anew each time: where the system puts a program and its
/// memory makes a difference that lasts as long as it runs, and other work on the machine one that comes and goes.
const TURNS: u32 = 30;

/// Octets of a message's datagram.
const SIZES: [usize; 2] = [64, 1024];

/// How messages come, what that is called, and how many times the plain loop's messages there are to be.
const PATTERNS: [(Pattern, &str, f64); 3] = [
    (Pattern::Spread, "all addresses different", 0.9),
    (Pattern::Burst, "bursts from ordinary clients", 1.5),
    (Pattern::Together, "bursts from GSO clients", 8.0),
];

/// What comes alone when one comes after the other.
const ALONE: [(Pattern, &str); 3] = [
    (Pattern::Spread, "a message"),
    (Pattern::Burst, "a burst from an ordinary client"),
    (Pattern::Together, "a burst from a GSO client"),
];

/// A rate, limits and networks that are looked at for each message, and refuse none.
const CHECKS: [&str; 8] = [
    "--rate",
    "1000000000/s",
    "--error-rate",
    "1000000000/s",
    "--deny",
    "192.0.2.0/24",
    "--deny",
    "2001:db8::/32",
];

/// Peers whose memory is measured.
const PEERS: u32 = 1_000_000;

/// What is measured, by its name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// How long a message takes
    Latency,
    /// What a message costs, and how many there are a second
    Messages,
    /// What the relay's checks cost
    Checks,
    /// What a peer loses beside one that floods
    Flood,
    /// What a peer takes of memory, with a million of them
    Memory,
}

/// The command line.
pub type Options = super::options::Options<Part>;

impl Parts for Part {
    const ABOUT: &str = "Measures `hii-server relay` beside a plain loop, on loopback";
    const COMMAND: &str = "cargo bench -p hii-tests --bench relay --";
}

/// What the benchmark runs with.
#[derive(Debug)]
pub struct RelayBench {
    /// What was asked for.
    pub options: Options,
    /// `hii-server`, by its path.
    pub server: &'static str,
    /// The plain loop, by its path.
    pub plain: &'static str,
    /// The relay without its checks, by its path.
    pub unchecked: &'static str,
}

impl RelayBench {
    /// All that is wanted.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let wants = |part| self.options.wants(&part);
        let mut rows = Vec::new();
        if wants(Part::Latency) {
            rows.extend(self.latency());
        }
        if wants(Part::Messages) {
            rows.extend(self.messages());
        }
        if wants(Part::Checks) {
            rows.extend(self.checks());
        }
        if wants(Part::Flood) {
            rows.push(self.flood());
        }
        if wants(Part::Memory) {
            rows.push(self.memory());
        }
        rows
    }

    /// In how many rounds, and which way, they were measured.
    #[must_use]
    pub fn about(&self) -> String {
        self.options.about()
    }

    fn rounds(&self) -> usize {
        self.options.rounds()
    }

    fn time(&self) -> Duration {
        let whole = Duration::from_secs(SECONDS);
        if self.options.quick { whole / 6 } else { whole }
    }

    /// A relay on this host, with these options.
    fn ours(&self, options: &[&str]) -> Outcome<Server> {
        let fixed = ["relay", "-b", "127.0.0.1", "-p", "0"];
        Server::that_says_where(self.server, &[&fixed, options].concat())
    }

    /// A relay on this host that has no rates, and the plain loop.
    fn both(&self) -> [Outcome<Server>; 2] {
        let unlimited = ["--rate", "0", "--error-rate", "0"];
        let plain = Server::that_says_where(self.plain, &[]);
        [self.ours(&unlimited), plain]
    }

    /// A relay on this host that has all checks, and the same without them.
    fn checked_and_not(&self) -> [Outcome<Server>; 2] {
        let unchecked = Server::that_says_where(self.unchecked, &[]);
        [self.ours(&CHECKS), unchecked]
    }

    fn tell(&self, round: usize, what: &str) {
        self.options.tell(round, what);
    }

    /// One message or burst at a time.
    fn latency(&self) -> Vec<Row> {
        let servers = self.both();
        let mut rows = Vec::new();
        let kinds = SIZES.map(|size| ALONE.map(|(pattern, name)| (size, pattern, name)));
        for (size, pattern, name) in kinds.into_iter().flatten() {
            let mut series: [[Series; 2]; 2] = Default::default();
            for round in 1..=self.rounds() {
                self.tell(round, "latency");
                for (index, server) in servers.iter().enumerate() {
                    let [medians, p99s] = series.each_mut().map(|both| &mut both[index]);
                    let mut tail = None;
                    medians.add(|| {
                        let server = borrow(server)?;
                        let mut load = RelayLoad::new(server.address(), pattern, size)?;
                        let latencies = load.latencies(self.time() / 3)?;
                        tail = Some(latencies.p99);
                        Ok(latencies.median)
                    });
                    p99s.add(|| tail.ok_or_else(|| "nothing arrived".into()));
                }
            }
            let [medians, p99s] = series.map(|both| both.map(Series::rounds));
            let one = |what: &str| format!("relay: {what} of {name}, {size} octets, alone");
            rows.push(row(one("time, median,"), Unit::Time, medians));
            rows.push(row(one("time, p99,"), Unit::Time, p99s));
        }
        rows
    }

    /// As many as there can be.
    fn messages(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for size in SIZES {
            for (pattern, name, goal) in PATTERNS {
                let [rates, costs] = self.throughput(Self::both, pattern, size, name);
                let what = format!("relay: {name}, {size} octets");
                let rate = row(
                    format!("{what}: messages with {UNDER_WAY} under way"),
                    Unit::Rate,
                    rates,
                );
                rows.push(rate.goal(Goal::AtLeastTimes(goal)));
                rows.push(row(
                    format!("{what}: processor time of each"),
                    Unit::Time,
                    costs,
                ));
            }
        }
        rows
    }

    /// The relay with all its checks, none of which refuses anything here, and the same without them.
    fn checks(&self) -> Vec<Row> {
        let size = SIZES[0];
        let mut rows = Vec::new();
        for (pattern, name, _) in PATTERNS {
            let what = format!("relay's checks: {name}, {size} octets");
            let [rates, costs] = self.throughput(Self::checked_and_not, pattern, size, name);
            let beside = |what, unit, [ours, unchecked]: [Outcome<Rounds>; 2]| {
                Row::new(what, unit, ours).beside("without checks", unchecked)
            };
            let rates = beside(
                format!("{what}: messages with {UNDER_WAY} under way"),
                Unit::Rate,
                rates,
            );
            let costs = beside(format!("{what}: processor time of each"), Unit::Time, costs);
            rows.extend([rates.goal(Goal::AtLeastTimes(0.95)), costs]);
        }
        rows
    }

    /// Messages a second, and the processor time of each, of two relays in turns.
    fn throughput(
        &self,
        start: impl Fn(&Self) -> [Outcome<Server>; 2],
        pattern: Pattern,
        size: usize,
        name: &str,
    ) -> [[Outcome<Rounds>; 2]; 2] {
        let mut series: [[Series; 2]; 2] = Default::default();
        for round in 1..=self.rounds() {
            self.tell(round, name);
            let mut works = [Ok(Work::default()), Ok(Work::default())];
            for turn in 0..TURNS {
                let mut both: Vec<_> = works.iter_mut().zip(start(self)).collect();
                if turn % 2 == 1 {
                    both.reverse();
                }
                for (work, server) in both {
                    let turn = server.and_then(|server| self.turn(&server, pattern, size));
                    *work = borrow(work).and_then(|sum| Ok(*sum + turn?));
                }
            }
            let [rates, costs] = &mut series;
            for ((rates, costs), work) in rates.iter_mut().zip(costs).zip(works) {
                rates.add(|| Ok(borrow(&work)?.rate()));
                costs.add(|| borrow(&work)?.cost());
            }
        }
        series.map(|both| both.map(Series::rounds))
    }

    fn turn(&self, relay: &Server, pattern: Pattern, size: usize) -> Outcome<Work> {
        let mut load = RelayLoad::new(relay.address(), pattern, size)?;
        let before = usage::processor_time(relay.process())?;
        let arrived = load.run(self.time() / TURNS)?;
        Ok(Work {
            within: arrived.within as f64,
            time: arrived.time,
            all: arrived.all as f64,
            processor: usage::processor_time(relay.process())? - before,
        })
    }

    /// A peer that sends a hundred messages a second beside one that sends as fast as it can.
    fn flood(&self) -> Row {
        let server = self.ours(&[]);
        let mut series = Series::new();
        for round in 1..=self.rounds() {
            self.tell(round, "beside a flood");
            series.add(|| beside_a_flood(borrow(&server)?.address(), self.time()));
        }
        Row::new(
            "relay: messages that a peer loses beside one that floods",
            Unit::Percent,
            series.rounds(),
        )
        .goal(Goal::AtMost(1.0))
    }

    /// What each of a million peers adds to the relay's memory.
    fn memory(&self) -> Row {
        let peers = if self.options.quick {
            PEERS / 20
        } else {
            PEERS
        };
        let mut series = Series::new();
        series.add(|| {
            eprintln!("{peers} peers");
            let server = self.ours(&["--peers", &peers.to_string(), "--rate", "0"])?;
            memory_of_a_peer(&server, peers)
        });
        Row::new(
            format!("relay: memory of each of {peers} peers"),
            Unit::Octets,
            series.rounds(),
        )
        .goal(Goal::AtMost(128.0))
    }
}

/// What a relay did.
#[derive(Debug, Clone, Copy, Default)]
struct Work {
    /// Messages that arrived while others were sent.
    within: f64,
    /// How long that was.
    time: Duration,
    /// All that arrived.
    all: f64,
    /// What those took of the processor, in nanoseconds.
    processor: f64,
}

impl Work {
    fn rate(self) -> f64 {
        self.within / self.time.as_secs_f64()
    }

    fn cost(self) -> Outcome<f64> {
        if self.all == 0.0 {
            return Err("nothing arrived".into());
        }
        Ok(self.processor / self.all)
    }
}

impl Add for Work {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            within: self.within + other.within,
            time: self.time + other.time,
            all: self.all + other.all,
            processor: self.processor + other.processor,
        }
    }
}

fn row(what: String, unit: Unit, [ours, plain]: [Outcome<Rounds>; 2]) -> Row {
    Row::new(what, unit, ours).beside("plain loop", plain)
}

fn beside_a_flood(relay: SocketAddr, time: Duration) -> Outcome<f64> {
    const INTERVAL: Duration = Duration::from_millis(10);
    let mut flooder = RelayLoad::new(relay, Pattern::Together, SIZES[0])?;
    let mut peer = RelayLoad::new(relay, Pattern::Spread, SIZES[0])?;
    let messages = usize::try_from(time.as_millis() / INTERVAL.as_millis()).unwrap_or(1);
    let ends = AtomicBool::new(false);
    thread::scope(|scope| {
        let flood = scope.spawn(|| {
            while !ends.load(Ordering::Relaxed) {
                flooder.flood()?;
            }
            Ok::<_, Trouble>(())
        });
        let losses = peer.losses(messages, INTERVAL);
        ends.store(true, Ordering::Relaxed);
        let result = flood.join().unwrap_or_else(|_| Err("it panicked".into()));
        result.and(losses)
    })
}

/// Greets from so many addresses and ports of this host, each as soon as the one before was answered.
/// Each peer is the only one of its address, of which a /24 is full: more than that is kept for no peer of a shared network.
fn memory_of_a_peer(server: &Server, peers: u32) -> Outcome<f64> {
    const FIRST: u32 = u32::from_be_bytes([127, 16, 0, 0]);
    let before = resident(server)?;
    let mut answered = 0_u32;
    for n in 0..peers {
        let socket = UdpSocket::bind((Ipv4Addr::from_bits(FIRST + n), 0))?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        socket.send_to(b"hii", server.address())?;
        answered += u32::from(socket.recv(&mut [0; 64]).is_ok());
    }
    if f64::from(answered) < 0.99 * f64::from(peers) {
        return Err(Trouble(format!("only {answered} were answered")));
    }
    Ok((resident(server)? - before) / f64::from(answered))
}

/// The memory that a server has in use, in octets.
fn resident(server: &Server) -> Outcome<f64> {
    usage::resident(server.process()).map(|kib| kib * 1024.0)
}
