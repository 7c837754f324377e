//! Measurements over networks and on hosts that are made for them.
#![cfg(target_os = "linux")]

mod own_host;
mod path_mtu;
mod refused;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");
