//! What the headers of a client's packets say, by every kind of packet that it sends.

use std::collections::BTreeSet;
use std::io::IoSliceMut;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::thread;
use std::time::Duration;

use hii_tests::programs::{Server, run};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

/// Guards against a test that hangs; none depends on how long it is.
const WATCHDOG: Duration = Duration::from_secs(60);

/// A packet's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Header {
    source: IpAddr,
    traffic_class: i32,
    hops: i32,
}

/// A server that answers as an original does, until it is told to stop; then it has the headers of all that came.
struct Original {
    socket: UdpSocket,
    headers: BTreeSet<Header>,
    texts: BTreeSet<Vec<u8>>,
}

impl Original {
    fn new(host: &str) -> Option<Self> {
        // A host may be without IPv6.
        let socket = UdpSocket::bind((host, 0)).ok()?;
        socket.set_read_timeout(Some(WATCHDOG)).unwrap();
        if host.contains(':') {
            setsockopt(&socket, sockopt::Ipv6RecvTClass, &true).unwrap();
            setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true).unwrap();
        } else {
            setsockopt(&socket, sockopt::IpRecvTos, &true).unwrap();
            setsockopt(&socket, sockopt::Ipv4RecvTtl, &true).unwrap();
        }
        Some(Self {
            socket,
            headers: BTreeSet::new(),
            texts: BTreeSet::new(),
        })
    }

    /// Answers until `exit` comes.
    fn serve(mut self) -> Self {
        loop {
            let text = self.answer();
            self.texts.insert(text.clone());
            if text == b"exit" {
                return self;
            }
        }
    }

    fn answer(&mut self) -> Vec<u8> {
        let mut octets = [0; 2048];
        let mut control = [0; 512];
        let mut rooms = [IoSliceMut::new(&mut octets)];
        let message = recvmsg::<SockaddrStorage>(
            self.socket.as_raw_fd(),
            &mut rooms,
            Some(&mut control),
            MsgFlags::empty(),
        )
        .unwrap();
        let from = message.address.unwrap();
        let (source, port) = match (from.as_sockaddr_in(), from.as_sockaddr_in6()) {
            (Some(v4), _) => (IpAddr::from(v4.ip()), v4.port()),
            (_, Some(v6)) => (v6.ip().into(), v6.port()),
            _ => panic!("{from:?}"),
        };
        let mut header = Header {
            source,
            traffic_class: -1,
            hops: -1,
        };
        for control in message.cmsgs().unwrap() {
            match control {
                ControlMessageOwned::Ipv4Tos(tos) => header.traffic_class = tos.into(),
                ControlMessageOwned::Ipv6TClass(class) => header.traffic_class = class,
                ControlMessageOwned::Ipv4Ttl(hops) | ControlMessageOwned::Ipv6HopLimit(hops) => {
                    header.hops = hops;
                }
                _ => {}
            }
        }
        let len = message.bytes;
        self.headers.insert(header);
        let text = octets[..len].to_vec();
        let answer: &[u8] = match text.as_slice() {
            b"exit" => b"Stopping the Server.",
            text if text.starts_with(b"C ") => b"Buffer Size Calibrated at Server.",
            _ => b"Packet Acknowledged",
        };
        self.socket.send_to(answer, (source, port)).unwrap();
        text
    }
}

#[test]
fn every_packet_over_udp_says_what_was_asked_for() {
    for (host, source) in [("127.0.0.1", "127.0.0.5"), ("::1", "::1")] {
        let Some(original) = Original::new(host) else {
            continue;
        };
        let target = original.socket.local_addr().unwrap().to_string();
        let serving = thread::spawn(|| original.serve());
        let what = ["--source", source, "--dscp", "af41", "--ttl", "9", "--df"];
        let ping = ["ping", &target, "-n", "5", "-i", "10ms", "--stop", "--json"];
        let ended = run(HII, &[&ping[..], &what].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.json()["summary"]["answered"], 5, "{ended:?}");
        let Original { headers, texts, .. } = serving.join().unwrap();
        let header = Header {
            source: source.parse().unwrap(),
            traffic_class: 34 << 2,
            hops: 9,
        };
        assert_eq!(headers, BTreeSet::from([header]));
        // Question, calibration, probe, farewell.
        assert_eq!(texts.len(), 4, "{texts:?}");
    }
}

