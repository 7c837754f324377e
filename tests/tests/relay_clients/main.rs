//! `hii send`, `hii listen` and `hii chat`, the built programs, with relays of both kinds.

use std::io::BufRead as _;
use std::process::{Child, ChildStdout};

use hii_tests::programs::{self, Ended, Output, Server, finish, output, run, run_with_input};
use serde_json::Value;

mod chat;
mod ends;
mod originals;
mod relays;
mod terminal;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

/// A relay of ours at this address, and how clients are told of it over UDP and over TCP.
fn relay(bind: &str, args: &[&str]) -> (Server, [String; 2]) {
    let server = Server::start(HII_SERVER, &[&["relay", "-b", bind], args].concat());
    let address = server.address();
    (server, [address.to_string(), format!("tcp://{address}")])
}

/// A running `hii listen --json`.
struct Listener {
    child: Child,
    lines: Output<ChildStdout>,
    /// Its address, as others write it.
    address: String,
    /// The kind of relay that it found.
    relay: String,
}

impl Listener {
    fn start(relay: &str, args: &[&str]) -> Self {
        let mut child = programs::start(HII, &[&["listen", relay, "--json"], args].concat());
        let lines = output(child.stdout.take().unwrap());
        let mut listener = Self {
            child,
            lines,
            address: String::new(),
            relay: String::new(),
        };
        let row = listener.row();
        assert_eq!(row["event"], "registered", "{row}");
        listener.address = text(&row["address"]);
        listener.relay = text(&row["relay"]);
        listener
    }

    /// What happens next.
    fn row(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// The next message: from whom, and its text.
    fn message(&mut self) -> (String, String) {
        let row = self.row();
        assert_eq!(row["event"], "message", "{row}");
        (text(&row["from"]), text(&row["text"]))
    }

    fn wait(self) -> Ended {
        finish(self.child)
    }
}

fn send(relay: &str, args: &[&str]) -> Ended {
    run(HII, &[&["send", relay], args].concat())
}

/// `hii` with this on its standard input.
fn with_input(args: &[&str], input: &[u8]) -> Ended {
    run_with_input(HII, args, input)
}

fn rows(ended: &Ended) -> Vec<Value> {
    let lines = ended.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}")))
        .collect()
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value}"))
        .to_owned()
}
