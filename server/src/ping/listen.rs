//! The ping service's sockets: UDP and TCP on the same addresses and ports.

use std::io;
use std::net::{IpAddr, SocketAddr};

use hii_transport::{tcp, udp};
use tokio::net::{TcpListener, UdpSocket};

use crate::exit::{Exit, Failure};

/// How many free UDP ports are tried for one whose TCP port is free too.
const TRIES: usize = 64;

/// Bound sockets; those of one index have the same address and port.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: Vec<TcpListener>,
}

impl Sockets {
    /// Listens on these addresses, or on all of this host. Has to run in a runtime.
    pub(super) fn listen(addresses: &[IpAddr], port: u16) -> Result<Self, Failure> {
        let mut sockets = Self {
            udp: Vec::new(),
            tcp: Vec::new(),
        };
        if addresses.is_empty() {
            sockets.add(None, port)?;
        }
        for ip in addresses {
            sockets.add(Some(*ip), port)?;
        }
        Ok(sockets)
    }

    /// Where they listen.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.udp
            .iter()
            .filter_map(|socket| socket.local_addr().ok())
            .collect()
    }

    fn add(&mut self, ip: Option<IpAddr>, port: u16) -> Result<(), Failure> {
        let (udp, tcp) = both(ip, port)?;
        let failure = |transport, error| cannot_listen(transport, ip, port, &error);
        let udp = UdpSocket::from_std(udp).map_err(|error| failure("UDP", error))?;
        let tcp = TcpListener::from_std(tcp).map_err(|error| failure("TCP", error))?;
        self.udp.push(udp);
        self.tcp.push(tcp);
        Ok(())
    }
}

/// A pair on one port. Where any free port will do, it is one that both have free.
fn both(
    ip: Option<IpAddr>,
    port: u16,
) -> Result<(std::net::UdpSocket, std::net::TcpListener), Failure> {
    let mut tries = if port == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        let udp = match ip {
            Some(ip) => udp::listen(SocketAddr::new(ip, port)),
            None => udp::listen_everywhere(port),
        }
        .map_err(|error| cannot_listen("UDP", ip, port, &error))?;
        let listening = udp.local_addr().and_then(|at| match ip {
            // The address as it is bound has the scope of a link-local one.
            Some(_) => tcp::listen(at),
            None => tcp::listen_everywhere(at.port()),
        });
        match listening {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            Err(error) => return Err(cannot_listen("TCP", ip, port, &error)),
        }
    }
}

fn cannot_listen(transport: &str, ip: Option<IpAddr>, port: u16, error: &io::Error) -> Failure {
    let on = ip.map(|ip| format!("{ip} ")).unwrap_or_default();
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program has the port: give another one with -p, or -p 0 for any free one"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 belong to the administrator: give another one with -p"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this host does not have that address: give one of its own with -b"
        }
        _ => "give another address with -b or another port with -p",
    };
    Failure::new(
        Exit::Unreachable,
        format_args!("cannot listen on {on}{transport} port {port}: {error}"),
        advice,
    )
}
