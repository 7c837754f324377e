//! Doubles of the original programs.
//!
//! They are written from the description of those programs, with plain sockets and the standard
//! library alone, and know nothing of the project's crates: an error in the one is not repeated in
//! the other. What the originals do wrong on the wire, the doubles do as well.

pub mod decision;
pub mod echo_client;
pub mod echo_server;
pub mod file_client;
pub mod ping_client;
pub mod ping_server;
pub mod relay_client;
pub mod relay_server;
