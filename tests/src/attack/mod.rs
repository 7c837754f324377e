//! A network with attackers, in network namespaces of the test's own.
//!
//! ```text
//! server ---+
//! honest ---+--- router --- far
//! near   ---+
//! ```
//!
//! The server, an honest host and one attacker are on one link; another attacker is behind the router. No host asks for
//! its neighbours, and none filters sources, unless a test sets so.

mod attacker;
mod link;
mod packet;
mod peer;

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

pub use attacker::Attacker;
pub use link::{Capture, Injector, mac};
pub use packet::{BROADCAST, Content, Forged, Mac, Packet, multicast};
pub use peer::{Peer, SENT, ask, at_once, message, probe, waiting};

use crate::netns::Namespace;
use crate::programs::Server;
use crate::world::skip;

/// Time-out of a test that hangs; no test depends on its length.
const WATCHDOG: Duration = Duration::from_secs(30);

/// A host of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// The router between the links.
    Router,
    /// The host of the programs under test.
    Server,
    /// The honest client that has to be served.
    Honest,
    /// An attacker on the same link.
    Near,
    /// An attacker behind the router.
    Far,
}

impl Host {
    const ON_LINK: [Self; 3] = [Self::Server, Self::Honest, Self::Near];

    fn number(self) -> u8 {
        match self {
            Self::Router => 1,
            Self::Server | Self::Far => 2,
            Self::Honest => 3,
            Self::Near => 4,
        }
    }

    fn link(self) -> u8 {
        if self == Self::Far { 1 } else { 2 }
    }

    /// Its IPv4 address; the router's is the one on the server's link.
    #[must_use]
    pub fn v4(self) -> IpAddr {
        Ipv4Addr::new(10, 77, self.link(), self.number()).into()
    }

    /// Its IPv6 address; the router's is the one on the server's link.
    #[must_use]
    pub fn v6(self) -> IpAddr {
        let [link, number] = [self.link(), self.number()].map(u16::from);
        Ipv6Addr::new(0xfd77, link, 0, 0, 0, 0, 0, number).into()
    }

    /// Both.
    #[must_use]
    pub fn addresses(self) -> [IpAddr; 2] {
        [self.v4(), self.v6()]
    }

    /// Its hardware address; the router's is the one on the server's link.
    #[must_use]
    pub fn mac(self) -> Mac {
        [2, 0, 0, 0, self.link(), self.number()]
    }

    /// The router's device towards it.
    fn device(self) -> &'static str {
        match self {
            Self::Router => "lan",
            Self::Server => "server",
            Self::Honest => "honest",
            Self::Near => "near",
            Self::Far => "far",
        }
    }
}

/// The broadcast address of the server's link.
pub const LINK_BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 77, 2, 255);

/// The router's hardware address towards the attacker behind it.
const ROUTER_TO_FAR: Mac = [2, 0, 0, 0, 1, 1];

/// A router, a server, an honest host, and two attackers. They end with the test.
#[derive(Debug)]
pub struct Site {
    router: Namespace,
    server: Namespace,
    honest: Namespace,
    near: Namespace,
    far: Namespace,
}

impl Site {
    /// Such a site; `None` where a test may not make one, after [`skip`].
    ///
    /// # Panics
    /// It was begun and could not be finished, or all tests have to run.
    #[must_use]
    pub fn new() -> Option<Self> {
        let router = match Namespace::new() {
            Ok(router) if Path::new("/proc/sys/net/ipv6").exists() => router,
            Ok(_) => {
                skip("no IPv6 here");
                return None;
            }
            Err(error) => {
                skip(&format!("no network namespaces here: {error}"));
                return None;
            }
        };
        let another = || Namespace::new().expect("one more namespace");
        let site = Self {
            router,
            server: another(),
            honest: another(),
            near: another(),
            far: another(),
        };
        for host in [
            Host::Server,
            Host::Honest,
            Host::Near,
            Host::Far,
            Host::Router,
        ] {
            let at = site.at(host);
            for variable in ["all", "default"] {
                at.set(&format!("ipv4/conf/{variable}/rp_filter"), "0");
                at.set(&format!("ipv6/conf/{variable}/accept_dad"), "0");
                at.set(&format!("ipv6/conf/{variable}/router_solicitations"), "0");
            }
        }
        let lan = "link add lan address 02:00:00:00:02:01 type bridge mcast_snooping 0\n\
                   link set lan up\n";
        site.router.ip(&format!("{lan}{}", addresses("lan", 2, 1)));
        for host in Host::ON_LINK {
            site.join(host);
            let device = host.device();
            let port = format!("link set {device} master lan\nlink set {device} up\n");
            site.router.ip(&port);
        }
        site.join(Host::Far);
        let far = format!(
            "link set far address {}\nlink set far up\n",
            text(ROUTER_TO_FAR)
        );
        site.router.ip(&format!("{far}{}", addresses("far", 1, 1)));
        site.introduce();
        site.router.set("ipv4/ip_forward", "1");
        site.router.set("ipv6/conf/all/forwarding", "1");
        Some(site)
    }

