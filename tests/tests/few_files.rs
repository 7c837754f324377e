//! Servers that may open few files: their connections give way to each other before the system refuses any.
#![cfg(target_os = "linux")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, TcpStream};

use hii_tests::programs::{Server, count, output, read_until, run, signal, start};
use hii_tests::scratch::Directory;
use hii_tests::share::Receiver;
use hii_tests::streams::connect;
use nix::sys::signal::Signal;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");
const KEY: &str = "AEBAGBAFAYDQQCIKBMGA2DQPCA";

/// Files that a server may open.
const FILES: usize = 64;

/// The beginning of a command line that may open few files.
fn limited() -> [String; 2] {
    let command = format!("ulimit -n {FILES} && exec \"$0\" \"$@\"");
    ["-c".to_owned(), command]
}

/// A server that may open few files, and far more silent connections to it, of eight addresses.
fn crowded(connections: u16, args: &[&str]) -> (Server, Vec<TcpStream>) {
    let [option, command] = limited();
    let server = Server::start("sh", &[&[&option, &command, HII_SERVER], args].concat());
    let address = |number: u16| {
        let [_, host] = (1 + number % 8).to_be_bytes();
        IpAddr::from(Ipv4Addr::new(127, 1, 0, host))
    };
    let crowd = (0..connections).map(|number| connect(address(number), server.address()));
    let crowd = crowd.collect();
    (server, crowd)
}

fn open_files(server: &Server) -> usize {
    let files = fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap();
    files.count()
}

#[test]
fn silent_connections_keep_no_client_out_of_a_ping_server() {
    let (server, crowd) = crowded(200, &["ping", "-b", "127.0.0.1", "--json"]);
    let target = format!("tcp://{}", server.address());
    for _ in 0..5 {
        let ended = run(HII, &["ping", &target, "-n", "3", "-i", "10ms", "--json"]);
        assert_eq!(ended.json()["summary"]["answered"], 3, "{ended:?}");
        assert!(open_files(&server) < FILES);
    }
    drop(crowd);
    let tally = server.stop().json();
    assert!(count(&tally["tcp"]["displaced"]) >= 100, "{tally}");
}

#[test]
fn silent_connections_keep_no_client_out_of_a_relay() {
    let (relay, crowd) = crowded(200, &["relay", "-b", "127.0.0.1", "--json"]);
    let target = format!("tcp://{}", relay.address());
    for _ in 0..5 {
        // Nobody is there, which the relay says.
        let ended = run(HII, &["send", &target, "127.0.0.1/9", "hello"]);
        assert!(!ended.stderr.contains("cannot reach"), "{ended:?}");
        assert!(open_files(&relay) < FILES);
    }
    drop(crowd);
    let tally = relay.stop().json();
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
    // A silent connection is closed after 10 s in any case. If few are accepted at once, so many take more than a minute.
    let (sender, crowd) = crowded(400, &args);
    let to = sender.address();
    for _ in 0..5 {
        let (receiver, offered) = Receiver::start(to, &KEY.parse().unwrap());
        assert_eq!(offered.len(), 1);
        assert!(open_files(&sender) < FILES);
        receiver.done();
    }
    drop(crowd);
    let tally = sender.stop().json();
    assert_eq!(count(&tally["done"]), 5, "{tally}");
}

#[test]
fn server_reports_fewer_places_for_lack_of_files() {
    let [option, command] = limited();
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
