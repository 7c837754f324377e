//! The limits of all services, in one place.
//!
//! | service, kind | for an address and port | for an address |
//! | --- | --- | --- |
//! | ping: well-formed probes | | `--rate`, 20,000/s; `--octet-rate`, 12.5 MB/s of answers |
//! | ping: exactly `Hello Server` or `Hello Server.` | | `--classic-rate`, 1,000/s |
//! | ping: well-formed `C <size>`, `exit` | 1/s, burst 10 | 100/s, burst 200 |
//! | ping: everything else | `--message-rate`, 1/s, burst 50 | 100/s, burst 500 |
//! | ping: notices of a limit | 1/s | 10/s |
//! | relay: errors, greetings of non-peers | 1/s, burst 20 | `--error-rate`, 50/s |
//! | relay: tokens | 10/s | 1,000/s |
//! | relay: errors of a verified peer or a connection | paid from its own rate | |
//! | relay: messages | `--rate`, 1,000/s | 4 times `--rate` |
//! | relay: messages to one receiver | | 10 times `--rate`; from one address a quarter of that |
//!
//! An address is an IPv4 address or an IPv6 /64. The burst is one second's worth where none is given. Each kind has budgets of
//! its own, so none can use up another's. Only a limit of about 1/s ends a loop between two programs that answer each
//! other: a faster one refills while the datagram is under way.

use super::pace::Limit;

/// Ping's well-formed probes, for an address: the default of `--rate`.
pub const PROBES: Limit = Limit::per_second(20_000);

/// Octets of ping's answers, for an address: the default of `--octet-rate`.
pub const ANSWER_OCTETS: Limit = Limit::per_second(12_500_000);

/// `Hello Server`, which the original clients measure with, for an address: the default of `--classic-rate`.
pub const CLASSIC_PROBES: Limit = Limit::per_second(1_000);

/// Ping's `C <size>` and `exit`, for an address and port.
pub const CONTROL_OF_ENDPOINT: Limit = Limit::with_burst(1, 10);

/// Ping's `C <size>` and `exit`, for an address.
pub const CONTROL_OF_ADDRESS: Limit = Limit::with_burst(100, 200);

/// Everything else that ping answers, for an address and port: the default of `--message-rate`.
pub const TEXTS_OF_ENDPOINT: Limit = Limit::with_burst(1, 50);

/// Everything else that ping answers, for an address.
pub const TEXTS_OF_ADDRESS: Limit = Limit::with_burst(100, 500);

/// Ping's notices that a run is over a limit, for an address and port.
pub const NOTICES_OF_ENDPOINT: Limit = Limit::per_second(1);

/// Ping's notices that a run is over a limit, for an address.
pub const NOTICES_OF_ADDRESS: Limit = Limit::per_second(10);

/// The relay's errors, and its answers to greetings of non-peers, for an address and port.
pub const ERRORS_OF_ENDPOINT: Limit = Limit::with_burst(1, 20);

/// The relay's errors, and its answers to greetings of non-peers, for an address: the default of `--error-rate`.
pub const ERRORS_OF_ADDRESS: Limit = Limit::per_second(50);

/// The relay's tokens, for an address and port.
pub const TOKENS_OF_ENDPOINT: Limit = Limit::per_second(10);

/// The relay's tokens, for an address.
pub const TOKENS_OF_ADDRESS: Limit = Limit::per_second(1_000);

/// Messages of one peer of the relay: the default of `--rate`.
pub const MESSAGES_OF_PEER: Limit = Limit::per_second(1_000);

/// The rate of all peers of an address, as a multiple of that of one peer.
pub const PEERS_OF_ADDRESS: u64 = 4;

/// The rate of messages to one receiver, as a multiple of that of one peer.
pub const PEERS_OF_RECEIVER: u64 = 10;

/// The part of what a receiver is sent that may come from one address, as its divisor.
pub const SOURCES_OF_RECEIVER: u64 = 4;
