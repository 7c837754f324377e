//! The amplification of datagrams from forged sources, measured on the wire with IP and UDP headers.
#![cfg(target_os = "linux")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hii_tests::attack::{Content, Host, Packet, Peer, SENT, Site, probe};

const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

/// The bound for frames that no original program sends.
const NEW: f64 = 1.0;

/// The bound for frames of the original clients, and for frames that are answered like these.
const CLASSIC: f64 = 2.0;

type Frame = (Vec<u8>, f64);

fn padded(text: &str, len: usize) -> Vec<u8> {
    format!("{text:len$}").into_bytes()
}

fn texts(texts: &[&str], bound: f64) -> Vec<Frame> {
    let frame = |text: &&str| (text.as_bytes().to_vec(), bound);
    texts.iter().map(frame).collect()
}

fn ping_frames() -> Vec<Frame> {
    let classic = ["Hello Server", "Hello Server.", "exit", "C 1", "C 65507"];
    let mut frames = texts(&classic, CLASSIC);
    let others = [
        "",
        "x",
        "C",
        "C ",
        "C x",
        "C 0",
        "Cat",
        "P",
        "P 00c0ffee 0",
        "hello",
    ];
    frames.extend(texts(&others, NEW));
    frames.push((vec![0xff], NEW));
    for probe in ["P 00c0ffee 1", "P ffffffff 18446744073709551615"] {
        for len in [0, 16, 40, 64, 80, 1200, 1400] {
            frames.push((padded(probe, len), NEW));
        }
    }
    frames
}

fn relay_frames() -> Vec<Frame> {
    // A message in a new spelling is answered as one of the originals' is.
    let classic = [
        "hii",
        // The shortest that cannot be delivered.
        "to:/1;content:",
        "to:/1;raw: ",
        "to:/0;raw: ",
        "to:1.2.3.4/1;content:",
        "to:1.2.3.4/1;raw: ",
        "to:[::]/1;raw: ",
    ];
    let mut frames = texts(&classic, CLASSIC);
    let token = format!("hii {:032x}", 7);
    let others = [
        "",
        "x",
        ";",
        "a:/;:",
        "to:/x;content:",
        "to:/1;x:",
        "exit server",
        "hii ?",
        "hii x",
        "hii 0123",
        &token,
    ];
    frames.extend(texts(&others, NEW));
    for len in [95, 96, 97, 1200] {
        frames.push((padded("hii ?", len), NEW));
    }
    frames
}

/// A separate source for each frame, with a long address.
fn source(number: u16, is_v4: bool) -> SocketAddr {
    let ip = if is_v4 {
        let [_, low] = number.to_be_bytes();
        IpAddr::from(Ipv4Addr::new(203, 113, 213, 100 + low))
    } else {
        // The /64 differs.
        let number = 0x1000 + number;
        Ipv6Addr::new(
            0xfdff, 0xffff, 0xffff, number, 0xffff, 0xffff, 0xffff, 0xffff,
        )
        .into()
    };
    (ip, u16::MAX).into()
}

/// Something that is always answered, and how many packets that takes.
type Marker = (Box<dyn Fn()>, usize);

fn check(service: &str, frames: &[Frame], marker: impl Fn(&Site, IpAddr, SocketAddr) -> Marker) {
    let Some(site) = Site::new() else {
        return;
    };
    let capture = site.capture();
    let attacker = site.attacker(Host::Far);
    let server = site.serve(HII_SERVER, &[service]);
    let port = server.address().port();
    let (mut over, mut all) = (Vec::new(), 0);
    for is_v4 in [true, false] {
        let family = |host: Host| if is_v4 { host.v4() } else { host.v6() };
        let [honest, to] = [Host::Honest, Host::Server].map(family);
        let to = SocketAddr::new(to, port);
        let is_for_honest = |packet: &Packet| {
            packet.from == Host::Server.mac() && packet.destination() == Some(honest)
        };
        let (ask, answers) = marker(&site, honest, to);
        // The registration as a peer.
        ask();
        let _ = capture.until(|packet| is_for_honest(packet) && is_end(packet));
        for (number, (frame, bound)) in (0..).zip(frames) {
            let from = source(number, is_v4);
            attacker.send(from, to, frame);
            // Two, so that all answers from before the first have been sent.
            ask();
            ask();
            let packets = (0..2 * answers).flat_map(|_| capture.until(is_for_honest));
            let packets: Vec<_> = packets.collect();
            let octets = |is_it: &dyn Fn(&Packet) -> bool| -> usize {
                let it = packets.iter().filter(|packet| is_it(packet));
                it.map(|packet| packet.octets).sum()
            };
            let sent = octets(
                &|packet| matches!(packet.content, Content::Datagram { source, .. } if source == from),
            );
            let answered = octets(&|packet| packet.destination() == Some(from.ip()));
            assert!(sent > 0, "the frame did not come");
            all += answered;
            let factor = answered as f64 / sent as f64;
            let text = String::from_utf8_lossy(frame);
            let text = text.trim_end();
            let line = format!(
                "{service}, IPv{}, {} octets, {text:?}: {factor:.3}",
                if is_v4 { 4 } else { 6 },
                frame.len()
            );
            println!("{line}");
            if factor > *bound {
                over.push(line);
            }
        }
    }
    assert!(all > 0, "nothing was answered");
    assert!(over.is_empty(), "{over:#?}");
}

/// The last packet of a marker.
fn is_end(packet: &Packet) -> bool {
    packet
        .datagram()
        .is_some_and(|payload| payload.starts_with(b"A ") || payload == SENT.as_bytes())
}

#[test]
#[ignore = "needs network namespaces"]
fn ping_server_amplification_is_within_the_bounds() {
    check("ping", &ping_frames(), |site, honest, to| {
        let socket = site.udp(Host::Honest, honest, to);
        (Box::new(move || probe(&socket, 1)), 1)
    });
}

#[test]
#[ignore = "needs network namespaces"]
fn relay_amplification_is_within_the_bounds() {
    check("relay", &relay_frames(), |site, honest, to| {
        let peer = Peer::new(site, Host::Honest, honest, to);
        let marker = move || assert_eq!(peer.heard_before("marker"), [""; 0]);
        (Box::new(marker), 2)
    });
}
