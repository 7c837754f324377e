//! Every frame that can be built can be read back, including those that no mutation of octets finds.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| hii_properties::round_trip(octets));
