//! One request and its answer, asked again when none comes: calibration, and the farewell.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hii_protocol::ping::{ProbeSize, Request};
use hii_transport::options::SocketOptions;
use hii_transport::udp::{self, BUFFER_LEN};

use super::events::Interrupt;

const TRIES: u32 = 3;
/// An original server with one delayed answer to send waits half a second before it looks at the request.
const WAIT: Duration = Duration::from_secs(1);

/// Tells the server the size of the probes; returns its answer, none when it stays silent.
pub fn calibrate(
    server: SocketAddr,
    options: &SocketOptions,
    size: ProbeSize,
    interrupt: &Interrupt,
) -> Option<Vec<u8>> {
    exchange(
        server,
        options,
        &Request::Calibrate(size).to_vec(),
        interrupt,
    )
}

/// Asks the server to stop; returns its last word, none when it stays silent.
pub fn farewell(
    server: SocketAddr,
    options: &SocketOptions,
    interrupt: &Interrupt,
) -> Option<Vec<u8>> {
    exchange(server, options, &Request::Exit.to_vec(), interrupt)
}

fn exchange(
    server: SocketAddr,
    options: &SocketOptions,
    request: &[u8],
    interrupt: &Interrupt,
) -> Option<Vec<u8>> {
    (0..TRIES)
        .take_while(|_| !interrupt.is_raised())
        .find_map(|_| once(server, options, request).ok())
}

fn once(server: SocketAddr, options: &SocketOptions, request: &[u8]) -> io::Result<Vec<u8>> {
    let socket = udp::connect_with(server, options)?;
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(WAIT))?;
    socket.send(request)?;
    let mut buffer = vec![0; BUFFER_LEN];
    let len = socket.recv(&mut buffer)?;
    buffer.truncate(len);
    Ok(buffer)
}
