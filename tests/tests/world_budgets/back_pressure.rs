//! A server stops reading from a connection over its rate, and other connections are not delayed.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hii_tests::attack::{Host, Site};

use crate::HII_SERVER;

/// Time-out of a test that hangs; no test depends on its length.
const WATCHDOG: Duration = Duration::from_secs(30);

/// More than both hosts buffer for a connection that is not read.
const MOST_HELD: usize = 64 << 20;

/// Messages a second of one source.
const RATE: u32 = 1000;

/// Requests of others that are served while the connection is watched.
const ROUNDS: usize = 100;

/// Such times; in all of them others are asked for less than their rate.
const BLOCKS: usize = 9;

/// Frames that the kernels may take at once.
const SLACK: f64 = 128.0;

fn framed(text: &str) -> Vec<u8> {
    let len = u32::try_from(text.len()).unwrap();
    [&len.to_be_bytes()[..], text.as_bytes()].concat()
}

fn connect(site: &Site, host: Host, to: SocketAddr) -> TcpStream {
    let stream = site.at(host).enter(|| TcpStream::connect(to)).unwrap();
    stream.set_read_timeout(Some(WATCHDOG)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Asks, and reads the answer.
fn ask(stream: &mut TcpStream, question: &[u8]) -> Vec<u8> {
    stream.write_all(question).unwrap();
    let mut len = [0; 4];
    stream.read_exact(&mut len).unwrap();
    let mut answer = vec![0; usize::try_from(u32::from_be_bytes(len)).unwrap()];
    stream.read_exact(&mut answer).unwrap();
    answer
}

/// Writes the same frame again and again, and takes all answers, until the other side reads no more than the rate.
fn fill(stream: &mut TcpStream, frame: &[u8], mut serve_others: impl FnMut()) {
    stream.set_nonblocking(true).unwrap();
    let mut written = 0;
    let mut answers = vec![0; 1 << 16];
    let mut taken = 0.0;
    for _ in 0..BLOCKS {
        let (before, begin) = (written, Instant::now());
        for _ in 0..ROUNDS {
            loop {
                match stream.write(&frame[written % frame.len()..]) {
                    Ok(len) => written += len,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("after {written} octets: {error}"),
                }
                assert!(written < MOST_HELD, "all that is sent is read");
            }
            while stream.read(&mut answers).is_ok_and(|len| len > 0) {}
            serve_others();
        }
        taken = (written - before) as f64 / frame.len() as f64;
        if taken <= f64::from(RATE) * begin.elapsed().as_secs_f64() + SLACK {
            return;
        }
    }
    panic!("while others were served {ROUNDS} times, {taken} frames were taken");
}

#[test]
#[ignore = "needs network namespaces"]
fn connection_of_probes_over_the_rate_is_not_read() {
    let Some(site) = Site::new() else {
        return;
    };
    let server = site.serve(HII_SERVER, &["ping", "--rate", &RATE.to_string()]);
    let to = SocketAddr::new(Host::Server.v4(), server.address().port());
    let mut over = connect(&site, Host::Far, to);
    let mut others = [Host::Near, Host::Honest].map(|host| connect(&site, host, to));
    let mut seq = 0;
    let probe = framed(&format!("{:1400}", "P 00c0ffee 1"));
    fill(&mut over, &probe, || {
        for other in &mut others {
            seq += 1;
            let answer = ask(other, &framed(&format!("P 5eaf00d5 {seq:<20}")));
            assert!(answer.starts_with(b"A 5eaf00d5 "));
        }
    });
}

#[test]
#[ignore = "needs network namespaces"]
fn connection_of_messages_over_the_rate_is_not_read() {
    let Some(site) = Site::new() else {
        return;
    };
    let server = site.serve(HII_SERVER, &["relay", "--rate", &RATE.to_string()]);
    let to = SocketAddr::new(Host::Server.v4(), server.address().port());
    let mut over = connect(&site, Host::Far, to);
    assert!(ask(&mut over, &framed("hii")).starts_with(b"('"));
    let mut others = [Host::Near, Host::Honest].map(|host| connect(&site, host, to));
    // To an address without a peer.
    let text = "x".repeat(1400);
    let message = framed(&format!("to:10.77.2.3/9;content:{text}"));
    fill(&mut over, &message, || {
        for other in &mut others {
            assert!(ask(other, &framed("hii")).starts_with(b"('"));
        }
    });
}
