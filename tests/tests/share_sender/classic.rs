//! The original hand-over, with the original client.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use hii_tests::classic::file_client;
use hii_tests::programs::{Server, run};

use crate::{PROGRAM, directory, octets, tally};

#[test]
fn an_original_client_gets_the_file_and_the_sender_ends() {
    let files = directory("classic-file");
    let content = octets(3_000_001);
    fs::write(files.path("file"), &content).unwrap();
    let file = files.path("file");
    let server = Server::start(PROGRAM, &["share", "--json", "--classic", &file]);
    assert!(server.address().ip().is_loopback());
    assert_eq!(
        file_client::run(server.address(), "WRONG_KEY").unwrap(),
        None
    );
    let received = file_client::run(server.address(), "SECRET_KEY").unwrap();
    assert!(received.unwrap() == content);
    let tally = tally(&server.wait());
    assert_eq!(
        (&tally["done"], &tally["wrong_key"]),
        (&1.into(), &1.into())
    );
    assert_eq!(tally["octets"], 3_000_001);
}

#[test]
fn it_stays_when_told_to_and_an_empty_file_is_one_too() {
    let files = directory("classic-stay");
    fs::write(files.path("file"), b"").unwrap();
    let file = files.path("file");
    let server = Server::start(PROGRAM, &["share", "--json", "--classic", "--stay", &file]);
    for _ in 0..2 {
        let received = file_client::run(server.address(), "SECRET_KEY").unwrap();
        assert_eq!(received, Some(Vec::new()));
    }
    assert_eq!(tally(&server.stop())["done"], 2);
}

#[test]
fn nothing_comes_with_the_answer_and_the_key_may_come_in_parts() {
    let files = directory("classic-parts");
    fs::write(files.path("file"), b"content").unwrap();
    let file = files.path("file");
    let server = Server::start(PROGRAM, &["share", "--json", "--classic", &file]);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    for octet in b"SECRET_KEY" {
        stream.write_all(&[*octet]).unwrap();
    }
    let mut buffer = [0; 1024];
    let len = stream.read(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], b"AUTH_SUCCESS");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"content");
    drop(stream);
    server.wait();
}

#[test]
fn a_client_that_reads_late_finds_the_answer_alone() {
    let files = directory("classic-late");
    fs::write(files.path("file"), b"content").unwrap();
    let file = files.path("file");
    let server = Server::start(PROGRAM, &["share", "--json", "--classic", "--stay", &file]);
    // On a busy machine this may be too late even for the pause that the sender makes: then it says nothing, and again.
    for _ in 0..50 {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        let start = Instant::now();
        stream.write_all(b"SECRET_KEY").unwrap();
        thread::sleep(Duration::from_millis(50));
        let mut buffer = [0; 1024];
        let len = stream.read(&mut buffer).unwrap();
        if start.elapsed() < Duration::from_millis(300) {
            assert_eq!(&buffer[..len], b"AUTH_SUCCESS");
            server.stop();
            return;
        }
    }
    panic!("too slow to tell");
}

#[test]
fn a_file_that_changed_ends_in_a_reset_and_not_as_a_whole_one() {
    let files = directory("classic-changed");
    fs::write(files.path("file"), octets(100)).unwrap();
    let file = files.path("file");
    let server = Server::start(PROGRAM, &["share", "--json", "--classic", &file]);
    fs::write(&file, octets(50)).unwrap();
    let error = file_client::run(server.address(), "SECRET_KEY").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let ended = server.stop();
    assert_eq!(ended.code, Some(130));
    assert_eq!(ended.json()["failed"], 1);
}

#[test]
fn start_shows_a_command_that_fetches_from_other_hosts() {
    let files = directory("classic-command");
    fs::write(files.path("file"), b"x").unwrap();
    for (insecure, expected) in [
        ("", "hii get --classic 127."),
        (
            "--classic-insecure",
            "hii get --classic --classic-insecure 127.",
        ),
    ] {
        let command = format!(
            "\"$0\" share --classic {insecure} -b 127.0.0.1 -p 0 \"$1\" 2> \"$1.log\" & \
             until grep -q 'hii get' \"$1.log\"; do kill -0 $! || exit 9; done; kill -TERM $!; wait $!"
        );
        run("sh", &["-c", &command, PROGRAM, &files.path("file")]);
        let log = fs::read_to_string(files.path("file.log")).unwrap();
        assert!(log.contains(expected), "{log}");
    }
}

#[test]
fn plain_text_is_for_this_host_and_for_one_file() {
    let files = directory("classic-refused");
    fs::write(files.path("file"), b"x").unwrap();
    let (file, folder, key) = (files.path("file"), files.path("."), files.path("key"));
    for (args, code) in [
        (&["-b", "0.0.0.0", &file][..], 4),
        (&[folder.as_str()], 2),
        (&[&file, &key], 2),
        (&["--key-file", &key, &file], 2),
    ] {
        let args = [&["share", "--classic", "-p", "0"], args].concat();
        let ended = run(PROGRAM, &args);
        assert_eq!(ended.code, Some(code), "{args:?} {ended:?}");
    }
}
