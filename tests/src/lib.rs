//! What the end-to-end tests share: the programs under test, doubles of the original programs, and a path that loses,
//! delays and repeats.

pub mod classic;
pub mod path;
pub mod programs;
