//! A relay's peers, and what forged sources can do to them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hii_tests::attack::{Host, Peer, Site, message};
use hii_tests::programs::count;

use crate::HII_SERVER;

/// The port that forged sources have.
const PORT: u16 = 40_000;

/// An IPv4 address, as an IPv6 source.
fn disguised(ip: Ipv4Addr) -> SocketAddr {
    (ip.to_ipv6_mapped(), PORT).into()
}

#[test]
#[ignore = "needs network namespaces"]
fn disguised_source_makes_no_peer_and_delivers_nothing() {
    let Some(site) = Site::new() else {
        return;
    };
    let trusted = Ipv4Addr::new(10, 77, 9, 9);
    for (source, options) in [
        (Ipv4Addr::LOCALHOST, &["--allow-exit", "never"][..]),
        (Ipv4Addr::new(127, 9, 9, 9), &[]),
        (trusted, &["--trust", "10.77.9.0/24"]),
    ] {
        let relay = site.serve(HII_SERVER, &[&["relay", "--json"], options].concat());
        let port = relay.address().port();
        let to = SocketAddr::new(Host::Server.v6(), port);
        let peers = Host::Honest
            .addresses()
            .into_iter()
            .zip(Host::Server.addresses())
            .map(|(ip, relay)| Peer::new(&site, Host::Honest, ip, (relay, port).into()));
        let peers: Vec<_> = peers.collect();
        for host in [Host::Near, Host::Far] {
            let attacker = site.attacker(host);
            attacker.send(disguised(source), to, b"hii");
            for peer in &peers {
                let forged = message(peer.address(), "forged");
                attacker.send(disguised(source), to, &forged);
            }
        }
        for peer in &peers {
            assert_eq!(peer.heard_before("marker"), [""; 0], "{source}");
        }
        let ended = relay.stop();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(count(&ended.json()["registered"]), 2, "{ended:?}");
    }
}

#[test]
#[ignore = "needs network namespaces"]
fn forged_sources_evict_no_peer() {
    let Some(site) = Site::new() else {
        return;
    };
    let trust = ["--trust", "10.77.9.0/24"];
    let options = ["relay", "--json", "--peers", "64"];
    let relay = site.serve(HII_SERVER, &[&options[..], &trust].concat());
    let port = relay.address().port();
    let to = SocketAddr::new(Host::Server.v6(), port);
    let [one, other] = [(); 2].map(|()| Peer::new(&site, Host::Honest, Host::Honest.v6(), to));
    let attacker = site.attacker(Host::Far);
    for network in [[127, 1], [10, 77]] {
        for host in 0..=255 {
            for third in [9, 1] {
                let [first, second] = network;
                let source = Ipv4Addr::new(first, second, third, host);
                attacker.send(disguised(source), to, b"hii");
            }
        }
        // Both are peers, and reach each other.
        one.tell(other.address(), "from the one");
        let _ = one.heard_before("marker");
        let text = "from the one";
        assert!(other.heard_before("marker")[0].ends_with(text));
    }
    let ended = relay.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(count(&ended.json()["registered"]), 2, "{ended:?}");
}

#[test]
#[ignore = "needs network namespaces"]
fn loopback_source_that_arrives_by_broadcast_makes_no_peer() {
    let Some(site) = Site::new() else {
        return;
    };
    let relay = site.serve(HII_SERVER, &["relay", "--json"]);
    let port = relay.address().port();
    let peer = Peer::new(
        &site,
        Host::Honest,
        Host::Honest.v4(),
        (Host::Server.v4(), port).into(),
    );
    let attacker = site.attacker(Host::Near);
    let source = SocketAddr::new(Ipv4Addr::new(127, 9, 9, 9).into(), PORT);
    let all = SocketAddr::new(IpAddr::from(Ipv4Addr::BROADCAST), port);
    attacker.send(source, all, b"hii");
    attacker.send(source, all, &message(peer.address(), "forged"));
    assert_eq!(peer.heard_before("marker"), [""; 0]);
    let ended = relay.stop();
    assert_eq!(count(&ended.json()["registered"]), 1, "{ended:?}");
}
