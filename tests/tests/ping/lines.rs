//! What a run prints for people, and what when it cannot print.

use hii_tests::path::Path;
use hii_tests::programs::{finish, run};

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
    let waits = "seq 3: no answer in 2.000 s; the server has not received it\n";
    assert!(out.contains(waits), "{out}");
    let waits = "seq 5: no answer in 2.000 s; the server received it\n";
    assert!(out.contains(waits), "{out}");
    assert!(!out.contains("seq 3: lost"), "{out}");
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
