use super::*;
use std::time::{Duration, SystemTime};

/// A file that is gone at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: &[u8]) -> Self {
        let name = format!("hii-source-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, content).unwrap();
        Self(path)
    }

    fn stamp(&self) -> Stamp {
        Stamp::of(&fs::symlink_metadata(&self.0).unwrap())
    }

    fn open(&self, stamp: Stamp) -> Result<Source, Failed> {
        Source::open(self.0.clone(), stamp)
    }

    /// Writes, so that the time of the change is another for certain.
    fn change(&self, content: &[u8]) {
        fs::write(&self.0, content).unwrap();
        let later = SystemTime::now() + Duration::from_secs(5);
        let file = File::options().write(true).open(&self.0).unwrap();
        file.set_modified(later).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn all(source: &mut Source) -> Result<Vec<u8>, Failed> {
    let mut octets = Vec::new();
    let mut room = [0; 1000];
    loop {
        match source.fill(&mut room)? {
            0 => return Ok(octets),
            len => octets.extend_from_slice(&room[..len]),
        }
    }
}

fn hash(octets: &[u8]) -> Digest {
    Digest(*blake3::hash(octets).as_bytes())
}

fn problem<T>(result: Result<T, Failed>) -> Problem {
    result.map(|_| ()).unwrap_err().problem
}

#[test]
fn a_file_is_read_to_its_end_and_hashed() {
    let content: Vec<u8> = (0..=u8::MAX).cycle().take(12_345).collect();
    let scratch = Scratch::new("whole", &content);
    let mut source = scratch.open(scratch.stamp()).unwrap();
    assert_eq!(all(&mut source).unwrap(), content);
    assert_eq!(source.end(), Ok((12_345, hash(&content))));
}

#[test]
fn what_is_there_already_is_read_in_parts_and_not_beyond() {
    let content = vec![7; STEP * 2 + 9];
    let scratch = Scratch::new("prefix", &content);
    let mut source = scratch.open(scratch.stamp()).unwrap();
    let mut buffer = Vec::new();
    let offset = STEP + 5;
    let at = u64::try_from(offset).unwrap();
    assert_eq!(source.skip(at, &mut buffer), Ok(false));
    assert_eq!(source.skip(at, &mut buffer), Ok(true));
    assert_eq!(
        (source.position(), source.digest()),
        (at, Some(hash(&content[..offset])))
    );
    assert_eq!(all(&mut source).unwrap().len(), content.len() - offset);
    assert_eq!(source.digest(), Some(hash(&content)));
    source.rewind();
    assert_eq!(all(&mut source).unwrap(), content);
    assert_eq!(source.digest(), Some(hash(&content)));
}

#[test]
fn however_much_is_there_already_its_hash_is_the_same() {
    let block = usize::try_from(BLOCK).unwrap();
    let content: Vec<u8> = (0..251).cycle().take(block * 6 + 5).collect();
    let scratch = Scratch::new("blocks", &content);
    for offset in [
        7,
        block,
        block + 1,
        block * 2,
        block * 5 + 9,
        block * 6,
        content.len(),
    ] {
        let mut source = scratch.open(scratch.stamp()).unwrap();
        let (mut buffer, at) = (Vec::new(), offset as u64);
        while !source.skip(at, &mut buffer).unwrap() {}
        assert_eq!(source.position(), at);
        assert_eq!(source.digest(), Some(hash(&content[..offset])), "{offset}");
        assert_eq!(all(&mut source).unwrap().len(), content.len() - offset);
        assert_eq!(source.end(), Ok((content.len() as u64, hash(&content))));
    }
    let mut source = scratch.open(scratch.stamp()).unwrap();
    let file = File::options().write(true).open(&scratch.0).unwrap();
    file.set_len(BLOCK).unwrap();
    let mut buffer = Vec::new();
    let failed = loop {
        match source.skip(BLOCK * 5, &mut buffer) {
            Ok(is_done) => assert!(!is_done),
            Err(failed) => break failed,
        }
    };
    assert_eq!(failed.problem, Problem::Changed);
}

#[test]
fn a_file_that_is_another_by_now_is_not_opened() {
    let scratch = Scratch::new("before", b"1234");
    let stamp = scratch.stamp();
    for content in [&b"12345"[..], b"123", b"4321"] {
        scratch.change(content);
        assert_eq!(problem(scratch.open(stamp)), Problem::Changed);
    }
    fs::remove_file(&scratch.0).unwrap();
    assert_eq!(problem(scratch.open(stamp)), Problem::Changed);
    fs::create_dir(&scratch.0).unwrap();
    assert_eq!(problem(scratch.open(stamp)), Problem::Changed);
    fs::remove_dir(&scratch.0).unwrap();
}

#[cfg(unix)]
#[test]
fn neither_a_link_nor_a_copy_passes_for_the_file() {
    let scratch = Scratch::new("place", b"1234");
    let other = Scratch::new("other", b"1234");
    let stamp = scratch.stamp();
    let modified = fs::metadata(&scratch.0).unwrap().modified().unwrap();
    let file = File::options().write(true).open(&other.0).unwrap();
    file.set_modified(modified).unwrap();
    fs::rename(&other.0, &scratch.0).unwrap();
    let replaced = scratch.open(stamp).unwrap_err();
    assert_eq!(replaced.text, "another file is in its place");
    fs::rename(&scratch.0, &other.0).unwrap();
    std::os::unix::fs::symlink(&other.0, &scratch.0).unwrap();
    assert_eq!(problem(scratch.open(other.stamp())), Problem::Changed);
}

#[cfg(unix)]
#[test]
fn a_file_whose_time_was_put_back_is_still_another() {
    use std::os::unix::fs::MetadataExt as _;
    let scratch = Scratch::new("back", b"1234");
    let (before, stamp) = (fs::metadata(&scratch.0).unwrap(), scratch.stamp());
    let changed = |of: &fs::Metadata| (of.ctime(), of.ctime_nsec());
    // File systems' clocks are coarse: until it has moved on.
    loop {
        fs::write(&scratch.0, b"4321").unwrap();
        let file = File::options().write(true).open(&scratch.0).unwrap();
        file.set_modified(before.modified().unwrap()).unwrap();
        if changed(&file.metadata().unwrap()) != changed(&before) {
            break;
        }
    }
    assert_eq!(scratch.stamp().modified, stamp.modified);
    assert_eq!(problem(scratch.open(stamp)), Problem::Changed);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_told() {
    let scratch = Scratch::new("during", &[1; 5000]);
    let stamp = scratch.stamp();
    let mut room = [0; 1000];

    let mut source = scratch.open(stamp).unwrap();
    source.fill(&mut room).unwrap();
    scratch.change(&[1; 500]);
    assert_eq!(problem(all(&mut source)), Problem::Changed);

    for size in [5000, 6000] {
        scratch.change(&[2; 5000]);
        let mut source = scratch.open(scratch.stamp()).unwrap();
        source.fill(&mut room).unwrap();
        let file = File::options().write(true).open(&scratch.0).unwrap();
        file.set_len(size).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(9))
            .unwrap();
        // Never more than was offered.
        assert_eq!(all(&mut source).unwrap().len(), 4000);
        assert_eq!(problem(source.check()), Problem::Changed);
    }

    let mut source = scratch.open(scratch.stamp()).unwrap();
    fs::remove_file(&scratch.0).unwrap();
    all(&mut source).unwrap();
    assert_eq!(source.check().unwrap_err().text, "it is gone");
}
