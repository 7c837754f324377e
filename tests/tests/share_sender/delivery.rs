//! What is offered arrives, and is what it was.

use std::fs;
use std::num::NonZeroU64;

use hii_protocol::share::{AnswerBuf, Digest, Problem, Request, Start};

use crate::{Sender, directory, octets};

#[test]
fn files_and_folders_arrive_as_they_are() {
    let files = directory("delivery-tree");
    fs::create_dir_all(files.path("tree/deep/empty")).unwrap();
    let contents = [
        ("tree/a", octets(0)),
        ("tree/deep/b c", octets(1)),
        ("tree/deep/c", octets(65_502)),
        ("tree/deep/d", octets(3_000_001)),
    ];
    for (name, content) in &contents {
        fs::write(files.path(name), content).unwrap();
    }
    fs::write(files.path("alone"), b"alone").unwrap();
    let sender = Sender::start(files, &["tree", "alone"], &[]);
    let (mut receiver, offered) = sender.connect();
    let paths: Vec<_> = offered.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "tree",
            "tree/a",
            "tree/deep",
            "tree/deep/b c",
            "tree/deep/c",
            "tree/deep/d",
            "tree/deep/empty",
            "alone",
        ]
    );
    for (name, content) in &contents {
        let entry = offered.iter().find(|entry| entry.path == *name).unwrap();
        let len = u64::try_from(content.len()).unwrap();
        assert_eq!(entry.size, Some(Some(len)));
        let fetched = receiver.fetch(entry.id, Start::Beginning);
        let digest = Digest(*blake3::hash(content).as_bytes());
        assert_eq!(fetched.end, Ok((len, digest)), "{name}");
        assert!(fetched.octets == *content, "{name}");
        receiver.say(&Request::Got(entry.id));
    }
    receiver.done();
    let tally = sender.stop();
    assert_eq!(tally["receivers"], 1);
    assert_eq!(tally["done"], 1);
    assert_eq!(tally["sent"], 4);
    assert_eq!(tally["confirmed"], 4);
    assert_eq!(tally["octets"], 3_065_504);
}

#[test]
fn a_file_goes_on_where_it_was_or_from_its_beginning_when_that_is_another() {
    let files = directory("delivery-resume");
    // More than one core takes at once.
    let content = octets(30_000_000);
    fs::write(files.path("file"), &content).unwrap();
    let sender = Sender::start(files, &["file"], &[]);
    let (mut receiver, offered) = sender.connect();
    let id = offered[0].id;
    let sum = (30_000_000, Digest(*blake3::hash(&content).as_bytes()));
    for (have, wrong, from) in [
        (1, false, 1),
        (600_000, false, 600_000),
        (25_000_000, false, 25_000_000),
        (29_999_999, false, 29_999_999),
        (30_000_000, false, 30_000_000),
        (600_000, true, 0),
        (25_000_000, true, 0),
        (30_000_000, true, 0),
    ] {
        let mut digest = *blake3::hash(&content[..have]).as_bytes();
        digest[31] ^= u8::from(wrong);
        let start = Start::After {
            offset: NonZeroU64::new(u64::try_from(have).unwrap()).unwrap(),
            digest: Digest(digest),
        };
        let fetched = receiver.fetch(id, start);
        assert_eq!(fetched.offset, from, "{have} {wrong}");
        assert_eq!(fetched.end, Ok(sum));
        let from = usize::try_from(from).unwrap();
        assert!(fetched.octets == content[from..]);
    }
    // More than the file has.
    let start = Start::After {
        offset: NonZeroU64::MAX,
        digest: Digest([7; 32]),
    };
    let fetched = receiver.fetch(id, start);
    assert_eq!((fetched.offset, fetched.end), (0, Ok(sum)));
    receiver.done();
    sender.stop();
}

#[test]
fn receivers_are_told_that_the_sender_stops() {
    let files = directory("delivery-stop");
    fs::write(files.path("file"), b"x").unwrap();
    let sender = Sender::start(files, &["file"], &[]);
    let (mut receiver, _) = sender.connect();
    let stopped = std::thread::spawn(move || sender.stop());
    assert!(matches!(
        receiver.hear(),
        AnswerBuf::Error(Problem::Stopping, _)
    ));
    assert_eq!(receiver.try_hear().unwrap(), None);
    drop(receiver);
    assert_eq!(stopped.join().unwrap()["stopped"], 1);
}
