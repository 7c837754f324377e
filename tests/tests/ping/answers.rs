//! Answers beside the first, and others that are no answers.

use std::time::Duration;

use hii_tests::path::{Fate, Path};

use crate::{count, judge, passes, ping, server};

#[test]
fn duplicates_and_reordering_change_no_verdict() {
    let server = server(&[]);
    let there = Box::new(|index, _: &[u8]| {
        if index % 5 == 3 {
            Fate::Twice
        } else {
            Fate::Pass
        }
    });
    let back = Box::new(|index, _: &[u8]| {
        if index % 7 == 4 {
            // Long enough for several later ones to come first.
            Fate::Delay(Duration::from_millis(20))
        } else {
            Fate::Pass
        }
    });
    let path = Path::new(server.address(), there, back).unwrap();
    let ended = ping(path.addr(), &["-n", "41", "-i", "0.005"]);
    let document = ended.json();
    let summary = &document["summary"];
    assert_eq!(count(&summary["answered"]), 41, "{document}");
    assert!(count(&summary["duplicates"]) >= 7, "{summary}");
    assert_eq!(count(&summary["lost"]["total"]), 0, "{summary}");
    assert!(count(&summary["variation"]["reordered"]) > 0, "{summary}");
}

#[test]
fn each_answer_that_a_later_one_overtakes_is_reordered() {
    let server = server(&[]);
    // Long enough for some later ones to come first, unless the machine stalls for as long.
    let back = judge(|seq| {
        if seq % 10 == 0 {
            Fate::Delay(Duration::from_millis(100))
        } else {
            Fate::Pass
        }
    });
    let path = Path::new(server.address(), passes(), back).unwrap();
    let ended = ping(path.addr(), &["-n", "41", "-i", "5ms"]);
    let document = ended.json();
    let variation = &document["summary"]["variation"];
    assert_eq!(count(&variation["reordered"]), 4, "{variation}");
    let percent = variation["reordered_percent"].as_f64().unwrap();
    assert!((percent - 400.0 / 41.0).abs() < 1e-9, "{variation}");
    assert_eq!(count(&document["summary"]["answered"]), 41);
}

#[test]
fn probes_that_overtake_each_other_are_no_loss_either() {
    let server = server(&[]);
    let there = judge(|seq| match seq {
        10 | 20 => Fate::AfterNext,
        30 => Fate::Delay(Duration::from_millis(50)),
        _ => Fate::Pass,
    });
    let path = Path::new(server.address(), there, passes()).unwrap();
    let ended = ping(path.addr(), &["-n", "41", "-i", "5ms"]);
    let document = ended.json();
    let summary = &document["summary"];
    assert_eq!(count(&summary["answered"]), 41, "{summary}");
    assert!(count(&summary["variation"]["reordered"]) > 0, "{summary}");
    for none in ["server_forgot", "implausible", "foreign", "duplicates"] {
        assert_eq!(count(&summary[none]), 0, "{none}: {summary}");
    }
}

#[test]
fn a_probe_that_the_path_doubles_is_answered_twice() {
    let server = server(&[]);
    let there = judge(|seq| {
        if seq % 5 == 0 && seq < 40 {
            Fate::Twice
        } else {
            Fate::Pass
        }
    });
    let path = Path::new(server.address(), there, passes()).unwrap();
    let ended = ping(path.addr(), &["-n", "40", "-i", "5ms"]);
    let document = ended.json();
    let summary = &document["summary"];
    assert_eq!(count(&summary["duplicates"]), 7, "{summary}");
    assert_eq!(count(&summary["answered"]), 40, "{summary}");
    assert_eq!(count(&summary["server_forgot"]), 0, "{summary}");
}
