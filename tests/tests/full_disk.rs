//! Where there is no room, or nobody who reads: what was measured is not lost, and what cannot be written is refused
//! before the first probe, as far as that can be known. `world_disk` has the tests that mount a disk.
#![cfg(target_os = "linux")]

use std::fs::{self, OpenOptions, Permissions};
use std::net::UdpSocket;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use hii_tests::programs::{Ended, Server, finish, run, start};
use hii_tests::scratch::Directory;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");

fn server() -> Server {
    Server::start(HII_SERVER, &["ping", "-b", "127.0.0.1"])
}

/// Runs it with its standard output on a full disk.
fn run_on_full(args: &[&str]) -> Ended {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child = Command::new(HII)
        .args(args)
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    finish(child)
}

fn assert_summary_on_stderr(ended: &Ended) {
    assert_eq!(ended.code, Some(7), "{ended:?}");
    let err = &ended.stderr;
    assert!(err.contains("cannot write the output"), "{ended:?}");
    assert!(err.contains(" sent, "), "{ended:?}");
}

#[test]
fn a_full_standard_output_ends_the_run_with_its_summary_on_stderr_in_every_form() {
    let server = server();
    let target = server.address().to_string();
    for form in [
        // None of these would end in time if it were not for the failure.
        &["-n", "1000", "-i", "1s"][..],
        &["-n", "1000", "-i", "1s", "-q"],
        &["-n", "1000", "-i", "1s", "--csv"],
        &["-n", "0", "--report", "20ms"],
        &["-n", "0", "--report", "20ms", "--json"],
        &["-n", "3", "-i", "1ms", "--json"],
        &["-n", "3", "-i", "1ms", "--json", "-q"],
    ] {
        let args = [&["ping", &target], form].concat();
        let ended = run_on_full(&args);
        assert_summary_on_stderr(&ended);
        assert!(ended.stderr.contains("give stdout room"), "{ended:?}");
    }
}

#[test]
fn a_reader_that_ends_early_ends_the_run() {
    let server = server();
    let target = server.address().to_string();
    let mut child = start(HII, &["ping", &target, "-n", "1000", "-i", "10ms"]);
    drop(child.stdout.take());
    let ended = finish(child);
    assert_summary_on_stderr(&ended);
    assert!(
        ended.stderr.contains("the program that read it has ended"),
        "{ended:?}"
    );
}

#[test]
fn no_room_for_anything_is_told_of_each() {
    let server = server();
    let target = server.address().to_string();
    let directory = Directory::new("no-room");
    symlink("/dev/full", directory.path("full.svg")).unwrap();
    let [full, fine] = ["full.svg", "fine.html"].map(|name| directory.path(name));
    let args = ["-n", "3", "-i", "1ms", "--plot", &full, "--plot", &fine];
    let ended = run_on_full(&[&["ping", &target], &args[..]].concat());
    assert_summary_on_stderr(&ended);
    let err = &ended.stderr;
    assert!(err.contains("cannot write the picture"), "{ended:?}");
    assert!(err.contains("free some space"), "{ended:?}");
    assert_eq!(directory.names(), ["fine.html", "full.svg"]);
}

#[test]
fn a_directory_that_one_may_not_write_to_is_refused_before_the_first_probe() {
    let directory = Directory::new("forbidden");
    let place = directory.path("place");
    fs::create_dir(&place).unwrap();
    fs::write(directory.path("place/old.svg"), "old").unwrap();
    fs::set_permissions(&place, Permissions::from_mode(0o555)).unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = silent.local_addr().unwrap().to_string();
    for name in ["new.svg", "old.svg"] {
        let picture = format!("{place}/{name}");
        let mut command = Command::new(HII);
        command
            .args(["ping", &target, "--plot", &picture])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if fs::metadata(&place).unwrap().uid() == 0 {
            // Whom permissions bind.
            command.uid(65_534).gid(65_534);
        }
        let Ok(child) = command.spawn() else {
            eprintln!("not tested: nobody else may start {HII}");
            return;
        };
        let ended = finish(child);
        assert_eq!(ended.code, Some(7), "{ended:?}");
        assert!(
            ended.stderr.contains("give a path that you may write to"),
            "{ended:?}"
        );
        assert_eq!(ended.stdout, "");
    }
    silent.set_nonblocking(true).unwrap();
    assert!(silent.recv(&mut [0; 100]).is_err(), "nothing was asked");
}

#[test]
fn a_name_that_no_file_can_have_is_refused_before_the_first_probe() {
    let directory = Directory::new("names");
    let long = directory.path(&format!("{}.svg", "x".repeat(300)));
    fs::write(directory.path("file"), "").unwrap();
    let beneath_a_file = directory.path("file/a.svg");
    for picture in [&long, &beneath_a_file] {
        let ended = run(HII, &["ping", "127.0.0.1:9", "--plot", picture]);
        assert_eq!(ended.code, Some(7), "{ended:?}");
        assert_eq!(ended.stdout, "");
        assert!(!ended.stderr.contains("nothing listens"), "{ended:?}");
    }
}
