//! Failures to send to one destination do not change how others are sent to.
#![cfg(target_os = "linux")]

use std::fmt::Write as _;
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use hii_tests::attack::{Capture, Host, Peer, Site, message, probe, waiting};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

/// Datagrams that an honest host sends in a row.
const TRAIN: usize = 40;

/// Errors that are caused at least.
const ERRORS: u8 = 24;

/// An honest client of a service, which sends trains and counts the calls that send their answers.
struct Client<'a> {
    site: &'a Site,
    capture: &'a Capture,
    to: SocketAddr,
    socket: UdpSocket,
    /// One datagram of a train, and the length of what the server sends for it.
    datagram: Vec<u8>,
    answer: usize,
    /// Sent and answered after a train.
    is_relay: bool,
}

impl<'a> Client<'a> {
    fn of_ping(site: &'a Site, capture: &'a Capture, to: SocketAddr) -> Self {
        let ip = if to.is_ipv4() {
            Host::Honest.v4()
        } else {
            Host::Honest.v6()
        };
        Self {
            site,
            capture,
            to,
            socket: site.udp(Host::Honest, ip, to),
            datagram: b"Hello Server".to_vec(),
            answer: b"Packet Acknowledged".len(),
            is_relay: false,
        }
    }

    fn of_relay(site: &'a Site, capture: &'a Capture, to: SocketAddr) -> Self {
        let peer = Peer::new(site, Host::Honest, Host::Honest.v6(), to);
        let socket = peer.socket().try_clone().unwrap();
        let from = socket.local_addr().unwrap();
        let forward = format!("[{}]/{} ; content : of a train", from.ip(), from.port());
        Self {
            site,
            capture,
            to,
            socket,
            datagram: message(from, "of a train"),
            answer: forward.len(),
            is_relay: true,
        }
    }

    /// Waits for an answer to something on a socket of its own.
    fn sync(&self) {
        if self.is_relay {
            let question = hii_protocol::relay::Request::TokenRequest.to_vec();
            hii_tests::attack::ask(&self.marker(), &question, |_| true);
        } else {
            probe(&self.marker(), 1);
        }
    }

    fn marker(&self) -> UdpSocket {
        self.site.udp(
            Host::Honest,
            self.socket.local_addr().unwrap().ip(),
            self.to,
        )
    }

    /// The most datagrams that the server sends in one call, of those of twenty trains.
    fn most_together(&self) -> usize {
        let own = self.socket.local_addr().unwrap();
        let mut most = 0;
        for _ in 0..20 {
            let train = self.datagram.repeat(TRAIN);
            let segment = u16::try_from(self.datagram.len()).unwrap();
            sendmsg::<()>(
                self.socket.as_raw_fd(),
                &[IoSlice::new(&train)],
                &[ControlMessage::UdpGsoSegments(&segment)],
                MsgFlags::empty(),
                None,
            )
            .unwrap();
            self.sync();
            self.sync();
            let _ = waiting(&self.socket);
            // The last packet of the two answers to the marker, whose ports are its own.
            let end = self.marker();
            let end_port = end.local_addr().unwrap().port();
            if self.is_relay {
                let question = hii_protocol::relay::Request::TokenRequest.to_vec();
                hii_tests::attack::ask(&end, &question, |_| true);
            } else {
                probe(&end, 2);
            }
            let packets = self.capture.until(|packet| {
                packet.from == Host::Server.mac() && packet.destination_port() == Some(end_port)
            });
            for packet in packets {
                let is_answer = packet.from == Host::Server.mac()
                    && packet.destination_port() == Some(own.port());
                if let (true, Some(payload)) = (is_answer, packet.datagram()) {
                    most = most.max(payload.len() / self.answer);
                }
            }
        }
        most
    }
}

