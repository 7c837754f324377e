//! A real browser, without a window: headless Chromium.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::programs::{Ended, finish};

/// Whether tests have to run in a browser. Where nobody asked for it, it need not be installed.
pub fn is_wanted() -> bool {
    std::env::var_os("HII_CHROMIUM").is_some_and(|value| value == "1")
}

/// Opens a page and returns what is in the document afterwards and what the browser logged.
///
/// # Panics
/// Chromium is not installed, or hangs.
pub fn open(page: &Path, dark: bool) -> Ended {
    let profile = Profile::new(page);
    let child = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--enable-logging=stderr",
            "--window-size=1400,1000",
            // Timers that are due by then run first.
            "--virtual-time-budget=5000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.0.display()))
        // 0 is dark, 1 is light.
        .arg(format!(
            "--blink-settings=preferredColorScheme={}",
            u8::from(!dark)
        ))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("chromium is installed (Debian: apt-get install chromium)");
    finish(child)
}

/// A directory for what a browser keeps, beside the page and gone afterwards.
struct Profile(PathBuf);

impl Profile {
    fn new(page: &Path) -> Self {
        let path = page.with_extension("profile");
        std::fs::create_dir_all(&path).expect("room beside the page");
        Self(path)
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        // Its last processes may still be writing; what is left is in a temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
