//! What the end-to-end tests share: the programs under test, doubles of the original programs, a path that loses,
//! delays and repeats, and a browser.

pub mod browser;
pub mod classic;
pub mod network;
pub mod path;
pub mod programs;
pub mod schema;
pub mod scratch;
