//! The original fixed-interval ping client.
//!
//! It keeps the original's faults: every probe has 12 octets whatever the size says, and whatever
//! datagram comes next is taken for the answer, a late one to an earlier probe too.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

/// The least time that the answer to `exit` is given.
const FAREWELL: Duration = Duration::from_secs(1);

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The answer to `C <size>`, if one came within the interval. The original ends without one.
    pub calibration: Option<String>,
    /// For each probe, how long its answer took; none for a lost one.
    pub rtts: Vec<Option<Duration>>,
    /// For each probe, its answer; none for a lost one.
    pub answers: Vec<Option<String>>,
    /// The answer to `exit`.
    pub farewell: Option<String>,
}

/// Calibrates, sends `n` probes, one every `interval`, and then `exit`. A probe that is not
/// answered before the next is due counts as lost. Each answer is kept as text, with U+FFFD for
/// what is not UTF-8.
///
/// # Errors
///
/// If the socket cannot be opened, sent from or read from. A missing answer is no error.
pub fn run(server: SocketAddr, n: u32, interval: Duration, size: usize) -> io::Result<Report> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // Not connected, as in the original: a port that nobody listens on is silence and no error.
    let socket = UdpSocket::bind(any)?;

    socket.send_to(format!("C {size}").as_bytes(), server)?;
    let calibration = receive(&socket, Instant::now() + interval)?;

    let mut rtts = Vec::new();
    let mut answers = Vec::new();
    let mut due = Instant::now();
    for _ in 0..n {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        due = sent + interval;
        socket.send_to(b"Hello Server", server)?;
        let answer = receive(&socket, due)?;
        rtts.push(answer.is_some().then(|| sent.elapsed()));
        answers.push(answer);
    }

    socket.send_to(b"exit", server)?;
    let farewell = receive(&socket, Instant::now() + interval.max(FAREWELL))?;
    Ok(Report {
        calibration,
        rtts,
        answers,
        farewell,
    })
}

/// The next datagram, whatever it is, or none by `deadline`.
fn receive(socket: &UdpSocket, deadline: Instant) -> io::Result<Option<String>> {
    let mut buffer = vec![0; 65_536];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv_from(&mut buffer) {
            Ok((length, _)) => {
                return Ok(Some(
                    String::from_utf8_lossy(&buffer[..length]).into_owned(),
                ));
            }
            // A time-out may come a little early, so the clock decides.
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_pause(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::super::ping_server::{Act, Options, PingServer};
    use super::*;

    const CALIBRATED: &str = "Buffer Size Calibrated at Server.";
    const ACKNOWLEDGED: &str = "Packet Acknowledged";
    const STOPPING: &str = "Stopping the Server.";

    fn texts(answers: &[Option<String>]) -> Vec<Option<&str>> {
        answers.iter().map(Option::as_deref).collect()
    }

    fn sent(server: &PingServer) -> Vec<String> {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        server
            .log()
            .iter()
            .map(|received| text(&received.octets))
            .collect()
    }

    #[test]
    fn says_what_the_original_says_from_one_port() {
        let server = PingServer::start(Options::default(), Box::new(|_, _, _| Act::Answer));
        let server = server.expect("a server");
        let report = run(server.addr(), 2, Duration::from_secs(1), 64).expect("a run");
        assert_eq!(report.calibration.as_deref(), Some(CALIBRATED));
        assert_eq!(texts(&report.answers), [Some(ACKNOWLEDGED); 2]);
        assert!(report.rtts.iter().all(Option::is_some));
        assert_eq!(report.farewell.as_deref(), Some(STOPPING));

        assert_eq!(
            sent(&server),
            ["C 64", "Hello Server", "Hello Server", "exit"]
        );
        let log = server.log();
        assert!(log.iter().all(|received| received.from == log[0].from));
    }

    #[test]
    fn counts_what_is_not_answered_as_lost() {
        let options = Options {
            calibrates: false,
            ..Options::default()
        };
        let server = PingServer::start(options, Box::new(|_, _, _| Act::Drop)).expect("a server");
        let report = run(server.addr(), 5, Duration::from_millis(10), 1).expect("a run");
        assert_eq!(report.calibration, None);
        assert_eq!(report.answers, vec![None; 5]);
        assert_eq!(report.rtts, vec![None; 5]);
        assert_eq!(report.farewell.as_deref(), Some(STOPPING));
        assert_eq!(sent(&server).len(), 7);
    }

    #[test]
    fn takes_a_late_answer_for_the_next() {
        // The answer to the first probe comes after that to the second, and so passes for the
        // answer to `exit`.
        let script = |index, _: &[u8], _| match index {
            0 => Act::HoldUntilNext,
            _ => Act::Text(b"second\xff".to_vec()),
        };
        let server = PingServer::start(Options::default(), Box::new(script)).expect("a server");
        let report = run(server.addr(), 2, Duration::from_secs(1), 64).expect("a run");
        assert_eq!(texts(&report.answers), [None, Some("second\u{fffd}")]);
        assert_eq!(report.farewell.as_deref(), Some(ACKNOWLEDGED));
    }

    #[test]
    fn nobody_there_is_no_error() {
        let bound = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let nobody = bound.local_addr().expect("an address");
        // Kept open, so that nobody else gets the port.
        let report = run(nobody, 1, Duration::from_millis(10), 64).expect("a run");
        let nothing = Report {
            calibration: None,
            rtts: vec![None],
            answers: vec![None],
            farewell: None,
        };
        assert_eq!(report, nothing);
    }

    #[test]
    fn speaks_ipv6() {
        let bind = (Ipv6Addr::LOCALHOST, 0).into();
        let options = Options {
            bind,
            ..Options::default()
        };
        let Ok(server) = PingServer::start(options, Box::new(|_, _, _| Act::Answer)) else {
            return; // This machine has no IPv6.
        };
        let report = run(server.addr(), 1, Duration::from_secs(1), 64).expect("a run");
        assert_eq!(texts(&report.answers), [Some(ACKNOWLEDGED)]);
    }
}
