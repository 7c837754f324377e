//! What the end-to-end tests share: the programs under test, doubles of the original programs, a path that loses,
//! delays and repeats, a browser, and the system benchmark.

pub mod benchmark;
pub mod browser;
pub mod classic;
pub mod network;
pub mod path;
pub mod programs;
pub mod schema;
pub mod scratch;
