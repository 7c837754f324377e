//! `hii-server share` as a program, against a receiver that does as it is told.

#[path = "share_sender/changes.rs"]
mod changes;
#[path = "share_sender/classic.rs"]
mod classic;
#[path = "share_sender/delivery.rs"]
mod delivery;
#[path = "share_sender/key.rs"]
mod key_command;
#[path = "share_sender/logs.rs"]
mod logs;
#[path = "share_sender/strangers.rs"]
mod strangers;

use std::fs;

use hii_protocol::share::Key;
use hii_tests::programs::{Ended, Server};
use hii_tests::scratch::Directory;
use hii_tests::share::{Offered, Receiver};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_hii-server-under-test");
const KEY: &str = "AEBAGBAFAYDQQCIKBMGA2DQPCA";

/// A sender with files of its own.
struct Sender {
    server: Server,
    /// Dropped after it.
    files: Directory,
}

fn key() -> Key {
    KEY.parse().expect("a key")
}

/// A directory for what is offered, with the file of the key in it.
fn directory(name: &str) -> Directory {
    let files = Directory::new(name);
    fs::write(files.path("key"), format!("{KEY}\n")).unwrap();
    files
}

/// Octets that repeat at no power of two.
fn octets(len: usize) -> Vec<u8> {
    (0..251_u8).cycle().take(len).collect()
}

impl Sender {
    /// Offers these of the directory's files.
    fn start(files: Directory, offered: &[&str], args: &[&str]) -> Self {
        let paths: Vec<_> = offered.iter().map(|name| files.path(name)).collect();
        let key = files.path("key");
        let own = ["share", "--json", "-b", "127.0.0.1", "--key-file", &key];
        let paths = paths.iter().map(String::as_str);
        let all: Vec<_> = own
            .into_iter()
            .chain(args.iter().copied())
            .chain(paths)
            .collect();
        let server = Server::start(PROGRAM, &all);
        Self { server, files }
    }

    fn connect(&self) -> (Receiver, Vec<Offered>) {
        Receiver::start(self.server.address(), &key())
    }

    /// Stops it, and gives its tally.
    fn stop(self) -> Value {
        tally(&self.server.stop())
    }
}

fn tally(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.json()
}
