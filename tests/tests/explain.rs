//! `hii explain`, the built program.

use hii_tests::programs::{Ended, run, run_with_input};
use hii_tests::scratch::Directory;
use serde_json::Value;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");

fn explain(args: &[&str]) -> Ended {
    run(HII, &[&["explain"], args].concat())
}

fn explain_lines(args: &[&str], lines: &[u8]) -> Ended {
    run_with_input(HII, &[&["explain"], args].concat(), lines)
}

#[test]
fn a_frame_is_told_with_its_parts_and_a_wrong_one_with_a_caret() {
    let ended = explain(&["to:192.0.2.7/9000;content:good morning"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.contains("relay request `send`"), "{ended:?}");
    assert!(ended.stdout.contains("\n  to: 192.0.2.7/9000\n"));

    let ended = explain(&["to: 192.0.2.7/90x0; content: hello"]);
    assert_eq!(ended.code, Some(5));
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(
        lines[0],
        "no relay request: 403 at octet 16: expected a port in digits"
    );
    assert_eq!(lines[1].chars().nth(lines[2].find('^').unwrap()), Some('x'));
}

#[test]
fn lines_hex_and_files_are_frames_too() {
    let ended = explain_lines(&["--json"], b"hii\nexit\x1b\nto:1.2.3.4/5;content:12:30\n");
    assert_eq!(ended.code, Some(5));
    let rows: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows[0]["meanings"][0]["name"], "greeting");
    assert_eq!(rows[1]["frame"], r"exit\u{1b}");
    assert_eq!(
        (&rows[2]["line"], &rows[2]["faults"][0]["code"]),
        (&3.into(), &401.into())
    );
    assert_eq!(rows[2]["faults"][0]["offset"], 23);

    assert_eq!(explain(&["--hex", "68 69 69"]).code, Some(0));
    // Lines of one dump are one frame.
    let dump = b"00000000: 746f 3a31 3932 2e30 2e32 2e37 2f39 303b  to:192.0.2.7/90;\n\
        00000010: 636f 6e74 656e 743a 61                   content:a\n\
        686969\n\
        00000000: 6869 69  hii\n";
    let ended = explain_lines(&["--hex", "--json"], dump);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let frames: Vec<_> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|row| (row["line"].as_u64(), row["frame"].clone()))
        .collect();
    let frame = |line, frame: &str| (Some(line), frame.into());
    assert_eq!(
        frames,
        [
            frame(1, "to:192.0.2.7/90;content:a"),
            frame(3, "hii"),
            frame(4, "hii")
        ]
    );
    let ended = explain(&["--hex", "68 6"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("hex"), "{ended:?}");

    let directory = Directory::new("explain");
    let file = directory.path("frame");
    std::fs::write(&file, b"192.0.2.7/9 ; raw : \xff\n").unwrap();
    let ended = explain(&["--file", &file]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.contains(r"raw: \xff\n"), "{ended:?}");
}
