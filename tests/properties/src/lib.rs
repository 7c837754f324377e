//! Properties that hold for any input: one function for each fuzz target, which panics if the property does not hold. The
//! fuzz targets call them with the inputs of libFuzzer, and `tests/seeds.rs` with the seeds.
#![forbid(unsafe_code)]
#![expect(
    clippy::missing_panics_doc,
    reason = "each panics where it does not hold"
)]

pub use connection::ping_connection;
pub use differential::relay_differential;
pub use fair_share::fair_share;
pub use frames::{
    ping_answer, ping_request, relay_answer, relay_request, share_answer, share_request,
};
pub use framing::framing;
pub use metrics::metrics_request;
pub use round_trip::round_trip;
pub use sequences::relay_sequences;
pub use source_validation::source_validation;

mod connection;
#[path = "../../src/classic/decision.rs"]
pub mod decision;
mod differential;
mod fair_share;
mod frames;
mod framing;
mod metrics;
mod origin;
mod round_trip;
mod sequences;
mod source_validation;

/// A function that panics if its property does not hold for these octets.
pub type Property = fn(&[u8]);

/// Each fuzz target, by its name.
pub const TARGETS: [(&str, Property); 14] = [
    ("fair_share", fair_share),
    ("framing", framing),
    ("metrics_request", metrics_request),
    ("ping_answer", ping_answer),
    ("ping_connection", ping_connection),
    ("ping_request", ping_request),
    ("relay_answer", relay_answer),
    ("relay_differential", relay_differential),
    ("relay_request", relay_request),
    ("relay_sequences", relay_sequences),
    ("round_trip", round_trip),
    ("share_answer", share_answer),
    ("share_request", share_request),
    ("source_validation", source_validation),
];
