//! Servers on loopback: started, known to listen, gone when they are dropped.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::processes::Process;
use super::trouble::{Outcome, Trouble};

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(20);

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    process: Process,
    address: SocketAddr,
}

impl Server {
    /// One that chooses a port and says it in the first line of its standard error.
    ///
    /// # Errors
    /// It does not start, or does not say where it listens.
    pub fn that_says_where(program: &str, args: &[&str]) -> Outcome<Self> {
        let mut process = Process::start(program, args)?;
        let stderr = process.take_stderr().ok_or("its stderr is not caught")?;
        let (said, line) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(stderr);
            let mut first = String::new();
            let _ = lines.read_line(&mut first);
            let _ = said.send(first);
            // The rest is read too, or the server would one day wait for room.
            let _ = lines.read_to_end(&mut Vec::new());
        });
        let line = line.recv_timeout(START).unwrap_or_default();
        let address = line.split_whitespace().find_map(|word| word.parse().ok());
        let address = address.ok_or_else(|| Trouble(format!("{program} says {line:?}")))?;
        Ok(Self { process, address })
    }

    /// One that has to be told its port; `args` gives its arguments for one that is free.
    ///
    /// # Errors
    /// It does not start, or does not listen there.
    pub fn told_where(
        program: &str,
        args: impl FnOnce(SocketAddr) -> Vec<String>,
    ) -> Outcome<Self> {
        // Free until a moment before the server takes it.
        let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let args = args(address);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let process = Process::start_silent(program, &args)?;
        let started = Instant::now();
        while !is_bound(&fs::read_to_string("/proc/net/udp")?, address) {
            if started.elapsed() > START {
                return Err(Trouble(format!("{program} does not listen")));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { process, address })
    }

    /// One that has been told this address, for TCP.
    ///
    /// # Errors
    /// It does not start, or does not listen there.
    pub fn told_where_tcp(program: &str, args: &[&str], address: SocketAddr) -> Outcome<Self> {
        let process = Process::start_silent(program, args)?;
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if started.elapsed() > START {
                return Err(Trouble(format!("{program} does not listen")));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { process, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// An address of this host whose TCP port was free a moment ago.
///
/// # Errors
/// There is none.
pub fn free_tcp() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Whether the kernel's table has a socket on this port of this address.
fn is_bound(table: &str, address: SocketAddr) -> bool {
    let SocketAddr::V4(v4) = address else {
        return false;
    };
    // The address in the machine's order of octets, the port as a number.
    let ip = u32::from_ne_bytes(v4.ip().octets());
    let local = format!("{ip:08X}:{:04X}", v4.port());
    let mut rows = table
        .lines()
        .filter_map(|row| row.split_whitespace().nth(1));
    rows.any(|column| column == local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_s_table_tells_whether_a_port_is_bound() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let table = || fs::read_to_string("/proc/net/udp").unwrap();
        assert!(is_bound(&table(), address));
        let other = SocketAddr::from(([127, 0, 0, 3], address.port()));
        assert!(!is_bound(&table(), other));
    }
}
