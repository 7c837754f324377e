//! Invalid sources over TCP.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use hii_tests::attack::{Content, Host, Site};
use hii_tests::programs::Server;
use hii_tests::scratch::Directory;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::HII_SERVER;
use crate::cases::{cases, let_loopback_in};

/// Time-out of a test that hangs; no test depends on its length.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Addresses that hold one of this host's own, or of no host.
const EMBEDDED: [&str; 5] = [
    "2002:7f00:1::1",
    "2002:e000:1::1",
    "64:ff9b::127.0.0.1",
    "2001:0:a4d:203:8000:63bf:80ff:fffe",
    "fd77:9::5efe:127.0.0.1",
];

/// Every service, with a file to share, and a frame that it answers from any source.
fn services(site: &Site, files: &Directory) -> Vec<(Server, &'static [u8])> {
    let [file, key] = ["file", "key"].map(|name| files.path(name));
    fs::write(&file, "shared").unwrap();
    fs::write(&key, "AEBAGBAFAYDQQCIKBMGA2DQPCA\n").unwrap();
    let share = ["share", "--json", "--key-file", &key, &file];
    [
        (&["ping", "--json"][..], &b"\0\0\0\x0cHello Server"[..]),
        (&["relay", "--json"], b"\0\0\0\x03hii"),
        // That is no handshake.
        (&share, b"\0\0\0\x03hii"),
    ]
    .map(|(args, hello)| (site.serve(HII_SERVER, args), hello))
    .into()
}

/// The counts of a tally that are about connections.
fn connections(tally: &Value) -> &Value {
    let tcp = &tally["tcp"];
    if tcp.is_null() { tally } else { tcp }
}

/// Connects from an address of a host.
fn connect(site: &Site, host: Host, ip: IpAddr, to: SocketAddr) -> TcpStream {
    let stream = site.at(host).enter(|| {
        let domain = Domain::for_address(to);
        let socket = Socket::new(domain, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(ip, 0).into()).unwrap();
        socket.connect_timeout(&to.into(), WATCHDOG).unwrap();
        TcpStream::from(socket)
    });
    stream.set_read_timeout(Some(WATCHDOG)).unwrap();
    stream
}

#[test]
#[ignore = "needs network namespaces"]
fn connection_from_no_host_is_closed_without_an_answer() {
    let Some(site) = Site::new() else {
        return;
    };
    for ip in EMBEDDED {
        let far = format!("address add {ip}/128 dev wire nodad");
        site.at(Host::Far).ip(&far);
        let route = format!("route add {ip}/128 via fd77:1::2 dev far");
        site.at(Host::Router).ip(&route);
    }
    let files = Directory::new("no-host");
    for (server, _) in services(&site, &files) {
        let to = SocketAddr::new(Host::Server.v6(), server.address().port());
        for ip in EMBEDDED {
            let mut stream = connect(&site, Host::Far, ip.parse().unwrap(), to);
            // Nothing was sent to it, so a server that accepts it waits.
            stream.set_read_timeout(Some(WATCHDOG / 6)).unwrap();
            let mut octets = Vec::new();
            match stream.read_to_end(&mut octets) {
                Ok(_) => assert_eq!(octets, b"", "{ip}"),
                Err(error) => assert_eq!(
                    error.kind(),
                    std::io::ErrorKind::ConnectionReset,
                    "{ip} is let in"
                ),
            }
        }
        let ended = server.stop();
        let tally = ended.json();
        let refused = &connections(&tally)["refused_sources"]["no_host"];
        assert_eq!(*refused, EMBEDDED.len(), "{tally}");
    }
}

#[test]
#[ignore = "needs network namespaces"]
fn forged_source_opens_no_connection_and_gets_no_answer() {
    let Some(site) = Site::new() else {
        return;
    };
    let_loopback_in(&site);
    let attacker = site.attacker(Host::Near);
    let honest = Host::Honest.v6();
    let files = Directory::new("forged-syn");
    // The kernel begins a handshake with the others, which they cannot complete.
    let is_unanswered = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.to_ipv4_mapped().is_some() || ip.is_loopback() || ip.is_multicast(),
    };
    for (server, hello) in services(&site, &files) {
        let port = server.address().port();
        let capture = site.capture();
        for case in cases() {
            attacker.syn(case.source, case.destination(port));
        }
        let mut stream = connect(
            &site,
            Host::Honest,
            honest,
            (Host::Server.v6(), port).into(),
        );
        let is_from_server = |packet: &hii_tests::attack::Packet| packet.from == Host::Server.mac();
        let packets = capture.until(|packet| {
            is_from_server(packet)
                && matches!(packet.content, Content::Segment { .. })
                && packet.destination() == Some(honest)
        });
        // It is served, and counted.
        stream.write_all(hello).unwrap();
        stream.read_exact(&mut [0; 5]).unwrap();
        let others: Vec<_> = packets
            .iter()
            .filter(|packet| {
                is_from_server(packet)
                    && packet.content != Content::Other
                    && packet.destination().is_some_and(is_unanswered)
            })
            .collect();
        assert!(others.is_empty(), "{others:?}");
        let ended = server.stop();
        let tally = ended.json();
        assert_eq!(connections(&tally)["connections"], 1, "{tally}");
    }
}
