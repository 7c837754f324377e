//! What a run prints for people, and what when it cannot print.

use std::io::Read as _;
use std::sync::mpsc::channel;
use std::time::Duration;

use hii_tests::path::Path;
use hii_tests::programs::{finish, run, signal, start};
use hii_tests::script::Script;
use nix::sys::signal::Signal;

use crate::{HII, drops, server};

#[test]
fn lines_for_people_show_each_probe_and_the_figures() {
    let server = server(&[]);
    let ended = run(
        HII,
        &[
            "ping",
            &server.address().to_string(),
            "-n",
            "3",
            "-i",
            "0.01",
        ],
    );
    for seq in 1..=3 {
        assert!(ended.stdout.contains(&format!("seq {seq}: ")), "{ended:?}");
    }
    assert!(ended.stdout.contains("3 sent, 3 answered"), "{ended:?}");
    assert!(ended.stdout.contains("standard deviation"), "{ended:?}");
}

#[test]
fn quiet_shows_the_figures_only() {
    let server = server(&[]);
    let target = server.address().to_string();
    let ended = run(HII, &["ping", &target, "-n", "3", "-i", "10ms", "-q"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stdout.contains("seq "), "{ended:?}");
    assert!(ended.stdout.contains("3 sent, 3 answered"), "{ended:?}");
}

#[test]
fn each_verdict_has_its_words() {
    let server = server(&[]);
    let path = Path::new(server.address(), drops(&[3, 20]), drops(&[5])).unwrap();
    let target = path.addr().to_string();
    let ended = run(HII, &["ping", &target, "-n", "20", "-i", "5ms", "-W", "60"]);
    let out = &ended.stdout;
    for line in [
        "seq 3: lost on the way there\n",
        "seq 5: lost on the way back\n",
        "seq 20: lost on the way there\n",
        "20 sent, 17 answered (17 in time, 0 late), 3 lost (15.0 %): 2 there, 1 back, 0 unknown\n",
        "loss runs: 3, the longest of 1; ",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    // Told while it waits, when it does not wait as long as that.
    let ended = run(HII, &["ping", &target, "-n", "8", "-i", "0.4", "-W", "1ns"]);
    let out = &ended.stdout;
    assert!(out.contains(", late\n"), "{out}");
    let waits = "seq 3: no answer yet after 2.000 s; the server has not received it\n";
    assert!(out.contains(waits), "{out}");
    let waits = "seq 5: no answer yet after 2.000 s; the server received it\n";
    assert!(out.contains(waits), "{out}");
    assert!(!out.contains("seq 3: lost"), "{out}");
}

#[test]
fn lines_that_nobody_reads_are_counted_and_the_figures_are_whole() {
    // Far more than a pipe and the program's own memory for lines hold.
    const ENOUGH: u64 = 40_000;
    let (probe, came) = channel();
    let server = Script::start(move |received| {
        let _ = probe.send(received.seq());
        vec![received.truth()]
    });
    let target = server.address().to_string();
    let mut child = start(HII, &["ping", &target, "-n", "1000000", "-i", "50us"]);
    while came.recv_timeout(Duration::from_secs(60)).unwrap() < ENOUGH {}
    signal(child.id(), Signal::SIGINT);
    // Whoever reads again sees what there is, and that there was more.
    let mut out = String::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_string(&mut out).unwrap();
    assert_eq!(finish(child).code, Some(130));
    let (lines, summary) = out.split_once("--- ").unwrap();
    let shown = lines.lines().filter(|line| line.starts_with("seq "));
    let left_out: usize = lines
        .lines()
        .filter_map(|line| {
            line.strip_prefix("... ")?
                .split(' ')
                .next()?
                .parse::<usize>()
                .ok()
        })
        .sum();
    assert!(left_out > 0, "{summary}");
    let figures = summary.lines().nth(1).unwrap();
    let number = |what: &str| -> usize {
        let (before, _) = figures.split_once(what).unwrap();
        before.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(number(" sent") as u64 >= ENOUGH, "{figures}");
    // Each probe that was sent has a line, when it was answered or was not: both, if it took very long.
    assert!(shown.count() + left_out >= number(" sent"), "{figures}");
}

#[test]
fn output_that_cannot_be_written_is_code_7_and_the_figures_are_not_lost() {
    let server = server(&[]);
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let child = std::process::Command::new(HII)
        .args([
            "ping",
            &server.address().to_string(),
            "-n",
            "3",
            "-i",
            "0.01",
        ])
        .stdout(full)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let ended = finish(child);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert!(
        ended.stderr.contains("cannot write the output"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains(" sent, "), "{ended:?}");
}
