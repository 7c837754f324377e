//! What happens to files after they were offered, and how the sender ends.

use std::fs::{self, File};
use std::io::{BufRead as _, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use hii_protocol::share::{AnswerBuf, Digest, Id, Key, Problem, Request, Start};
use hii_tests::programs::{Server, finish, output, run, signal};
use hii_tests::share::Receiver;
use nix::sys::signal::Signal;

use crate::{PROGRAM, Sender, directory, key, octets};

#[test]
fn files_that_are_not_what_was_offered_fail_and_the_others_arrive() {
    let files = directory("changes-before");
    fs::create_dir(files.path("d")).unwrap();
    for name in ["d/gone", "d/grown", "d/same", "d/shrunk"] {
        fs::write(files.path(name), octets(1000)).unwrap();
    }
    let sender = Sender::start(files, &["d"], &[]);
    let (mut receiver, offered) = sender.connect();
    fs::remove_file(sender.files.path("d/gone")).unwrap();
    fs::write(sender.files.path("d/grown"), octets(1001)).unwrap();
    fs::write(sender.files.path("d/shrunk"), octets(999)).unwrap();
    for entry in &offered[1..] {
        let fetched = receiver.fetch(entry.id, Start::Beginning);
        if entry.path == "d/same" {
            assert_eq!(fetched.octets, octets(1000));
        } else {
            assert!(fetched.end.unwrap_err().starts_with("changed "));
        }
    }
    receiver.done();
    let tally = sender.stop();
    assert_eq!((&tally["failed"], &tally["sent"]), (&3.into(), &1.into()));
}

#[test]
fn a_file_that_changes_while_it_is_sent_is_never_passed_off_as_whole() {
    // More than the network holds, so that the end is not yet sent when the beginning is here.
    const SIZE: usize = 60_000_000;
    for shrinks in [false, true] {
        let files = directory(&format!("changes-during-{shrinks}"));
        fs::write(files.path("file"), octets(SIZE)).unwrap();
        let sender = Sender::start(files, &["file"], &[]);
        let (mut receiver, offered) = sender.connect();
        let id = offered[0].id;
        receiver.say(&Request::Want {
            id,
            start: Start::Beginning,
        });
        assert_eq!(receiver.hear(), AnswerBuf::File { id, offset: 0 });
        let file = File::options()
            .write(true)
            .open(sender.files.path("file"))
            .unwrap();
        if shrinks {
            file.set_len(1000).unwrap();
        }
        let later = SystemTime::now() + Duration::from_secs(5);
        file.set_modified(later).unwrap();
        let fetched = receiver.fetched(id);
        assert!(fetched.end.unwrap_err().starts_with("changed "));
        receiver.done();
        sender.stop();
    }
}

#[test]
fn what_comes_from_stdin_goes_to_one_receiver_and_ends_the_sender() {
    let content = octets(1_000_000);
    let files = directory("changes-stdin");
    let mut child = Command::new(PROGRAM)
        .args([
            "share",
            "--json",
            "-b",
            "127.0.0.1",
            "-p",
            "0",
            "--stdin-name",
            "dump",
            "-",
        ])
        .env("HII_KEY", crate::KEY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = output(child.stderr.take().unwrap());
    let to = address(&mut lines);
    let (mut receiver, offered) = Receiver::start(to, &key());
    assert_eq!(
        (offered[0].path.as_str(), offered[0].size),
        ("dump", Some(None))
    );
    let mut stdin = child.stdin.take().unwrap();
    let written = content.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&written));
    let fetched = receiver.fetch(offered[0].id, Start::Beginning);
    writer.join().unwrap().unwrap();
    let digest = Digest(*blake3::hash(&content).as_bytes());
    assert_eq!(fetched.end, Ok((1_000_000, digest)));
    assert!(fetched.octets == content);
    receiver.say(&Request::Got(offered[0].id));
    let again = receiver.fetch(offered[0].id, Start::Beginning);
    assert!(again.end.unwrap_err().starts_with("unreadable "));
    receiver.done();
    let ended = finish(child);
    // It failed once, though it also arrived.
    assert_eq!(ended.code, Some(8), "{ended:?}");
    assert_eq!(ended.json()["sent"], 1);
    drop(files);
}

