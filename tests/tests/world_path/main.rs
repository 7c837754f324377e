//! Programs over a path of which it is known what became of each packet, and that path itself.
#![cfg(target_os = "linux")]

mod datagrams;
mod limits;
mod outcomes;
mod ping;
mod relay;
mod share;
mod sockets;

const HII: &str = env!("CARGO_BIN_EXE_hii-under-test");
const HII_SERVER: &str = env!("CARGO_BIN_EXE_hii-server-under-test");
