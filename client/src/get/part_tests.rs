use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::thread::sleep;

use hii_protocol::share::{Id, Kind, Mode, ModifiedAt};

use super::*;

fn offered(path: &str) -> Offered<'_> {
    Offered {
        id: Id::FIRST,
        kind: Kind::File(Size::Known(10 * BLOCK)),
        mode: Mode::new(0o644),
        modified: ModifiedAt::default(),
        path,
    }
}

/// Octets that come so slowly that a block takes longer than its journal is good for.
#[test]
fn what_comes_slowly_is_still_known_when_the_program_is_killed() {
    let path = std::env::temp_dir().join(format!("hii-get-slow-{}", std::process::id()));
    fs::create_dir(&path).unwrap();
    let folder = Arc::new(Folder::open(&path).unwrap());
    let mut part = Part::open(&folder, "slow", &offered("slow"), None).unwrap();
    let blocks = vec![7; usize::try_from(3 * BLOCK + 1).unwrap()];
    part.write(&blocks).unwrap();
    for _ in 0..2 {
        sleep(2 * REFRESH);
        let before = SystemTime::now();
        part.write(b"a little").unwrap();
        let journal = fs::metadata(path.join(names::journal("slow"))).unwrap();
        assert!(journal.modified().unwrap() >= before);
        assert_eq!(journal.len(), (HEAD_LEN + 3 * BLOCK_LEN) as u64);
    }
    fs::remove_dir_all(path).unwrap();
}

/// However long a journal is, no more of it is looked at than the file has blocks.
#[test]
fn a_journal_without_end_takes_no_memory() {
    let path = std::env::temp_dir().join(format!("hii-get-endless-{}", std::process::id()));
    fs::create_dir(&path).unwrap();
    let folder = Arc::new(Folder::open(&path).unwrap());
    let offered = offered("endless");
    let octets = vec![7; usize::try_from(3 * BLOCK + 1).unwrap()];
    let boot = Some([1; 16]);
    let mut part = Part::open(&folder, "endless", &offered, boot).unwrap();
    part.write(&octets).unwrap();
    let journal = part.journal.as_ref().unwrap();
    // No octets on the disk, and more than there is memory.
    journal.file.set_len(1 << 42).unwrap();
    drop(part);
    let part = Part::open(&folder, "endless", &offered, boot).unwrap();
    let digest = Digest(blake3::hash(&octets[..octets.len() - 1]).into());
    assert_eq!(part.there(), Some((3 * BLOCK, digest)));
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn only_what_nobody_else_can_have_written_is_gone_on_with() {
    let path = std::env::temp_dir().join(format!("hii-get-own-{}", std::process::id()));
    fs::create_dir(&path).unwrap();
    let folder = Folder::open(&path).unwrap();
    let write = |name: &str| fs::write(path.join(name), "before").unwrap();
    let permit = |name: &str, mode| {
        fs::set_permissions(path.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    for name in ["own", "shared", "linked"] {
        write(name);
        permit(name, 0o600);
    }
    permit("shared", 0o666);
    let mut open = fs::OpenOptions::new()
        .write(true)
        .open(path.join("shared"))
        .unwrap();
    fs::hard_link(path.join("linked"), path.join("other")).unwrap();
    symlink("other", path.join("link")).unwrap();
    let len = |name| own(&folder, name).unwrap().metadata().unwrap().len();
    assert_eq!(len("own"), 6);
    for name in ["shared", "linked", "link"] {
        assert_eq!(len(name), 0, "{name}");
        let mode = fs::metadata(path.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    open.write_all(b"afterwards").unwrap();
    assert_eq!(len("shared"), 0);
    assert_eq!(fs::read(path.join("other")).unwrap(), b"before");
    fs::create_dir(path.join("folder")).unwrap();
    assert!(own(&folder, "folder").is_err());
    fs::remove_dir_all(path).unwrap();
}
