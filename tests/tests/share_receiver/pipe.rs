//! A full pipe; `world_disk` has full disks.

use std::fs;
use std::process::{Command, Stdio};

use hii_protocol::share::Size;
use hii_tests::programs::finish;
use hii_tests::sender::{KEY, Offer, Sender};

use super::HII;

#[test]
fn full_pipe_ends_the_transfer() {
    // A device that is always full.
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    // A short file is written at the end only.
    for (size, len) in [
        (None, 100_000),
        (Some(Size::Unknown), 100_000),
        (None, 1),
        (Some(Size::Unknown), 1),
    ] {
        let offer = Offer {
            size,
            ..Offer::file("file", vec![b'x'; len])
        };
        let sender = Sender::honest(vec![offer]);
        let child = Command::new(HII)
            .args(["get", &sender.address().to_string(), "-o", "-"])
            .env("HII_KEY", KEY)
            .stdin(Stdio::null())
            .stdout(full())
            .stderr(Stdio::piped())
            .spawn();
        let ended = finish(child.unwrap());
        assert_eq!(ended.code, Some(7), "{ended:?}");
        assert!(ended.stderr.contains("begin again"), "{ended:?}");
        assert!(!ended.stderr.contains("goes on where"), "{ended:?}");
    }
}
