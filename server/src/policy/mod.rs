//! Who is served, and how much: decisions of all services, without sockets or clocks.

pub mod embedded_ipv4;
pub mod local_addrs;
pub mod origin;
pub mod source_validation;
