//! How many TCP connections `hii-server ping` takes, of all and of one source.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use hii_tests::programs::{Server, run};
use socket2::{Domain, Socket, Type};

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

/// A connection from this address of this host.
fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
}

/// Whether the connection is served: it says hello.
fn is_served(stream: &mut TcpStream) -> bool {
    let _ = stream.write_all(b"\0\0\0\x05hello");
    stream.read_exact(&mut [0; 4]).is_ok()
}

#[test]
fn one_source_leaves_room_for_others() {
    let args = "ping -b 127.0.0.1 --json --max-connections 4 --connections-per-source 2";
    let args: Vec<_> = args.split(' ').collect();
    let server = Server::start(HII_SERVER, &args);
    let [one, other, third] = [1, 2, 3].map(|host| Ipv4Addr::new(127, 0, 0, host));
    let connect = |from| connect(from, server.address());
    let mut first = connect(one);
    let mut second = connect(one);
    assert!(is_served(&mut first) && is_served(&mut second));
    assert!(!is_served(&mut connect(one)));
    // Who wants to measure is told what is the matter.
    let target = format!("tcp://{}", server.address());
    let ended = run(HII, &["ping", &target, "-n", "1"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended.stderr.contains("as many connections as it allows"),
        "{ended:?}"
    );
    let mut others = [connect(other), connect(other)];
    assert!(others.iter_mut().all(is_served));
    // Now there are as many as there may be of all.
    assert!(!is_served(&mut connect(third)));
    // A place that was left is free again, as soon as the server knows.
    drop(first);
    while !is_served(&mut connect(one)) {}
    let tally = server.stop().json();
    let tcp = &tally["tcp"];
    assert!(tcp["over_source"].as_u64().unwrap() >= 2, "{tally}");
    assert!(tcp["refused"].as_u64().unwrap() >= 1, "{tally}");
    assert_eq!(tcp["connections"], 5, "{tally}");
}

#[test]
fn this_host_may_have_all_of_them_and_others_an_eighth() {
    let args = ["ping", "-b", "127.0.0.1", "--max-connections", "16"];
    let server = Server::start(HII_SERVER, &args);
    let mut all: Vec<_> = (0..16)
        .map(|_| connect(Ipv4Addr::LOCALHOST, server.address()))
        .collect();
    assert!(all.iter_mut().all(is_served));
    let help = run(HII_SERVER, &["ping", "--help"]).stdout;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("--connections-per-source"), "{help}");
    assert!(help.contains("an eighth of --max-connections"), "{help}");
}
