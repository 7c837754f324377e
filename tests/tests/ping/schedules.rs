//! When probes are sent, and when a run ends.

use std::io::Read as _;
use std::time::Duration;

use hii_tests::path::{Fate, Path};
use hii_tests::programs::{self, finish, output, read_until, start};
use hii_tests::schema;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{HII, count, judge, passes, ping, server, verdicts};

/// When each probe was due, less when the first was.
fn slots(document: &Value) -> Vec<Duration> {
    let probes = document["probes"].as_array().unwrap();
    let due: Vec<_> = probes.iter().map(|probe| count(&probe["due_ns"])).collect();
    for (probe, due) in probes.iter().zip(&due) {
        assert!(count(&probe["sent_ns"]) >= *due, "{probe}");
    }
    due.iter()
        .map(|at| Duration::from_nanos(at - due[0]))
        .collect()
}

#[test]
fn a_fixed_schedule_has_its_slots_at_equal_distances() {
    let server = server(&[]);
    let ended = ping(server.address(), &["-n", "50", "-i", "3ms"]);
    let slots = slots(&ended.json());
    let expected: Vec<_> = (0..50)
        .map(|slot| Duration::from_millis(3) * slot)
        .collect();
    assert_eq!(slots, expected);
}

#[test]
fn a_duration_has_the_probes_that_begin_within_it() {
    let server = server(&[]);
    let ended = ping(server.address(), &["-d", "0.5", "-i", "50ms"]);
    let document = ended.json();
    assert_eq!(document["count"], 10);
    assert_eq!(slots(&document).len(), 10);
    assert_eq!(count(&document["summary"]["answered"]), 10);
    // Of a ramp too: 100, 50, 25 ms.
    let ended = ping(
        server.address(),
        &["-d", "160ms", "-i", "100ms", "--decay", "0.5"],
    );
    let slots = slots(&ended.json());
    let expected = [0, 100, 150].map(Duration::from_millis);
    assert_eq!(slots, expected);
}

/// The rates at which groups of ten probes went out, by the times in the document: a stalled machine sends late, and the
/// actual rate counts.
fn group_rates(document: &Value) -> Vec<f64> {
    // Others have no result for the path.
    const JUDGED: [&str; 5] = ["in-time", "late", "lost-there", "lost-back", "lost-unknown"];
    let probes = document["probes"].as_array().unwrap();
    let judged: Vec<_> = probes
        .iter()
        .filter(|probe| JUDGED.contains(&probe["verdict"].as_str().unwrap()))
        .collect();
    let groups = judged.chunks_exact(10);
    groups
        .map(|group| {
            let (first, last) = (group[0], group[9]);
            let passed = |name: &str| count(&last[name]) - count(&first[name]);
            let took = passed("sent_ns").max(passed("due_ns"));
            passed("seq") as f64 / Duration::from_nanos(took).as_secs_f64()
        })
        .collect()
}

/// Whether a rate is one of these.
fn is_one_of(rates: &[f64], rate: &Value) -> bool {
    let rate = rate.as_f64().unwrap();
    rates.iter().any(|one| (one / rate - 1.0).abs() < 1e-9)
}

#[test]
fn a_ramp_tells_where_loss_breaks_away() {
    // The path loses three of four from the 61st on. The delay is far more than a stalled machine adds, so it stays the usual
    // one.
    let server = server(&["--delay", "500ms"]);
    let path = Path::new(
        server.address(),
        judge(|seq| {
            if seq > 60 && seq % 4 > 0 {
                Fate::Drop
            } else {
                Fate::Pass
            }
        }),
        passes(),
    );
    let path = path.unwrap();
    let ended = ping(path.addr(), &["-n", "300", "-i", "20ms", "--decay", "0.99"]);
    let document = ended.json();
    let knee = &document["summary"]["knee"];
    assert_eq!(knee["sign"], "loss", "{document}");
    // Of the first 60 probes none is lost.
    let rates = &group_rates(&document)[5..];
    assert!(is_one_of(rates, &knee["probes_per_second"]), "{document}");
}

#[test]
fn ramp_over_a_limit_of_the_server_has_no_knee_and_reports_the_limit() {
    // A second's worth at once, and then 50 a second, while the ramp goes from 50 to 1,000.
    let server = server(&["--rate", "50"]);
    let ended = ping(
        server.address(),
        &["-n", "300", "-i", "20ms", "--decay", "0.99"],
    );
    let summary = &ended.json()["summary"];
    assert!(count(&summary["rate_limited"]) > 0, "{summary}");
    assert_ne!(summary["knee"]["sign"], "loss", "{summary}");
    assert_eq!(count(&summary["lost"]["total"]), 0, "{summary}");
}

