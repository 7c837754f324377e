//! Which files and folders are offered, and which are refused.

use super::*;

/// A directory that is gone at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("hii-offer-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn offer(&self, names: &[&str]) -> Result<Offer, OfferError> {
        let paths: Vec<_> = names.iter().map(|name| self.0.join(name)).collect();
        Offer::of(&paths, "stdin")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn entries(offer: &Offer) -> Vec<String> {
    let mut lines = Vec::new();
    let mut told = 0;
    while let Some((page, count)) = offer.page(told) {
        let entries = page.as_page();
        lines.extend(entries.entries().map(|entry| {
            let kind = match entry.kind {
                Kind::Folder => "dir".to_owned(),
                Kind::File(Size::Unknown) => "?".to_owned(),
                Kind::File(Size::Known(size)) => size.to_string(),
            };
            format!("{} {kind} {}", entry.id.get(), entry.path.as_str())
        }));
        told += count;
    }
    lines
}

#[test]
fn folders_come_before_what_is_in_them_in_an_order_that_stays() {
    let scratch = Scratch::new("order");
    scratch.file("top/b/x", b"1");
    scratch.file("top/a", b"22");
    fs::create_dir(scratch.0.join("top/empty")).unwrap();
    scratch.file("z", b"");
    let offer = scratch.offer(&["z", "top/"]).unwrap();
    let wanted = [
        "1 0 z",
        "2 dir top",
        "3 2 top/a",
        "4 dir top/b",
        "5 1 top/b/x",
        "6 dir top/empty",
    ];
    assert_eq!(entries(&offer), wanted);
    assert_eq!((offer.entries(), offer.files(), offer.octets()), (6, 3, 3));
    assert_eq!(offer.end().to_string(), "end 6 3");
    let id = |number| Id::new(number).unwrap();
    for (number, place) in [(1, "z"), (3, "top/a"), (5, "top/b/x")] {
        let Ok(Sendable::File(path, stamp)) = offer.sendable(id(number)) else {
            panic!("{number}");
        };
        assert_eq!(path, scratch.0.join(place));
        assert_eq!(stamp, Stamp::of(&fs::symlink_metadata(&path).unwrap()));
    }
    assert_eq!(offer.sendable(id(2)), Err(NotSendable::Folder));
    assert_eq!(offer.sendable(id(7)), Err(NotSendable::Unknown));
    assert_eq!(offer.sendable(id(u64::MAX)), Err(NotSendable::Unknown));
}

#[test]
fn many_entries_take_several_pages_and_none_is_lost() {
    let scratch = Scratch::new("pages");
    for number in 0..3000 {
        scratch.file(&format!("d/{number:04}{}", "x".repeat(40)), b"");
    }
    let offer = scratch.offer(&["d"]).unwrap();
    let (_, first) = offer.page(0).unwrap();
    assert!(first < offer.entries());
    let lines = entries(&offer);
    assert_eq!(lines.len(), 3001);
    assert!(lines[3000].starts_with("3001 0 d/2999"));
}

#[cfg(unix)]
#[test]
fn links_and_what_is_no_file_are_left_out_and_named() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let scratch = Scratch::new("links");
    let file = scratch.file("d/file", b"1");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4751)).unwrap();
    symlink("file", scratch.0.join("d/link")).unwrap();
    symlink("..", scratch.0.join("d/up")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(scratch.0.join("d/socket"));
    let offer = scratch.offer(&["d"]).unwrap();
    assert_eq!(entries(&offer), ["1 dir d", "2 1 d/file"]);
    let page = offer.page(0).unwrap().0;
    let modes: Vec<_> = page
        .as_page()
        .entries()
        .map(|entry| entry.mode.bits())
        .collect();
    assert_eq!(modes[1], 0o751);
    let mut skipped: Vec<_> = offer.skipped().iter().map(ToString::to_string).collect();
    assert!(skipped[0].ends_with("d/link is a symbolic link"));
    assert!(skipped[1].ends_with("d/socket is neither a file nor a folder") == socket.is_ok());
    assert!(skipped.pop().unwrap().ends_with("d/up is a symbolic link"));
    assert!(matches!(
        scratch.offer(&["d/link"]),
        Err(OfferError::Nothing)
    ));
}

#[cfg(unix)]
#[test]
fn a_name_that_no_receiver_takes_is_refused_and_shown_escaped() {
    use std::os::unix::ffi::OsStrExt as _;
    for (name, shown) in [
        (&b"a\nb"[..], r"d/a\nb"),
        (b"a\\b", r"d/a\\b"),
        (b"nul.txt", "d/nul.txt"),
        (b"x.", "d/x."),
        ("a\u{202e}b".as_bytes(), r"d/a\u{202e}b"),
        (b"a\xffb", r"a\xffb"),
    ] {
        let scratch = Scratch::new("names");
        scratch.file("d/good", b"");
        fs::write(scratch.0.join("d").join(OsStr::from_bytes(name)), b"").unwrap();
        let error = scratch.offer(&["d"]).unwrap_err();
        assert!(matches!(
            error,
            OfferError::Name { .. } | OfferError::NotUtf8 { .. }
        ));
        assert!(error.to_string().contains(shown), "{error}");
    }
}

#[test]
fn what_is_not_there_or_has_the_name_of_another_is_refused() {
    let scratch = Scratch::new("refused");
    scratch.file("a/same", b"1");
    scratch.file("b/same", b"2");
    assert!(matches!(
        scratch.offer(&["a/none"]),
        Err(OfferError::Read { .. })
    ));
    assert!(matches!(
        scratch.offer(&["a/same", "b/same"]),
        Err(OfferError::Twice { .. })
    ));
    let root = Offer::of(&["/".into()], "stdin");
    assert!(root.is_err());
}

#[test]
fn a_folder_is_offered_by_the_name_that_it_really_has() {
    let scratch = Scratch::new("dots");
    scratch.file("real/x", b"1");
    let offer = scratch.offer(&["real/."]).unwrap();
    assert_eq!(entries(&offer), ["1 dir real", "2 1 real/x"]);
    let offer = scratch.offer(&["real/../real/.."]).unwrap();
    let name = scratch.0.file_name().unwrap().to_str().unwrap();
    assert!(entries(&offer)[0].ends_with(&format!("dir {name}")));
}

#[test]
fn stdin_has_a_name_and_no_size() {
    let offer = Offer::of(&["-".into()], "dump").unwrap();
    assert_eq!(entries(&offer), ["1 ? dump"]);
    assert!(offer.has_stdin());
    assert_eq!(offer.sendable(Id::FIRST), Ok(Sendable::Stdin));
    let offer = Offer::of(&["-".into(), "-".into()], "dump");
    assert!(matches!(offer, Err(OfferError::Twice { .. })));
}
