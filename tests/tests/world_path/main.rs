//! Programs over a path of which it is known what became of each packet, and that path itself.
#![cfg(target_os = "linux")]

mod datagrams;
mod limits;
mod sockets;
