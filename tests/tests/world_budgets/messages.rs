//! Messages of a relay are limited for their source address and for their receiver, regardless of the source port.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use hii_tests::attack::{Host, Peer, Site, ask, waiting};

use crate::HII_SERVER;

/// Messages a second for a peer.
const RATE: u32 = 5;

fn relay(site: &Site) -> (hii_tests::programs::Server, SocketAddr) {
    let rate = RATE.to_string();
    // To register peers fast; this limit is not tested here.
    let args = ["relay", "--rate", &rate, "--error-rate", "1000"];
    let relay = site.serve(HII_SERVER, &args);
    let to = SocketAddr::new(Host::Server.v4(), relay.address().port());
    (relay, to)
}

/// The messages among what has come.
fn messages(peer: &Peer) -> u32 {
    let came = waiting(peer.socket());
    let is_one = |frame: &&Vec<u8>| frame.ends_with(b" ; content : one of many");
    u32::try_from(came.iter().filter(is_one).count()).unwrap()
}

/// Waits until the relay has handled what was sent before, and has sent its answers.
fn sync(site: &Site, to: SocketAddr) {
    for _ in 0..2 {
        let beside = site.udp(Host::Near, Host::Near.v4(), to);
        ask(&beside, b"hii", |answer| answer.starts_with(b"('"));
    }
}

/// All that a budget of this many times the rate lets through since then, its burst of a second included.
fn allowed(times: f64, since: Instant) -> f64 {
    times * f64::from(RATE) * (1.0 + since.elapsed().as_secs_f64())
}

#[test]
#[ignore = "needs network namespaces"]
fn one_host_with_many_ports_is_held_to_its_budget() {
    let Some(site) = Site::new() else {
        return;
    };
    let (_relay, to) = relay(&site);
    let receivers: [_; 20] =
        std::array::from_fn(|_| Peer::new(&site, Host::Honest, Host::Honest.v4(), to));
    let senders: [_; 40] = std::array::from_fn(|_| Peer::new(&site, Host::Far, Host::Far.v4(), to));
    let begin = Instant::now();
    for (number, sender) in senders.iter().enumerate() {
        for times in 0..RATE {
            let place = (number + usize::try_from(times).unwrap()) % receivers.len();
            sender.tell(receivers[place].address(), "one of many");
        }
    }
    sync(&site, to);
    let passed: u32 = receivers.iter().map(messages).sum();
    let most = allowed(4.0, begin);
    assert!(passed > 0, "nothing was passed on");
    assert!(
        f64::from(passed) <= most,
        "{passed}, and {most} are allowed"
    );
}

#[test]
#[ignore = "needs network namespaces"]
fn one_receiver_gets_no_more_than_a_quarter_of_its_budget_from_one_host() {
    let Some(site) = Site::new() else {
        return;
    };
    let (_relay, to) = relay(&site);
    let receiver = Peer::new(&site, Host::Honest, Host::Honest.v4(), to);
    let senders: [_; 40] = std::array::from_fn(|_| Peer::new(&site, Host::Far, Host::Far.v4(), to));
    let begin = Instant::now();
    for sender in &senders {
        for _ in 0..RATE {
            sender.tell(receiver.address(), "one of many");
        }
    }
    sync(&site, to);
    let passed = messages(&receiver);
    let most = allowed(10.0 / 4.0, begin);
    assert!(passed > 0, "nothing was passed on");
    assert!(
        f64::from(passed) <= most,
        "{passed}, and {most} are allowed"
    );
}

#[test]
#[ignore = "needs network namespaces"]
fn one_receiver_gets_no_more_than_its_budget_from_many_hosts() {
    let Some(site) = Site::new() else {
        return;
    };
    let (_relay, to) = relay(&site);
    let receiver = Peer::new(&site, Host::Honest, Host::Honest.v4(), to);
    let hosts: [IpAddr; 30] = std::array::from_fn(|number| {
        let number = u8::try_from(number).unwrap();
        Ipv4Addr::new(10, 77, 1, 100 + number).into()
    });
    let add = |ip: &IpAddr| format!("address add {ip}/24 dev wire\n");
    let commands: String = hosts.iter().map(add).collect();
    site.at(Host::Far).ip(&commands);
    let senders = hosts.map(|ip| Peer::new(&site, Host::Far, ip, to));
    let begin = Instant::now();
    for sender in &senders {
        for _ in 0..RATE {
            sender.tell(receiver.address(), "one of many");
        }
    }
    sync(&site, to);
    let passed = messages(&receiver);
    let most = allowed(10.0, begin);
    assert!(passed > 0, "nothing was passed on");
    assert!(
        f64::from(passed) <= most,
        "{passed}, and {most} are allowed"
    );
}
