//! A server with `--metrics`, and what a monitoring system reads from it.

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Child;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::programs::{output, start};

/// Guards against a server that hangs; no test depends on how long it is.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Starts a service with metrics on a free port: the program, where it answers, where its metrics are.
///
/// # Panics
/// It does not say where they are.
pub fn serve(program: &str, service: &str, args: &[&str]) -> (Child, SocketAddr, SocketAddr) {
    serve_with(program, &[&[service, "-b", "127.0.0.1"], args].concat())
}

/// The same for a program that is started with these arguments, which end with those of a service.
///
/// # Panics
/// It does not say where they are.
pub fn serve_with(program: &str, args: &[&str]) -> (Child, SocketAddr, SocketAddr) {
    let fixed = "-p 0 --json --log json --metrics 127.0.0.1:0";
    let fixed: Vec<_> = fixed.split(' ').collect();
    let mut child = start(program, &[args, &fixed[..]].concat());
    let stderr = child.stderr.take().expect("stderr is piped");
    let mut lines = output(stderr).lines();
    let mut address = |field: &str| loop {
        let line = lines.next().expect("the server says where it is");
        let line: Value = serde_json::from_str(&line.expect("UTF-8")).expect("logs are JSON");
        if let Some(address) = line["fields"][field].as_str() {
            break address.parse().expect("an address");
        }
    };
    let (service, metrics) = (address("address"), address("metrics"));
    // The rest is read too, or the server would one day wait for room.
    thread::spawn(move || lines.count());
    (child, service, metrics)
}

/// What is answered to this request.
///
/// # Panics
/// There is no answer, or it is no text.
pub fn exchange(metrics: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(metrics).expect("metrics are served");
    stream
        .set_read_timeout(Some(WATCHDOG))
        .expect("a time-out can be set");
    stream.write_all(request).expect("the request is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// All metrics, as they are now.
///
/// # Panics
/// There is no answer.
pub fn get(metrics: SocketAddr) -> String {
    exchange(metrics, b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")
}
