//! A relay decodes what anyone sends it, and passes on what it understood.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| hii_properties::relay_request(octets));
