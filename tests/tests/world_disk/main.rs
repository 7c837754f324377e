//! Disks that are full, fill up, or are read-only.
#![cfg(target_os = "linux")]

mod pictures;
mod received;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");
