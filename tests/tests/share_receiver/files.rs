//! Files and folders, and where they go.

use std::fs;
use std::time::SystemTime;

use hii_protocol::share::{Answer, Digest, Size};
use hii_tests::programs::{Server, finish, run};
use hii_tests::scratch::Directory;
use hii_tests::sender::{Instead, KEY, Offer, Sender, frame};

use super::{HII, HII_SERVER, Tree, assert_same, get, octets, start, start_with_key};

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
fn why_it_ends_is_told_to_programs_too() {
    let sender = Sender::honest(some_offers());
    let directory = Directory::new("get-error");
    let folder = directory.path("folder");
    let args = ["-o", &folder, "--json", "--progress", "json"];
    let ended = finish(start_with_key(&sender, &args, &"A".repeat(26)));
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let summary = ended.json();
    let what = summary["error"]["what"].as_str().unwrap();
    assert!(what.ends_with("has another key"), "{summary}");
    assert!(summary["error"]["advice"].is_string(), "{summary}");
    assert_eq!(summary["destination"], folder.as_str());
    let line = ended.stderr.lines().find(|line| line.contains("\"error\""));
    let line: serde_json::Value = serde_json::from_str(line.unwrap()).unwrap();
    assert_eq!(
        (&line["event"], &line["what"]),
        (&"error".into(), &what.into())
    );

    // Before anybody is spoken to.
    let early = [
        (start_with_key(&sender, &["--json", "-6"], KEY), 3),
        (
            start(&sender, &["--json", "--key-file", &directory.path("none")]),
            2,
        ),
    ];
    for (child, code) in early {
        let ended = finish(child);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.json()["error"]["what"].is_string(), "{ended:?}");
    }
    let args = [
        "get",
        "--classic",
        "--json",
        "--progress",
        "json",
        "192.0.2.1",
    ];
    let ended = run(HII, &args);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert_eq!(ended.json()["destination"], "RECIEVED_FILE.txt");
    assert!(ended.json()["error"]["what"].is_string(), "{ended:?}");
    assert!(ended.stderr.contains("\"event\":\"error\""), "{ended:?}");

    // Nobody listens there.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nowhere.local_addr().unwrap().to_string();
    drop(nowhere);
    let ended = run(HII, &["get", "--classic", "--json", &address]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.json()["error"]["what"].is_string());

    let ended = get(&sender, &["-o", &folder, "--json"]);
    assert_eq!(
        (ended.code, &ended.json()["error"]),
        (Some(0), &serde_json::Value::Null)
    );
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

#[test]
fn the_name_that_a_single_file_got_is_told() {
    let sender = Sender::honest(vec![Offer::file("offered", "new")]);
    let directory = Directory::new("get-renamed");
    let file = directory.path("a.txt");
    fs::write(&file, "old").unwrap();
    let args = ["-o", &file, "--on-exists", "rename"];
    let ended = get(&sender, &args);
    assert!(ended.stderr.contains("/a (1).txt, 3 B"), "{ended:?}");
    fs::write(directory.path("a (1).txt"), "mine").unwrap();
    // The second time it is there already.
    for _ in 0..2 {
        let ended = get(&sender, &[&args[..], &["--json"]].concat());
        let destination = &ended.json()["destination"];
        assert_eq!(*destination, directory.path("a (2).txt"), "{ended:?}");
    }
    // A folder keeps its name.
    fs::write(directory.path("offered"), "old").unwrap();
    let folder = directory.path("");
    let args = ["-o", &folder, "--on-exists", "rename", "--json"];
    assert_eq!(get(&sender, &args).json()["destination"], folder.as_str());
    let names = ["a (1).txt", "a (2).txt", "a.txt", "offered", "offered (1)"];
    assert_eq!(directory.names(), names);
}

