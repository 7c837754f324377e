//! Which signals end the services of `hii-server`.

use std::io::BufRead as _;
use std::process::{Child, Command, Stdio};

use hii_tests::programs::{finish, output, signal};
use hii_tests::scratch::Directory;
use nix::sys::signal::Signal;
use serde_json::Value;

const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

/// The arguments of each service.
fn services(files: &Directory) -> [Vec<String>; 3] {
    let (key, file) = (files.path("key"), files.path("file"));
    std::fs::write(&key, "AEBAGBAFAYDQQCIKBMGA2DQPCA\n").unwrap();
    std::fs::write(&file, "x").unwrap();
    [
        vec!["ping"],
        vec!["relay"],
        vec!["share", "--key-file", &key, &file],
    ]
    .map(|args| args.into_iter().map(str::to_owned).collect())
}

/// Starts a service from a shell that has run something before.
fn start(before: &str, service: &[String]) -> Child {
    // Whoever runs the tests may ignore some, and no shell takes that back.
    let mut command = if cfg!(target_os = "linux") {
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP,INT,TERM", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    command
        .args(["-c", &format!("{before} exec \"$0\" \"$@\""), HII_SERVER])
        .args(service)
        .args("--log json --json -b 127.0.0.1 -p 0".split(' '))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The reason that a service gives for its end when it is sent these signals, once it has printed its tally.
fn ended_by(mut child: Child, signals: &[Signal]) -> Value {
    let lines = output(child.stderr.take().unwrap()).lines();
    let mut fields = lines.map(|line| {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        line["fields"].clone()
    });
    fields
        .find(|fields| fields["message"] == "listening")
        .unwrap();
    for each in signals {
        signal(child.id(), *each);
    }
    let stopping = fields.find(|fields| fields["message"] == "stopping");
    let reason = stopping.unwrap()["reason"].clone();
    assert!(fields.any(|fields| fields["message"] == "stopped"));
    let ended = finish(child);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.json().is_object(), "{ended:?}");
    reason
}

#[test]
fn hangup_ends_a_service_as_sigterm_does() {
    let files = Directory::new("signals-hangup");
    for service in services(&files) {
        for (signal, name) in [
            (Signal::SIGHUP, "SIGHUP"),
            (Signal::SIGINT, "SIGINT"),
            (Signal::SIGTERM, "SIGTERM"),
        ] {
            let child = start("", &service);
            assert_eq!(ended_by(child, &[signal]), name, "{service:?}");
        }
    }
}

#[test]
fn signal_that_was_ignored_at_the_start_stays_ignored() {
    let files = Directory::new("signals-ignored");
    for service in services(&files) {
        let signals = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];
        // The first that comes and is not ignored is the reason.
        let child = start("trap '' HUP INT;", &service);
        assert_eq!(ended_by(child, &signals), "SIGTERM", "{service:?}");
        let child = start("trap '' TERM;", &service);
        let signals = [Signal::SIGTERM, Signal::SIGINT];
        assert_eq!(ended_by(child, &signals), "SIGINT", "{service:?}");
    }
}
