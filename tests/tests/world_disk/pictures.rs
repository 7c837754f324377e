//! Pictures of measurements.

use hii_tests::namespace;
use hii_tests::programs::Ended;
use hii_tests::scratch::Directory;

use super::HII;

/// Runs a script with a small disk of its own at `$DISK`.
fn on_small_disk(name: &str, script: &str) -> Option<Ended> {
    let directory = Directory::new(name);
    let script = format!("mount -t tmpfs -o size=64k none \"$DISK\"\n{script}");
    let disk = directory.path("");
    namespace::shell(&script, &[("HII", HII), ("DISK", &disk)])
}

#[test]
#[ignore = "mounts a disk in a namespace"]
fn a_disk_that_is_full_at_the_end_keeps_the_old_picture_and_the_summary_is_printed() {
    for (name, output) in [("svg", ""), ("png", ""), ("html", "--json")] {
        let script = format!(
            r#"
            echo old > "$DISK/a.{name}"
            dd if=/dev/zero of="$DISK/rest" bs=1k count=58 2> "$DISK/said" || cat "$DISK/said"
            code=0
            "$HII" ping -n 100 -i 1ms {output} --plot "$DISK/a.{name}" || code=$?
            ls -A "$DISK" >&2
            cat "$DISK/a.{name}" >&2
            exit $code
            "#
        );
        let Some(ended) = on_small_disk(&format!("full-{name}"), &script) else {
            return;
        };
        assert_eq!(ended.code, Some(7), "{ended:?}");
        let err = &ended.stderr;
        assert!(err.contains("cannot write the picture"), "{ended:?}");
        assert!(err.contains("free some space"), "{ended:?}");
        // No half of it is left.
        assert!(
            err.ends_with(&format!("\na.{name}\nrest\nsaid\nold\n")),
            "{ended:?}"
        );
        if output.is_empty() {
            assert!(ended.stdout.contains("100 sent, "), "{ended:?}");
        } else {
            assert_eq!(ended.json()["summary"]["sent"], 100);
        }
    }
}

#[test]
#[ignore = "mounts a disk in a namespace"]
fn a_disk_that_is_read_only_is_refused_before_the_first_probe() {
    let script = r#"
        echo old > "$DISK/a.svg"
        mount -o remount,ro "$DISK"
        for name in a b; do
            code=0
            "$HII" ping -n 1 --plot "$DISK/$name.svg" || code=$?
            [ $code = 7 ]
        done
    "#;
    let Some(ended) = on_small_disk("read-only", script) else {
        return;
    };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, "");
    let told = ended.stderr.matches("give a path that you may write to");
    assert_eq!(told.count(), 2, "{ended:?}");
    assert!(!ended.stderr.contains("no target given"), "{ended:?}");
}
