//! Senders that lie.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hii_protocol::share::{Answer, Digest, Size};
use hii_tests::programs::Ended;
use hii_tests::scratch::Directory;
use hii_tests::sender::{Instead, Offer, Sender, frame};

use super::{get, octets};

/// Runs `hii get` from a sender that says these pages and nothing else, and expects that nothing is written.
fn get_pages(name: &str, pages: Vec<Vec<u8>>) -> Ended {
    let sender = Sender::start(vec![], move |answer| match answer {
        Answer::End { .. } => Instead::Frames(pages.clone()),
        _ => Instead::Itself,
    });
    let directory = Directory::new(name);
    let folder = directory.path("folder");
    let ended = get(&sender, &["-o", &folder]);
    assert_eq!(directory.names(), [""; 0], "{ended:?}");
    ended
}

#[test]
fn no_path_leads_out_of_the_folder() {
    for (number, path) in [
        "../out",
        "a/../../out",
        "/etc/out",
        "a//b",
        "./a",
        "a\\..\\..\\out",
        "C:/out",
        "c:out",
        "NUL",
        "a/com1.txt",
        "a\u{202e}b",
        "a\u{1b}[2Jb",
        "a.",
        "",
    ]
    .iter()
    .enumerate()
    {
        let page = format!("page 1 file 1 644 1.000000000 {path}\n");
        let ended = get_pages(
            &format!("get-path-{number}"),
            vec![page.into(), b"end 1 1".to_vec()],
        );
        assert_eq!(ended.code, Some(5), "{path:?} {ended:?}");
        assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
    }
}

#[test]
fn no_folder_takes_the_place_of_an_unfinished_file() {
    let part = format!(".a.{}.hii-part", &blake3::hash(b"a").to_hex()[..8]);
    let journal = part.replace("part", "journal").to_uppercase();
    for (number, name) in [part, journal].into_iter().enumerate() {
        let offers = vec![Offer::folder(&name), Offer::file("a", "a")];
        let directory = Directory::new(&format!("get-left-over-{number}"));
        let ended = get(&Sender::honest(offers), &["-o", &directory.path("")]);
        assert_eq!(ended.code, Some(7), "{ended:?}");
        assert!(ended.stderr.contains("unfinished file"), "{ended:?}");
        assert_eq!(directory.names(), [""; 0]);
    }
}

