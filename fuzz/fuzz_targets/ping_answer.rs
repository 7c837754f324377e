//! A ping client decodes what anyone sends it; the port it listens on is easily guessed.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| hii_properties::ping_answer(octets));
