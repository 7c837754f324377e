//! A receiver decodes what a sender of files tells it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| hii_properties::share_answer(octets));
