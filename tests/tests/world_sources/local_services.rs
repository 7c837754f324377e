//! A server does not forward anything to services that listen on loopback only.

use std::net::{SocketAddr, UdpSocket};

use hii_tests::attack::{Host, Site};

use crate::HII_SERVER;
use crate::cases::sync;

#[test]
#[ignore = "needs network namespaces"]
fn unspecified_source_reaches_no_local_service() {
    let Some(site) = Site::new() else {
        return;
    };
    let attacker = site.attacker(Host::Near);
    for (service, hello) in [("ping", &b"Hello Server"[..]), ("relay", b"hii")] {
        let server = site.serve(HII_SERVER, &[service]);
        let port = server.address().port();
        for (local, source, to) in [
            ("[::1]:0", "::", Host::Server.v6()),
            ("127.0.0.1:0", "0.0.0.0", "255.255.255.255".parse().unwrap()),
        ] {
            let at = site.at(Host::Server);
            let local = at.enter(|| UdpSocket::bind(local)).unwrap();
            let address = local.local_addr().unwrap();
            let source = SocketAddr::new(source.parse().unwrap(), address.port());
            attacker.send(source, (to, port).into(), hello);
            let reached = if to.is_ipv6() { to } else { Host::Server.v4() };
            sync(&site, (reached, port).into(), hello);
            // What this host sends to itself arrives at once.
            let marker = at.enter(|| UdpSocket::bind((address.ip(), 0))).unwrap();
            marker.send_to(b"marker", address).unwrap();
            let mut octets = [0; 64];
            let (len, _) = local.recv_from(&mut octets).unwrap();
            let first = String::from_utf8_lossy(&octets[..len]);
            assert_eq!(first, "marker", "{service}, {source}");
        }
    }
}
