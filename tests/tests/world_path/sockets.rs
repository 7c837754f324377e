//! Sockets at the ends of a path.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use hii_tests::tun_path::{Direction, End, Passage, TunPath};
use nix::sys::socket::{setsockopt, sockopt};

/// A socket at each end of a path, connected to the other.
pub(crate) struct Sockets {
    client: UdpSocket,
    server: UdpSocket,
}

impl Sockets {
    /// Sockets of one family.
    pub(crate) fn new(path: &TunPath, ip: impl Fn(End) -> IpAddr) -> Self {
        let [client, server] = [End::Client, End::Server].map(|end| {
            let local = SocketAddr::new(ip(end), 0);
            let socket = path.at(end).enter(|| UdpSocket::bind(local)).unwrap();
            // All that comes stays until it is read.
            setsockopt(&socket, sockopt::RcvBufForce, &(256 << 20)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        });
        client.connect(server.local_addr().unwrap()).unwrap();
        server.connect(client.local_addr().unwrap()).unwrap();
        Self { client, server }
    }

    /// The socket that sends in this direction.
    pub(crate) fn sender(&self, direction: Direction) -> &UdpSocket {
        match direction {
            Direction::Forward => &self.client,
            Direction::Return => &self.server,
        }
    }

    /// All that came in this direction and was not read.
    pub(crate) fn received(&self, direction: Direction) -> Vec<String> {
        let receiver = match direction {
            Direction::Forward => &self.server,
            Direction::Return => &self.client,
        };
        let mut buffer = [0; 2000];
        let next = || {
            let len = receiver.recv(&mut buffer).ok()?;
            Some(text(&buffer[..len]))
        };
        std::iter::from_fn(next).collect()
    }
}

/// A payload that tells its number.
pub(crate) fn payload(number: u32) -> String {
    format!("{number} {:<50}", "x")
}

/// The payloads of these.
pub(crate) fn payloads<'a>(passages: impl Iterator<Item = &'a Passage>) -> Vec<String> {
    passages.map(|passage| text(&passage.payload)).collect()
}

fn text(payload: &[u8]) -> String {
    String::from_utf8(payload.to_vec()).unwrap()
}
