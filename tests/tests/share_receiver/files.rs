//! Files and folders, and where they go.

use std::fs;

use hii_tests::programs::finish;
use hii_tests::scratch::Directory;
use hii_tests::sender::{Offer, Sender};

use super::{assert_same, get, octets, start_with_key};

fn some_offers() -> Vec<Offer> {
    vec![
        Offer::folder("a"),
        Offer::file("a/empty", ""),
        Offer {
            mode: 0o500,
            ..Offer::folder("a/ b")
        },
        Offer::file("a/ b/c", octets(3_000_000)),
        Offer {
            modified: (-5, 7),
            mode: 0o755,
            ..Offer::file("ä", "hello\n")
        },
        Offer::file("large", octets(9_000_001)),
    ]
}

#[test]
fn a_tree_comes_over_whole_with_times_and_permissions() {
    let sender = Sender::honest(some_offers());
    let directory = Directory::new("get-tree");
    let folder = directory.path("new/folder");
    let ended = get(&sender, &["-o", &folder, "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_same(&folder, &some_offers());
    let json = ended.json();
    assert_eq!(
        (&json["received"], &json["octets"]),
        (&4.into(), &12_000_007.into())
    );
    let got = sender
        .heard
        .all()
        .iter()
        .filter(|said| said.starts_with("got "))
        .count();
    assert_eq!(got, 4);

    // Again, nothing is asked for.
    let ended = get(&sender, &["-o", &folder]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("4 there already"), "{ended:?}");
    assert_same(&folder, &some_offers());
}

#[test]
fn another_key_is_told_and_nothing_else() {
    let sender = Sender::honest(some_offers());
    let directory = Directory::new("get-key");
    let folder = directory.path("folder");
    let key = "A".repeat(26);
    let ended = finish(start_with_key(&sender, &["-o", &folder], &key));
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains("another key"), "{ended:?}");
    assert_eq!(directory.names(), [""; 0]);
    let ended = finish(start_with_key(&sender, &["-o", &folder], "secret"));
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(!ended.stderr.contains("secret"), "{ended:?}");
}

#[test]
fn one_file_may_go_anywhere_and_more_need_a_folder() {
    let offers = vec![Offer::file("name", octets(200_000))];
    let sender = Sender::honest(offers.clone());
    let directory = Directory::new("get-one");
    let file = directory.path("other");
    let ended = get(&sender, &["-o", &file]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(fs::read(&file).unwrap(), octets(200_000));
    let folder = directory.path("folder/");
    let ended = get(&sender, &["-o", &folder]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_same(&folder, &offers);

    let several = Sender::honest(some_offers());
    let ended = get(&several, &["-o", "-"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let ended = get(&several, &["-o", &file]);
    assert_eq!(ended.code, Some(7), "{ended:?}");
}

#[test]
fn what_is_in_the_way_stays_unless_it_is_said_otherwise() {
    let sender = Sender::honest(vec![Offer::file("a.txt", "new"), Offer::file("b", "b")]);
    let directory = Directory::new("get-exists");
    let folder = directory.path("");
    let file = directory.path("a.txt");
    fs::write(&file, "old").unwrap();
    let get = |args: &[&str]| get(&sender, &[&["-o", &folder], args].concat());
    let ended = get(&[]);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert!(ended.stderr.contains("a.txt"), "{ended:?}");
    assert_eq!(directory.names(), ["a.txt"], "nothing was begun");

    let ended = get(&["--on-exists", "skip"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("1 skipped"), "{ended:?}");
    assert_eq!(directory.names(), ["a.txt", "b"]);
    assert_eq!(fs::read(&file).unwrap(), b"old");

    for _ in 0..2 {
        let ended = get(&["--on-exists", "rename"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(directory.names(), ["a (1).txt", "a.txt", "b"]);
    }
    assert_eq!(fs::read(&file).unwrap(), b"old");
    assert_eq!(fs::read(directory.path("a (1).txt")).unwrap(), b"new");

    let ended = get(&["--on-exists", "overwrite"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(fs::read(&file).unwrap(), b"new");
}
