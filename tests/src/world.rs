//! What the world tests share: those of the binaries named `world_*`, which take root, a mount, a namespace or more
//! than 5 seconds. Each is `#[ignore]`d, so that `cargo test` leaves it out; `.ci/run` runs them all.

/// Reports that a world test cannot run here, for this reason; the test then returns.
///
/// # Panics
/// `HII_WORLD` is 1, as `.ci/run` sets it: every test can run there, so a skipped one has failed.
pub fn skip(reason: &str) {
    let must_run = std::env::var_os("HII_WORLD").is_some_and(|value| value == "1");
    assert!(!must_run, "not skipped, since HII_WORLD is 1: {reason}");
    eprintln!("skipped: {reason}");
}
