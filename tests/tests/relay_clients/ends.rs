//! How the programs end, when not by themselves: each with the code and the words that tell why.

use std::fs::OpenOptions;
use std::io::BufRead as _;
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Stdio};

use hii_tests::programs::{self, Ended, Server, finish, output, run, start_with_input};
use nix::sys::signal::Signal;

use super::{HII, HII_SERVER, Listener, relay};

/// Each of the relay's clients, at this relay.
fn clients(relay: &str, args: &[&str]) -> Vec<Ended> {
    let commands: [&[&str]; 3] = [
        &["send", relay, "127.0.0.1/9", "hello"],
        &["listen", relay],
        &["chat", relay],
    ];
    let run = |command: &&[&str]| run(HII, &[command, args].concat());
    commands.iter().map(run).collect()
}

#[test]
fn a_relay_that_is_not_there_is_told_with_the_reason() {
    let closed = {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap().to_string()
    };
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = (silent.local_addr().unwrap().to_string(), silent);
    for (relay, words) in [
        (&closed, "nothing listens"),
        (&format!("tcp://{closed}"), "nothing listens"),
        (&silent.0, "no answer"),
        (&"no-such-host.invalid".to_owned(), "cannot find"),
    ] {
        for ended in clients(relay, &["-W", "0.2"]) {
            assert_eq!(ended.code, Some(3), "{relay} {ended:?}");
            assert!(ended.stderr.contains(words), "{relay} {ended:?}");
            // What, and what to do.
            assert_eq!(ended.stderr.lines().count(), 2, "{ended:?}");
        }
    }
}

#[test]
fn machines_are_told_of_a_relay_that_is_not_there() {
    let closed = {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap().to_string()
    };
    let ended = run(HII, &["send", &closed, "127.0.0.1/9", "hello", "--json"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let row = ended.json();
    assert_eq!(
        (&row["result"], &row["to"]),
        (&"no-relay".into(), &"127.0.0.1/9".into())
    );
    assert!(row["reason"].as_str().unwrap().contains("nothing listens"));
    let ended = run(HII, &["listen", &closed, "--json"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let row = ended.json();
    assert_eq!(row["event"], "no-relay");
    assert!(row["reason"].as_str().unwrap().contains("nothing listens"));
}

#[test]
fn a_connection_without_an_answer_is_told_as_one() {
    // Its backlog takes connections, and nobody answers.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf_at = format!("tcp://{}", deaf.local_addr().unwrap());
    let (_server, denies) = relay("127.0.0.1", &["--deny", "127.0.0.0/8"]);
    for relay in [&deaf_at, &denies[1]] {
        for ended in clients(relay, &["-W", "0.2"]) {
            assert_eq!(ended.code, Some(3), "{ended:?}");
            assert!(ended.stderr.contains("does it deny"), "{ended:?}");
            assert!(!ended.stderr.contains("UDP"), "{ended:?}");
        }
    }
}

#[test]
fn a_listener_ends_when_nobody_reads_it_any_more() {
    let (_server, ways) = relay("127.0.0.1", &[]);
    for way in &ways {
        let Listener { child, lines, .. } = Listener::start(way, &[]);
        // No message comes.
        drop(lines);
        let ended = finish(child);
        assert_eq!(ended.code, Some(7), "{ended:?}");
        assert!(ended.stderr.contains("has ended"), "{ended:?}");
    }
}

#[test]
fn what_is_no_relay_and_what_is_no_address_have_codes_of_their_own() {
    let server = Server::start(HII_SERVER, &["ping", "-b", "127.0.0.1"]);
    for ended in clients(&server.address().to_string(), &[]) {
        assert_eq!(ended.code, Some(5), "{ended:?}");
        assert!(ended.stderr.contains("no relay: it says"), "{ended:?}");
    }
    for args in [
        &["send", "127.0.0.1", "127.0.0.1:9", "hello"][..],
        &["send", "127.0.0.1", "example.net/9", "hello"],
        &["listen", "udp://127.0.0.1"],
        &["listen", "127.0.0.1", "--count", "0"],
        &["chat", "127.0.0.1", "nobody"],
    ] {
        assert_eq!(run(HII, args).code, Some(2), "{args:?}");
    }
}

#[test]
fn the_end_of_a_connection_ends_a_listener() {
    let (server, ways) = relay("127.0.0.1", &[]);
    let listener = Listener::start(&ways[1], &[]);
    server.stop();
    let ended = listener.wait();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("the connection to"), "{ended:?}");
    assert!(ended.stderr.contains("connect again"), "{ended:?}");
}

#[test]
fn an_interrupt_ends_each_of_them_cleanly() {
    let (_server, ways) = relay("127.0.0.1", &[]);
    let listener = Listener::start(&ways[0], &[]);
    programs::signal(listener.child.id(), Signal::SIGINT);
    assert_eq!(listener.wait().code, Some(130));
    // Both wait for input, and the first has sent what it had.
    for (command, first) in [("send", "hello\n"), ("chat", "hii\n")] {
        let to: &[&str] = if command == "send" {
            &["127.0.0.1/9", "--json"]
        } else {
            &[]
        };
        let mut child = start_with_input(HII, &[&[command, &ways[0]], to].concat());
        let mut input = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut input, first.as_bytes()).unwrap();
        let mut lines = output(child.stdout.take().unwrap());
        lines.read_line(&mut String::new()).unwrap();
        programs::signal(child.id(), Signal::SIGTERM);
        assert_eq!(finish(child).code, Some(130), "{command}");
        drop(input);
    }
}

#[test]
fn output_that_cannot_be_written_has_a_code_of_its_own() {
    let (_server, ways) = relay("127.0.0.1", &[]);
    for args in [
        &["listen", &ways[0]][..],
        &["chat", &ways[0]],
        &["send", &ways[0], "127.0.0.1/9", "hello", "--json"],
        &["explain", "hii"],
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let child = Command::new(HII)
            .args(args)
            .stdin(Stdio::null())
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let ended = finish(child);
        assert_eq!(ended.code, Some(7), "{args:?} {ended:?}");
    }
}
