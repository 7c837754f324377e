//! Whoever enters a bounded pool, nobody within its share goes for one that is over it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| hii_properties::fair_share(octets));
