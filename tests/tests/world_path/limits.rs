//! What does not fit: long packets, blackouts, and a full queue.

use std::io;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use hii_tests::tun_path::{Direction, End, Fate, Plan, Room, TooBig, TunPath};
use nix::errno::Errno;
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};

use crate::sockets::{Sockets, payload, payloads};

fn forbid_fragments(socket: &UdpSocket) {
    if socket.local_addr().unwrap().is_ipv4() {
        set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DO).unwrap();
    } else {
        set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DO).unwrap();
    }
}

#[test]
#[ignore = "needs network namespaces and a TUN device"]
fn sender_learns_the_mtu_where_it_is_reported() {
    for (ip, headers) in [(End::v4 as fn(End) -> _, 28), (End::v6, 48)] {
        for too_big in [TooBig::Reported, TooBig::Silent] {
            let plan = Plan::default().mtu(1400, too_big);
            let Some(path) = TunPath::start(plan, Plan::default()) else {
                return;
            };
            let sockets = Sockets::new(&path, ip);
            let sender = sockets.sender(Direction::Forward);
            forbid_fragments(sender);
            sender.send(&vec![b'x'; 1400 - headers]).unwrap();
            let too_long = vec![b'x'; 1401 - headers];
            let mut sent = 0;
            let begun = Instant::now();
            let error = loop {
                match sender.send(&too_long) {
                    Ok(_) if too_big == TooBig::Silent && sent == 20 => break None,
                    Ok(_) => sent += 1,
                    Err(error) => break Some(error),
                }
                assert!(begun.elapsed() < Duration::from_secs(30), "{sent}");
                thread::sleep(Duration::from_millis(1));
            };
            let code = error.as_ref().and_then(io::Error::raw_os_error);
            let is_reported = too_big == TooBig::Reported;
            assert_eq!(
                code,
                is_reported.then_some(Errno::EMSGSIZE as i32),
                "{error:?}"
            );
            let sent = sent + usize::from(!is_reported);
            let record = path.finish();
            assert_eq!(record.count(Direction::Forward, Fate::TooBig), sent);
            assert_eq!(record.count(Direction::Forward, Fate::Delivered), 1);
            assert_eq!(sockets.received(Direction::Forward).len(), 1);
        }
    }
}

#[test]
#[ignore = "needs network namespaces and a TUN device"]
fn slow_link_drops_what_its_queue_does_not_hold() {
    // A packet of 100 bytes takes a second, so that all come while the first is on the link.
    let plan = Plan::default().rate(800, Room::Packets(2));
    let Some(path) = TunPath::start(plan, Plan::default()) else {
        return;
    };
    let sockets = Sockets::new(&path, End::v4);
    for number in 0..10_u32 {
        let text = format!("{number} {:<70}", "");
        sockets
            .sender(Direction::Forward)
            .send(&text.as_bytes()[..72])
            .unwrap();
    }
    let record = path.finish();
    assert_eq!(record.count(Direction::Forward, Fate::Delivered), 3);
    assert_eq!(record.count(Direction::Forward, Fate::QueueFull), 7);
    let received = sockets.received(Direction::Forward);
    assert_eq!(received, payloads(record.arrivals(Direction::Forward)));
    let due: Vec<_> = record
        .arrivals(Direction::Forward)
        .map(|passage| passage.deliveries[0].due)
        .collect();
    assert_eq!(due[1], due[0] + Duration::from_secs(1));
    assert_eq!(due[2], due[1] + Duration::from_secs(1));
}

#[test]
#[ignore = "needs network namespaces and a TUN device"]
fn nothing_passes_in_a_blackout() {
    let blackout = Duration::from_millis(200)..Duration::from_millis(400);
    let plan = Plan::default().blackout(blackout.clone());
    let Some(path) = TunPath::start(plan, Plan::default()) else {
        return;
    };
    let sockets = Sockets::new(&path, End::v6);
    for number in 0..600 {
        sockets
            .sender(Direction::Forward)
            .send(payload(number).as_bytes())
            .unwrap();
        thread::sleep(Duration::from_millis(1));
    }
    let record = path.finish();
    for passage in record.datagrams(Direction::Forward) {
        let is_lost = passage.fate == Fate::Blackout;
        assert_eq!(is_lost, blackout.contains(&passage.entered), "{passage:?}");
    }
    assert!(record.count(Direction::Forward, Fate::Blackout) > 0);
    let received = sockets.received(Direction::Forward);
    assert_eq!(received, payloads(record.arrivals(Direction::Forward)));
}
