//! Datagrams from an invalid source have no effect, get no answer, and are counted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use hii_tests::attack::{Content, Host, Site};
use hii_tests::programs::{Server, count};
use serde_json::Value;

use crate::HII_SERVER;
use crate::cases::{Case, Reason, cases, let_loopback_in, sync};

/// A service over UDP.
#[derive(Debug, Clone, Copy)]
struct Service {
    name: &'static str,
    /// The message that stops it, from this host.
    exit: &'static [u8],
    /// A request that is answered from any source.
    hello: &'static [u8],
    /// The address that it is bound to; all of them if empty.
    bound: &'static str,
}

const PING: Service = Service {
    name: "ping",
    exit: b"exit",
    hello: b"Hello Server",
    bound: "",
};

const RELAY: Service = Service {
    name: "relay",
    exit: b"exit server",
    hello: b"hii",
    bound: "",
};

/// Both, on all addresses, on the one IPv6 address of the server, on all IPv4 addresses, and for the server's host alone.
fn services() -> impl Iterator<Item = Service> {
    let bound = ["", "fd77:2::2", "0.0.0.0", "127.0.0.1"];
    let services = bound.map(|bound| [Service { bound, ..PING }, Service { bound, ..RELAY }]);
    services.into_iter().flatten()
}

impl Service {
    fn start(&self, site: &Site) -> Server {
        let bound = if self.bound.is_empty() {
            &[][..]
        } else {
            &["-b", self.bound]
        };
        site.serve(HII_SERVER, &[&[self.name, "--json"], bound].concat())
    }

    /// The sources that can reach it.
    fn cases(&self) -> impl Iterator<Item = Case> {
        let bound = self.bound;
        let reaches = move |case: &Case| match (bound, case.destination(1).ip()) {
            ("", _) => true,
            ("0.0.0.0", to) => to.is_ipv4(),
            (bound, to) => bound.parse() == Ok(to),
        };
        cases().into_iter().filter(reaches)
    }

    /// Where an honest host finds it.
    fn address(&self, server: &Server) -> SocketAddr {
        let ip = match self.bound {
            "0.0.0.0" => Host::Server.v4(),
            "127.0.0.1" => Ipv4Addr::LOCALHOST.into(),
            _ => Host::Server.v6(),
        };
        (ip, server.address().port()).into()
    }
}

/// Stops it as its operator does, and returns its tally.
fn tally(server: Server) -> Value {
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.json()
}

#[test]
#[ignore = "needs network namespaces"]
fn forged_source_stops_no_server() {
    let Some(site) = Site::new() else {
        return;
    };
    let_loopback_in(&site);
    for service in services() {
        let server = service.start(&site);
        let to = service.address(&server);
        for host in [Host::Near, Host::Far] {
            let attacker = site.attacker(host);
            for case in service.cases() {
                if host == Host::Near || case.is_routed() {
                    println!("{} {:?}: {host:?}, {case:?}", service.name, service.bound);
                    attacker.send(case.source, case.destination(to.port()), service.exit);
                    sync(&site, to, service.hello);
                }
            }
        }
        let tally = tally(server);
        assert_eq!(tally.get("exits").map_or(0, count), 0, "{tally}");
    }
}

#[test]
#[ignore = "needs network namespaces"]
fn forged_source_gets_no_answer() {
    let Some(site) = Site::new() else {
        return;
    };
    let_loopback_in(&site);
    let capture = site.capture();
    let attacker = site.attacker(Host::Near);
    let mut answered = Vec::new();
    // A service that is bound to loopback answers nothing on the link.
    let services = services().filter(|service| service.bound != "127.0.0.1");
    for service in services {
        let server = service.start(&site);
        let to = service.address(&server);
        let honest = if to.is_ipv4() {
            Host::Honest.v4()
        } else {
            Host::Honest.v6()
        };
        for case in service.cases() {
            for payload in [service.hello, b"anything else", b""] {
                attacker.send(case.source, case.destination(to.port()), payload);
            }
            sync(&site, to, service.hello);
            let packets = capture.until(|packet| {
                packet.destination() == Some(honest) && packet.from == Host::Server.mac()
            });
            let sent = packets.iter().filter(|packet| {
                packet.from == Host::Server.mac()
                    && packet.content != Content::Other
                    && packet.destination() != Some(honest)
            });
            let (name, from) = (service.name, case.source);
            answered.extend(sent.map(|packet| {
                let answer = String::from_utf8_lossy(packet.datagram().unwrap_or_default());
                format!("{name}, {from}, to {:?}: {answer}", packet.destination())
            }));
        }
    }
    assert!(answered.is_empty(), "{answered:#?}");
}

#[test]
#[ignore = "needs network namespaces"]
fn refused_sources_are_counted_by_reason() {
    let Some(site) = Site::new() else {
        return;
    };
    let_loopback_in(&site);
    let attacker = site.attacker(Host::Near);
    for service in services() {
        let arriving: Vec<_> = service
            .cases()
            .filter(|case| case.arrives(&site, &attacker, service.bound))
            .collect();
        let server = service.start(&site);
        let to = service.address(&server);
        // It is ready.
        sync(&site, to, service.hello);
        for case in &arriving {
            attacker.send(case.source, case.destination(to.port()), service.hello);
            sync(&site, to, service.hello);
        }
        let tally = tally(server);
        let refused = &tally["refused_sources"];
        let mut sum = 0;
        for (reason, key) in Reason::COUNTED {
            let sure = arriving.iter().filter(|case| case.reason == reason).count();
            let counted = count(&refused[key]);
            assert!(counted >= u64::try_from(sure).unwrap(), "{key}: {tally}");
            sum += counted;
        }
        assert_eq!(sum, u64::try_from(arriving.len()).unwrap(), "{tally}");
    }
}

#[test]
#[ignore = "needs network namespaces"]
fn own_host_is_accepted_as_soon_as_the_server_listens() {
    let Some(site) = Site::new() else {
        return;
    };
    let bound = "127.0.0.1";
    let [ping, relay] = [Service { bound, ..PING }, Service { bound, ..RELAY }];
    for service in [ping, relay].into_iter().cycle().take(20) {
        let server = service.start(&site);
        sync(&site, service.address(&server), service.hello);
        let tally = tally(server);
        let refused = &tally["refused_sources"]["forged_loopback"];
        assert_eq!(count(refused), 0, "{tally}");
    }
}

#[test]
#[ignore = "needs network namespaces"]
fn host_is_answered_at_each_of_its_own_addresses() {
    let Some(site) = Site::new() else {
        return;
    };
    let at = site.at(Host::Server);
    let own: Vec<IpAddr> = vec![Host::Server.v4(), Host::Server.v6()];
    for service in [PING, RELAY] {
        for bound in ["", "own"] {
            for ip in &own {
                let text = ip.to_string();
                let args: &[&str] = if bound.is_empty() {
                    &[]
                } else {
                    &["-b", &text]
                };
                let args = [&[service.name, "--json"], args].concat();
                let server = site.serve(HII_SERVER, &args);
                let to = SocketAddr::new(*ip, server.address().port());
                let client = at.enter(|| UdpSocket::bind((*ip, 0))).unwrap();
                client
                    .set_read_timeout(Some(Duration::from_secs(10)))
                    .unwrap();
                client.send_to(service.hello, to).unwrap();
                let (_, from) = client.recv_from(&mut [0; 128]).expect("an answer");
                assert_eq!(from, to);
                let tally = tally(server);
                let refused = tally["refused_sources"].as_object().unwrap();
                assert!(refused.values().all(|one| count(one) == 0), "{tally}");
            }
        }
    }
}
