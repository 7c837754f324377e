//! A small network for tests, in Linux network namespaces: a client, a router and a server.

use std::path::Path;

use crate::netns::Namespace;
use crate::world;

/// A host of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// 10.77.1.2 and `fd77:1::2`.
    Client,
    /// Between the two; forwards, and sends back what it cannot forward as often as there is reason to.
    Router,
    /// 10.77.2.2 and `fd77:2::2`.
    Server,
}

/// Three hosts in a row. They end with the test.
#[derive(Debug)]
pub struct Network {
    client: Namespace,
    router: Namespace,
    server: Namespace,
}

/// The addresses of the server.
pub const SERVER: [&str; 2] = ["10.77.2.2", "fd77:2::2"];

impl Network {
    /// Such a network; `None` where the tests may not make one, after [`world::skip`].
    ///
    /// # Panics
    /// It was begun and could not be finished, or must not be skipped.
    #[must_use]
    pub fn new() -> Option<Self> {
        let client = match Namespace::new() {
            Ok(client) if Path::new("/proc/sys/net/ipv6").exists() => client,
            _ => {
                world::skip("no network namespaces here, or no IPv6");
                return None;
            }
        };
        let another = || Namespace::new().expect("one more namespace");
        let network = Self {
            client,
            router: another(),
            server: another(),
        };
        network.join(Host::Client, "10.77.1", "fd77:1");
        network.join(Host::Server, "10.77.2", "fd77:2");
        for host in [Host::Client, Host::Router, Host::Server] {
            // As many refusals as there are probes.
            network.set(host, "ipv4/icmp_ratelimit", "0");
            network.set(host, "ipv6/icmp/ratelimit", "0");
        }
        network.set(Host::Router, "ipv4/ip_forward", "1");
        network.set(Host::Router, "ipv6/conf/all/forwarding", "1");
        Some(network)
    }

    /// A link from the router to another host, with its own default route over it.
    fn join(&self, host: Host, v4: &str, v6: &str) {
        let link = link_to(host);
        let router = self.at(Host::Router).path();
        let peer = ["peer", "name", link, "netns", &router];
        self.ip(
            host,
            &[&["link", "add", "wire", "type", "veth"], &peer[..]].concat(),
        );
        for (at, device, number) in [(Host::Router, link, 1), (host, "wire", 2)] {
            self.ip(at, &["link", "set", device, "up"]);
            let address = format!("{v4}.{number}/24");
            self.ip(at, &["address", "add", &address, "dev", device]);
            let address = format!("{v6}::{number}/64");
            // Nobody else can have it, so nothing is to be waited for.
            self.ip(at, &["address", "add", &address, "dev", device, "nodad"]);
        }
        let via = |router: String| self.ip(host, &["route", "add", "default", "via", &router]);
        via(format!("{v4}.1"));
        via(format!("{v6}::1"));
    }

    /// What begins a command line that runs on a host: a program, and its arguments.
    #[must_use]
    pub fn on(&self, host: Host) -> [String; 6] {
        self.at(host).command()
    }

    /// Configures a host with `ip`.
    ///
    /// # Panics
    /// That fails.
    pub fn ip(&self, host: Host, args: &[&str]) {
        self.at(host).ip(&args.join(" "));
    }

    /// Sets the longest packet that goes from the router to a host and back.
    ///
    /// # Panics
    /// That fails.
    pub fn set_mtu(&self, host: Host, mtu: u32) {
        let mtu = mtu.to_string();
        for (at, device) in [(Host::Router, link_to(host)), (host, "wire")] {
            self.ip(at, &["link", "set", device, "mtu", &mtu]);
        }
    }

    fn set(&self, host: Host, what: &str, value: &str) {
        self.at(host).set(what, value);
    }

    /// The namespace of a host.
    #[must_use]
    pub fn at(&self, host: Host) -> &Namespace {
        match host {
            Host::Client => &self.client,
            Host::Router => &self.router,
            Host::Server => &self.server,
        }
    }
}

/// The router's link to a host.
fn link_to(host: Host) -> &'static str {
    if host == Host::Server {
        "server"
    } else {
        "client"
    }
}
