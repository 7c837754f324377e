//! What an operator sees and does.

use std::io::BufRead as _;
use std::process::{Command, Stdio};

use hii_tests::metrics::{get, serve};
use hii_tests::programs::{Server, count, finish, output, run, signal, start};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::peers::{Peer, SENT, Tcp, UNDELIVERABLE, Udp, tell_until_full};
use crate::{HII_SERVER, checked, relay, relay_that_logs, tally};

#[test]
fn the_metrics_tell_what_was_done_by_fixed_labels() {
    let (child, address, metrics) = serve(HII_SERVER, "relay", &[]);
    let (mut udp, mut tcp) = (Udp::of(address), Tcp::of(address));
    udp.greet();
    tcp.greet();
    assert_eq!(udp.tell(&tcp.address(), "hello"), SENT);
    assert!(tcp.hear_text().ends_with("hello"));
    assert_eq!(tcp.tell(&udp.address(), "hello"), SENT);
    assert!(udp.hear_text().ends_with("hello"));
    assert_eq!(udp.tell("127.0.0.1/9", "hello"), UNDELIVERABLE);
    assert_eq!(udp.ask(b"nonsense"), "400");
    // The counts are told when a round is done, which is after the answer.
    let text = loop {
        let text = get(metrics);
        if text.contains("hii_relay_refused_total{code=\"400\"} 1\n") {
            break text;
        }
        std::thread::yield_now();
    };
    for line in [
        "hii_relay_received_total 6",
        "hii_relay_forwarded_total 2",
        "hii_relay_registered_total 2",
        "hii_relay_connections_total 1",
        "hii_relay_connection_frames_total 2",
        r#"hii_relay_refused_total{code="405"} 1"#,
        r#"hii_relay_refused_total{code="403"} 0"#,
        r#"hii_relay_dropped_total{reason="queue_full"} 0"#,
        r#"hii_relay_dropped_total{reason="over_rate"} 0"#,
        r#"hii_relay_connections_closed_total{reason="idle"} 0"#,
        r#"hii_relay_datagrams_total{direction="in",family="ipv4"} 4"#,
        r#"hii_relay_datagrams_total{direction="out",family="ipv4"} 5"#,
        r#"hii_relay_datagrams_total{direction="in",family="ipv6"} 0"#,
        r#"hii_relay_batch_size_count{direction="in"} 4"#,
        r#"hii_relay_batch_size_sum{direction="out"} 5.0"#,
        r#"hii_relay_batch_size_bucket{le="+Inf",direction="in"} 4"#,
        "hii_relay_gso_datagrams_total 0",
        "hii_relay_gso_fallbacks_total 0",
        "hii_relay_gso_pauses_total 0",
        "hii_relay_peers 2",
        "hii_relay_connections_open 1",
    ] {
        assert!(text.lines().any(|told| told == line), "{line}: {text}");
    }
    signal(child.id(), Signal::SIGTERM);
    checked(&finish(child));
}

#[test]
fn asked_to_stop_it_deals_with_what_has_come_and_lets_connections_end() {
    let server = relay(&[]);
    let (mut udp, mut tcp) = (Udp::of(server.address()), Tcp::of(server.address()));
    udp.greet();
    tcp.greet();
    let message = format!("to:{};content:last", tcp.address());
    // It finds all of that at once: the messages, and that it is to stop.
    signal(server.id(), Signal::SIGSTOP);
    for _ in 0..100 {
        udp.say(message.as_bytes());
    }
    signal(server.id(), Signal::SIGTERM);
    signal(server.id(), Signal::SIGCONT);
    for _ in 0..100 {
        assert!(tcp.hear_text().ends_with("last"));
        assert_eq!(udp.hear_text(), SENT);
    }
    assert!(tcp.rest().is_empty());
    drop(tcp);
    let tally = checked(&server.wait());
    assert_eq!(count(&tally["forwarded"]), 100);
    assert_eq!(count(&tally["abandoned"]), 0);
}

#[test]
fn asked_to_stop_it_counts_what_was_accepted_for_who_does_not_read() {
    let server = relay(&["--rate", "0", "--error-rate", "0"]);
    let (mut udp, mut deaf) = (Udp::of(server.address()), Tcp::of(server.address()));
    let mut other = Tcp::of(server.address());
    udp.greet();
    deaf.greet();
    other.greet();
    let long = "x".repeat(60_000);
    let (sent, refused) = tell_until_full(&mut udp, &deaf, &mut other, &long);
    signal(server.id(), Signal::SIGTERM);
    let tally = checked(&server.wait());
    // Each time a message was sent to the other one as well.
    assert_eq!(count(&tally["tcp"]["forwarded"]), sent + (sent + refused));
    assert_eq!(count(&tally["tcp"]["ended"]), 2);
    // All that did not get as far as the buffers is counted.
    let frame = 4 + format!("{} ; content : {long}", udp.address()).len();
    let arrived = (deaf.rest().len() / frame) as u64;
    let abandoned = count(&tally["abandoned"]);
    assert!(
        abandoned > 0 && arrived + abandoned >= sent,
        "{arrived} of {sent}: {tally}"
    );
}

