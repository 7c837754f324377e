//! The seeds of the fuzz targets, and what fuzzing found, as ordinary tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hii_properties::TARGETS;

fn fuzz(folder: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join("../../fuzz").join(folder)
}

/// What is in a folder, without the extensions.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    entries.map(|entry| name(entry.unwrap().path())).collect()
}

#[test]
fn each_property_holds_for_its_seeds() {
    for (target, property) in TARGETS {
        let folder = fuzz("seeds").join(target);
        let seeds = names(&folder);
        assert!(!seeds.is_empty(), "{target}");
        for seed in seeds {
            // Shown if it does not hold.
            eprintln!("{target}/{seed}");
            property(&fs::read(folder.join(seed)).unwrap());
        }
    }
}

#[test]
fn each_property_has_a_fuzz_target_and_seeds_and_nothing_else_does() {
    let targets: BTreeSet<_> = TARGETS.map(|(name, _)| name.to_owned()).into();
    assert_eq!(names(&fuzz("fuzz_targets")), targets);
    assert_eq!(names(&fuzz("seeds")), targets);
}
