//! The floor of the benchmark: a loop that sends back each datagram, one system call each way, and does nothing else.
//! It says where it listens and runs until it is killed.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, UdpSocket};

fn main() -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    writeln!(io::stderr(), "listens on {}", socket.local_addr()?)?;
    let mut buffer = vec![0; 65_536];
    loop {
        let (len, from) = socket.recv_from(&mut buffer)?;
        // What cannot be sent is lost, as with any server.
        let _ = socket.send_to(buffer.get(..len).unwrap_or_default(), from);
    }
}
