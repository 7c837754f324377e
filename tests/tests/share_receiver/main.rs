//! `hii get` against a sender that does as it is told.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hii_tests::programs::{Ended, finish};
use hii_tests::sender::{KEY, Offer, Sender, octets};

mod classic;
mod files;
mod hostile;
mod pipe;
mod prompt;
mod resume;

const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");
const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");

/// Starts `hii get` from this sender, with the right key.
fn start(sender: &Sender, args: &[&str]) -> Child {
    start_with_key(sender, args, KEY)
}

fn start_with_key(sender: &Sender, args: &[&str], key: &str) -> Child {
    Command::new(HII)
        .args(["get", &sender.address().to_string()])
        .args(args)
        .env("HII_KEY", key)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs `hii get` to its end.
fn get(sender: &Sender, args: &[&str]) -> Ended {
    finish(start(sender, args))
}

/// What is in a folder, by path.
#[derive(Debug, PartialEq, Eq, Default)]
struct Tree(BTreeMap<String, Leaf>);

/// The mode, the time and, of a file, the octets.
type Leaf = (u32, (i64, i64), Option<Vec<u8>>);

impl Tree {
    fn read(folder: &str) -> Self {
        let mut tree = Self::default();
        tree.add(Path::new(folder), "");
        tree
    }

    fn add(&mut self, folder: &Path, before: &str) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            let path = format!("{before}{}", entry.file_name().to_str().unwrap());
            let octets = metadata.is_file().then(|| fs::read(entry.path()).unwrap());
            if metadata.is_dir() {
                self.add(&entry.path(), &format!("{path}/"));
            }
            let time = (metadata.mtime(), metadata.mtime_nsec());
            self.0.insert(path, (metadata.mode() & 0o777, time, octets));
        }
    }

    /// What these offers should become.
    fn of(offers: &[Offer]) -> Self {
        let entries = offers.iter().map(|offer| {
            let time = (offer.modified.0, offer.modified.1.into());
            let octets = offer.octets.as_ref().map(|octets| octets.to_vec());
            (offer.path.clone(), (offer.mode, time, octets))
        });
        Self(entries.collect())
    }

    fn paths(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// Without the octets of each, which would fill the screen.
fn assert_same(folder: &str, offers: &[Offer]) {
    let (found, wanted) = (Tree::read(folder), Tree::of(offers));
    assert_eq!(found.paths(), wanted.paths());
    for (path, (mode, time, octets)) in &wanted.0 {
        let found = &found.0[path];
        assert_eq!((found.0, found.1), (*mode, *time), "{path}");
        assert!(found.2 == *octets, "{path} has other octets");
    }
}
