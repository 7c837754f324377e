//! Whoever sends whatever to a relay, and when, it sends to peers only, answers at most once, and never an answer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| hii_properties::relay_sequences(octets));
