//! `hii-server key`: who can read what it makes, and what it says.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use hii_protocol::share::Key;
use hii_tests::programs::{Ended, run};
use hii_tests::scratch::Directory;

use crate::PROGRAM;

/// Runs this as a shell would, with the program as `$0` and a file as `$1`.
fn shell(command: &str, file: &str) -> Ended {
    run("sh", &["-c", command, PROGRAM, file])
}

fn key_in(file: &str) -> Key {
    let text = fs::read_to_string(file).unwrap();
    text.strip_suffix('\n').unwrap().parse().unwrap()
}

#[test]
fn file_of_a_new_key_is_the_user_s_alone_whatever_the_umask() {
    let files = Directory::new("key-file");
    let mut keys = Vec::new();
    for umask in ["000", "022", "777"] {
        let file = files.path(umask);
        let ended = shell(&format!("umask {umask}; exec \"$0\" key \"$1\""), &file);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stdout, "");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "umask {umask}");
        let key = key_in(&file);
        assert!(!ended.stderr.contains(&key.to_string()), "{ended:?}");
        keys.push(key.to_string());
    }
    keys.dedup();
    assert_eq!(keys.len(), 3);
}

#[test]
fn file_that_exists_is_left_as_it_is() {
    let files = Directory::new("key-exists");
    let file = files.path("key");
    fs::write(&file, "mine").unwrap();
    let ended = run(PROGRAM, &["key", &file]);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert!(ended.stderr.contains("give another name"), "{ended:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let ended = run(PROGRAM, &["key", &files.path("no/such/folder")]);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert!(ended.stderr.contains("cannot make"), "{ended:?}");
}

#[test]
fn key_on_stdout_warns_of_a_file_that_others_can_read() {
    let files = Directory::new("key-stdout");
    let file = files.path("key");
    for (umask, warns) in [("077", false), ("027", true), ("022", true)] {
        let command = format!("umask {umask}; exec \"$0\" key > \"$1\"");
        let ended = shell(&command, &file);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        key_in(&file);
        let names_the_way = ended.stderr.contains("hii-server key FILE");
        assert_eq!(names_the_way, warns, "umask {umask}: {ended:?}");
        fs::remove_file(&file).unwrap();
    }
    let ended = run(PROGRAM, &["key"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    ended.stdout.trim_end().parse::<Key>().unwrap();
}

#[test]
fn new_key_in_a_log_that_others_can_read_is_warned_of() {
    let files = Directory::new("key-log");
    let offered = files.path("offered");
    fs::write(&offered, "x").unwrap();
    for (umask, warns) in [("077", false), ("022", true)] {
        let command = format!(
            "umask {umask}; \"$0\" share -b 127.0.0.1 -p 0 \"$1\" 2> \"$1.{umask}\" & \
             until grep -q 'when it asks' \"$1.{umask}\"; do kill -0 $! || exit 9; done; kill -TERM $!; wait $!"
        );
        let ended = shell(&command, &offered);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let log = fs::read_to_string(format!("{offered}.{umask}")).unwrap();
        let names_the_way = log.contains("hii-server key FILE");
        assert_eq!(names_the_way, warns, "umask {umask}: {log}");
    }
}