#[test]
fn who_may_stop_it_from_afar_is_the_operator_s_choice() {
    let server = relay(&["--allow-exit", "never"]);
    let mut udp = Udp::of(server.address());
    assert_eq!(udp.ask(b"exit server"), "400");
    udp.greet();
    drop(server);
    let server = relay(&[]);
    Udp::of(server.address()).say(b"exit server");
    checked(&server.wait());
}

#[test]
fn its_log_tells_what_stopped_it() {
    for exits in [false, true] {
        let args = "relay -b 127.0.0.1 -p 0 --log json".split(' ');
        let mut child = start(HII_SERVER, &args.collect::<Vec<_>>());
        let lines = output(child.stderr.take().unwrap()).lines();
        let mut fields = lines.map(|line| {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            line["fields"].clone()
        });
        let address = fields.find_map(|fields| fields["address"].as_str()?.parse().ok());
        let mut udp = Udp::of(address.unwrap());
        let (reason, from) = if exits {
            udp.say(b"exit server");
            let own = udp.address().replace('/', ":");
            ("exit server", Value::from(own))
        } else {
            signal(child.id(), Signal::SIGTERM);
            ("SIGTERM", Value::Null)
        };
        let stopping = fields.find(|fields| fields["message"] == "stopping");
        let stopping = stopping.expect("it says so");
        assert_eq!(
            (&stopping["reason"], &stopping["from"]),
            (&reason.into(), &from)
        );
        assert!(fields.any(|fields| fields["message"] == "stopped"));
        assert_eq!(finish(child).code, Some(0));
    }
}

#[test]
fn the_rates_are_those_that_were_asked_for() {
    let server = relay(&["--rate", "5/s", "--error-rate", "3/s"]);
    let (mut peer, mut stranger) = (Udp::of(server.address()), Udp::of(server.address()));
    peer.greet();
    for _ in 0..100 {
        stranger.say(b"nonsense");
        let to = peer.address();
        peer.say(format!("to:{to};content:x").as_bytes());
    }
    let tally = tally(server);
    // A second's worth at once, and what a slow machine makes of the time.
    let passed = count(&tally["forwarded"]);
    assert!((4..50).contains(&passed), "{tally}");
    let refused = count(&tally["refused"]["400"]);
    assert!((3..30).contains(&refused), "{tally}");
}

#[test]
fn it_says_what_it_is_and_warns_of_being_open() {
    let mut child = Command::new(HII_SERVER)
        .args(["relay", "-b", "127.0.0.1", "-p", "0", "--open"])
        .args(["--trust", "192.168.0.0/16"])
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = output(child.stderr.take().unwrap()).lines();
    let mut said = String::new();
    while !(said.contains("--open") && said.contains("original")) {
        said += &lines.next().expect("it says more").unwrap();
    }
    assert!(said.starts_with("relay listens on 127.0.0.1:"), "{said}");
    assert!(said.contains("hii chat 127.0.0.1:"), "{said}");
    let stance = said.find("original clients can take part from anywhere");
    // The warning is not in the middle of that.
    assert!(stance < said.find("WARN") && stance.is_some(), "{said}");
    signal(child.id(), Signal::SIGTERM);
    let ended = finish(child);
    assert!(ended.stdout.starts_with("0 received: "), "{ended:?}");
}

#[test]
fn contents_are_in_no_log_and_what_is_logged_is_escaped_and_bounded() {
    const MESSAGES: usize = 300;
    let (child, lines, address) = relay_that_logs(&["--rate", "0"]);
    let mut udp = Udp::of(address);
    udp.greet();
    for _ in 0..MESSAGES {
        // The message goes before its answer.
        assert!(
            udp.tell(&udp.address(), "\x1b[2Jprivate")
                .ends_with("private")
        );
        assert_eq!(udp.hear_text(), SENT);
    }
    signal(child.id(), Signal::SIGTERM);
    let log: Vec<_> = lines.map(Result::unwrap).collect();
    assert_eq!(finish(child).code, Some(0));
    let about: Vec<_> = log
        .iter()
        .filter(|line| line.contains("passed on"))
        .collect();
    assert!(!about.is_empty(), "{log:?}");
    assert!(about.len() < 290, "{} lines", about.len());
    // Each one is in a line, or counted as left out in a later one.
    let written = log.iter().filter(|line| line.contains(" passed on "));
    let left_out = about.iter().filter_map(|line| {
        let (_, number) = line.split_once("left_out=")?;
        number.split(' ').next()?.parse::<usize>().ok()
    });
    assert_eq!(
        written.count() + left_out.sum::<usize>(),
        MESSAGES,
        "{about:?}"
    );
    assert!(!log.iter().any(|line| line.contains("private")), "{log:?}");
}

#[test]
fn mistakes_on_the_command_line_are_told() {
    for args in [
        &["--trust", "x"][..],
        &["--deny", "192.0.2.0/33"],
        &["--rate", "x"],
        &["--peers", "0"],
        &["--idle", "0"],
        &["--max-connections", "0"],
        &["--metrics", "x"],
    ] {
        let ended = run(HII_SERVER, &[&["relay", "-p", "0"], args].concat());
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(args[0]), "{ended:?}");
    }
    let first = Server::start(HII_SERVER, &["relay", "-b", "127.0.0.1"]);
    let port = first.address().port().to_string();
    let ended = run(HII_SERVER, &["relay", "-b", "127.0.0.1", "-p", &port]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended.stderr.contains("another program has the port"),
        "{ended:?}"
    );
}
