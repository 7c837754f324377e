//! The floor of the relay's benchmark: a loop that passes each message on and answers its sender, one system call for each
//! datagram, and checks nothing. It says where it listens and runs until it is killed.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use socket2::SockRef;

fn main() -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    // As much room for what comes as a relay takes.
    SockRef::from(&socket).set_recv_buffer_size(4 << 20)?;
    writeln!(io::stderr(), "listens on {}", socket.local_addr()?)?;
    let mut buffer = vec![0; 65_536];
    let mut forward = Vec::with_capacity(65_536);
    loop {
        let (len, from) = socket.recv_from(&mut buffer)?;
        let datagram = buffer.get(..len).unwrap_or_default();
        let answer: &[u8] = match parts(datagram) {
            Some((to, content)) => {
                forward.clear();
                write!(forward, "{}/{} ; content : ", from.ip(), from.port())?;
                forward.extend_from_slice(content);
                match socket.send_to(&forward, to) {
                    Ok(_) => b"200, UDP Packet Sent Successfully",
                    Err(_) => b"405, Could not send the message to the requested address",
                }
            }
            // A greeting; what it says is nobody's business here.
            None => b"('127.0.0.1', 1)",
        };
        // What cannot be sent is lost, as with any relay.
        let _ = socket.send_to(answer, from);
    }
}

/// Where to and what, of `to:<ip>/<port>;content:<content>`.
fn parts(datagram: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let rest = datagram.strip_prefix(b"to:")?;
    let (address, data) = split(rest, b';')?;
    let (ip, port) = split(address, b'/')?;
    let ip: Ipv4Addr = std::str::from_utf8(ip).ok()?.parse().ok()?;
    let port = std::str::from_utf8(port).ok()?.parse().ok()?;
    Some(((ip, port).into(), data.strip_prefix(b"content:")?))
}

fn split(octets: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    let at = octets.iter().position(|octet| *octet == mark)?;
    Some((octets.get(..at)?, octets.get(at + 1..)?))
}
