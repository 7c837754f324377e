//! Datagrams and connections whose source, or whose destination, is none that a host has: refused by every service
//! before anything believes them.
#![cfg(target_os = "linux")]

mod cases;
mod connections;
mod local_services;
mod peers;
mod refusals;

const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");
