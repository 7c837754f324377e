//! `hii-server ping --threads`: many threads, one server.
#![cfg(target_os = "linux")]

use std::net::UdpSocket;
use std::time::Duration;

use hii_tests::programs::{Server, count, run};

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

fn server(threads: &str) -> Server {
    let args = ["ping", "-b", "127.0.0.1", "--json", "--threads", threads];
    Server::start(HII_SERVER, &args)
}

fn threads_of(server: &Server) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.id()));
    let names = tasks.unwrap().filter_map(|task| {
        // One that has just ended has no name.
        std::fs::read_to_string(task.unwrap().path().join("comm")).ok()
    });
    names.filter(|name| name.trim() == "datagrams").count()
}

#[test]
fn every_peer_is_answered_and_the_tallies_are_summed() {
    let server = server("3");
    let sockets: Vec<_> = (0..60)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    for round in 1..=3 {
        for socket in &sockets {
            let probe = format!("{:<128}", format!("P 00c0ffee {round}"));
            socket.send_to(probe.as_bytes(), server.address()).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(60)))
                .unwrap();
            let mut buffer = [0; 200];
            let len = socket.recv(&mut buffer).unwrap();
            // One thread has seen all of this peer's probes.
            let text = std::str::from_utf8(&buffer[..len]).unwrap();
            let expected = format!("A 00c0ffee {round} {round} ");
            assert!(text.starts_with(&expected), "{text}");
        }
    }
    assert_eq!(threads_of(&server), 3);
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let tally = ended.json();
    assert_eq!(
        (count(&tally["received"]), count(&tally["answered"])),
        (180, 180)
    );
}

#[test]
fn one_thread_serves_tcp_beside_the_datagrams_of_all() {
    let server = server("3");
    let udp = server.address().to_string();
    let tcp = format!("tcp://{udp}");
    for _ in 0..4 {
        for target in [&udp, &tcp] {
            let ended = run(HII, &["ping", target, "-n", "5", "-i", "1ms", "--json"]);
            let answered = &ended.json()["summary"]["answered"];
            assert_eq!(count(answered), 5, "{ended:?}");
        }
    }
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let tally = ended.json();
    assert_eq!(count(&tally["tcp"]["connections"]), 4);
    assert!(count(&tally["tcp"]["messages"]) >= 20, "{tally}");
    assert!(
        count(&tally["received"]) >= 20 + count(&tally["tcp"]["messages"]),
        "{tally}"
    );
}

#[test]
fn exit_to_any_thread_stops_all() {
    // Whichever thread the client's port belongs to: some of these do not belong to the first.
    for _ in 0..8 {
        let server = server("4");
        let target = server.address().to_string();
        let ended = run(HII, &["ping", &target, "-n", "1", "--stop", "--json"]);
        let farewell = &ended.json()["summary"]["farewell"];
        assert_eq!(farewell, "Stopping the Server.");
        let ended = server.wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(count(&ended.json()["abandoned"]), 0);
    }
}

#[test]
fn zero_is_one_for_each_core_and_a_port_in_use_is_refused() {
    let server = server("0");
    let cores = std::thread::available_parallelism().unwrap().get();
    let target = server.address().to_string();
    let ended = run(HII, &["ping", &target, "-n", "3", "-i", "10ms", "--json"]);
    assert_eq!(count(&ended.json()["summary"]["answered"]), 3);
    // The first threads answer while the last are being started.
    while threads_of(&server) < cores {
        std::thread::yield_now();
    }
    assert_eq!(threads_of(&server), cores);
    let port = server.address().port().to_string();
    for threads in ["1", "2"] {
        let args = ["ping", "-b", "127.0.0.1", "-p", &port, "--threads", threads];
        let ended = run(HII_SERVER, &args);
        assert_eq!(ended.code, Some(3), "{ended:?}");
    }
    assert_eq!(run(HII_SERVER, &["ping", "--threads", "257"]).code, Some(2));
}
