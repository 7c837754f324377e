use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};

use prometheus_client::metrics::counter::Counter;

use super::*;

/// Longer than any test: no connection ends by it.
const HOUR: Duration = Duration::from_secs(3600);

/// Guards against an endpoint that hangs; no test depends on how long it is.
const WATCHDOG: Duration = Duration::from_secs(60);

fn endpoint(patience: Duration) -> Endpoint {
    let mut registry = Registry::default();
    registry.register("test", "A counter", Counter::<u64>::default());
    let address = (Ipv4Addr::LOCALHOST, 0).into();
    Endpoint::try_start(address, registry, patience).unwrap()
}

fn connect(endpoint: &Endpoint) -> TcpStream {
    let stream = TcpStream::connect(endpoint.address()).unwrap();
    stream.set_read_timeout(Some(WATCHDOG)).unwrap();
    stream
}

fn scrape(endpoint: &Endpoint) -> String {
    let mut stream = connect(endpoint);
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(len) => len == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn idle_connections_delay_no_scrape_and_make_room() {
    let endpoint = endpoint(HOUR);
    let mut idle: Vec<_> = (0..4 * MAX_CONNECTIONS)
        .map(|number| {
            let mut stream = connect(&endpoint);
            // Some send a part of a request.
            stream.write_all(&b"GET /"[..number % 6]).unwrap();
            stream
        })
        .collect();
    for _ in 0..2 {
        let answer = scrape(&endpoint);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("test_total 0\n"), "{answer}");
    }
    // All but those that there was still room for.
    for stream in &mut idle[..3 * MAX_CONNECTIONS] {
        assert!(is_closed(stream));
    }
}

#[test]
fn clients_that_keep_answered_connections_open_delay_no_scrape() {
    let endpoint = endpoint(HOUR);
    let answered: Vec<_> = (0..2 * MAX_OPEN)
        .map(|_| {
            let mut stream = connect(&endpoint);
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
            stream
        })
        .collect();
    assert!(scrape(&endpoint).starts_with("HTTP/1.1 200 OK\r\n"));
    drop(answered);
}

#[test]
fn incomplete_request_is_closed_in_time() {
    let endpoint = endpoint(Duration::from_millis(1));
    assert!(is_closed(&mut connect(&endpoint)));
}
