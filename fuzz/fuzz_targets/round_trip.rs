//! Every frame that can be built can be read back, including those that no mutation of octets finds.
#![no_main]

use hii_fuzz::AnyFrame;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|frame: AnyFrame<'_>| hii_fuzz::round_trip(frame));