#[test]
fn stdin_that_was_read_and_not_delivered_ends_the_sender_with_an_error() {
    let mut child = Command::new(PROGRAM)
        .args(["share", "--json", "-b", "127.0.0.1", "-p", "0", "-"])
        .env("HII_KEY", crate::KEY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take();
    let mut lines = output(child.stderr.take().unwrap());
    let to = address(&mut lines);
    let (mut receiver, offered) = Receiver::start(to, &key());
    let id = offered[0].id;
    receiver.say(&Request::Want {
        id,
        start: Start::Beginning,
    });
    assert_eq!(receiver.hear(), AnswerBuf::File { id, offset: 0 });
    drop(receiver);
    // The sender waits for stdin, and finds out when there is something to send.
    let mut stdin = stdin.unwrap();
    while stdin.write_all(&[0; 1000]).is_ok() {}
    let ended = finish(child);
    assert_eq!(ended.code, Some(1), "{ended:?}");
}

/// A sender of these octets from stdin, and its address.
fn start_stdin(content: &[u8], args: &[&str]) -> (Child, SocketAddr) {
    let mut child = Command::new(PROGRAM)
        .args(["share", "--json", "-b", "127.0.0.1", "-p", "0", "-"])
        .args(args)
        .env("HII_KEY", crate::KEY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Little enough that the pipe holds it.
    child.stdin.take().unwrap().write_all(content).unwrap();
    let mut lines = output(child.stderr.take().unwrap());
    let to = address(&mut lines);
    // What it says at its end is read from there.
    child.stderr = Some(lines.into_inner().into_pipe());
    (child, to)
}

#[test]
fn who_comes_too_late_for_stdin_neither_ends_the_sender_nor_cuts_the_first_off() {
    let (child, to) = start_stdin(b"once", &["--max-receivers", "2"]);
    let (mut first, offered) = Receiver::start(to, &key());
    let id = offered[0].id;
    assert_eq!(first.fetch(id, Start::Beginning).octets, b"once");
    let (mut late, _) = Receiver::start(to, &key());
    let fetched = late.fetch(id, Start::Beginning);
    assert!(fetched.end.unwrap_err().starts_with("unreadable "));
    late.done();
    // It has seen the end of the one who was late when there is room again.
    drop(start_when_free(to));
    first.say(&Request::Got(id));
    first.done();
    let ended = finish(child);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.json()["confirmed"], 1);
}

/// A receiver, as soon as there is room for it.
pub(crate) fn start_when_free(to: SocketAddr) -> Receiver {
    let begin = std::time::Instant::now();
    loop {
        // This only ends a test that would hang.
        assert!(begin.elapsed().as_secs() < 60, "it is never free");
        let mut receiver = Receiver::connect(to, &key()).unwrap();
        receiver.say(&Request::Hello(hii_protocol::share::VERSION));
        assert!(matches!(receiver.hear(), AnswerBuf::Hello(_)));
        match receiver.hear() {
            AnswerBuf::Error(Problem::Busy, _) => {}
            AnswerBuf::Page(_) => return receiver,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn stdin_is_delivered_only_when_it_is_confirmed() {
    let (child, to) = start_stdin(b"once", &[]);
    let (mut receiver, offered) = Receiver::start(to, &key());
    let fetched = receiver.fetch(offered[0].id, Start::Beginning);
    assert_eq!(fetched.octets, b"once");
    receiver.done();
    let ended = finish(child);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("has not confirmed it"), "{ended:?}");

    let (child, to) = start_stdin(b"once", &[]);
    let (receiver, _) = Receiver::start(to, &key());
    // It wants nothing: that is no reason to end.
    receiver.done();
    drop(start_when_free(to));
    signal(child.id(), Signal::SIGTERM);
    let ended = finish(child);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("was not delivered"), "{ended:?}");
}

#[test]
fn once_is_no_success_when_what_was_sent_was_not_confirmed() {
    let files = directory("changes-unconfirmed");
    fs::write(files.path("file"), octets(9)).unwrap();
    let sender = Sender::start(files, &["file"], &["--once"]);
    let (mut receiver, offered) = sender.connect();
    receiver.fetch(offered[0].id, Start::Beginning);
    receiver.done();
    let ended = sender.server.wait();
    assert_eq!(ended.code, Some(8), "{ended:?}");
    let tally = ended.json();
    assert_eq!((&tally["sent"], &tally["failed"]), (&1.into(), &0.into()));
}

/// The address on the first line.
fn address(lines: &mut impl std::io::BufRead) -> SocketAddr {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let mut words = line.split_whitespace();
    words
        .find_map(|word| word.parse().ok())
        .expect("an address")
}

#[test]
fn a_new_key_is_shown_with_what_to_type_and_is_another_each_time() {
    let files = directory("changes-key");
    fs::write(files.path("file"), b"x").unwrap();
    let mut keys = Vec::new();
    for _ in 0..2 {
        let mut child = Command::new(PROGRAM)
            .args(["share", "-b", "127.0.0.1", "-p", "0", &files.path("file")])
            .env_remove("HII_KEY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = output(child.stderr.take().unwrap());
        let to = address(&mut lines);
        let mut text = String::new();
        let key: Key = loop {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            text.push_str(&line);
            if let Some((_, key)) = line.split_once("and the key, when it asks: ") {
                break key.parse().unwrap();
            }
            assert!(!line.is_empty(), "{text}");
        };
        assert!(text.contains(&format!("to use it type: hii get {to}")));
        let (receiver, _) = Receiver::start(to, &key);
        receiver.done();
        keys.push(key);
        signal(child.id(), Signal::SIGTERM);
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("has all it wanted"), "{rest}");
        assert_eq!(finish(child).code, Some(0));
    }
    assert!(keys[0] != keys[1]);
}

#[test]
fn once_ends_with_the_first_who_is_done_and_not_with_one_who_broke_off() {
    let files = directory("changes-once");
    fs::write(files.path("file"), octets(9)).unwrap();
    let sender = Sender::start(files, &["file"], &["--once"]);
    drop(sender.connect());
    // The place of the one before is free when its end was seen.
    let mut receiver = start_when_free(sender.server.address());
    assert!(matches!(receiver.hear(), AnswerBuf::End { .. }));
    let offered = Id::FIRST;
    assert_eq!(receiver.fetch(offered, Start::Beginning).octets, octets(9));
    receiver.say(&Request::Got(offered));
    receiver.done();
    let ended = sender.server.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let tally = ended.json();
    assert_eq!((&tally["done"], &tally["cut_off"]), (&1.into(), &1.into()));
}

#[test]
fn once_without_anybody_is_interrupted() {
    let files = directory("changes-nobody");
    fs::write(files.path("file"), b"x").unwrap();
    let sender = Sender::start(files, &["file"], &["--once"]);
    assert_eq!(sender.server.stop().code, Some(130));
}

#[test]
fn what_cannot_be_offered_or_is_no_key_is_refused_before_anything_listens() {
    let files = directory("changes-refused");
    fs::create_dir(files.path("d")).unwrap();
    fs::write(files.path("d/nul"), b"x").unwrap();
    fs::write(files.path("short"), b"AEBAGBAFAYDQQCIKBMGA2DQPC").unwrap();
    let (folder, key, short) = (files.path("d"), files.path("key"), files.path("short"));
    let none = files.path("none");
    for (args, code, what) in [
        (["--key-file", &key, &folder], 2, "d/nul"),
        (["--key-file", &key, &none], 2, "none"),
        (["--key-file", &short, &key], 2, "26 letters"),
        (["--key-file", &none, &key], 7, "cannot read the key"),
    ] {
        let ended = run(PROGRAM, &[&["share", "-p", "0"], &args[..]].concat());
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains(what), "{ended:?}");
        assert!(!ended.stderr.contains("listens"), "{ended:?}");
        assert!(!ended.stderr.contains("AEBAGBAF"), "{ended:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_read_is_noticed_before_anything_listens() {
    use std::os::unix::fs::PermissionsExt as _;
    let files = directory("changes-unreadable");
    fs::create_dir(files.path("d")).unwrap();
    for name in ["d/a", "d/secret"] {
        fs::write(files.path(name), b"x").unwrap();
    }
    let secret = files.path("d/secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    for offered in ["d", "d/secret"] {
        let mut command = Command::new(PROGRAM);
        command.args(["share", "-b", "127.0.0.1", "-p", "0", &files.path(offered)]);
        command.env("HII_KEY", crate::KEY);
        let Some(ended) = hii_tests::programs::run_as_nobody(&mut command, &[&secret]) else {
            return;
        };
        assert_eq!(ended.code, Some(7), "{ended:?}");
        assert!(ended.stderr.contains("d/secret"), "{ended:?}");
        assert!(!ended.stderr.contains("listens"), "{ended:?}");
    }
}

#[test]
fn the_name_of_stdin_is_one_name() {
    for name in ["a/b", "/a", "a/", "..", "", "NUL"] {
        let args = [
            "share",
            "-p",
            "0",
            "-b",
            "127.0.0.1",
            "--stdin-name",
            name,
            "-",
        ];
        let ended = run(PROGRAM, &args);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("--stdin-name"), "{ended:?}");
    }
}

#[test]
fn an_empty_key_is_refused_and_no_new_one_drawn() {
    let files = directory("changes-empty-key");
    let child = Command::new(PROGRAM)
        .args(["share", "-b", "127.0.0.1", "-p", "0", &files.path("key")])
        .env("HII_KEY", "")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ended = finish(child);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("no key in HII_KEY"), "{ended:?}");
}

#[test]
fn logs_for_machines_never_show_a_key() {
    let files = directory("changes-json");
    fs::write(files.path("file"), b"x").unwrap();
    let (file, key_file) = (files.path("file"), files.path("key"));
    let args = ["--log", "json", "share", "-p", "0", &file];
    let ended = run(PROGRAM, &args);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let args = [
        "--log",
        "json",
        "share",
        "--json",
        "-b",
        "127.0.0.1",
        "--key-file",
        &key_file,
    ];
    let mut child = Command::new(PROGRAM)
        .args([&args[..], &["-p", "0", &file]].concat())
        .env("HII_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = output(child.stderr.take().unwrap());
    let mut text = String::new();
    let to = loop {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        text.push_str(&line);
        let log: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        if let Some(address) = log["fields"]["address"].as_str() {
            break address.parse().unwrap();
        }
    };
    let (mut receiver, offered) = Receiver::start(to, &key());
    receiver.fetch(offered[0].id, Start::Beginning);
    receiver.done();
    signal(child.id(), Signal::SIGTERM);
    lines.read_to_string(&mut text).unwrap();
    assert_eq!(finish(child).code, Some(0));
    for line in text.lines() {
        let log: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(log["level"].is_string(), "{line}");
    }
    assert!(text.contains("receiver let in") && !text.contains(crate::KEY));
}

#[cfg(unix)]
#[test]
fn links_are_left_out_and_named() {
    let files = directory("changes-links");
    fs::create_dir(files.path("d")).unwrap();
    fs::write(files.path("d/file"), b"x").unwrap();
    std::os::unix::fs::symlink("file", files.path("d/link")).unwrap();
    let server = Server::start(
        PROGRAM,
        &[
            "share",
            "-b",
            "127.0.0.1",
            "--key-file",
            &files.path("key"),
            &files.path("d"),
        ],
    );
    let (receiver, offered) = Receiver::start(server.address(), &key());
    let paths: Vec<_> = offered.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["d", "d/file"]);
    receiver.done();
    server.stop();
    let only_link = run(PROGRAM, &["share", "-p", "0", &files.path("d/link")]);
    assert_eq!(only_link.code, Some(2));
}
