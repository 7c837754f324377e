//! However TCP cuts what a client sends, and takes what it is sent, a ping server's connection says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| hii_properties::ping_connection(octets));