    /// A host's link to the router, and its default route.
    fn join(&self, host: Host) {
        let (link, number) = (host.link(), host.number());
        let (router, mac) = (self.router.path(), text(host.mac()));
        let device = host.device();
        let at = self.at(host);
        at.ip(&format!(
            "link add wire address {mac} type veth peer name {device} netns {router}\n\
             link set wire up\n{}\
             route add default via 10.77.{link}.1\n\
             route add default via fd77:{link}::1\n",
            addresses("wire", link, number)
        ));
    }

    /// Sets the hardware addresses of the neighbours of each host.
    fn introduce(&self) {
        let is_neighbour = |one: Host, other: Host| one != other;
        let on_link = [Host::Router, Host::Server, Host::Honest, Host::Near];
        for host in on_link {
            let device = if host == Host::Router { "lan" } else { "wire" };
            let mut commands = String::new();
            for other in on_link
                .into_iter()
                .filter(|other| is_neighbour(host, *other))
            {
                for ip in other.addresses() {
                    neighbour(&mut commands, ip, other.mac(), device);
                }
            }
            self.at(host).ip(&commands);
        }
        let mut commands = String::new();
        for ip in ["10.77.1.1", "fd77:1::1"] {
            neighbour(&mut commands, ip, ROUTER_TO_FAR, "wire");
        }
        self.far.ip(&commands);
        let mut commands = String::new();
        for ip in Host::Far.addresses() {
            neighbour(&mut commands, ip, Host::Far.mac(), "far");
        }
        self.router.ip(&commands);
    }

    /// The namespace of a host.
    #[must_use]
    pub fn at(&self, host: Host) -> &Namespace {
        match host {
            Host::Router => &self.router,
            Host::Server => &self.server,
            Host::Honest => &self.honest,
            Host::Near => &self.near,
            Host::Far => &self.far,
        }
    }

    /// Starts `hii-server` on the server.
    ///
    /// # Panics
    /// It does not say where it listens.
    #[must_use]
    pub fn serve(&self, program: &str, args: &[&str]) -> Server {
        self.server.serve(program, args)
    }

    /// A capture of what passes the server's link to all others, from now on. Trains are cut into datagrams before that.
    #[must_use]
    pub fn capture(&self) -> Capture {
        self.server.ip("link set wire gso_max_segs 1");
        self.capture_trains()
    }

    /// The same, with trains of the server's in one packet each, as they leave it.
    #[must_use]
    pub fn capture_trains(&self) -> Capture {
        Capture::new(&self.router, Host::Server.device())
    }

    /// An attacker's access to its link.
    #[must_use]
    pub fn attacker(&self, host: Host) -> Attacker {
        Attacker::new(host, self.at(host))
    }

    /// A socket of a host at one of its addresses, connected to there.
    ///
    /// # Panics
    /// There is no such address.
    #[must_use]
    pub fn udp(&self, host: Host, ip: IpAddr, to: SocketAddr) -> UdpSocket {
        let socket = self.at(host).enter(|| UdpSocket::bind((ip, 0)));
        let socket = socket.expect("an address of the host");
        socket.connect(to).expect("a route");
        socket.set_read_timeout(Some(WATCHDOG)).expect("a time-out");
        socket
    }
}

fn addresses(device: &str, link: u8, number: u8) -> String {
    // They are unique, so there is no need for duplicate address detection.
    format!(
        "address add 10.77.{link}.{number}/24 broadcast + dev {device}\n\
         address add fd77:{link}::{number}/64 dev {device} nodad\n"
    )
}

fn neighbour(commands: &mut String, ip: impl std::fmt::Display, mac: Mac, device: &str) {
    let mac = text(mac);
    let _ = writeln!(
        commands,
        "neighbour add {ip} lladdr {mac} nud permanent dev {device}"
    );
}

fn text(mac: Mac) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}
