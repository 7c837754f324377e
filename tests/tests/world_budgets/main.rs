//! What one source can take from others: nothing of theirs by forging, and no more than its own by any means.
#![cfg(target_os = "linux")]

mod back_pressure;
mod messages;
mod victims;

const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");
