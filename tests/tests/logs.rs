//! What `hii-server` logs, when a stranger writes it.

use std::io::BufRead as _;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use hii_tests::programs::{self, Output, finish, output};
use nix::sys::signal::Signal;
use serde_json::Value;

const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

/// A datagram that would clear the screen, turn the line around, and forge a line of its own.
const HOSTILE: &[u8] = b"\x1b[2J\xe2\x80\xae\n{\"level\":\"INFO\"}\xff";

fn start(args: &[&str]) -> (Child, Output<ChildStderr>) {
    let mut child = Command::new(HII_SERVER)
        .args(["ping", "-b", "127.0.0.1", "-p", "0"])
        .args(args)
        .env("HII_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = output(child.stderr.take().unwrap());
    (child, stderr)
}

/// Sends the datagram, waits for the answer, stops the server, and gives the rest of its log.
fn log_of_a_hostile_datagram(
    child: Child,
    stderr: Output<ChildStderr>,
    address: SocketAddr,
) -> Vec<String> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    socket.send_to(HOSTILE, address).unwrap();
    socket.recv(&mut [0; 100]).unwrap();
    programs::signal(child.id(), Signal::SIGTERM);
    let rest = stderr.lines().map(Result::unwrap).collect();
    assert_eq!(finish(child).code, Some(0));
    rest
}

#[test]
fn json_is_one_object_a_line_with_the_network_s_octets_escaped() {
    let (child, mut stderr) = start(&["--log", "json", "--loss", "0.001%", "--seed", "7"]);
    let mut address = None;
    while address.is_none() {
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        address = line["fields"]["address"].as_str().map(str::to_owned);
    }
    let address = address.unwrap().parse().unwrap();
    let lines: Vec<Value> = log_of_a_hostile_datagram(child, stderr, address)
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let message = |text: &str| {
        let mut found = lines
            .iter()
            .filter(|line| line["fields"]["message"] == text);
        let line = found.next().unwrap_or_else(|| panic!("{text}: {lines:?}"));
        &line["fields"]
    };
    assert_eq!(message("impaired on purpose")["seed"], 7);
    assert_eq!(
        message("received")["datagram"],
        r#"\u{1b}[2J\u{202e}\n{"level":"INFO"}\xff"#
    );
    let tally = message("stopped")["tally"].as_str().unwrap();
    assert!(tally.starts_with("1 received: 1 answered"), "{tally}");
}

#[test]
fn text_shows_no_control_character_of_the_network_s() {
    let (child, mut stderr) = start(&["--log", "text"]);
    let mut line = String::new();
    let address = loop {
        stderr.read_line(&mut line).unwrap();
        if let Some(address) = line.split_whitespace().find_map(|word| word.parse().ok()) {
            break address;
        }
    };
    let lines = log_of_a_hostile_datagram(child, stderr, address);
    let line = lines
        .iter()
        .find(|line| line.contains("datagram"))
        .unwrap_or_else(|| panic!("{lines:?}"));
    assert!(line.contains(r"\u{1b}[2J\u{202e}\n{"), "{line}");
    assert!(!line.chars().any(char::is_control), "{line}");
}

#[test]
fn an_error_is_json_too_and_keeps_its_code() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let args = ["--log", "json", "ping", "-b", "127.0.0.1", "-p", &port];
    let ended = programs::run(HII_SERVER, &args);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let line: Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!(line["level"], "ERROR");
    let advice = line["fields"]["advice"].as_str().unwrap();
    assert!(advice.contains("another program has the port"), "{line}");
}
