//! How many lines receivers and strangers cause in the log.

use std::fs;
use std::io::{BufRead as _, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use hii_protocol::share::{Id, Request, Start};
use hii_tests::programs::{Output, count, finish, output, signal};
use hii_tests::scratch::Directory;
use hii_tests::share::Receiver;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{PROGRAM, directory, key, tally};

/// Lines of one kind in a second.
const MAX_LINES: u64 = 10;

/// A sender whose log is read to its end.
struct Logged {
    child: Child,
    address: SocketAddr,
    lines: JoinHandle<Vec<String>>,
    start: Instant,
    _files: Directory,
}

impl Logged {
    fn start(name: &str, form: &str) -> Self {
        let start = Instant::now();
        let files = directory(name);
        fs::write(files.path("file"), "x").unwrap();
        let mut child = Command::new(PROGRAM)
            .args(["--log", form, "share", "--json", "-b", "127.0.0.1"])
            .args(["-p", "0", "--key-file"])
            .args([files.path("key"), files.path("file")])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = output(child.stderr.take().unwrap());
        let address = address(&mut stderr);
        let lines = thread::spawn(move || stderr.lines().map(Result::unwrap).collect());
        Self {
            child,
            address,
            lines,
            start,
            _files: files,
        }
    }

    /// Its tally, its log, and how many lines of one kind may be in it.
    fn stop(self) -> (Value, Vec<String>, u64) {
        signal(self.child.id(), Signal::SIGTERM);
        let tally = tally(&finish(self.child));
        let lines = self.lines.join().unwrap();
        (
            tally,
            lines,
            MAX_LINES * (self.start.elapsed().as_secs() + 2),
        )
    }
}

fn address(stderr: &mut Output<ChildStderr>) -> SocketAddr {
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    let mut words = line.split(|c: char| c.is_whitespace() || c == '"');
    let address = words.find_map(|word| word.parse().ok());
    address.unwrap_or_else(|| panic!("no address in {line:?}"))
}

#[test]
fn log_of_a_share_is_bounded_whatever_receivers_do() {
    const STRANGERS: u64 = 1000;
    const FAILURES: u64 = 1000;
    let sender = Logged::start("logs-json", "json");
    for _ in 0..STRANGERS {
        let mut stream = TcpStream::connect(sender.address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    let (mut receiver, _) = Receiver::start(sender.address, &key());
    let id = Id::new(7).unwrap();
    for _ in 0..FAILURES {
        receiver.say(&Request::Want {
            id,
            start: Start::Beginning,
        });
        receiver.hear();
    }
    receiver.done();
    let (tally, lines, most) = sender.stop();
    assert_eq!(count(&tally["wrong_key"]), STRANGERS);
    assert_eq!(count(&tally["failed"]), FAILURES);
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["fields"].clone())
        .collect();
    for (what, events) in [("not let in", STRANGERS), ("cannot send a file", FAILURES)] {
        let written = lines.iter().filter(|line| line["message"] == what).count() as u64;
        assert!(written <= most, "{what}: {written} lines, {most} allowed");
        let of = |line: &&Value| line["message"] == what || line["of"] == what;
        let left_out = lines.iter().filter(of);
        let left_out: u64 = left_out.filter_map(|line| line["left_out"].as_u64()).sum();
        assert_eq!(written + left_out, events, "{what}");
    }
    // Lines of the start and the end, and a line for each kind at the end.
    assert!(lines.len() as u64 <= 4 * most + 12, "{lines:?}");
}

#[test]
fn text_about_receivers_is_bounded_too() {
    const RECEIVERS: u64 = 60;
    let sender = Logged::start("logs-text", "text");
    for _ in 0..RECEIVERS {
        let (receiver, _) = Receiver::start(sender.address, &key());
        receiver.done();
    }
    let (tally, lines, most) = sender.stop();
    assert_eq!(count(&tally["done"]), RECEIVERS);
    let ends = lines
        .iter()
        .filter(|line| line.contains(" has all it wanted"));
    let written = ends.count() as u64;
    assert!(written <= most, "{written} lines, {most} allowed");
    let before = lines.iter().filter_map(|line| {
        let (_, number) = line.strip_suffix(" left out before)")?.rsplit_once('(')?;
        number.split(' ').next()?.parse::<u64>().ok()
    });
    let after = lines.iter().filter_map(|line| {
        let number = line.strip_suffix(" about receivers left out")?;
        number.split_whitespace().next()?.parse::<u64>().ok()
    });
    let left_out: u64 = before.chain(after).sum();
    assert_eq!(written + left_out, RECEIVERS, "{lines:?}");
}
