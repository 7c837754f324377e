//! The sources and destinations under test.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use hii_tests::attack::{Attacker, Host, LINK_BROADCAST, Site, ask};

/// A port without a service.
const PORT: u16 = 40_000;

/// The key of its count in a server's tally.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Disguised,
    NoHost,
    ForgedLoopback,
    ToMany,
    /// Any of these.
    Any,
}

impl Reason {
    pub(crate) const COUNTED: [(Self, &str); 4] = [
        (Self::Disguised, "disguised"),
        (Self::NoHost, "no_host"),
        (Self::ForgedLoopback, "forged_loopback"),
        (Self::ToMany, "to_many"),
    ];
}

/// A source, and where its datagram goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) source: SocketAddr,
    to: IpAddr,
    pub(crate) reason: Reason,
    /// Whether the kernel is known to accept it.
    is_let_in: bool,
}

impl Case {
    /// Its destination with this port.
    pub(crate) fn destination(&self, port: u16) -> SocketAddr {
        (self.to, port).into()
    }

    /// Whether a router forwards it.
    pub(crate) fn is_routed(&self) -> bool {
        let broadcast = [Ipv4Addr::BROADCAST, LINK_BROADCAST].map(IpAddr::from);
        let is_to_one = !self.to.is_multicast() && !broadcast.contains(&self.to);
        is_to_one && self.source.is_ipv6() && !self.source.ip().is_unspecified()
    }

    /// Whether the kernel accepts it: tested with a plain socket that is bound to this address or to all.
    pub(crate) fn arrives(&self, site: &Site, attacker: &Attacker, bound: &str) -> bool {
        let ip: IpAddr = bound.parse().unwrap_or(Ipv6Addr::UNSPECIFIED.into());
        let at = site.at(Host::Server);
        let witness = at.enter(|| UdpSocket::bind((ip, 0))).unwrap();
        let port = witness.local_addr().unwrap().port();
        attacker.send(self.source, self.destination(port), b"forged");
        // The kernel hands over one sender's datagrams after the other's.
        let to = match ip {
            IpAddr::V4(ip) if ip.is_loopback() => ip.into(),
            IpAddr::V4(_) => Host::Server.v4(),
            IpAddr::V6(_) => Host::Server.v6(),
        };
        let honest = honest(site, (to, port).into());
        honest.send(b"honest").unwrap();
        let mut octets = [0; 16];
        let (len, _) = witness.recv_from(&mut octets).unwrap();
        let arrives = &octets[..len] == b"forged";
        assert!(arrives || !self.is_let_in, "{self:?} does not get in");
        arrives
    }
}

/// All of them; those over IPv6 to one address come first.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |source: &str, port, to: IpAddr, reason, is_let_in| {
        let source = SocketAddr::new(source.parse().unwrap(), port);
        cases.push(Case {
            source,
            to,
            reason,
            is_let_in,
        });
    };
    let [v4, v6] = Host::Server.addresses();
    for source in [
        "::ffff:127.0.0.1",
        "::ffff:127.9.9.9",
        "::ffff:10.77.2.3",
        "::ffff:10.77.2.2",
        "::ffff:0.0.0.0",
        "::ffff:224.0.0.1",
        "::ffff:255.255.255.255",
    ] {
        add(source, PORT, v6, Reason::Disguised, true);
    }
    for source in [
        "::",
        // IPv4-compatible
        "::127.0.0.1",
        "::255.255.255.255",
        // IPv4-translated
        "::ffff:0:7f00:1",
        // 6to4
        "2002:7f00:1::",
        "2002:7f00:1:7:a:b:c:d",
        "2002:e000:1::1",
        // NAT64
        "64:ff9b::127.0.0.1",
        "64:ff9b::0.0.0.0",
        // Teredo, of a client at 127.0.0.1
        "2001:0:a4d:203:8000:63bf:80ff:fffe",
        // ISATAP
        "fd77:9::5efe:127.0.0.1",
        "fd77:9::200:5efe:127.0.0.1",
    ] {
        add(source, PORT, v6, Reason::NoHost, true);
    }
    add("fd77:2::4", 0, v6, Reason::NoHost, true);
    add("::1", PORT, v6, Reason::Any, false);
    add("ff02::1", PORT, v6, Reason::NoHost, false);
    add("ff05::7", PORT, v6, Reason::NoHost, false);
    let all_nodes = "ff02::1".parse().unwrap();
    add("fd77:2::4", PORT, all_nodes, Reason::ToMany, true);

    let all = Ipv4Addr::BROADCAST.into();
    add("10.77.2.4", 0, v4, Reason::NoHost, true);
    for source in ["127.0.0.1", "127.9.9.9"] {
        add(source, PORT, all, Reason::ForgedLoopback, true);
        add(source, PORT, v4, Reason::ForgedLoopback, true);
        add(
            source,
            PORT,
            LINK_BROADCAST.into(),
            Reason::ForgedLoopback,
            false,
        );
    }
    // To a service that is bound to loopback.
    let this_host = Ipv4Addr::LOCALHOST.into();
    for source in ["127.0.0.1", "127.9.9.9"] {
        add(source, PORT, this_host, Reason::ForgedLoopback, true);
    }
    for source in ["0.0.0.0", "0.1.2.3"] {
        add(source, PORT, all, Reason::NoHost, true);
        add(source, PORT, v4, Reason::NoHost, false);
    }
    for source in ["255.255.255.255", "224.0.0.1", "239.1.2.3"] {
        add(source, PORT, v4, Reason::NoHost, false);
        add(source, PORT, all, Reason::NoHost, false);
    }
    add("10.77.2.255", PORT, v4, Reason::Any, false);
    let all_hosts = Ipv4Addr::new(224, 0, 0, 1).into();
    for to in [all, LINK_BROADCAST.into()] {
        add("10.77.2.4", PORT, to, Reason::ToMany, true);
    }
    // An IPv6 socket gets no IPv4 multicast.
    add("10.77.2.4", PORT, all_hosts, Reason::ToMany, false);
    cases
}

/// Makes the kernel accept as many IPv4 sources as it can.
pub(crate) fn let_loopback_in(site: &Site) {
    for variable in ["route_localnet", "accept_local"] {
        let variable = format!("ipv4/conf/wire/{variable}");
        site.at(Host::Server).set(&variable, "1");
    }
}

/// A host that may reach the server.
fn honest(site: &Site, to: SocketAddr) -> UdpSocket {
    let (host, ip) = match to.ip() {
        ip if ip.is_loopback() => (Host::Server, ip),
        IpAddr::V4(_) => (Host::Honest, Host::Honest.v4()),
        IpAddr::V6(_) => (Host::Honest, Host::Honest.v6()),
    };
    site.udp(host, ip, to)
}

/// Sends a request that is always answered and waits for the answer: earlier datagrams have been handled by then.
#[track_caller]
pub(crate) fn sync(site: &Site, to: SocketAddr, question: &[u8]) {
    ask(&honest(site, to), question, |_| true);
}
