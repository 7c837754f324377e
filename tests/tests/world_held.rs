//! Attacks that never succeeded, as regression tests.
#![cfg(target_os = "linux")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};

use hii_protocol::relay::{Answer, Request};
use hii_tests::attack::{Attacker, Content, Host, Peer, Site, ask, probe, waiting};
use hii_tests::programs::{Server, count};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

/// More than the entries of any table of a server.
const STRANGERS: u32 = 200_000;

/// Upper bound of a server's memory, in KiB.
const MOST_MEMORY: u64 = 48 * 1024;

/// The peak memory of a server, in KiB.
fn most_memory(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .unwrap();
    kib.parse().unwrap()
}

/// Datagrams, each from an address and /64 of its own.
fn from_strangers(
    attacker: &Attacker,
    to: SocketAddr,
    payload: impl Fn(u32) -> Vec<u8>,
    sync: impl Fn(),
) {
    for number in 0..STRANGERS {
        let [high, low] = [number >> 16, number & 0xffff].map(|part| u16::try_from(part).unwrap());
        let ip = Ipv6Addr::new(0x2001, 0xdb8, high, low, 0, 0, 0, 1);
        attacker.send((ip, 40_000).into(), to, &payload(number));
        if number % 100 == 0 {
            sync();
        }
    }
}

#[test]
#[ignore = "needs network namespaces"]
fn ping_server_memory_is_bounded_for_forged_sources() {
    let Some(site) = Site::new() else {
        return;
    };
    let server = site.serve(HII_SERVER, &["ping", "--json"]);
    let to = SocketAddr::new(Host::Server.v6(), server.address().port());
    let honest = site.udp(Host::Honest, Host::Honest.v6(), to);
    let probe_of = |number| format!("P {number:08x} {:<60}", 1).into_bytes();
    from_strangers(&site.attacker(Host::Far), to, probe_of, || {
        probe(&honest, 1);
    });
    let memory = most_memory(&server);
    assert!(memory < MOST_MEMORY, "{memory} KiB");
    let tally = server.stop().json();
    assert!(count(&tally["received"]) >= u64::from(STRANGERS), "{tally}");
}

#[test]
#[ignore = "needs network namespaces"]
fn relay_memory_is_bounded_for_forged_sources() {
    let Some(site) = Site::new() else {
        return;
    };
    let relay = site.serve(HII_SERVER, &["relay", "--json"]);
    let to = SocketAddr::new(Host::Server.v6(), relay.address().port());
    let peer = Peer::new(&site, Host::Honest, Host::Honest.v6(), to);
    let texts = [&b"hii"[..], b"", b"to:192.0.2.7/9;content:x"];
    let text = |number: u32| texts[usize::try_from(number).unwrap() % texts.len()].to_vec();
    from_strangers(&site.attacker(Host::Far), to, text, || {
        assert_eq!(peer.heard_before("marker"), [""; 0]);
    });
    let memory = most_memory(&relay);
    assert!(memory < MOST_MEMORY, "{memory} KiB");
    let tally = relay.stop().json();
    assert!(count(&tally["received"]) >= u64::from(STRANGERS), "{tally}");
    assert_eq!(count(&tally["registered"]), 1, "{tally}");
}

#[test]
#[ignore = "needs network namespaces"]
fn forged_syns_do_not_prevent_connections() {
    let Some(site) = Site::new() else {
        return;
    };
    let attacker = site.attacker(Host::Far);
    for service in ["ping", "relay"] {
        let server = site.serve(HII_SERVER, &[service, "--json"]);
        let to = SocketAddr::new(Host::Server.v4(), server.address().port());
        for number in 0..10_000_u32 {
            let [_, _, high, low] = number.to_be_bytes();
            let source = (Ipv4Addr::new(198, 51, high, low), 40_000).into();
            attacker.syn(source, to);
        }
        let stream = site.at(Host::Honest).enter(|| TcpStream::connect(to));
        drop(stream.unwrap());
        let honest = site.udp(Host::Honest, Host::Honest.v4(), to);
        let hello = if service == "ping" {
            &b"Hello Server"[..]
        } else {
            b"hii"
        };
        ask(&honest, hello, |_| true);
        let memory = most_memory(&server);
        assert!(memory < MOST_MEMORY, "{memory} KiB");
        let tally = server.stop().json();
        assert_eq!(count(&tally["tcp"]["connections"]), 1, "{tally}");
    }
}

/// Addresses of the server's own host and of many hosts, in all forms that a sender may write.
fn forbidden(port: u16) -> Vec<String> {
    let v4 = [
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::new(127, 255, 255, 254),
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::new(0, 1, 2, 3),
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::new(169, 254, 1, 1),
        Ipv4Addr::new(10, 77, 2, 2),
    ];
    let disguises = v4.iter().flat_map(|ip| {
        let [a, b, c, d] = ip.octets();
        let [high, low] = [[a, b], [c, d]].map(u16::from_be_bytes);
        [
            ip.to_ipv6_mapped(),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2001, 0, 0xa4d, 0x203, 0x8000, 0x63bf, !high, !low),
            Ipv6Addr::new(0xfd77, 9, 0, 0, 0, 0x5efe, high, low),
        ]
    });
    let v6 = ["::", "::1", "ff02::1", "ff05::7", "fe80::1", "fd77:2::2"];
    let v6 = v6.iter().map(|ip| ip.parse().unwrap());
    let bracketed = disguises
        .chain(v6)
        .map(|ip: Ipv6Addr| format!("[{ip}]/{port}"));
    let bare = v4.iter().chain([&hii_tests::attack::LINK_BROADCAST]);
    bare.map(|ip| format!("{ip}/{port}"))
        .chain(bracketed)
        .collect()
}

