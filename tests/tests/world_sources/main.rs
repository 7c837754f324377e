//! Datagrams and connections with an invalid source or destination address are refused by every service before they have
//! any effect.
#![cfg(target_os = "linux")]

mod cases;
mod connections;
mod local_services;
mod peers;
mod refusals;

const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");
