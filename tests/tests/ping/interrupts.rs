//! Ctrl-C.

use std::io::Read as _;
use std::sync::mpsc::channel;
use std::time::Duration;

use hii_tests::programs::{self, finish, output, read_until, start};
use hii_tests::script::Script;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{HII, count, server, verdicts};

#[test]
fn two_signals_at_once_are_one_and_the_summary_is_whole() {
    let server = server(&[]);
    let target = server.address().to_string();
    let mut child = start(
        HII,
        &["ping", &target, "-n", "100000", "-i", "0.001", "--json"],
    );
    let mut stdout = output(child.stdout.take().unwrap());
    let mut text = read_until(&mut stdout, |text| text.lines().count() >= 2);
    programs::signal(child.id(), Signal::SIGINT);
    programs::signal(child.id(), Signal::SIGINT);
    stdout.read_to_string(&mut text).unwrap();
    assert_eq!(finish(child).code, Some(130));
    let document: Value = serde_json::from_str(&text).unwrap();
    // All that was sent is told, up to the end.
    let tally = server.stop().json();
    let summary = &document["summary"];
    let received = count(&summary["sent"]) + count(&summary["uncounted"]["sent"]);
    assert_eq!(count(&tally["received"]), received, "{summary} {tally}");
}

#[test]
fn ctrl_c_prints_the_summary_and_is_code_130() {
    let server = server(&[]);
    let mut child = start(
        HII,
        &[
            "ping",
            &server.address().to_string(),
            "-n",
            "1000000",
            "-i",
            "0.01",
        ],
    );
    // It is under way when its first line is there.
    let mut stdout = output(child.stdout.take().unwrap());
    let mut text = read_until(&mut stdout, |text| text.contains("seq 3: "));
    programs::signal(child.id(), Signal::SIGINT);
    stdout.read_to_string(&mut text).unwrap();
    let ended = finish(child);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(
        text.contains(" sent, ") && text.contains("RTT of "),
        "{text}"
    );
    assert!(text.contains(", 0 lost"), "{text}");
}

#[test]
fn what_is_still_waited_for_is_in_flight_and_not_lost() {
    let (six, came) = channel();
    let server = Script::start(move |received| match received.seq() {
        1..=3 => vec![received.truth()],
        seq => {
            let _ = six.send(seq);
            Vec::new()
        }
    });
    let target = server.address().to_string();
    let child = start(HII, &["ping", &target, "-n", "1000", "-i", "5ms", "--json"]);
    while came.recv_timeout(Duration::from_secs(60)).unwrap() < 6 {}
    programs::signal(child.id(), Signal::SIGINT);
    let ended = finish(child);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    let document = ended.json();
    let verdicts = verdicts(&document);
    assert!(verdicts.len() >= 6, "{verdicts:?}");
    // A stalled machine may have given up the first of them.
    assert_eq!(verdicts.last().unwrap(), "in-flight", "{verdicts:?}");
    let summary = &document["summary"];
    let in_flight = verdicts.iter().filter(|verdict| *verdict == "in-flight");
    assert_eq!(count(&summary["in_flight"]), in_flight.count() as u64);
    assert_eq!(count(&summary["answered"]), 3);
    assert_eq!(summary["interrupted"], true);
}