#[test]
fn a_ramp_tells_where_delay_breaks_away() {
    let server = server(&[]);
    // A queue that fills up from probe 100 on. The usual delay is far more than what a stalled machine adds.
    let there = judge(|seq| Fate::Delay(Duration::from_millis(300 + 50 * seq.saturating_sub(100))));
    let path = Path::new(server.address(), there, passes()).unwrap();
    let ended = ping(
        path.addr(),
        &["-n", "160", "-i", "10ms", "--decay", "0.99", "-W", "60"],
    );
    let document = ended.json();
    let knee = &document["summary"]["knee"];
    assert_eq!(knee["sign"], "delay", "{document}");
    let rates = &group_rates(&document)[10..];
    assert!(is_one_of(rates, &knee["probes_per_second"]), "{document}");
    assert_eq!(document["summary"]["loss_percent"], 0.0);
}

#[test]
fn a_ramp_that_nothing_breaks_has_no_knee() {
    // Far more than what a stalled machine adds.
    let server = server(&["--delay", "500ms"]);
    let ended = ping(
        server.address(),
        &["-n", "100", "-i", "10ms", "--decay", "0.99", "-W", "60"],
    );
    let document = ended.json();
    let summary = &document["summary"];
    assert_eq!(count(&summary["answered"]), 100);
    assert_eq!(summary.get("knee"), None, "{summary}");
    // Two groups give the usual delay, and one has to follow.
    let judged = &group_rates(&document)[2..9];
    let highest = judged.iter().copied().fold(0.0, f64::max);
    let told = &summary["ramp_probes_per_second"];
    assert!(is_one_of(&[highest], told), "{document}");
}

#[test]
fn a_ramp_shrinks_its_interval() {
    let server = server(&[]);
    let ended = ping(
        server.address(),
        &["-n", "60", "-i", "0.05", "--decay", "0.9"],
    );
    let document = ended.json();
    assert_eq!(count(&document["summary"]["answered"]), 60, "{document}");
    let sent: Vec<_> = document["probes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|probe| count(&probe["sent_ns"]))
        .collect();
    // The slots sum up to ten intervals at most, however many probes there are.
    let last = Duration::from_nanos(sent[59] - sent[0]);
    assert!(sent.is_sorted());
    assert!(last >= Duration::from_millis(490), "{last:?}");
    let ended = ping(server.address(), &["-n", "0", "--decay", "0.9"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

#[test]
fn a_ramp_s_later_probe_is_late_where_an_earlier_one_with_the_same_delay_is_in_time() {
    // An answer takes 70 ms at the least, and is late after 800, 400, 200, 100, 50 and 25.
    let server = server(&["--delay", "70ms"]);
    let ramp = ["-n", "6", "-i", "800ms", "--decay", "0.5"];
    let ended = ping(server.address(), &ramp);
    let document = ended.json();
    let probes = document["probes"].as_array().unwrap();
    assert_eq!(probes.len(), 6);
    for (probe, halvings) in probes.iter().zip(0..) {
        let rtt = Duration::from_nanos(count(&probe["rtt_ns"]));
        let deadline = Duration::from_millis(800) / 2_u32.pow(halvings);
        // A stalled machine may make any answer late, and none early.
        let expected = if rtt <= deadline { "in-time" } else { "late" };
        assert_eq!(probe["verdict"], expected, "{probe}");
        assert!(halvings < 4 || probe["verdict"] == "late", "{probe}");
    }
    assert_eq!(document["summary"]["loss_percent"], 0.0);
    // A deadline that is given is that of all of them.
    let given = ["-W", "60s", "-n", "6", "-i", "80ms", "--decay", "0.5"];
    let ended = ping(server.address(), &given);
    assert_eq!(verdicts(&ended.json()), ["in-time"; 6]);
}

#[test]
fn a_run_without_end_reports_until_it_is_stopped() {
    let server = server(&[]);
    let target = server.address().to_string();
    let mut child = start(
        HII,
        &["ping", &target, "-n", "0", "-i", "0.01", "--report", "0.1"],
    );
    let mut stdout = output(child.stdout.take().unwrap());
    let mut text = read_until(&mut stdout, |text| text.matches(" answered (").count() >= 2);
    assert!(!text.contains("seq 1:"), "{text}");
    programs::signal(child.id(), Signal::SIGINT);
    stdout.read_to_string(&mut text).unwrap();
    assert_eq!(finish(child).code, Some(130));
    assert!(text.contains("RTT of "), "{text}");
}

#[test]
fn a_run_without_end_is_a_whole_document_when_it_is_stopped() {
    let server = server(&[]);
    let target = server.address().to_string();
    let args = ["-n", "0", "-i", "10ms", "--report", "100ms", "--json"];
    let mut child = start(HII, &[&["ping", &target], &args[..]].concat());
    let mut stdout = output(child.stdout.take().unwrap());
    let mut text = read_until(&mut stdout, |text| text.matches("until_ns").count() >= 2);
    programs::signal(child.id(), Signal::SIGINT);
    stdout.read_to_string(&mut text).unwrap();
    assert_eq!(finish(child).code, Some(130));
    let document: Value = serde_json::from_str(&text).unwrap();
    schema::check(&document);
    assert_eq!(document["count"], Value::Null);
    let intervals = document["intervals"].as_array().unwrap();
    let sent: u64 = intervals
        .iter()
        .map(|interval| count(&interval["sent"]))
        .sum();
    // The last of them has what was sent since the one before.
    assert_eq!(sent, count(&document["summary"]["sent"]));
}
