//! A sender of files decodes what a receiver with the key sends it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| hii_properties::share_request(octets));
