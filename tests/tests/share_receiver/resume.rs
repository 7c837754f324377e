//! Receivers that are interrupted, and go on.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use hii_protocol::share::Answer;
use hii_tests::programs::{Ended, finish, run_as_nobody, signal};
use hii_tests::scratch::Directory;
use hii_tests::sender::{Instead, KEY, Offer, Sender};
use nix::sys::signal::Signal;

use super::{HII, assert_same, get, octets, start};

/// A file that is resumed, among others that are not.
fn offers() -> Vec<Offer> {
    vec![
        Offer::folder("a"),
        Offer::file("a/first", "first"),
        Offer::file("large", octets(7_000_000)),
        Offer::file("last", octets(70_000)),
    ]
}

/// A sender that ends the connection at the frame of this number, once. Of data, only every so many frames are counted.
fn cut_at(offers: Vec<Offer>, number: usize) -> Sender {
    const DATA: usize = 15;
    let (frames, data) = (AtomicUsize::new(0), AtomicUsize::new(0));
    Sender::start(offers, move |answer| {
        let is_data = matches!(answer, Answer::Data(_));
        if is_data && data.fetch_add(1, Ordering::SeqCst) % DATA > 0 {
            return Instead::Itself;
        }
        match frames.fetch_add(1, Ordering::SeqCst) {
            frame if frame == number => Instead::End,
            _ => Instead::Itself,
        }
    })
}

#[test]
fn cut_off_before_any_frame_it_goes_on_to_the_same_tree() {
    let mut has_resumed = false;
    for number in 0.. {
        let sender = cut_at(offers(), number);
        let directory = Directory::new(&format!("get-cut-{number}"));
        let folder = directory.path("folder");
        let first = get(&sender, &["-o", &folder]);
        if first.code == Some(0) {
            // The last word may be missing.
            assert_same(&folder, &offers());
            break;
        }
        let wanted = if number < 3 { 3 } else { 8 };
        assert_eq!(first.code, Some(wanted), "{number} {first:?}");
        let second = get(&sender, &["-o", &folder]);
        assert_eq!(second.code, Some(0), "{number} {second:?}");
        assert_same(&folder, &offers());
        has_resumed |= sender
            .heard
            .all()
            .iter()
            .any(|said| said.starts_with("want 3 6291456 "));
        assert!(number < 1000);
    }
    assert!(has_resumed);
}

/// A way to a sender that passes so many octets on, and then ends, or damages the next; after that, everything.
fn proxy(to: SocketAddr, octets: usize, is_damaged: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut left = octets;
        for near in listener.incoming() {
            let (mut near, mut far) = (near.unwrap(), TcpStream::connect(to).unwrap());
            let (mut there, mut back) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            thread::spawn(move || {
                let _ = std::io::copy(&mut there, &mut back);
                let _ = back.shutdown(std::net::Shutdown::Write);
            });
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = far.read(&mut buffer) {
                if len > left {
                    let mut part = buffer[..=left].to_vec();
                    if is_damaged {
                        part[left] ^= 1;
                        let _ = near.write_all(&part);
                        let _ = near.write_all(&buffer[left + 1..len]);
                        let _ = std::io::copy(&mut far, &mut near);
                    } else {
                        let _ = near.write_all(&part[..left]);
                    }
                    left = usize::MAX;
                    break;
                }
                left -= len.min(left);
                if left > usize::MAX / 2 {
                    left = usize::MAX;
                }
                if near.write_all(&buffer[..len]).is_err() {
                    break;
                }
            }
            let _ = near.shutdown(std::net::Shutdown::Both);
            let _ = far.shutdown(std::net::Shutdown::Both);
        }
    });
    address
}

fn get_by(address: SocketAddr, args: &[&str]) -> Ended {
    let child = std::process::Command::new(HII)
        .args(["get", &address.to_string()])
        .args(args)
        .env("HII_KEY", KEY)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn();
    finish(child.unwrap())
}

