//! Destinations that a server cannot send to do not affect others: each in a network of its own.
#![cfg(target_os = "linux")]

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use hii_tests::metrics;
use hii_tests::network::{Host, Network, SERVER};
use hii_tests::world;
use hii_transport::arrivals::Arrivals;
use hii_transport::burst::BurstSocket;
use hii_transport::clock::{Clock, Now};
use hii_transport::datagrams::{Effect, Peer, Receipt, Service, serve};
use hii_transport::packet_info::PacketInfo;
use hii_transport::stop::stopper;
use hii_transport::traffic::Traffic;
use hii_transport::udp;
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};

const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

/// Time-out of a test that hangs; no test depends on its length.
const WATCHDOG: Duration = Duration::from_secs(30);

/// Probes of a burst. The server answers them in one batch.
const BURST: u64 = 40;

/// Bursts in a row: more than are needed to pause batches.
const BURSTS: u64 = 20;

/// The addresses of the client by family: one that must always be served, and two that cannot be sent to.
const CLIENTS: [[&str; 3]; 2] = [
    ["10.77.1.2", "10.77.1.3", "10.77.1.4"],
    ["fd77:1::2", "fd77:1::3", "fd77:1::4"],
];

/// Does something on a host of the network. Sockets that it makes stay there.
fn on<T: Send>(network: &Network, host: Host, what: impl FnOnce() -> T + Send) -> T {
    network.at(host).enter(what)
}

/// Runs a shell command on a host of the network.
fn shell(network: &Network, host: Host, command: &str) {
    let [program, args @ ..] = network.on(host);
    let status = Command::new(program)
        .args(args)
        .args(["sh", "-ec", command])
        .status();
    assert!(status.unwrap().success(), "{command}");
}

/// A ping server on the network.
struct Server<'a> {
    network: &'a Network,
    child: Child,
    address: SocketAddr,
    metrics: SocketAddr,
}

impl<'a> Server<'a> {
    fn start(network: &'a Network, address: &str) -> Self {
        let [program, command @ ..] = network.on(Host::Server);
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        let server = [HII_SERVER, "ping", "-b", address, "--rate", "0"];
        let (child, address, metrics) =
            metrics::serve_with(&program, &[&command, &server[..]].concat());
        Self {
            network,
            child,
            address,
            metrics,
        }
    }

    fn metric(&self, name: &str) -> u64 {
        let text = on(self.network, Host::Server, || metrics::get(self.metrics));
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line.unwrap_or_else(|| panic!("{name}: {text}")).trim();
        value.parse().unwrap()
    }

    /// Waits until it has received and handled this many datagrams.
    fn wait_for(&self, received: u64) {
        let begun = Instant::now();
        while self.metric(r#"hii_ping_received_total{transport="udp"}"#) < received {
            assert!(begun.elapsed() < WATCHDOG, "{received} are not received");
        }
    }

