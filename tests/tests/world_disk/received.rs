//! Files that `hii get` receives.

use std::fs;

use hii_tests::namespace;
use hii_tests::programs::Ended;
use hii_tests::scratch::Directory;
use hii_tests::sender::{KEY, octets};

use super::{HII, HII_SERVER};

/// Runs a script with a disk of 12 MiB of its own at `$DISK`, while two files of 7 MB each are offered on port 8082.
fn on_small_disk(name: &str, script: &str) -> Option<(Directory, Ended)> {
    let directory = Directory::new(name);
    for file in ["a", "b"] {
        let folder = directory.path("offered");
        fs::create_dir_all(&folder).unwrap();
        fs::write(format!("{folder}/{file}"), octets(7_000_000)).unwrap();
    }
    fs::create_dir(directory.path("disk")).unwrap();
    let script = format!(
        r#"
        mount -t tmpfs -o size=12m none "$DISK"
        cd "$OFFERED"
        "$HII_SERVER" share -b 127.0.0.1 a b > ../log 2>&1 &
        server=$!
        until grep -q listens ../log; do sleep 0.05; done
        {script}
        "#
    );
    let (disk, offered) = (directory.path("disk"), directory.path("offered"));
    let variables = [
        ("HII", HII),
        ("HII_SERVER", HII_SERVER),
        ("HII_KEY", KEY),
        ("DISK", &disk),
        ("OFFERED", &offered),
    ];
    namespace::shell(&script, &variables).map(|ended| (directory, ended))
}

#[test]
#[ignore = "mounts a disk in a namespace"]
fn what_there_is_no_room_for_is_not_begun() {
    let script = r#"
        code=0
        "$HII" get 127.0.0.1 -o "$DISK" || code=$?
        ls -A "$DISK"
        kill $server
        exit $code
    "#;
    let Some((_directory, ended)) = on_small_disk("get-no-room", script) else {
        return;
    };
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert!(ended.stderr.contains("there is room for"), "{ended:?}");
    assert_eq!(ended.stdout, "");
}

#[test]
#[ignore = "mounts a disk in a namespace"]
fn a_disk_that_gets_full_keeps_what_is_there_and_it_goes_on_when_there_is_room() {
    // What seems to be there of `b` has no octets, so that it begins although there is no room.
    let hash = blake3::hash(b"b").to_hex();
    let script = format!(
        r#"
        truncate -s 7000000 "$DISK/.b.{}.hii-part"
        code=0
        "$HII" get 127.0.0.1 -o "$DISK" || code=$?
        echo "first: $code"
        ls -A "$DISK"
        mount -o remount,size=40m "$DISK"
        "$HII" get 127.0.0.1 -o "$DISK"
        ls -A "$DISK"
        cmp a "$DISK/a"
        cmp b "$DISK/b"
        kill $server
        "#,
        &hash[..8]
    );
    let Some((_directory, ended)) = on_small_disk("get-full", &script) else {
        return;
    };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let kept = format!(".b.{0}.hii-journal\n.b.{0}.hii-part\n", &hash[..8]);
    assert_eq!(
        ended.stdout,
        format!("first: 8\n{kept}a\na\nb\n"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("free some space"), "{ended:?}");
    assert!(ended.stderr.contains("were there from before"), "{ended:?}");
}
