//! Both sides tell the same: what `hii ping` measured, and what `hii-server ping` says that it did.

use hii_server::ping::Fate::Answered;
use hii_server::ping::{Dice, Impairments};
use hii_tests::path::Path;

use crate::{count, drops, passes, ping, server};

#[test]
fn every_probe_is_answered_and_both_sides_agree() {
    let server = server(&[]);
    let ended = ping(server.address(), &["-n", "50", "-i", "0.002", "-s", "1000"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document = ended.json();
    assert_eq!(document["server"], "hii");
    assert_eq!(document["size"], 1000);
    let summary = &document["summary"];
    assert_eq!(
        (count(&summary["sent"]), count(&summary["answered"])),
        (50, 50)
    );
    assert_eq!(summary["loss_percent"], 0.0);
    let rtt = &summary["rtt_ns"];
    let figure = |name: &str| rtt[name].as_f64().expect("a figure");
    assert!(
        figure("min") <= figure("median")
            && figure("median") <= figure("p99")
            && figure("p99") <= figure("max")
    );
    assert!(figure("min") <= figure("mean") && figure("mean") <= figure("max"));
    let tally = server.stop().json();
    // One question more: what am I talking to?
    assert_eq!(
        (count(&tally["received"]), count(&tally["answered"])),
        (51, 51)
    );
}

#[test]
fn what_the_server_drops_on_purpose_is_lost_back() {
    let server = server(&["--simulate", "--seed", "7"]);
    let ended = ping(server.address(), &["-n", "200", "-i", "0.01"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let summary = &ended.json()["summary"];
    let tally = server.stop().json();
    // Questions before the run and closing probes after it are lost as well, without being counted.
    let uncounted = &summary["uncounted"];
    let received = 200 + count(&uncounted["sent"]);
    assert_eq!(count(&tally["received"]), received, "{summary} {tally}");
    let lost = &summary["lost"];
    let elsewhere = (count(&lost["there"]), count(&lost["unknown"]));
    assert_eq!(elsewhere, (0, 0), "{summary}");
    let dropped = count(&lost["back"]) + count(&uncounted["unanswered"]);
    assert_eq!(count(&tally["dropped"]), dropped, "{summary} {tally}");
    assert!(count(&lost["back"]) > 0);
    // Late answers are late, not lost.
    assert_eq!(
        count(&summary["answered"]) + count(&lost["back"]),
        200,
        "{summary}"
    );
    assert!(count(&summary["late"]) > 100, "{summary}");
}

#[test]
fn what_the_server_sends_twice_is_a_duplicate_for_the_client() {
    let impairments = Impairments {
        duplicate: 0.3,
        ..Impairments::NONE
    };
    let twice = |fate| matches!(fate, Answered { twice: true, .. });
    // The client hears no copies of the answers to its questions before the run, 5 at most, and none that come after all
    // is answered: the seed is one with which there are none of either.
    let draws = |seed| {
        let mut dice = Dice::new(impairments, seed);
        (0..55).map(|_| twice(dice.roll())).collect::<Vec<_>>()
    };
    let unheard = |draws: &[bool]| [&draws[..5], &draws[50..]].concat();
    let seed = (1..10_000)
        .find(|seed| !unheard(&draws(*seed)).contains(&true))
        .unwrap();
    let server = server(&["--duplicate", "30%", "--seed", &seed.to_string()]);
    let ended = ping(server.address(), &["-n", "50", "-i", "0.01"]);
    let summary = &ended.json()["summary"];
    let tally = server.stop().json();
    let expected = draws(seed).into_iter().filter(|twice| *twice).count() as u64;
    assert_eq!(count(&tally["duplicated"]), expected, "{tally}");
    assert_eq!(count(&summary["duplicates"]), expected, "{summary}");
    assert_eq!(count(&summary["answered"]), 50, "{summary}");
    let received = 50 + count(&summary["uncounted"]["sent"]);
    assert_eq!(count(&tally["received"]), received, "{tally}");
    assert_eq!(count(&tally["answered"]), received, "{tally}");
}

#[test]
fn what_the_server_reorders_is_answered_all_the_same() {
    let server = server(&["--reorder", "30%", "--duplicate", "10%", "--seed", "7"]);
    let ended = ping(server.address(), &["-n", "50", "-i", "0.01"]);
    let summary = &ended.json()["summary"];
    let tally = server.stop().json();
    assert_eq!(count(&summary["answered"]), 50, "{summary}");
    assert_eq!(count(&summary["lost"]["total"]), 0, "{summary}");
    // The client does not count those of its questions before and after the run.
    let seen = count(&summary["variation"]["reordered"]);
    assert!(
        (1..=count(&tally["reordered"])).contains(&seen),
        "{summary} {tally}"
    );
    assert_eq!(count(&tally["received"]), count(&tally["answered"]));
}

#[test]
fn a_lossy_server_and_a_lossy_path_are_told_apart() {
    let server = server(&["--loss", "20%", "--seed", "3"]);
    let path = Path::new(server.address(), drops(&[5, 6, 7, 50]), passes()).unwrap();
    let ended = ping(path.addr(), &["-n", "60", "-i", "0.005"]);
    let summary = &ended.json()["summary"];
    let tally = server.stop().json();
    assert_eq!(count(&summary["lost"]["there"]), 4, "{summary}");
    let uncounted = &summary["uncounted"];
    let dropped = count(&summary["lost"]["back"]) + count(&uncounted["unanswered"]);
    assert_eq!(count(&tally["dropped"]), dropped, "{summary} {tally}");
    let received = 60 - 4 + count(&uncounted["sent"]);
    assert_eq!(count(&tally["received"]), received, "{summary} {tally}");
}

#[test]
fn what_is_over_the_server_s_rate_is_lost_back_not_there() {
    let server = server(&["--rate", "100"]);
    let ended = ping(server.address(), &["-n", "400", "-i", "0.001"]);
    let summary = &ended.json()["summary"];
    let tally = server.stop().json();
    assert!(count(&tally["over_rate"]) > 0, "{tally}");
    assert_eq!(count(&summary["lost"]["there"]), 0, "{summary} {tally}");
}