/// The datagrams in one call to an uninvolved client, before and after something.
fn unchanged(service: &str, cause: impl Fn(&Site, SocketAddr)) {
    let Some(site) = Site::new() else {
        return;
    };
    let capture = site.capture_trains();
    // An original's messages have a limit of their own, which is not tested here.
    let args: &[&str] = if service == "ping" {
        &["--rate", "0"]
    } else {
        &["--rate", "0", "--error-rate", "1000"]
    };
    let server = site.serve(HII_SERVER, &[&[service], args].concat());
    let to = SocketAddr::new(Host::Server.v6(), server.address().port());
    let client = match service {
        "ping" => Client::of_ping(&site, &capture, to),
        _ => Client::of_relay(&site, &capture, to),
    };
    let before = client.most_together();
    assert!(before > 1, "nothing is sent together");
    cause(&site, to);
    client.sync();
    let after = client.most_together();
    assert!(2 * after > before, "{after} together, {before} before");
}

/// A request that a service answers from any source.
fn hello(service: &str) -> &'static [u8] {
    if service == "ping" {
        b"Hello Server"
    } else {
        b"hii"
    }
}

/// Datagrams from many sources, each of which is answered.
fn from_many(site: &Site, service: &str, to: SocketAddr, source: impl Fn(u8) -> IpAddr) {
    let attacker = site.attacker(Host::Near);
    for number in 1..=ERRORS {
        for port in [40_000, 40_001] {
            let source = SocketAddr::new(source(number), port);
            attacker.send(source, to, hello(service));
        }
        // Each is a batch of its own.
        let honest = site.udp(
            Host::Near,
            Host::Near.v6(),
            (Host::Server.v6(), to.port()).into(),
        );
        hii_tests::attack::ask(&honest, hello(service), |_| true);
    }
}

#[test]
#[ignore = "needs network namespaces"]
fn disguised_sources_leave_offload_on() {
    for service in ["ping", "relay"] {
        unchanged(service, |site, to| {
            from_many(site, service, to, |number| {
                Ipv4Addr::new(198, 51, 100, number).to_ipv6_mapped().into()
            });
        });
    }
}

#[test]
#[ignore = "needs network namespaces"]
fn unreachable_destinations_leave_offload_on() {
    for kind in ["blackhole", "prohibit", "unreachable"] {
        for service in ["ping", "relay"] {
            unchanged(service, |site, to| {
                site.at(Host::Server).ip(&format!(
                    "route add {kind} 198.51.100.0/24\nroute add {kind} 2001:db8:7::/48\n"
                ));
                from_many(site, service, to, |number| {
                    Ipv6Addr::new(0x2001, 0xdb8, 7, number.into(), 0, 0, 0, 1).into()
                });
                let to = (Host::Server.v4(), to.port()).into();
                from_many(site, service, to, |number| {
                    Ipv4Addr::new(198, 51, 100, number).into()
                });
            });
        }
    }
}

#[test]
#[ignore = "needs network namespaces"]
fn narrow_path_leaves_offload_on_for_others() {
    unchanged("ping", |site, to| {
        // Trains of datagrams that this path takes only in fragments.
        site.at(Host::Server)
            .ip("route add 10.77.1.2/32 via 10.77.2.1 mtu 600\n");
        let to = SocketAddr::new(Host::Server.v4(), to.port());
        let far = site.udp(Host::Far, Host::Far.v4(), to);
        let len = 1000;
        for number in 1..=ERRORS {
            let mut train = String::new();
            for place in 0..TRAIN {
                let seq = usize::from(number) * TRAIN + place;
                let probe = format!("P 0000fa12 {seq}");
                let _ = write!(train, "{probe:len$}");
            }
            let segment = u16::try_from(len).unwrap();
            sendmsg::<()>(
                far.as_raw_fd(),
                &[IoSlice::new(train.as_bytes())],
                &[ControlMessage::UdpGsoSegments(&segment)],
                MsgFlags::empty(),
                None,
            )
            .unwrap();
            let mut octets = [0; 2048];
            for _ in 0..TRAIN {
                assert_eq!(far.recv(&mut octets).unwrap(), len);
            }
        }
    });
}
