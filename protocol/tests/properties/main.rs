//! What holds for every frame, whatever it says: round trips, damage, and which spellings are the same frame.
#![cfg(feature = "alloc")]

use proptest::prelude::*;

mod answers;
mod checks;
mod every_frame;
mod frames;
mod owned;
mod ping;
mod prefix;
mod relay;
mod share;
mod spelling;

/// The six octets that are blanks.
const BLANKS: &[u8] = b" \t\n\x0b\x0c\r";

type Checked = Result<(), TestCaseError>;

/// No file of failures: a failure that was fixed belongs into the vectors.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
