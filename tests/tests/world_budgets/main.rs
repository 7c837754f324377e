//! Budgets and places: a forger does not use up those of others, and no source gets more than its own.
#![cfg(target_os = "linux")]

mod back_pressure;
mod messages;
mod places;
mod victims;

const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");
