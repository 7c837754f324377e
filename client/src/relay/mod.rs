//! The relay's clients: `hii send`, `hii listen` and `hii chat`.

pub mod compose;
pub mod session;
#[cfg(test)]
mod session_tests;
pub mod told;
