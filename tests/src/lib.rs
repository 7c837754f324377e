//! What the end-to-end tests share: the programs under test, doubles of the original programs, a path that loses,
//! delays and repeats, another one that records what became of each packet, servers that answer as they are told, a
//! sender and a receiver of files that do, namespaces, a browser, a terminal, what a world test needs, and the system
//! benchmark.

#[cfg(target_os = "linux")]
pub mod attack;
pub mod benchmark;
pub mod browser;
pub mod classic;
pub mod metrics;
pub mod namespace;
#[cfg(target_os = "linux")]
pub mod netns;
#[cfg(target_os = "linux")]
pub mod network;
#[path = "../properties/src/origin.rs"]
mod origin;
pub mod path;
pub mod programs;
pub mod schema;
pub mod scratch;
pub mod script;
pub mod sender;
pub mod share;
pub mod streams;
pub mod terminal;
#[cfg(target_os = "linux")]
pub mod tun_path;
pub mod world;