#[test]
fn numbered_probes_say_it_too_one_by_one_and_in_bursts() {
    for pace in [["-i", "10ms"], ["--rate", "100/s"]] {
        let mut silent = Original::new("127.0.0.1").unwrap();
        let target = silent.socket.local_addr().unwrap().to_string();
        let what = ["--source", "127.0.0.6", "--dscp", "46", "--ttl", "8"];
        let ping = ["ping", &target, "-n", "3", "--json"];
        // Nobody answers, so it is taken for a Hii server.
        let ended = run(HII, &[&ping[..], &pace, &what].concat());
        assert_eq!(ended.code, Some(1), "{ended:?}");
        // Five questions, and then probes.
        let texts: Vec<_> = (0..8).map(|_| silent.answer()).collect();
        let is_probe = |text: &&Vec<u8>| text.len() == 128 && text.starts_with(b"P ");
        assert_eq!(texts.iter().filter(is_probe).count(), 3, "{texts:?}");
        let header = Header {
            source: "127.0.0.6".parse().unwrap(),
            traffic_class: 46 << 2,
            hops: 8,
        };
        assert_eq!(silent.headers, BTreeSet::from([header]));
    }
}

#[test]
fn a_connection_comes_from_the_source_that_was_asked_for() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tcp://{}", listener.local_addr().unwrap());
    let accepting = thread::spawn(move || listener.accept().unwrap().1.ip());
    let what = ["--source", "127.0.0.7", "--dscp", "8", "--ttl", "3"];
    // It is closed at once, so it is no ping server.
    let ended = run(HII, &[&["ping", &target][..], &what].concat());
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(
        accepting.join().unwrap(),
        "127.0.0.7".parse::<IpAddr>().unwrap()
    );
}

#[test]
fn a_source_chooses_the_family() {
    let server = Server::start(HII_SERVER, &["ping", "--json"]);
    let target = format!("localhost:{}", server.address().port());
    let ended = run(
        HII,
        &[
            "ping",
            &target,
            "-n",
            "1",
            "--source",
            "127.0.0.1",
            "--json",
        ],
    );
    let address = ended.json()["address"].as_str().unwrap().to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
}

#[test]
fn what_cannot_be_asked_for_is_code_2_and_says_why() {
    for (args, said) in [
        (
            &["127.0.0.1", "--source", "192.0.2.1"][..],
            "cannot send from 192.0.2.1",
        ),
        (&["127.0.0.1", "--source", "::1"], "no IPv6 address"),
        (&["::1", "--source", "127.0.0.1"], "no IPv4 address"),
        (&["tcp://::1", "--source", "127.0.0.1"], "no IPv4 address"),
        (&["localhost", "-6", "--source", "127.0.0.1"], "excluded"),
        (&["-4", "--source", "::1"], "excluded"),
        (&["127.0.0.1", "--source", "here"], "IP address"),
        (&["127.0.0.1", "--dscp", "64"], "no code point"),
        (&["127.0.0.1", "--dscp", "af44"], "no code point"),
        (&["127.0.0.1", "--ttl", "0"], "1..=255"),
        (&["127.0.0.1", "--ttl", "256"], "1..=255"),
        (&["tcp://127.0.0.1", "--df"], "no meaning over TCP"),
    ] {
        let ended = run(HII, &[&["ping"], args].concat());
        assert_eq!(ended.code, Some(2), "{args:?} {ended:?}");
        assert!(ended.stderr.contains(said), "{args:?} {ended:?}");
        assert_eq!(ended.stdout, "", "{args:?}");
    }
}
