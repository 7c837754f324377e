//! However TCP cuts a stream into pieces, the same frames come out of it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| hii_properties::framing(octets));
