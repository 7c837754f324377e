//! How a run keeps to its schedule, and what it tells of each second of a ramp.

use std::io::Read as _;

use hii_tests::programs::{finish, output, read_until, run, signal, start};
use hii_tests::schema;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{HII, count, ping, server};

/// A time of each probe.
fn times(document: &Value, field: &str) -> Vec<u64> {
    let probes = document["probes"].as_array().unwrap();
    probes.iter().map(|probe| count(&probe[field])).collect()
}

#[test]
fn a_sender_that_was_stopped_sends_all_its_probes_and_says_that_they_were_late() {
    let server = server(&[]);
    let target = server.address().to_string();
    for is_json in [true, false] {
        let mut args = vec!["ping", &target, "-n", "200", "-i", "10ms"];
        args.extend(is_json.then_some("--json"));
        let mut child = start(HII, &args);
        let mut stdout = output(child.stdout.take().unwrap());
        let third = if is_json { "\"seq\":3," } else { "seq 3: " };
        let mut text = read_until(&mut stdout, |text| text.contains(third));
        signal(child.id(), Signal::SIGSTOP);
        // It has many slots while another run goes from its start to its end.
        let other = ping(&target, &["-n", "21", "-i", "10ms"]);
        assert_eq!(count(&other.json()["summary"]["answered"]), 21);
        signal(child.id(), Signal::SIGCONT);
        stdout.read_to_string(&mut text).unwrap();
        assert_eq!(finish(child).code, Some(0));
        if !is_json {
            assert!(text.contains("200 sent, 200 answered"), "{text}");
            assert!(text.contains("sending fell behind the schedule "), "{text}");
            assert!(text.contains("RTT from when each was due: min"), "{text}");
            continue;
        }
        let document: Value = serde_json::from_str(&text).unwrap();
        schema::check(&document);
        let (due, sent) = (times(&document, "due_ns"), times(&document, "sent_ns"));
        assert_eq!(sent.len(), 200);
        let caught: Vec<_> = (1..200)
            .filter(|probe| sent[probe - 1] > due[*probe])
            .collect();
        let late = caught.iter().flat_map(|probe| [probe - 1, *probe]);
        let longest = late.map(|probe| sent[probe] - due[probe]).max();
        let stalls = &document["summary"]["stalls"];
        assert!(caught.len() >= 15, "{stalls}");
        assert_eq!(count(&stalls["caught_up"]), caught.len() as u64);
        assert_eq!(Some(count(&stalls["longest_ns"])), longest);
        let starts = caught
            .iter()
            .filter(|probe| !caught.contains(&(*probe - 1)));
        assert_eq!(count(&stalls["count"]), starts.count() as u64);
        // Somebody who waited for their turns saw that.
        let rtt = times(&document, "rtt_ns");
        let from_due = (0..200).map(|probe| sent[probe] + rtt[probe] - due[probe]);
        let summary = &document["summary"];
        assert_eq!(
            Some(count(&summary["rtt_from_due_ns"]["max"])),
            from_due.max()
        );
        let lateness = (0..200).map(|probe| sent[probe] - due[probe]);
        assert_eq!(
            Some(count(&summary["schedule_error_ns"]["max"])),
            lateness.max()
        );
    }
}

#[test]
fn a_ramp_tells_throughput_and_delay_of_each_second() {
    let server = server(&["--loss", "0.2", "--seed", "5", "--delay", "1ms"]);
    let target = server.address().to_string();
    let args = ["-n", "200", "-i", "100ms", "--decay", "0.96", "-W", "1"];
    let document = ping(&target, &args).json();
    let (sent, start) = (times(&document, "sent_ns"), times(&document, "sent_ns")[0]);
    let in_time: Vec<_> = document["probes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|probe| (probe["verdict"] == "in-time").then(|| count(&probe["rtt_ns"])))
        .collect();
    let rows = document["summary"]["seconds"].as_array().unwrap();
    assert_eq!(rows.len() as u64, (sent[199] - start) / 1_000_000_000 + 1);
    for (second, row) in (0..).zip(rows) {
        let of_it = sent.iter().zip(&in_time);
        let of_it = of_it.filter(|(sent, _)| (*sent - start) / 1_000_000_000 == second);
        let rtts: Vec<_> = of_it.filter_map(|(_, rtt)| *rtt).collect();
        let (answered, sum) = (rtts.len() as f64, rtts.iter().sum::<u64>() as f64);
        assert_eq!(
            (count(&row["second"]), count(&row["covers"])),
            (second + 1, 1)
        );
        let near = |field: &str, value: f64| {
            let told = row[field].as_f64().unwrap();
            assert!((told - value).abs() <= value.abs() * 1e-9, "{row} {value}");
        };
        near("throughput", answered * 128.0 * 8.0 * 2.0);
        near(
            "delay_ns",
            if rtts.is_empty() { 0.0 } else { sum / answered },
        );
    }
    let text = run(HII, &[&["ping", &target], &args[..], &["-q"]].concat()).stdout;
    let titles = text
        .lines()
        .skip_while(|line| !line.starts_with("answers in time: second"));
    assert!(titles.count() > 2, "{text}");
    // Any other schedule has none.
    let fixed = ping(&target, &["-n", "2", "-i", "1ms", "-q"]).json();
    assert_eq!(fixed["summary"].get("seconds"), None);
}