#[test]
fn cut_off_or_damaged_within_a_message_it_goes_on_to_the_same_tree() {
    for (number, octets) in [
        0, 3, 30, 60, 100, 300, 70_000, 3_000_000, 6_999_000, 7_020_000,
    ]
    .into_iter()
    .enumerate()
    {
        for is_damaged in [false, true] {
            let sender = Sender::honest(offers());
            let way = proxy(sender.address(), octets, is_damaged);
            let directory = Directory::new(&format!("get-within-{number}-{is_damaged}"));
            let folder = directory.path("folder");
            let first = get_by(way, &["-o", &folder]);
            assert_ne!(first.code, Some(0), "{octets} {is_damaged} {first:?}");
            if is_damaged && octets > 100 {
                // A length that is damaged may also have it wait for what does not come.
                assert!(matches!(first.code, Some(6 | 8)), "{octets} {first:?}");
            }
            let second = get_by(way, &["-o", &folder]);
            assert_eq!(second.code, Some(0), "{octets} {is_damaged} {second:?}");
            assert_same(&folder, &offers());
        }
    }
}

/// A sender that, the first time, says nothing more after some data, and what it has said so far.
fn stuck_after(offers: Vec<Offer>, data: usize) -> (Sender, Arc<AtomicBool>) {
    let seen = AtomicUsize::new(0);
    let is_stuck = Arc::new(AtomicBool::new(true));
    let still = Arc::clone(&is_stuck);
    let sender = Sender::start(offers, move |answer| {
        let before = match answer {
            Answer::Data(_) => seen.fetch_add(1, Ordering::SeqCst),
            _ => seen.load(Ordering::SeqCst),
        };
        if before >= data && still.load(Ordering::SeqCst) {
            return Instead::Frames(vec![]);
        }
        Instead::Itself
    });
    (sender, is_stuck)
}

/// Waits until the part of a file has so many octets.
fn wait_for_part(folder: &str, len: u64) {
    wait_until("no part", || {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_str().unwrap().ends_with(".hii-part"))
            .any(|entry| entry.metadata().is_ok_and(|metadata| metadata.len() >= len))
    });
}

/// Waits until it is so; the time only ends a test that hangs.
fn wait_until(trouble: &str, is_so: impl Fn() -> bool) {
    let begin = std::time::Instant::now();
    while !is_so() {
        assert!(begin.elapsed().as_secs() < 60, "{trouble}");
        thread::yield_now();
    }
}

#[test]
fn killed_at_any_time_it_goes_on_to_the_same_tree() {
    for data in [1, 20, 40, 80, 112] {
        let large = vec![
            Offer::file("large", octets(7_000_000)),
            Offer::file("z", "z"),
        ];
        let (sender, is_stuck) = stuck_after(large.clone(), data);
        let directory = Directory::new(&format!("get-killed-{data}"));
        let folder = directory.path("folder/");
        let mut child = start(&sender, &["-o", &folder]);
        wait_for_part(&folder, (data as u64 * 61_440).min(6_900_000));
        signal(child.id(), Signal::SIGKILL);
        child.wait().unwrap();
        is_stuck.store(false, Ordering::SeqCst);
        let ended = get(&sender, &["-o", &folder]);
        assert_eq!(ended.code, Some(0), "{data} {ended:?}");
        assert_same(&folder, &large);
        // Whole mebibytes, as far as more has come after them; one alone is not worth it.
        let blocks = (data as u64 * 61_440 - 1) >> 20;
        let again = sender
            .heard
            .all()
            .into_iter()
            .filter(|said| said.starts_with("want 1"))
            .nth(1);
        let again = again.unwrap();
        if blocks > 1 {
            assert!(
                again.starts_with(&format!("want 1 {} ", blocks << 20)),
                "{again}"
            );
        } else {
            assert_eq!(again, "want 1");
        }
    }
}

