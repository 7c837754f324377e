//! Source validation and limits of all services, without sockets or clocks.

pub mod budget;
#[cfg(test)]
mod budget_tests;
pub mod embedded_ipv4;
pub mod fair_pool;
pub mod fair_share;
pub mod limits;
pub mod local_addrs;
pub mod origin;
pub mod pace;
pub mod source_validation;

pub(crate) use budget::Key;
pub use budget::{Buckets, Budget};
pub use pace::{Limit, Pace};
