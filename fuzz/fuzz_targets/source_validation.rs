//! Whoever sends a packet, and wherever it arrives, its source is believed no more than its arrival.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| hii_properties::source_validation(octets));
