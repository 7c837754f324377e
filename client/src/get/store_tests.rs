use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use hii_protocol::share::Answer;

use super::*;

#[test]
fn folders_that_were_there_stay_as_they_are_and_read_only_ones_wait_for_their_files() {
    let path = std::env::temp_dir().join(format!("hii-get-folders-{}", std::process::id()));
    fs::create_dir_all(path.join("there")).unwrap();
    fs::set_permissions(path.join("there"), Permissions::from_mode(0o700)).unwrap();
    let page = "page 1 dir 777 1.000000000 new\n2 dir 500 1.000000000 new/in\n3 dir 777 1.000000000 there\n";
    let Ok(Answer::Page(page)) = Answer::decode(page.as_bytes()) else {
        panic!("a page");
    };
    let mut manifest = Manifest::default();
    for entry in page.entries() {
        manifest.add(&entry).unwrap();
    }
    let run = |is_complete| {
        let root = Folder::open(&path).unwrap();
        let mut store = Store::new(root, None, OnExists::Fail).unwrap();
        store.make_folders(&manifest).unwrap();
        // Those that `new` and `in` are in, as long as these are not finished.
        let unsynced: usize = store.unsynced.folders().map(<[_]>::len).sum();
        assert_eq!(unsynced, store.made.len(), "{:?}", store.made);
        store.settle().unwrap();
        assert_eq!(store.unsynced.folders().count(), 0);
        store.finish_folders(&manifest, is_complete).unwrap();
        ["new", "new/in", "there"].map(|name| {
            let metadata = fs::metadata(path.join(name)).unwrap();
            metadata.permissions().mode() & 0o777
        })
    };
    let new = u32::from(0o777 & !withheld());
    assert_eq!(run(false), [new, 0o700, 0o700]);
    let in_new = u32::from(0o500 & !withheld());
    assert_eq!(run(true), [new, in_new, 0o700]);
    fs::set_permissions(path.join("new"), Permissions::from_mode(0o700)).unwrap();
    assert_eq!(run(true), [0o700, in_new, 0o700]);
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_number_is_none_that_is_offered_too() {
    let path = std::env::temp_dir().join(format!("hii-get-numbers-{}", std::process::id()));
    fs::create_dir_all(path.join("f")).unwrap();
    fs::write(path.join("f/a"), "mine").unwrap();
    let page = "page 1 dir 755 1.000000000 f\n2 file 1 644 1.000000000 f/a\n3 file 1 644 1.000000000 f/a (1)\n";
    let Ok(Answer::Page(page)) = Answer::decode(page.as_bytes()) else {
        panic!("a page");
    };
    let mut manifest = Manifest::default();
    for entry in page.entries() {
        manifest.add(&entry).unwrap();
    }
    let root = Folder::open(&path).unwrap();
    let mut store = Store::new(root, None, OnExists::Rename).unwrap();
    let plan = store.plan(&manifest).unwrap();
    let renamed = Decision::Receive {
        name: Some("a (2)".into()),
        replaces: false,
    };
    assert_eq!(plan.decisions[1..], [renamed, Decision::RECEIVE]);
    fs::remove_dir_all(path).unwrap();
}
