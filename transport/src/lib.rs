//! Sockets and clocks at the rim of Hii: what the services and the client share below their decisions.
//!
//! Linux comes first. Where another platform has no such thing, each module falls back to the portable way behind one
//! `cfg` of its own.
#![deny(unsafe_code)]

pub mod addresses;
pub mod arrivals;
mod backoff;
mod batch;
mod batch_pause;
pub mod beneath;
pub mod boot;
pub mod burst;
pub mod channel;
pub mod clock;
pub mod datagrams;
pub mod elsewhere;
pub mod files;
mod offload;
pub mod options;
mod outbox;
pub mod output;
pub mod packet_info;
mod parcels;
pub mod probe;
mod queue;
pub mod reading;
mod receiving;
mod recvmsg;
pub mod sampled;
#[cfg(all(test, target_os = "linux"))]
mod sandbox_tests;
pub mod sendfile;
pub mod shutdown;
mod singles;
mod socket;
pub mod stop;
#[cfg(unix)]
pub mod suspend;
pub mod tcp;
pub mod terminal;
pub mod timer;
pub mod traffic;
pub mod udp;
mod waiting;
