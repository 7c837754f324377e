//! A service's sockets: UDP and TCP on the same addresses and ports.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use hii_transport::{tcp, udp};

use crate::exit::{Exit, Failure};

/// How many free UDP ports are tried for one whose TCP port is free too.
const TRIES: usize = 64;

/// Bound sockets; those of one index have the same address and port.
#[derive(Debug)]
pub(crate) struct Sockets {
    /// For each address a socket for each thread.
    pub(crate) udp: Vec<Vec<UdpSocket>>,
    pub(crate) tcp: Vec<TcpListener>,
}

impl Sockets {
    /// Listens on these addresses, or on all of this host, for so many threads.
    pub(crate) fn listen(addresses: &[IpAddr], port: u16, threads: usize) -> Result<Self, Failure> {
        let pairs = if addresses.is_empty() {
            vec![both(None, port, threads)?]
        } else {
            let pair = |ip: &IpAddr| both(Some(*ip), port, threads);
            addresses.iter().map(pair).collect::<Result<_, _>>()?
        };
        let (udp, tcp) = pairs.into_iter().unzip();
        Ok(Self { udp, tcp })
    }

    /// Where they listen.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.udp
            .iter()
            .filter_map(|shared| shared.first()?.local_addr().ok())
            .collect()
    }
}

/// TCP listeners alone, on these addresses or on all of this host.
pub(crate) fn tcp(addresses: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, Failure> {
    let cannot = |ip, error| cannot_listen("TCP", ip, port, &error);
    if addresses.is_empty() {
        let listener = tcp::listen_everywhere(port).map_err(|error| cannot(None, error))?;
        return Ok(vec![listener]);
    }
    let listen = |ip: &IpAddr| {
        let listening = tcp::listen(SocketAddr::new(*ip, port));
        listening.map_err(|error| cannot(Some(*ip), error))
    };
    addresses.iter().map(listen).collect()
}

/// Where these listen.
pub(crate) fn addresses(listeners: &[TcpListener]) -> Vec<SocketAddr> {
    let address = |listener: &TcpListener| listener.local_addr().ok();
    listeners.iter().filter_map(address).collect()
}

/// UDP sockets for so many threads and one TCP listener, on one port. Where any free port will do, it is one that both
/// have free.
fn both(
    ip: Option<IpAddr>,
    port: u16,
    threads: usize,
) -> Result<(Vec<UdpSocket>, TcpListener), Failure> {
    let mut tries = if port == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        let udp = match ip {
            Some(ip) => udp::listen_shared(SocketAddr::new(ip, port), threads),
            None => udp::listen_everywhere_shared(port, threads),
        }
        .map_err(|error| cannot_listen("UDP", ip, port, &error))?;
        let bound = udp.first().ok_or(io::ErrorKind::NotFound.into());
        let listening = bound
            .and_then(UdpSocket::local_addr)
            .and_then(|at| match ip {
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
