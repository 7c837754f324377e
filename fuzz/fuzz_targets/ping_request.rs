//! A ping server decodes what anyone sends it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| hii_properties::ping_request(octets));
