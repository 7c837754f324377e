//! The relay: passes messages between hosts that have greeted it.

pub mod access;
pub mod peers;
#[cfg(test)]
mod peers_tests;
pub mod reach;
pub mod rules;
#[cfg(test)]
mod rules_tests;
pub mod service;
pub mod tally;
pub mod tokens;
