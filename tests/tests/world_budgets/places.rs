//! A flood of peers from many networks of one attacker displaces its own peers, and nobody else's.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use hii_tests::attack::{Host, Peer, Site};
use hii_tests::programs::count;

use crate::HII_SERVER;

/// Places in the relay's table.
const PLACES: u16 = 256;

/// Peers that the attacker registers before the honest ones are active again.
const ROUND: u16 = 2 * PLACES;

/// The attacker's network, which has 128 /48s.
const NETWORK: &str = "2001:db8::/41";

/// Gives the attacker behind the router all addresses of its network.
fn own_network(site: &Site) {
    let attacker = site.at(Host::Far);
    attacker.set("ipv6/ip_nonlocal_bind", "1");
    attacker.ip(&format!("route add local {NETWORK} dev lo\n"));
    let routes = format!("route add {NETWORK} via {}\n", Host::Far.v6());
    site.at(Host::Router).ip(&routes);
}

/// The attacker's n-th address, each in the next /48.
fn nth(n: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, n % 128, n / 128, 0, 0, 0, 1).into()
}

#[test]
#[ignore = "needs network namespaces"]
fn a_41_full_of_peers_makes_no_honest_peer_unreachable() {
    let Some(site) = Site::new() else {
        return;
    };
    own_network(&site);
    let relay = site.serve(HII_SERVER, &["relay", "--json", "--peers", "256"]);
    let port = relay.address().port();
    let honest = Host::Honest.addresses();
    let honest = honest.into_iter().zip(Host::Server.addresses());
    let [one, other] = honest
        .map(|(ip, relay)| Peer::new(&site, Host::Honest, ip, SocketAddr::new(relay, port)))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let to = SocketAddr::new(Host::Server.v6(), port);
    for round in 0..4 {
        for n in 0..ROUND {
            let _ = Peer::new(&site, Host::Far, nth(round * ROUND + n), to);
        }
        // Meanwhile neither was active.
        for (from, to) in [(&one, &other), (&other, &one)] {
            from.tell(to.address(), "still there");
            let _ = from.heard_before("marker");
            let heard = to.heard_before("marker");
            let is_heard = heard.iter().any(|frame| frame.ends_with("still there"));
            assert!(is_heard, "{heard:?}");
        }
    }
    let ended = relay.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let tally = ended.json();
    let registered = u64::from(4 * ROUND) + 2;
    assert_eq!(count(&tally["registered"]), registered, "{ended:?}");
    let displaced = registered - u64::from(PLACES);
    assert_eq!(count(&tally["displaced"]), displaced, "{ended:?}");
}