#[test]
#[ignore = "needs network namespaces"]
fn open_relay_sends_nothing_to_its_own_host_or_to_many_hosts() {
    let Some(site) = Site::new() else {
        return;
    };
    let relay = site.serve(
        HII_SERVER,
        &["relay", "--open", "--rate", "0", "--error-rate", "0"],
    );
    let relay_port = relay.address().port();
    let at = site.at(Host::Server);
    let local = at.enter(|| UdpSocket::bind("[::]:0")).unwrap();
    let port = local.local_addr().unwrap().port();
    for (honest, to) in Host::Honest
        .addresses()
        .into_iter()
        .zip(Host::Server.addresses())
    {
        let peer = Peer::new(&site, Host::Honest, honest, (to, relay_port).into());
        let capture = site.capture();
        let messages = forbidden(port);
        for address in &messages {
            for data in ["content:forbidden", "raw : forbidden"] {
                let message = format!("to:{address};{data}");
                let answer = ask(peer.socket(), message.as_bytes(), |_| true);
                assert!(answer.starts_with(b"405"), "{address} from {honest}");
            }
        }
        ask(peer.socket(), b"hii", |answer| answer.starts_with(b"('"));
        let is_last = |payload: &[u8]| payload.starts_with(b"('");
        let packets = capture.until(|packet| {
            packet.from == Host::Server.mac() && packet.datagram().is_some_and(is_last)
        });
        let strays: Vec<_> = packets
            .iter()
            .filter(|packet| packet.from == Host::Server.mac() && packet.content != Content::Other)
            .filter(|packet| packet.destination() != Some(honest))
            .collect();
        assert!(strays.is_empty(), "{strays:?}");
    }
    assert_eq!(
        waiting(&local),
        [[0_u8; 0]; 0],
        "a service of the relay's own host"
    );
}

/// A token for this socket.
fn token(socket: &UdpSocket) -> Vec<u8> {
    let is_token = |answer: &[u8]| matches!(Answer::decode(answer), Ok(Answer::Token(..)));
    let answer = ask(socket, &Request::TokenRequest.to_vec(), is_token);
    let Ok(Answer::Token(_, token)) = Answer::decode(&answer) else {
        panic!("a token")
    };
    Request::TokenGreeting(token).to_vec()
}

#[test]
#[ignore = "needs network namespaces"]
fn token_is_bound_to_its_address_and_port() {
    let Some(site) = Site::new() else {
        return;
    };
    let serve = || {
        let to: IpAddr = Host::Server.v4();
        let relay = site.serve(HII_SERVER, &["relay", "--json", "-b", &to.to_string()]);
        (SocketAddr::new(to, relay.address().port()), relay)
    };
    let (to, relay) = serve();
    let [one, other] = [(); 2].map(|()| site.udp(Host::Honest, Host::Honest.v4(), to));
    let greeting = token(&one);
    let is_error = |answer: &[u8]| answer == b"400";
    // From another port, and from another host.
    ask(&other, &greeting, is_error);
    let near = site.udp(Host::Near, Host::Near.v4(), to);
    ask(&near, &greeting, is_error);
    // A guess.
    let mut guess = greeting.clone();
    let last = guess.last_mut().unwrap();
    *last = if *last == b'0' { b'1' } else { b'0' };
    ask(&one, &guess, is_error);
    // A token of the previous relay.
    let tally = relay.stop().json();
    assert_eq!(count(&tally["registered"]), 0, "{tally}");
    let (to, relay) = serve();
    one.connect(to).unwrap();
    ask(&one, &greeting, is_error);
    let tally = relay.stop().json();
    assert_eq!(count(&tally["registered"]), 0, "{tally}");
}

#[test]
#[ignore = "needs network namespaces"]
fn unfinished_frames_take_bounded_memory() {
    let Some(site) = Site::new() else {
        return;
    };
    let (_, most_files) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most_files, most_files).unwrap();
    let hosts = (100..110).map(|number| IpAddr::from([10, 77, 1, number]));
    let add = |ip: IpAddr| format!("address add {ip}/24 dev wire\n");
    site.at(Host::Far)
        .ip(&hosts.clone().map(add).collect::<String>());
    // A frame of the maximum length without its last octets.
    let part = [&65_507_u32.to_be_bytes()[..], &b"x".repeat(65_000)].concat();
    for service in ["ping", "relay"] {
        let server = site.serve(HII_SERVER, &[service, "--json"]);
        let to = SocketAddr::new(Host::Server.v4(), server.address().port());
        let slow = hosts.clone().flat_map(|ip| std::iter::repeat_n(ip, 120));
        let slow: Vec<_> = site.at(Host::Far).enter(|| {
            slow.map(|ip| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.bind(&SocketAddr::new(ip, 0).into()).unwrap();
                socket.connect(&to.into()).unwrap();
                socket.set_nonblocking(true).unwrap();
                // Those beyond the places are closed.
                let _ = socket.send(&part);
                socket
            })
            .collect()
        });
        let hello = if service == "ping" {
            &b"Hello Server"[..]
        } else {
            b"hii"
        };
        let honest = site.udp(Host::Honest, Host::Honest.v4(), to);
        ask(&honest, hello, |_| true);
        let memory = most_memory(&server);
        assert!(memory < 258 * 1024, "{memory} KiB");
        // The connections, one that is displaced meanwhile, and the server's own files.
        let open = fs::read_dir(format!("/proc/{}/fd", server.id()))
            .unwrap()
            .count();
        assert!(open < 1024 + 64, "{open}");
        let tally = server.stop().json();
        assert!(count(&tally["tcp"]["connections"]) > 0, "{tally}");
        drop(slow);
    }
}
