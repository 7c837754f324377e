//! The metrics endpoint answers what anyone sends it, and in one of five ways.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| hii_properties::metrics_request(octets));