#[test]
fn a_manifest_that_is_not_in_order_is_refused_before_anything_is_written() {
    let line = |id, kind, path| format!("{id} {kind} 644 1.000000000 {path}\n");
    let page = |lines: &[String]| format!("page {}", lines.concat()).into_bytes();
    for (number, lines) in [
        vec![line(2, "file 1", "a")],
        vec![line(1, "file 1", "a"), line(1, "file 1", "b")],
        vec![line(1, "file 1", "a"), line(3, "file 1", "b")],
        vec![line(1, "file 1", "a"), line(2, "file 1", "a")],
        vec![line(1, "file 1", "a"), line(2, "file 1", "a/b")],
        vec![line(1, "file 1", "a/b"), line(2, "dir", "a")],
        vec![
            line(1, "file 18446744073709551615", "a"),
            line(2, "file 1", "b"),
        ],
        // Right, but not what the end says.
        vec![line(1, "file 9", "a"), line(2, "dir", "b")],
    ]
    .iter()
    .enumerate()
    {
        let pages = vec![page(lines), b"end 2 1".to_vec()];
        let ended = get_pages(&format!("get-manifest-{number}"), pages);
        assert_eq!(ended.code, Some(5), "{lines:?} {ended:?}");
    }
    let ended = get_pages("get-manifest-none", vec![b"end 1 0".to_vec()]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
}

#[test]
fn a_manifest_without_end_is_refused_at_the_limit() {
    let mut pages = Vec::new();
    let mut id = 0_u64;
    while id <= hii_protocol::share::MAX_ENTRIES {
        let mut page = b"page ".to_vec();
        for _ in 0..1500 {
            id += 1;
            page.extend_from_slice(format!("{id} file 1 644 1.000000000 {id}\n").as_bytes());
        }
        pages.push(page);
    }
    let ended = get_pages("get-endless", pages);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(
        ended.stderr.contains("more than 1000000 entries"),
        "{ended:?}"
    );
}

/// What a receiver leaves of a file of 6 MiB, and of another one after it, from a sender with this trick.
fn left(
    name: &str,
    trick: impl Fn(&Answer<'_>) -> Instead + Send + Sync + 'static,
) -> (Ended, Vec<String>) {
    let sender = Sender::start(
        vec![
            Offer::file("file", octets(6 << 20)),
            Offer::file("other", "x"),
        ],
        trick,
    );
    let directory = Directory::new(name);
    let folder = directory.path("");
    let ended = get(&sender, &["-o", &folder]);
    (ended, directory.names())
}

#[test]
fn a_wrong_sum_throws_the_file_away_and_the_others_come() {
    for (number, len) in [(0, 6 << 20), (1, 100)] {
        let sender = Sender::start(
            vec![Offer::file("file", octets(len)), Offer::file("other", "x")],
            |answer| match *answer {
                Answer::Sum { id, octets, digest } if id.get() == 1 => {
                    let mut digest = digest.0;
                    digest[31] ^= 1;
                    let digest = Digest(digest);
                    Instead::Frames(vec![frame(&Answer::Sum { id, octets, digest })])
                }
                _ => Instead::Itself,
            },
        );
        let directory = Directory::new(&format!("get-sum-{number}"));
        let ended = get(&sender, &["-o", &directory.path("")]);
        assert_eq!(ended.code, Some(6), "{ended:?}");
        assert_eq!(directory.names(), ["other"], "{ended:?}");
        let heard = sender.heard.all();
        assert!(
            heard.contains(&"got 2".into()) && !heard.contains(&"got 1".into()),
            "{heard:?}"
        );
    }
}

#[test]
fn octets_beyond_the_size_are_refused_and_so_is_a_wrong_count() {
    let (ended, names) = left("get-beyond", |answer| match *answer {
        Answer::Sum { .. } => Instead::Frames(vec![b"data x".to_vec()]),
        _ => Instead::Itself,
    });
    assert_eq!(
        (ended.code, names.len()),
        (Some(6), 0),
        "{ended:?} {names:?}"
    );
    assert!(ended.stderr.contains("more octets"), "{ended:?}");
    let (ended, names) = left("get-count", |answer| match *answer {
        Answer::Sum { id, octets, digest } => {
            let octets = octets + 1;
            Instead::Frames(vec![frame(&Answer::Sum { id, octets, digest })])
        }
        _ => Instead::Itself,
    });
    assert_eq!(
        (ended.code, names.len()),
        (Some(6), 0),
        "{ended:?} {names:?}"
    );
}

#[test]
fn sizes_that_lie_make_no_file() {
    for (number, size) in [0, 1, u64::MAX].into_iter().enumerate() {
        let offer = Offer {
            size: Some(Size::Known(size)),
            ..Offer::file("file", octets(2000))
        };
        let sender = Sender::honest(vec![offer]);
        let directory = Directory::new(&format!("get-size-{number}"));
        let ended = get(&sender, &["-o", &directory.path("")]);
        let wanted = if size == u64::MAX { 7 } else { 6 };
        assert_eq!(ended.code, Some(wanted), "{ended:?}");
        assert_eq!(directory.names(), [""; 0], "{ended:?}");
    }
}

#[test]
fn frames_out_of_place_end_it() {
    let frames: [&[u8]; 9] = [
        b"file 2 0",
        b"file 1 5",
        b"data x",
        b"done",
        b"hello 1",
        b"end 2 1",
        b"want 1",
        b"nonsense",
        b"",
    ];
    for (number, said) in frames.into_iter().enumerate() {
        let (ended, names) = left(&format!("get-place-{number}"), move |answer| match answer {
            Answer::File { .. } => Instead::Frames(vec![said.to_vec()]),
            _ => Instead::Itself,
        });
        assert_eq!(ended.code, Some(5), "{said:?} {ended:?}");
        assert!(names.is_empty(), "{said:?} {names:?}");
    }
}

#[test]
fn a_file_that_changes_is_not_received_and_the_others_are() {
    let (ended, names) = left("get-changed", |answer| match *answer {
        Answer::Sum { id, .. } if id.get() == 1 => {
            Instead::Frames(vec![b"failed 1 changed it gr\x1bew".to_vec()])
        }
        _ => Instead::Itself,
    });
    assert_eq!(ended.code, Some(6), "{ended:?}");
    assert_eq!(names, ["other"]);
    assert!(ended.stderr.contains("it gr\\u{1b}ew"), "{ended:?}");
    let (ended, names) = left("get-unreadable", |answer| match *answer {
        Answer::File { id, .. } if id.get() == 1 => {
            Instead::Frames(vec![b"failed 1 unreadable x".to_vec()])
        }
        Answer::Data(data) if data.as_bytes().len() > 1 => Instead::Frames(vec![]),
        Answer::Sum { id, .. } if id.get() == 1 => Instead::Frames(vec![]),
        _ => Instead::Itself,
    });
    assert_eq!(ended.code, Some(8), "{ended:?}");
    assert_eq!(names, ["other"]);
}

#[test]
fn no_link_is_followed_even_one_that_is_put_there_meanwhile() {
    // Before.
    let directory = Directory::new("get-link");
    let elsewhere = Directory::new("get-link-elsewhere");
    symlink(elsewhere.path(""), directory.path("a")).unwrap();
    let offers = vec![Offer::folder("a"), Offer::file("a/file", octets(200_000))];
    let ended = get(
        &Sender::honest(offers.clone()),
        &["-o", &directory.path("")],
    );
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert_eq!(elsewhere.names(), [""; 0]);

    // Where the file should go, and between its beginning and its end.
    for (number, when) in ["file", "sum"].into_iter().enumerate() {
        let directory = Directory::new(&format!("get-link-{number}"));
        let (folder, moved) = (directory.path("a"), directory.path("moved"));
        let target = elsewhere.path("");
        let swaps = AtomicU64::new(0);
        let sender = Sender::start(offers.clone(), move |answer| {
            if answer.to_string().starts_with(when) && swaps.fetch_add(1, Ordering::SeqCst) == 0 {
                // The receiver has made it.
                fs::rename(&folder, &moved).unwrap();
                symlink(&target, &folder).unwrap();
            }
            Instead::Itself
        });
        let ended = get(&sender, &["-o", &directory.path("")]);
        assert_ne!(ended.code, Some(0), "{ended:?}");
        assert_eq!(elsewhere.names(), [""; 0], "{ended:?}");
    }
}

#[test]
fn a_file_where_a_folder_should_be_stays() {
    let directory = Directory::new("get-file-there");
    fs::write(directory.path("a"), "mine").unwrap();
    let offers = vec![Offer::folder("a"), Offer::file("a/file", "x")];
    let sender = Sender::honest(offers);
    for policy in ["fail", "overwrite", "rename", "skip"] {
        let ended = get(&sender, &["-o", &directory.path(""), "--on-exists", policy]);
        assert_eq!(ended.code, Some(7), "{ended:?}");
        assert_eq!(fs::read(directory.path("a")).unwrap(), b"mine");
    }
}

#[test]
fn a_name_that_is_taken_meanwhile_stays_who_took_it() {
    let directory = Directory::new("get-meanwhile");
    let file = directory.path("file");
    let sender = Sender::start(vec![Offer::file("file", "theirs")], move |answer| {
        if matches!(answer, Answer::Sum { .. }) {
            fs::write(&file, "mine").unwrap();
        }
        Instead::Itself
    });
    let ended = get(&sender, &["-o", &directory.path("")]);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert_eq!(fs::read(directory.path("file")).unwrap(), b"mine");
}

#[test]
fn what_a_sender_says_at_the_end_tells_the_exit_code() {
    for (said, code) in [
        ("error busy x", 4),
        ("error version x", 5),
        ("error stopping x", 3),
        ("cancel x\u{202e}", 4),
    ] {
        let sender = Sender::start(vec![], move |answer| match answer {
            Answer::End { .. } => Instead::Frames(vec![said.into()]),
            _ => Instead::Itself,
        });
        let ended = get(&sender, &[]);
        assert_eq!(ended.code, Some(code), "{said} {ended:?}");
        assert!(!ended.stderr.contains('\u{202e}'), "{ended:?}");
    }
    let sender = Sender::start(vec![], |answer| match answer {
        Answer::Hello(_) => Instead::Frames(vec![b"hello 7".to_vec()]),
        _ => Instead::Itself,
    });
    let ended = get(&sender, &[]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stderr.contains("version 7"), "{ended:?}");
}

#[test]
fn two_at_a_time_do_not_write_the_same_file() {
    let directory = Directory::new("get-two");
    let folder = directory.path("");
    let hii = super::HII.to_owned();
    let address = Arc::new(std::sync::OnceLock::new());
    let known = Arc::clone(&address);
    // When the first has begun, a second one is run to its end.
    let honest = Sender::honest(vec![Offer::file("file", octets(6 << 20))]);
    let other = honest.address();
    let sender = Sender::start(vec![Offer::file("file", octets(6 << 20))], move |answer| {
        if matches!(answer, Answer::Sum { .. }) {
            let ended = std::process::Command::new(&hii)
                .args(["get", &other.to_string(), "-o", &folder])
                .env("HII_KEY", hii_tests::sender::KEY)
                .output()
                .unwrap();
            let _ = known.set((
                ended.status.code(),
                String::from_utf8(ended.stderr).unwrap(),
            ));
        }
        Instead::Itself
    });
    let ended = get(&sender, &["-o", &directory.path("")]);
    let (code, text) = address.get().unwrap();
    assert_eq!(*code, Some(7), "{text}");
    assert!(text.contains("another `hii get`"), "{text}");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(directory.names(), ["file"]);
}
