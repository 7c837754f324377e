//! What becomes of a probe: each verdict, on a path that sees to it.

use std::time::Duration;

use hii_tests::path::{Fate, Path};
use hii_tests::script::Script;
use serde_json::Value;

use crate::{count, drops, passes, ping, server, verdicts};

/// Checks that what is called late took longer than the interval, and what is called in time did not.
fn assert_deadline_kept(document: &Value, interval: Duration) {
    for probe in document["probes"].as_array().expect("probes") {
        let rtt = probe["rtt_ns"].as_u64().map(Duration::from_nanos);
        match probe["verdict"].as_str() {
            Some("late") => assert!(rtt > Some(interval), "{probe}"),
            Some("in-time") => assert!(rtt <= Some(interval), "{probe}"),
            _ => assert_eq!(rtt, None, "{probe}"),
        }
    }
}

#[test]
fn loss_on_the_way_there_is_told_from_loss_on_the_way_back() {
    let server = server(&[]);
    // 20 is the last: a closing probe settles it.
    let path = Path::new(server.address(), drops(&[3, 4, 9, 20]), drops(&[5, 12])).unwrap();
    let ended = ping(path.addr(), &["-n", "20", "-i", "0.01"]);
    let document = ended.json();
    assert_deadline_kept(&document, Duration::from_millis(10));
    let verdicts = verdicts(&document);
    for (seq, verdict) in (1..).zip(&verdicts) {
        let expected = match seq {
            3 | 4 | 9 | 20 => "lost-there",
            5 | 12 => "lost-back",
            // A stalled machine may make an answer late.
            _ if verdict == "late" => "late",
            _ => "in-time",
        };
        assert_eq!(verdict, expected, "probe {seq} of {verdicts:?}");
    }
    assert_eq!(document["summary"]["loss_percent"], 30.0);
}

#[test]
fn a_silent_path_ends_with_a_summary_and_code_1() {
    let server = server(&[]);
    let path = Path::new(server.address(), Box::new(|_, _| Fate::Drop), passes()).unwrap();
    let ended = ping(path.addr(), &["-n", "2", "-i", "0.01"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let document = ended.json();
    assert_eq!(document["server"], Value::Null);
    assert_eq!(verdicts(&document), ["lost-unknown", "lost-unknown"]);
    assert!(ended.stderr.contains("no answer"), "{ended:?}");
}

#[test]
fn what_comes_within_the_deadline_is_in_time_and_what_comes_after_it_is_late() {
    let server = server(&["--delay", "50ms"]);
    for (deadline, verdict) in [("20ms", "late"), ("60s", "in-time")] {
        let ended = ping(server.address(), &["-n", "9", "-i", "5ms", "-W", deadline]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let document = ended.json();
        assert_eq!(verdicts(&document), [verdict; 9]);
        let summary = &document["summary"];
        let name = verdict.replace('-', "_");
        assert_eq!(count(&summary[name]), 9, "{summary}");
        assert_eq!(summary["loss_percent"], 0.0);
    }
}

#[test]
fn a_late_answer_is_not_taken_for_the_next_one_s() {
    let server = server(&[]);
    // The answer to each third comes after that to the next.
    let back = crate::judge(|seq| {
        if seq % 3 == 0 {
            Fate::Delay(Duration::from_millis(100))
        } else {
            Fate::Pass
        }
    });
    let path = Path::new(server.address(), passes(), back).unwrap();
    let ended = ping(path.addr(), &["-n", "30", "-i", "20ms", "-W", "90ms"]);
    let document = ended.json();
    assert_deadline_kept(&document, Duration::from_millis(90));
    for (seq, verdict) in (1..).zip(verdicts(&document)) {
        // A stalled machine may make any answer late, and none early.
        assert!(seq % 3 != 0 || verdict == "late", "{seq}: {verdict}");
    }
    assert_eq!(count(&document["summary"]["answered"]), 30);
}

#[test]
fn what_shared_a_port_is_answered_or_lost_and_the_loss_a_range() {
    // What is too small for a number is never answered, so the ports run out: there are 512 at most.
    let server = Script::start(|_| Vec::new());
    let ended = ping(server.address(), &["-n", "600", "-i", "1ms", "-s", "5"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let document = ended.json();
    let verdicts = verdicts(&document);
    let unknown = verdicts
        .iter()
        .filter(|verdict| *verdict == "unknown")
        .count();
    // Both of a pair.
    assert!(unknown >= 2 * (600 - 512), "{unknown}");
    let summary = &document["summary"];
    assert_eq!(count(&summary["unknown"]), unknown as u64);
    assert_eq!(
        count(&summary["lost"]["total"]) + unknown as u64,
        600,
        "{summary}"
    );
    assert_eq!(summary["loss_percent"], Value::Null);
    assert_eq!(summary["loss_percent_range"][1], 100.0, "{summary}");
}
