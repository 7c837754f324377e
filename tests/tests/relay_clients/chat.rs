//! `hii chat` with its input and output in other hands than a terminal's.

use std::io::Write as _;
use std::process::{Child, ChildStdin, ChildStdout};

use hii_tests::classic::relay_client::RelayClient;
use hii_tests::classic::relay_server::{Act, RelayServer};
use hii_tests::programs::{Ended, Output, finish, output, read_until, start_with_input};

use super::{HII, relay, with_input};

/// A running `hii chat`.
struct Chat {
    child: Child,
    input: ChildStdin,
    lines: Output<ChildStdout>,
    address: String,
}

impl Chat {
    fn start(args: &[&str]) -> Self {
        let mut child = start_with_input(HII, &[&["chat"], args].concat());
        let input = child.stdin.take().unwrap();
        let mut lines = output(child.stdout.take().unwrap());
        let welcome = read_until(&mut lines, |text| text.contains("help` tells"));
        let address = welcome.split_whitespace().nth(2).unwrap().to_owned();
        Self {
            child,
            input,
            lines,
            address,
        }
    }

    fn types(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// Reads until this has been shown.
    fn shows(&mut self, words: &str) -> String {
        read_until(&mut self.lines, |text| {
            text.ends_with('\n') && text.contains(words)
        })
    }

    fn ends(self) -> Ended {
        drop(self.input);
        finish(self.child)
    }
}

#[test]
fn two_talk_over_both_families_and_both_transports() {
    for bind in ["127.0.0.1", "::1"] {
        let (_server, ways) = relay(bind, &[]);
        for (here, there) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let mut one = Chat::start(&[&ways[here]]);
            let mut two = Chat::start(&[&ways[there], &one.address]);
            one.types(&format!("send {} good morning: 7:30", two.address));
            one.shows("passed on");
            let shown = two.shows("good morning: 7:30");
            assert!(shown.contains(&one.address), "{shown}");
            // That lines go to the other was said at the start, so this is no command.
            two.types("exit server");
            two.shows("passed on");
            let shown = one.shows("exit server");
            assert!(shown.contains(&two.address), "{shown}");
            one.types("exit");
            two.types("/exit");
            assert_eq!((one.ends().code, two.ends().code), (Some(0), Some(0)));
        }
    }
}

#[test]
fn the_five_acts_of_the_menu_work_with_an_original_relay() {
    let server = RelayServer::start(Box::new(|_| Act::Serve)).unwrap();
    let mut theirs = RelayClient::new(server.addr()).unwrap();
    let (ip, port) = theirs.initialise().unwrap();
    let mut ours = Chat::start(&[&server.addr().to_string()]);
    ours.types("1");
    assert!(ours.shows("you are").contains("original relay"));
    ours.types(&format!("2 {ip}/{port} hello"));
    ours.shows("passed on");
    assert!(theirs.receive().unwrap().ends_with(" ; content : hello"));
    let (our_ip, our_port) = ours.address.split_once('/').unwrap();
    theirs
        .send(our_ip, our_port.parse().unwrap(), "a message")
        .unwrap();
    ours.shows("a message");
    ours.types("3");
    ours.shows("a message");
    ours.types("5");
    ours.shows("the relay has stopped");
    ours.types("4");
    assert_eq!(ours.ends().code, Some(0));
    assert!(!server.runs());
}

#[test]
fn the_original_s_client_takes_part_by_a_relay_of_ours() {
    let (server, ways) = relay("127.0.0.1", &[]);
    for way in &ways {
        let mut theirs = RelayClient::new(server.address()).unwrap();
        let (ip, port) = theirs.initialise().unwrap();
        let mut ours = Chat::start(&[way]);
        ours.types(&format!("send {ip}/{port} hello"));
        ours.shows("passed on");
        assert!(theirs.receive().unwrap().ends_with(" ; content : hello"));
        let (our_ip, our_port) = ours.address.split_once('/').unwrap();
        let answer = theirs
            .send(our_ip, our_port.parse().unwrap(), "a message")
            .unwrap();
        assert!(answer.starts_with("200"), "{answer}");
        let shown = ours.shows("a message");
        assert!(
            shown.contains(&format!("{ip}/{port}: a message")),
            "{shown}"
        );
        // What it cannot read is said, with the reason.
        ours.types(&format!("send {ip}/{port} at 12:30"));
        ours.shows("\":\" at octet 5");
        ours.types("exit");
        assert_eq!(ours.ends().code, Some(1));
    }
}

#[test]
fn a_relay_of_ours_stops_where_that_is_allowed_and_says_so_where_not() {
    for way in 0..2 {
        let (server, ways) = relay("127.0.0.1", &["--allow-exit", "never"]);
        let ended = with_input(&["chat", &ways[way]], b"exit server\n");
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stdout.contains("will not stop for you"), "{ended:?}");
        drop(server);
        let (server, ways) = relay("127.0.0.1", &[]);
        let ended = with_input(&["chat", &ways[way]], b"exit server\n");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains("the relay has stopped"), "{ended:?}");
        assert_eq!(server.wait().code, Some(0));
    }
}

#[test]
fn each_line_waits_for_what_came_of_the_one_before() {
    let (_server, ways) = relay("127.0.0.1", &[]);
    let lines = "send 127.0.0.1/9 first\nhelp\nnonsense\nhii\nsend 127.0.0.1/9 last\n";
    let ended = with_input(&["chat", &ways[0]], lines.as_bytes());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let places = [
        "first",
        "Tab completes",
        "receive   ",
        "no such command",
        "you are",
        "last",
    ];
    let places = places.map(|words| {
        ended
            .stdout
            .rfind(words)
            .unwrap_or_else(|| panic!("{words}: {ended:?}"))
    });
    let [first, welcome, rest @ ..] = places;
    assert!(
        welcome < first && first < rest[0] && rest.is_sorted(),
        "{ended:?}"
    );
}
