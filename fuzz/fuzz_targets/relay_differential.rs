//! What an original relay decides about a frame, ours decides as well, but for frames that only ours knows.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| hii_properties::relay_differential(octets));
