//! What `hii ping` prints for machines, and several targets in one run.

use std::collections::BTreeSet;

use hii_tests::programs::{self, Ended, Server};
use hii_tests::schema;
use serde_json::Value;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

fn server(args: &[&str]) -> Server {
    Server::start(HII_SERVER, &[&["ping", "-b", "127.0.0.1"], args].concat())
}

fn ping(targets: &[String], args: &[&str]) -> Ended {
    let targets: Vec<_> = targets.iter().map(String::as_str).collect();
    programs::run(HII, &[&["ping"], targets.as_slice(), args].concat())
}

/// An address where nothing listens.
fn nobody() -> String {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("its address").to_string()
}

#[test]
fn each_probe_is_a_row_of_csv_and_the_summary_is_beside_it() {
    let server = server(&["--loss", "0.3", "--seed", "7"]);
    let target = server.address().to_string();
    let ended = ping(
        std::slice::from_ref(&target),
        &["--csv", "-n", "20", "-i", "2ms"],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mut lines = ended.stdout.lines();
    assert_eq!(
        lines.next(),
        Some(
            "target,seq,due_ns,sent_ns,verdict,rtt_ns,kernel_rtt_ns,held_ns,received_ns,refused_by"
        )
    );
    let mut verdicts = BTreeSet::new();
    for (seq, line) in (1..).zip(lines.by_ref()) {
        let fields: Vec<_> = line.split(',').collect();
        let [
            name,
            number,
            due,
            sent,
            verdict,
            rtt,
            kernel_rtt,
            held,
            received,
            refused_by,
        ] = fields.as_slice()
        else {
            panic!("{line}");
        };
        assert_eq!(
            (*name, *number),
            (target.as_str(), seq.to_string().as_str())
        );
        let time = |text: &str| text.parse::<u64>().expect("nanoseconds");
        assert!(time(due) <= time(sent), "{line}");
        let was_answered = *verdict == "in-time" || *verdict == "late";
        let times = [rtt, held, received];
        assert!(
            times.iter().all(|time| time.is_empty() != was_answered),
            "{line}"
        );
        // Not every kernel tells its times.
        assert!(was_answered || kernel_rtt.is_empty(), "{line}");
        assert_eq!(*refused_by, "", "{line}");
        verdicts.insert(verdict.to_string());
    }
    assert_eq!(ended.stdout.lines().count(), 21);
    assert!(
        verdicts.contains("lost-back") && verdicts.len() > 1,
        "{verdicts:?}"
    );
    assert!(ended.stderr.contains("20 sent, "), "{ended:?}");
    let quiet = ping(&[target], &["--csv", "-q", "-n", "2", "-i", "2ms"]);
    assert_eq!(quiet.stdout.lines().count(), 3);
    assert!(!quiet.stderr.contains("sent"), "{quiet:?}");
}

// Every address of 127.0.0.0/8 is this host's.
#[cfg(target_os = "linux")]
#[test]
fn more_targets_than_the_shell_allows_files_for_are_measured() {
    let server = Server::start(HII_SERVER, &["ping", "--json"]);
    let port = server.address().port();
    let targets: Vec<_> = (1..=20)
        .map(|host| format!("127.0.0.{host}:{port}"))
        .collect();
    let targets: Vec<_> = targets.iter().map(String::as_str).collect();
    let limited = ["-c", "ulimit -Sn 64 && exec \"$0\" ping \"$@\"", HII];
    let args = ["-4", "-n", "2", "-i", "20ms"];
    let ended = programs::run("sh", &[&limited, &targets[..], &args].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn several_targets_are_measured_at_once_and_told_apart() {
    let servers = [server(&[]), server(&[])];
    let [first, second] = servers
        .each_ref()
        .map(|server| server.address().to_string());
    let tcp = format!("tcp://{second}");
    let targets = [first.clone(), second.clone(), tcp.clone()];
    let ended = ping(&targets, &["-n", "5", "-i", "20ms"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for target in &targets {
        let lines = ended.stdout.lines().filter(|line| {
            line.strip_prefix(target.as_str())
                .is_some_and(|rest| rest.starts_with(": seq "))
        });
        assert_eq!(lines.count(), 5, "{ended:?}");
        assert!(
            ended
                .stdout
                .contains(&format!("--- {target} ---\n5 sent, 5 answered"))
        );
    }
    let (_, comparison) = ended
        .stdout
        .split_once("--- all ---\n")
        .expect("a comparison");
    assert_eq!(comparison.lines().count(), 4, "{comparison}");

    let ended = ping(&targets, &["-n", "5", "-i", "20ms", "--json"]);
    let document = ended.json();
    let names: Vec<_> = (0..3)
        .map(|target| &document["targets"][target]["target"])
        .collect();
    assert_eq!(names, [&first, &second, &tcp]);
    for target in 0..3_u64 {
        let probes = document["probes"].as_array().expect("probes").iter();
        let of_target = probes.filter(|probe| probe["target"] == target);
        let seqs: Vec<_> = of_target
            .filter_map(|probe| probe["seq"].as_u64())
            .collect();
        assert_eq!(seqs, [1, 2, 3, 4, 5]);
    }
    assert_eq!(document["summaries"].as_array().map(Vec::len), Some(3));
}

#[test]
fn targets_that_cannot_be_measured_leave_the_others_theirs() {
    let server = server(&[]);
    let good = server.address().to_string();
    let targets = [nobody(), good.clone(), "nosuch.invalid".into()];
    let ended = ping(&targets, &["-n", "3", "-i", "5ms", "--json"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let document = ended.json();
    // What was asked for decides the form, not what came of it.
    assert_eq!(document["targets"].as_array().map(Vec::len), Some(1));
    assert_eq!(document["targets"][0]["target"], good);
    assert_eq!(document["summaries"][0]["answered"], 3);
    assert!(ended.stderr.contains("nosuch.invalid"), "{ended:?}");
    let missing = document["not_measured"].as_array().expect("two");
    let names: Vec<_> = missing.iter().map(|one| one["target"].as_str()).collect();
    assert_eq!(names[0], Some(targets[0].as_str()), "{document}");
    assert_eq!(names[1], Some("nosuch.invalid:8080"), "{document}");
    let ended = ping(&targets, &["-n", "1", "-i", "5ms"]);
    let (_, table) = ended.stdout.split_once("--- all ---\n").expect("a table");
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(
        table.contains("nosuch.invalid:8080  not measured"),
        "{table}"
    );
    // Nothing to measure is an error, and no document.
    let ended = ping(&[nobody(), nobody()], &["--json"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(3), ""));
}

#[test]
fn each_target_has_its_own_picture() {
    let server = server(&[]);
    let address = server.address().to_string();
    let directory = hii_tests::scratch::Directory::new("several");
    let picture = directory.path("run.svg");
    let args = ["-n", "2", "-i", "5ms", "-q", "--plot", &picture];
    let ended = ping(&[address.clone(), address], &args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for number in 1..=2 {
        let path = directory.path(&format!("run-{number}.svg"));
        assert!(
            std::fs::read_to_string(path)
                .expect("a picture")
                .starts_with("<svg")
        );
    }
}

#[test]
fn json_lists_intervals_or_nothing_when_that_is_asked_for() {
    let server = server(&[]);
    let target = [server.address().to_string()];
    let ended = ping(
        &target,
        &["--json", "-n", "40", "-i", "5ms", "--report", "50ms"],
    );
    let document = ended.json();
    let intervals = document["intervals"].as_array().expect("intervals");
    assert!(!intervals.is_empty());
    let sent: u64 = intervals
        .iter()
        .filter_map(|interval| interval["sent"].as_u64())
        .sum();
    // The last line has the rest.
    assert_eq!(sent, 40, "{document}");
    assert_eq!(document.get("probes"), None);
    let document = ping(&target, &["--json", "-q", "-n", "2", "-i", "5ms"]).json();
    assert_eq!(
        (document.get("probes"), document.get("intervals")),
        (None, None)
    );
    assert_eq!(document["summary"]["answered"], 2);
}

#[test]
fn forms_that_exclude_each_other_are_refused() {
    for args in [["--json", "--csv"].as_slice(), &["--csv", "--report", "1"]] {
        let ended = ping(&[nobody()], args);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{args:?}"
        );
    }
}

/// The names that the schema has.
fn names(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                found.extend(properties.keys().cloned());
            }
            object.values().for_each(|value| names(value, found));
        }
        Value::Array(array) => array.iter().for_each(|value| names(value, found)),
        _ => {}
    }
}

#[test]
fn every_field_is_explained() {
    let schema: Value = serde_json::from_str(schema::SCHEMA).expect("JSON");
    let mut found = BTreeSet::new();
    names(&schema, &mut found);
    let page = include_str!("../../docs/ping-json.md");
    let words: BTreeSet<_> = page
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .collect();
    let missing: Vec<_> = found
        .iter()
        .filter(|name| !words.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
