//! Servers that may open few files: their connections give way to each other before the system refuses any.
#![cfg(target_os = "linux")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, TcpStream};

use hii_tests::programs::{Server, count, finish, output, read_until, run, signal, start};
use hii_tests::scratch::Directory;
use hii_tests::share::Receiver;
use hii_tests::streams::connect;
use nix::sys::signal::Signal;
use serde_json::Value;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");
const KEY: &str = "AEBAGBAFAYDQQCIKBMGA2DQPCA";

/// The beginning of a command line that may open this many files.
fn limited(files: usize) -> [String; 2] {
    let command = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
    ["-c".to_owned(), command]
}

/// A server that may open few files, and far more silent connections to it, of eight addresses.
fn with_idle(connections: u16, args: &[&str]) -> (Server, Vec<TcpStream>) {
    let [option, command] = limited(64);
    let server = Server::start("sh", &[&[&option, &command, HII_SERVER], args].concat());
    let address = |number: u16| {
        let [_, host] = (1 + number % 8).to_be_bytes();
        IpAddr::from(Ipv4Addr::new(127, 1, 0, host))
    };
    let idle = (0..connections).map(|number| connect(address(number), server.address()));
    let idle = idle.collect();
    (server, idle)
}

/// The tally of a server, to which the system has refused no connection.
fn tally(server: Server) -> Value {
    let ended = server.stop();
    assert!(!ended.stderr.contains("cannot accept"), "{ended:?}");
    ended.json()
}

#[test]
fn silent_connections_keep_no_client_out_of_a_ping_server() {
    let (server, idle) = with_idle(200, &["ping", "-b", "127.0.0.1", "--json"]);
    let target = format!("tcp://{}", server.address());
    for _ in 0..5 {
        let ended = run(HII, &["ping", &target, "-n", "3", "-i", "10ms", "--json"]);
        assert_eq!(ended.json()["summary"]["answered"], 3, "{ended:?}");
    }
    drop(idle);
    let tally = tally(server);
    assert!(count(&tally["tcp"]["displaced"]) >= 100, "{tally}");
}

#[test]
fn silent_connections_keep_no_client_out_of_a_relay() {
    let (relay, idle) = with_idle(200, &["relay", "-b", "127.0.0.1", "--json"]);
    let target = format!("tcp://{}", relay.address());
    for _ in 0..5 {
        // Nobody is there, which the relay says.
        let ended = run(HII, &["send", &target, "127.0.0.1/9", "hello"]);
        assert!(!ended.stderr.contains("cannot reach"), "{ended:?}");
    }
    drop(idle);
    let tally = tally(relay);
    assert!(count(&tally["tcp"]["displaced"]) >= 100, "{tally}");
    assert_eq!(count(&tally["registered"]), 5, "{tally}");
}

#[test]
fn silent_connections_keep_no_receiver_out_of_a_sender() {
    let files = Directory::new("few-files");
    let [key, file] = ["key", "file"].map(|name| files.path(name));
    fs::write(&key, KEY).unwrap();
    fs::write(&file, "shared").unwrap();
    let args = [
        "share",
        "-b",
        "127.0.0.1",
        "--json",
        "--key-file",
        &key,
        &file,
    ];
    // A silent connection is closed after 10 s in any case. If few are accepted at once, 400 take more than a minute.
    let (sender, idle) = with_idle(400, &args);
    let to = sender.address();
    for _ in 0..5 {
        let (receiver, offered) = Receiver::start(to, &KEY.parse().unwrap());
        assert_eq!(offered.len(), 1);
        receiver.done();
    }
    drop(idle);
    let tally = tally(sender);
    assert_eq!(count(&tally["done"]), 5, "{tally}");
}

#[test]
fn server_reports_fewer_places_for_lack_of_files() {
    let [option, command] = limited(64);
    for args in [
        &["ping"][..],
        &["relay", "--metrics", "127.0.0.1:0"],
        &["share", "--classic", "Cargo.toml"],
    ] {
        let args = [&[&option, &command, HII_SERVER][..], args, &["-p", "0"]].concat();
        let mut server = start("sh", &args);
        let mut lines = output(server.stderr.take().unwrap());
        let said = read_until(&mut lines, |text| text.contains("limit of open files"));
        assert!(said.contains("serves up to "), "{said}");
        assert!(said.ends_with("the limit of open files is 64\n"), "{said}");
        signal(server.id(), Signal::SIGTERM);
        server.wait().unwrap();
    }
}

#[test]
fn limit_without_room_for_a_connection_is_a_usable_failure() {
    for args in [
        &["ping", "--threads", "2", "--metrics", "127.0.0.1:0"][..],
        &["relay", "--metrics", "127.0.0.1:0"],
        &["share", "--classic", "Cargo.toml"],
    ] {
        let start = |files| {
            let [option, command] = limited(files);
            let args = [
                &[&option, &command, HII_SERVER][..],
                args,
                &["-b", "127.0.0.1", "-p", "0"],
            ];
            start("sh", &args.concat())
        };
        let ended = finish(start(22));
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(!ended.stderr.contains("listening"), "{ended:?}");
        let (_, needed) = ended.stderr.split_once("ulimit -n ").unwrap();
        let needed = needed.split_once(',').unwrap().0.parse().unwrap();
        // With that many it starts, and with one less it does not.
        let ended = finish(start(needed - 1));
        assert_eq!(ended.code, Some(3), "{ended:?}");
        let mut server = start(needed);
        let mut lines = output(server.stderr.take().unwrap());
        let said = read_until(&mut lines, |text| text.contains("limit of open files"));
        assert!(said.contains("serves up to 1 "), "{said}");
        signal(server.id(), Signal::SIGTERM);
        server.wait().unwrap();
    }
}
