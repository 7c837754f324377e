//! A ping server under a million datagrams of any content.

use std::net::UdpSocket;

use hii_tests::programs::{Server, count, ping_tally, run};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

const DATAGRAMS: u32 = 1_000_000;
const MOST_KIBIBYTES: u64 = 64 * 1024;

/// Octets at random, often behind the beginning of a request.
fn datagram<'a>(rng: &mut Xoshiro256PlusPlus, buffer: &'a mut [u8]) -> &'a [u8] {
    const BEGINNINGS: [&str; 6] = ["", "C ", "exi", "P 00c0ffee ", "P ", "A "];
    // As many runs as there are probes, so that the table of runs fills.
    let new_run = format!("P {:08x} 1", rng.random::<u32>());
    let beginning = match rng.random_range(0..=BEGINNINGS.len()) {
        index if index < BEGINNINGS.len() => BEGINNINGS[index],
        _ => &new_run,
    }
    .as_bytes();
    let len = beginning.len() + rng.random_range(0..64_usize);
    let (start, rest) = buffer[..len].split_at_mut(beginning.len());
    start.copy_from_slice(beginning);
    if rng.random::<bool>() {
        rng.fill(rest);
    } else {
        rest.fill_with(|| b'0' + rng.random_range(0..10_u8));
    }
    &buffer[..len]
}

#[test]
fn a_million_random_datagrams_leave_the_server_answering_and_small() {
    // No rate limit, so that every datagram that arrives is looked at; delays, so that the queue fills; and a random
    // `exit` from this host is not to stop it.
    let args = "ping -b 127.0.0.1 --simulate --seed 1 --rate 0 --message-rate 1M/s --allow-exit never --json";
    let args: Vec<_> = args.split(' ').collect();
    let server = Server::start(HII_SERVER, &args);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(42);
    let sockets: Vec<_> = (0..16)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    let mut buffer = [0; 128];
    for _ in 0..DATAGRAMS {
        let socket = &sockets[rng.random_range(0..sockets.len())];
        // The answers to this socket pile up unread; that is the kernel's to drop.
        let _ = socket.send_to(datagram(&mut rng, &mut buffer), server.address());
    }
    let ended = run(
        HII,
        &[
            "ping",
            &server.address().to_string(),
            "-n",
            "10",
            "-i",
            "10ms",
            "--json",
        ],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let peak: u64 = status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .unwrap();
    assert!(peak < MOST_KIBIBYTES, "{peak} KiB at its peak");
    let tally = ping_tally(server);
    assert!(count(&tally["received"]) > 100_000, "{tally}");
}