#[test]
fn standard_output_has_the_octets_and_the_exit_code_tells_whether_they_are_right() {
    let content = "line\n".repeat(100_000);
    let offers = vec![Offer::file("file", content.clone())];
    let ended = get(&Sender::honest(offers.clone()), &["-o", "-"]);
    assert_eq!(ended.code, Some(0), "{:?}", ended.stderr);
    assert!(ended.stdout == content);
    for (said, code) in [("sum 1 500000 00", 5), ("failed 1 changed x", 6)] {
        let sender = Sender::start(offers.clone(), move |answer| match answer {
            Answer::Sum { .. } => Instead::Frames(vec![said.into()]),
            _ => Instead::Itself,
        });
        let ended = get(&sender, &["-o", "-"]);
        assert_eq!(ended.code, Some(code), "{:?}", ended.stderr);
    }
    let wrong = Sender::start(offers.clone(), |answer| match *answer {
        Answer::Sum { id, octets, .. } => {
            let digest = Digest([0; 32]);
            Instead::Frames(vec![frame(&Answer::Sum { id, octets, digest })])
        }
        _ => Instead::Itself,
    });
    assert_eq!(get(&wrong, &["-o", "-"]).code, Some(6));
    let cut = Sender::start(offers, |answer| match answer {
        Answer::Sum { .. } => Instead::End,
        _ => Instead::Itself,
    });
    assert_eq!(get(&cut, &["-o", "-"]).code, Some(3));
}

#[test]
fn a_file_of_unknown_size_comes_as_long_as_it_is() {
    let offer = Offer {
        size: Some(Size::Unknown),
        ..Offer::file("pipe", octets(6_000_000))
    };
    let sender = Sender::honest(vec![offer.clone()]);
    let directory = Directory::new("get-unknown");
    let ended = get(&sender, &["-o", &directory.path("")]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_same(&directory.path(""), &[offer]);
}

#[test]
fn a_file_without_a_time_has_that_of_its_arrival() {
    let of = |path: &str, size| Offer {
        size,
        modified: (0, 0),
        ..Offer::file(path, "x")
    };
    // A file may really be so old, but a pipe has no time.
    let offers = vec![of("old", None), of("pipe", Some(Size::Unknown))];
    let directory = Directory::new("get-arrival");
    let begin = SystemTime::now();
    let ended = get(&Sender::honest(offers), &["-o", &directory.path("")]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let time = |name| fs::metadata(directory.path(name)).unwrap().modified();
    assert_eq!(time("old").unwrap(), SystemTime::UNIX_EPOCH);
    let arrival = time("pipe").unwrap();
    assert!(arrival >= begin && arrival <= SystemTime::now());
}

#[test]
fn progress_is_told_a_json_object_a_line_and_quiet_says_nothing() {
    let sender = Sender::honest(some_offers());
    let directory = Directory::new("get-progress");
    let folder = directory.path("folder");
    let ended = get(&sender, &["-o", &folder, "--progress", "json", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines: Vec<serde_json::Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last = lines.last().unwrap();
    assert_eq!(last["event"], "progress");
    assert_eq!(
        (&last["octets"], &last["total"]),
        (&12_000_007.into(), &12_000_007.into())
    );
    let paths = lines.iter().filter(|line| line["event"] == "file");
    assert_eq!(paths.count(), 4);
    let ended = get(&sender, &["-o", &directory.path("quiet"), "--quiet"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn from_a_sender_of_our_own_everything_comes_as_it_is() {
    let directory = Directory::new("get-own");
    let offered = directory.path("offered");
    for folder in ["offered/a/b", "offered/empty"] {
        fs::create_dir_all(directory.path(folder)).unwrap();
    }
    for (file, len) in [
        ("a/x", 0),
        ("a/b/y", 5_000_000),
        ("z", 1),
        ("a/b/w", 65_502),
    ] {
        fs::write(format!("{offered}/{file}"), octets(len)).unwrap();
    }
    for number in 0..500 {
        fs::write(format!("{offered}/a/{number}"), octets(number)).unwrap();
    }
    fs::write(directory.path("key"), KEY).unwrap();
    let key = directory.path("key");
    let server = Server::start(
        HII_SERVER,
        &[
            "share",
            "-b",
            "127.0.0.1",
            "--key-file",
            &key,
            "--once",
            &offered,
        ],
    );
    let folder = directory.path("folder/");
    let args = [
        "get",
        &server.address().to_string(),
        "--key-file",
        &key,
        "-o",
        &folder,
    ];
    let ended = run(HII, &args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("504 of 504 files received and verified"),
        "{ended:?}"
    );
    assert_eq!(server.wait().code, Some(0));
    assert!(Tree::read(&format!("{folder}/offered")) == Tree::read(&offered));
}