    /// A client of it at this address.
    fn client(&self, address: &str) -> BurstSocket {
        client(self.network, self.address, address)
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client of this server at this address.
fn client(network: &Network, server: SocketAddr, address: &str) -> BurstSocket {
    let address: IpAddr = address.parse().unwrap();
    on(network, Host::Client, || {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.connect(server).unwrap();
        BurstSocket::new(socket, true).unwrap()
    })
}

/// Gives the client further addresses.
fn add_addresses(network: &Network, addresses: [&str; 2]) {
    for address in addresses {
        let (prefix, flags): (_, &[&str]) = if address.contains(':') {
            ("/64", &["nodad"])
        } else {
            ("/24", &[])
        };
        let address = format!("{address}{prefix}");
        let add = ["address", "add", &address, "dev", "wire"];
        network.ip(Host::Client, &[&add, flags].concat());
    }
}

/// Sends a burst of probes of this length.
fn send(client: &BurstSocket, len: usize) {
    let probes: Vec<_> = (100..100 + BURST)
        .flat_map(|seq| format!("{:len$}", format!("P 00c0ffee {seq}")).into_bytes())
        .collect();
    let mut rest = probes.as_slice();
    while !rest.is_empty() {
        let gone = client.send(rest, len).unwrap();
        rest = &rest[gone * len..];
    }
}

/// Waits until all answers to a burst are there.
fn receive(client: &BurstSocket) {
    let mut arrivals = Arrivals::new();
    let mut answers = 0;
    while answers < BURST {
        match client.receive(&mut arrivals) {
            Ok(()) => answers += arrivals.datagrams().count() as u64,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let begun = Instant::now();
                client.wait(WATCHDOG);
                assert!(begun.elapsed() < WATCHDOG, "{answers} answers");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Sends this many bursts of an undisturbed client, and checks that they are answered, mostly in batches.
fn assert_batches(server: &Server<'_>, client: &BurstSocket, received: &mut u64) {
    let batched = || server.metric("hii_ping_gso_datagrams_total");
    let before = batched();
    for _ in 0..BURSTS {
        send(client, 100);
        receive(client);
    }
    *received += BURSTS * BURST;
    server.wait_for(*received);
    let batched = batched() - before;
    assert!(2 * batched > BURSTS * BURST, "{batched} in batches");
}

/// Why two addresses cannot be sent to.
struct Cause {
    /// Run on the server for each of them: `{address}` is the address, and `{family}` is `ip` or `ip6`.
    command: &'static str,
    /// The length of the probes from there.
    len: usize,
    /// Whether answers arrive that are sent one by one.
    arrives: bool,
}

/// Checks that a client gets all its answers in batches before, while and after others cannot be sent to.
fn assert_others_are_served(cause: &Cause, families: &[usize]) {
    let Some(network) = Network::new() else {
        return;
    };
    // The server receives from addresses that it cannot send to.
    let lax = "for device in all wire; do echo 0 > /proc/sys/net/ipv4/conf/$device/rp_filter; done";
    shell(&network, Host::Server, lax);
    for family in families {
        let [good, bad @ ..] = CLIENTS[*family];
        let name = ["ip", "ip6"][*family];
        let server = Server::start(&network, SERVER[*family]);
        let good = server.client(good);
        let mut received = 0;
        assert_batches(&server, &good, &mut received);
        add_addresses(&network, bad);
        for bad in bad {
            let command = cause.command.replace("{address}", bad);
            shell(&network, Host::Server, &command.replace("{family}", name));
        }
        let bad = bad.map(|bad| server.client(bad));
        for _ in 0..BURSTS {
            for bad in &bad {
                send(bad, cause.len);
                received += BURST;
                server.wait_for(received);
                if cause.arrives {
                    receive(bad);
                }
            }
        }
        let failed = r#"hii_ping_unanswered_total{transport="udp",reason="send_failed"}"#;
        let expected = if cause.arrives { 0 } else { 2 * BURSTS * BURST };
        assert_eq!(server.metric(failed), expected);
        if cause.arrives {
            assert!(server.metric("hii_ping_gso_fallbacks_total") > 0);
        }
        assert_eq!(server.metric("hii_ping_gso_pauses_total"), 0);
        assert_batches(&server, &good, &mut received);
    }
}

#[test]
#[ignore = "takes root and network namespaces"]
fn blackhole_route_changes_nothing_for_others() {
    // EINVAL.
    let cause = Cause {
        command: "ip route add blackhole {address}",
        len: 100,
        arrives: false,
    };
    assert_others_are_served(&cause, &[0, 1]);
}

#[test]
#[ignore = "takes root and network namespaces"]
fn prohibited_route_changes_nothing_for_others() {
    // EACCES.
    let cause = Cause {
        command: "ip route add prohibit {address}",
        len: 100,
        arrives: false,
    };
    assert_others_are_served(&cause, &[0, 1]);
}

#[test]
#[ignore = "takes root, network namespaces and nft"]
fn firewall_s_drop_changes_nothing_for_others() {
    // EPERM.
    if Command::new("nft").arg("--version").output().is_err() {
        world::skip("there is no nft here");
        return;
    }
    let cause = Cause {
        command: "
            nft add table inet test
            nft add chain inet test output '{ type filter hook output priority 0; }'
            nft add rule inet test output {family} daddr {address} drop
        ",
        len: 100,
        arrives: false,
    };
    assert_others_are_served(&cause, &[0, 1]);
}

#[test]
#[ignore = "takes root and network namespaces"]
fn narrow_paths_change_nothing_for_others() {
    // EMSGSIZE, or EINVAL, for batches alone: single datagrams are fragmented. Forged ICMP errors can make a path this narrow.
    let cause = Cause {
        command: "ip route add {address} via 10.77.2.1 mtu lock 600",
        len: 1000,
        arrives: true,
    };
    assert_others_are_served(&cause, &[0]);
}

/// An echo service that publishes the traffic of its socket.
struct Echo<'a>(&'a Mutex<Traffic>);

impl Service for Echo<'_> {
    type Answer = Vec<u8>;
    type Train = ();

    fn train(&mut self, _: &PacketInfo, _: Now) {}

    fn handle(&mut self, datagram: &[u8], (): &()) -> Effect<Vec<u8>> {
        Effect::Answer(datagram.to_vec())
    }

    fn next_due(&self) -> Option<Duration> {
        None
    }

    fn take_due(&mut self, _: Duration) -> Option<(Peer, Vec<u8>)> {
        None
    }

    fn write(&mut self, answer: &Vec<u8>, _: Duration, buffer: &mut [u8]) -> usize {
        buffer[..answer.len()].copy_from_slice(answer);
        answer.len()
    }

    fn sent(&mut self, _: &Vec<u8>, _: &io::Result<()>, _: usize) -> Option<Receipt<Vec<u8>>> {
        None
    }

    fn round_done(&mut self, traffic: &Traffic) {
        *self.0.lock().unwrap() = *traffic;
    }
}

#[test]
#[ignore = "takes root and network namespaces"]
fn datagrams_too_long_for_a_path_change_nothing_for_others() {
    let Some(network) = Network::new() else {
        return;
    };
    let [good, bad @ ..] = CLIENTS[0];
    add_addresses(&network, bad);
    for bad in bad {
        let route = format!("ip route add {bad} via 10.77.2.1 mtu 600");
        shell(&network, Host::Server, &route);
    }
    let socket = on(&network, Host::Server, || {
        let address: IpAddr = SERVER[0].parse().unwrap();
        udp::listen((address, 0).into()).unwrap()
    });
    // EMSGSIZE, for batches and for each of their datagrams.
    set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::DO).unwrap();
    let server = socket.local_addr().unwrap();
    let good = client(&network, server, good);
    let bad = bad.map(|bad| client(&network, server, bad));
    let moved = Mutex::new(Traffic::default());
    let (stopper, stop) = stopper().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| serve(vec![socket], &mut Echo(&moved), &Clock::start(), &stop));
        // The service ends with this in every case.
        let _stopper = stopper;
        let mut received = 0;
        let mut wait_for_burst = || {
            received += BURST;
            let begun = Instant::now();
            loop {
                let moved = *moved.lock().unwrap();
                if moved.received.datagrams() >= received {
                    return moved;
                }
                assert!(begun.elapsed() < WATCHDOG, "{moved:?}");
                thread::yield_now();
            }
        };
        let mut batched = 0;
        for _ in 0..BURSTS {
            for bad in &bad {
                send(bad, 1000);
                let before = wait_for_burst();
                send(&good, 100);
                receive(&good);
                let after = wait_for_burst();
                batched += after.batched - before.batched;
            }
        }
        let moved = *moved.lock().unwrap();
        assert_eq!(moved.sent.datagrams(), 2 * BURSTS * BURST);
        assert!(moved.taken_apart > 0, "{moved:?}");
        assert_eq!(moved.batch_pauses, 0);
        assert!(batched > BURSTS * BURST, "{batched} in batches");
    });
}