#[test]
fn interrupted_it_keeps_the_part_and_says_what_to_do() {
    let (sender, is_stuck) = stuck_after(vec![Offer::file("large", octets(7_000_000))], 80);
    let directory = Directory::new("get-interrupted");
    let folder = directory.path("folder/");
    let child = start(&sender, &["-o", &folder]);
    wait_for_part(&folder, 80 * 61_440);
    signal(child.id(), Signal::SIGINT);
    let ended = finish(child);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(
        ended.stderr.contains("run the same command again"),
        "{ended:?}"
    );
    wait_until("no cancel", || {
        sender.heard.all().contains(&"cancel interrupted".into())
    });
    is_stuck.store(false, Ordering::SeqCst);
    let ended = get(&sender, &["-o", &folder, "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.json()["resumed_octets"], 4 << 20);
}

/// Does something to a file's octets.
type Touch = fn(&mut Vec<u8>);

/// Leaves a part of 6 MiB of `large` in a folder.
fn with_part(name: &str, offer: &Offer) -> (Directory, String) {
    let sender = Sender::start(vec![offer.clone()], |answer| match answer {
        Answer::Sum { .. } => Instead::End,
        _ => Instead::Itself,
    });
    let directory = Directory::new(name);
    let folder = directory.path("folder/");
    assert_eq!(get(&sender, &["-o", &folder]).code, Some(8));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    (directory, folder)
}

#[test]
fn another_file_is_begun_anew() {
    let large = Offer::file("large", octets(7_000_000));
    let longer = Offer::file("large", octets(7_000_001));
    let later = Offer {
        modified: (1_700_000_000, 123_456_790),
        ..large.clone()
    };
    // As large and as old, but another one: only its octets tell.
    let mut other = octets(7_000_000);
    other[5_000_000] ^= 1;
    let other = Offer::file("large", other);
    for (number, (offer, is_asked)) in [(longer, false), (later, false), (other, true)]
        .into_iter()
        .enumerate()
    {
        let (_directory, folder) = with_part(&format!("get-anew-{number}"), &large);
        let sender = Sender::honest(vec![offer.clone()]);
        let ended = get(&sender, &["-o", &folder]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_same(&folder, &[offer]);
        let asked = sender
            .heard
            .all()
            .iter()
            .any(|said| said.starts_with("want 1 "));
        assert_eq!(asked, is_asked);
    }
}

#[test]
fn a_part_or_a_journal_that_was_touched_makes_no_wrong_file() {
    let large = Offer::file("large", octets(7_000_000));
    let touches: [(&str, Touch); 8] = [
        (".hii-part", |octets| octets[3_000_000] ^= 1),
        (".hii-part", |octets| octets.truncate(2_500_000)),
        (".hii-part", Vec::clear),
        (".hii-part", |octets| {
            octets.resize(octets.len() + (2 << 20), 7);
        }),
        (".hii-journal", |octets| octets[200] ^= 1),
        (".hii-journal", |octets| octets.truncate(150)),
        (".hii-journal", Vec::clear),
        (".hii-journal", |octets| octets.extend_from_slice(&[7; 640])),
    ];
    let ways = touches
        .into_iter()
        .flat_map(|touch| [(touch, true), (touch, false)]);
    for (number, ((end, touch), is_replaced)) in ways.enumerate() {
        // A journal that somebody writes into at its own place is believed: it says what its writer says.
        if !is_replaced && end == ".hii-journal" {
            continue;
        }
        let (_directory, folder) = with_part(&format!("get-touched-{number}"), &large);
        let entry = fs::read_dir(&folder)
            .unwrap()
            .map(Result::unwrap)
            .find(|entry| entry.file_name().to_str().unwrap().ends_with(end))
            .unwrap();
        let mut octets = fs::read(entry.path()).unwrap();
        touch(&mut octets);
        if is_replaced {
            fs::remove_file(entry.path()).unwrap();
            fs::write(entry.path(), octets).unwrap();
        } else {
            let modified = entry.metadata().unwrap().modified().unwrap();
            fs::write(entry.path(), octets).unwrap();
            let file = fs::File::options().write(true).open(entry.path()).unwrap();
            file.set_modified(modified + Duration::from_secs(1))
                .unwrap();
        }
        let sender = Sender::honest(vec![large.clone()]);
        let ended = get(&sender, &["-o", &folder]);
        assert_eq!(ended.code, Some(0), "{number} {ended:?}");
        assert_same(&folder, std::slice::from_ref(&large));
    }
}

#[test]
fn a_part_that_is_read_only_already_is_gone_on_with() {
    // Killed between giving it its permissions and its name; once even its owner may not read it.
    for (mode, resumed) in [(0o444, 6 << 20), (0o000, 0)] {
        let large = Offer::file("large", octets(7_000_000));
        let (directory, folder) = with_part(&format!("get-read-only-{mode}"), &large);
        let mut paths = vec![directory.path(""), folder.clone()];
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path().to_str().unwrap().to_owned();
            if path.ends_with(".hii-part") {
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
            paths.push(path);
        }
        let sender = Sender::honest(vec![large.clone()]);
        let mut command = std::process::Command::new(HII);
        command.args([
            "get",
            &sender.address().to_string(),
            "-o",
            &folder,
            "--json",
        ]);
        command.env("HII_KEY", KEY);
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        let Some(ended) = run_as_nobody(&mut command, &paths) else {
            return;
        };
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.json()["resumed_octets"], resumed);
        assert_same(&folder, &[large]);
    }
}
