//! The relay's clients: `hii send`, `hii listen` and `hii chat`.

pub mod args;
pub mod chat;
pub mod compose;
pub mod conversation;
pub mod interrupt;
pub mod link;
pub mod listen;
pub mod moment;
mod open;
pub mod pace;
mod reach;
pub mod send;
pub mod session;
#[cfg(test)]
mod session_tests;
pub mod told;
pub mod words;
